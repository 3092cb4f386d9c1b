"""Molecular dynamics of a structure at a level: equilibration, production, guards, and exact continuation.

A run is a function of its structure, level and settings alone. Between two steps all of its state is in the
integrator, the random numbers, the guards and three counts; a checkpoint holds exactly these. A run that was
killed continues from its last checkpoint: frames recorded after it are cut off and come again, bit for bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from ionscape.dynamics.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from ionscape.dynamics.guards import Guards, Sample
from ionscape.dynamics.independence import IndependentCalculator
from ionscape.dynamics.integrators import Integrator, draw_velocities, integrator, pressure, temperature
from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader
from ionscape.dynamics.runs import DriftRate, Milliseconds
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.errors import CalculationError, InputError, nearest
from ionscape.levels.evaluation import require_stress
from ionscape.structures.exchange import to_atoms, to_structure
from ionscape.units import Count, Seconds

EQUILIBRATION, PRODUCTION = "equilibration.trajectory", "production.trajectory"
CHECKPOINT = "checkpoint.npz"
#: Number of steps made so far, for whoever watches; written once a second.
STEPS = "steps.txt"
#: Wall time between checkpoints unless the caller wants another, s.
CHECKPOINT_S = 15.0
#: What an integrator or a level may raise once the atoms are where they should never be.
_ASTRAY = (CalculationError, FloatingPointError, OverflowError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class RunEnd:
    """End of a run.

    Attributes
    ----------
    structure
        The last structure, atoms in their unwrapped places.
    steps, frames, equilibration_frames
        Steps in all; frames of the production and before it.
    stopped
        Which guard stopped it and why; empty if it came to its end.
    drift
        Slope of the conserved energy over the production; None with Langevin forces.
    ms_per_step
        Mean time a step took, ms.
    """

    structure: Structure
    steps: Count
    frames: Count
    equilibration_frames: Count
    stopped: str
    drift: DriftRate | None
    ms_per_step: Milliseconds


def simulate(
    structure: Structure,
    calculator: Any,
    settings: DynamicsSettings,
    folder: Path,
    level: str = "",
    checkpoint_s: Seconds = CHECKPOINT_S,
) -> RunEnd:
    """Simulate `structure` with an ASE `calculator`, continuing what an interrupted run left in `folder`.

    Velocities are drawn from the Maxwell–Boltzmann distribution at ``temperature_K``, the centre of mass at rest.
    The first half of the equilibration is thermalised by Langevin forces in the fixed cell: from atoms at their
    lattice sites a Nosé–Hoover chain swings for long in a nearly harmonic crystal, and its temperatures scatter
    too much.
    Frames go to ``production.trajectory``, those before to ``equilibration.trajectory`` (`recording`),
    every frame at once.

    Parameters
    ----------
    structure
        Periodic structure of two atoms or more.
    calculator
        Source of energy, forces and stress; newly made, used by nothing else (`independence`).
    settings
        Ensemble, conditions, times and guards.
    folder
        Existing folder for trajectories and checkpoint.
    level
        Name or identity of the level, for the header of the trajectories.
    checkpoint_s
        Wall time between checkpoints, s.

    Raises
    ------
    InputError
        If there are fewer than two atoms, a mobile element is not there, the calculator gives no stress, or a file
        cannot be written.
    """
    require_stress(calculator)
    check_run(structure, settings)
    run = _Run(structure, calculator, settings, folder)
    try:
        run.open(level)
        run.go(checkpoint_s)
        return run.end()
    finally:
        run.close()


def check_run(structure: Structure, settings: DynamicsSettings) -> None:
    """Raise `InputError` unless `structure` has two atoms or more, and the mobile elements of `settings`."""
    symbols = [site.specie.symbol for site in structure]
    if len(symbols) < 2:
        raise InputError(
            f"{len(symbols)} atom",
            where="structure",
            expected="at least two atoms, for the centre of mass is at rest",
            remedy="Use a supercell.",
        )
    for element in settings.mobile:
        if element not in symbols:
            raise InputError(
                f"no atom of the mobile element {element}",
                where="structure",
                expected=f"one of {', '.join(dict.fromkeys(symbols))}",
                remedy=nearest(element, set(symbols)),
            )


class _Run:
    """A run in progress."""

    def __init__(self, structure: Structure, calculator: Any, settings: DynamicsSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._rng = np.random.default_rng(settings.seed)
        self._atoms = to_atoms(structure)
        self._atoms.calc = IndependentCalculator(calculator, forget=settings.independent_evaluations)
        self._symbols = tuple(self._atoms.get_chemical_symbols())
        draw_velocities(self._atoms, settings.temperature_K, self._rng)
        self._start = self._atoms.get_positions()
        self._integrator = self._integrator_after(0)
        self._guards = self._new_guards()
        self._recorders: list[Recorder] = []
        self._step, self._stopped = 0, ""
        self._seconds = 0.0

    def _integrator_after(self, step: Count) -> Integrator:
        """Return a new integrator for the steps after `step`, from the atoms as they are."""
        asked = self._settings
        if step < asked.thermalisation_steps:
            asked = asked.model_copy(update={"ensemble": "nvt-langevin"})
        self._atoms.set_constraint()
        return integrator(self._atoms, asked, self._rng)

    def _new_guards(self) -> Guards:
        return Guards(self._settings, self._symbols, self._atoms.get_positions(), self._atoms.cell.array)

    def open(self, level: str) -> None:
        """Continue from the checkpoint in the folder if there is one that can be, else begin."""
        checkpoint = read_checkpoint(self._folder / CHECKPOINT)
        if checkpoint is not None:
            try:
                for name, frames in zip((EQUILIBRATION, PRODUCTION), checkpoint.values["frames"], strict=True):
                    self._recorders.append(Recorder.resume(self._folder / name, frames))
                return self._restore(checkpoint)
            except InputError:  # frames were lost with the machine: all comes again
                self.close()
        (self._folder / CHECKPOINT).unlink(missing_ok=True)
        for name in (EQUILIBRATION, PRODUCTION):
            self._recorders.append(Recorder.create(self._folder / name, self._header(level, name), self._start))
        return None

    def _header(self, level: str, name: str) -> RunHeader:
        settings = self._settings
        return RunHeader(
            symbols=self._symbols,
            masses=self._atoms.get_masses(),
            frame_interval=settings.steps_per_frame * settings.timestep_fs,
            temperature=None if settings.ensemble == "nve" else settings.temperature_K,
            ensemble=settings.ensemble,
            level=level,
            seed=settings.seed,
            precision=settings.precision,
            details={"phase": Path(name).stem, "settings": settings.model_dump(mode="json")},
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        values = checkpoint.values
        self._integrator = self._integrator_after(values["step"])
        self._integrator.restore(checkpoint.arrays)
        self._guards.restore(checkpoint.arrays)
        self._rng.bit_generator.state = values["random"]
        self._step, self._stopped = values["step"], values["stopped"]
        self._seconds = values["seconds"]

    def _save(self) -> None:
        for recorder in self._recorders:
            recorder.flush()
        values = {
            "step": self._step,
            "frames": [recorder.frames for recorder in self._recorders],
            "random": self._rng.bit_generator.state,
            "stopped": self._stopped,
            "seconds": self._seconds,
        }
        arrays = self._integrator.state() | self._guards.state()
        write_checkpoint(Checkpoint(arrays, values), self._folder / CHECKPOINT)

    def go(self, checkpoint_s: Seconds) -> None:
        """Make all steps that are left, or as many as the guards allow."""
        saved = told = now = time.monotonic()
        while self._step < self._settings.steps and not self._stopped:
            self._advance()
            before, now = now, time.monotonic()
            self._seconds += now - before
            if now - told > 1:
                self._tell()
                told = now
            if now - saved > checkpoint_s:
                self._save()
                saved = now = time.monotonic()
        self._save()
        self._tell()

    def _tell(self) -> None:
        (self._folder / STEPS).write_text(f"{self._step}\n")

    def _advance(self) -> None:
        try:
            self._integrator.step()
            self._step += 1
            found = self._guards.glance(float(self._atoms.get_potential_energy()), temperature(self._atoms))
        except _ASTRAY as error:
            self._step += 1
            found = f"the level gave up ({error})"
        if not found and self._frame_is_due():
            found = self._look_and_record()
        if found:
            at = self._step * self._settings.timestep_fs / 1000
            self._stopped = f"step {self._step} ({at:.4g} ps): {found}"
            return
        if self._step == self._settings.thermalisation_steps:
            self._integrator = self._integrator_after(self._step)
        if self._step == self._settings.equilibration_steps:
            self._guards = self._new_guards()

    def _phase(self) -> tuple[int, int]:
        """Return which phase the last step belongs to (0 equilibration, 1 production), and its step in there."""
        before = self._settings.equilibration_steps
        return (0, self._step) if self._step <= before else (1, self._step - before)

    def _frame_is_due(self) -> bool:
        return self._phase()[1] % self._settings.steps_per_frame == 0

    def _look_and_record(self) -> str:
        phase, step = self._phase()
        atoms, moves = self._atoms, self._integrator
        sample = Sample(
            time=step * self._settings.timestep_fs,
            positions=atoms.get_positions(),
            cell=atoms.cell.array.copy(),
            energy=float(atoms.get_potential_energy()),
            temperature=temperature(atoms),
            conserved=moves.conserved_energy() if moves.conserves else None,
        )
        found = self._guards.look(sample)
        if not found:
            self._recorders[phase].append(
                RecordedFrame(sample.positions, sample.cell, sample.energy, sample.temperature, pressure(atoms))
            )
        return found

    def close(self) -> None:
        """Close the trajectories."""
        while self._recorders:
            self._recorders.pop().close()

    def end(self) -> RunEnd:
        """Return the end of the run, which is still open."""
        slope = 1000 * self._guards.drift.slope() / len(self._symbols)
        return RunEnd(
            structure=to_structure(self._atoms),
            steps=self._step,
            frames=self._recorders[1].frames,
            equilibration_frames=self._recorders[0].frames,
            stopped=self._stopped,
            drift=slope if self._integrator.conserves else None,
            ms_per_step=1000 * self._seconds / max(self._step, 1),
        )
