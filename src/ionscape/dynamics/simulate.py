"""Molecular dynamics of a structure at a level: equilibration, production, guards, and exact continuation.

A run is a function of its structure, level and settings alone. Between two steps all of its state is in the
engine, the random numbers, the guards and three counts; a checkpoint holds exactly these. A run that was
killed continues from its last checkpoint: frames recorded after it are cut off and come again, bit for bit.
Levels that offer compiled forces are run by the compiled engine, others by ASE's integrators (`engines`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from ionscape.dynamics.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from ionscape.dynamics.engines import Engine, EngineMaker
from ionscape.dynamics.guards import Guards, Sample
from ionscape.dynamics.integrators import draw_velocities
from ionscape.dynamics.learning import LearningRun
from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader
from ionscape.dynamics.runs import DriftRate, Milliseconds
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.errors import InputError, nearest
from ionscape.levels.allocation import AllocationEnd, over
from ionscape.levels.evaluation import require_stress
from ionscape.potential.active_calculator import ActiveCalculator
from ionscape.structures.exchange import to_atoms, to_structure
from ionscape.units import Count, Seconds

EQUILIBRATION, PRODUCTION = "equilibration.trajectory", "production.trajectory"
CHECKPOINT = "checkpoint.npz"
#: Number of steps made so far, for whoever watches; written once a second.
STEPS = "steps.txt"
#: Wall time between checkpoints unless the caller wants another, s.
CHECKPOINT_S = 15.0


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
        Source of energy, forces and stress; newly made, used by nothing else (`independence`). An
        `ActiveCalculator` makes a run that teaches its potential (`learning`).
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
        self._symbols = tuple(self._atoms.get_chemical_symbols())
        self._calculator, self._learning = calculator, _learning_of(calculator, settings)
        draw_velocities(self._atoms, settings.temperature_K, self._rng)
        self._start = self._atoms.get_positions()
        self._guards = self._new_guards()
        self._recorders: list[Recorder] = []
        self._step, self._stopped = 0, ""
        self._seconds = 0.0

    def _begin(self) -> None:
        if self._learning:
            self._learning.begin(self._atoms, self._settings.temperature_K, self._settings.seed)
        self._equip()
        self._engine = self._engine_after(0)
        if self._learning:
            self._learning.keep(*self._state())

    def _equip(self) -> None:
        """Take the forces of the level, or of the potential as it is now."""
        source = self._learning.calculator if self._learning else self._calculator
        self._maker = EngineMaker.of(source, self._symbols, forget=self._settings.independent_evaluations)

    def _engine_after(self, step: Count) -> Engine:
        """Return a new engine for the steps after `step`, from the atoms as they are."""
        asked = self._settings
        if step < asked.thermalisation_steps:
            asked = asked.model_copy(update={"ensemble": "nvt-langevin"})
        return self._maker.make(self._atoms, asked, self._rng, self._guards)

    def _new_guards(self) -> Guards:
        return Guards(self._settings, self._symbols, self._atoms.get_positions(), self._atoms.cell.array)

    def open(self, level: str) -> None:
        """Continue from the checkpoint in the folder if there is one that can be, else begin."""
        fresh, checkpoint = self._rng.bit_generator.state, read_checkpoint(self._folder / CHECKPOINT)
        if checkpoint is not None and self._continues(checkpoint):
            return
        self.close()
        self._rng.bit_generator.state = fresh
        (self._folder / CHECKPOINT).unlink(missing_ok=True)
        for name in (EQUILIBRATION, PRODUCTION):
            self._recorders.append(Recorder.create(self._folder / name, self._header(level, name), self._start))
        self._begin()

    def _continues(self, checkpoint: Checkpoint) -> bool:
        """Put back what the checkpoint holds; return whether it could be."""
        values = checkpoint.values
        try:
            for name, frames in zip((EQUILIBRATION, PRODUCTION), values["frames"], strict=True):
                self._recorders.append(Recorder.resume(self._folder / name, frames))
        except InputError:  # frames were lost with the machine: all comes again
            return False
        if self._learning and not self._learning.restore(checkpoint.arrays, values.get("learning", {})):
            return False
        self._equip()
        self._engine = self._engine_after(values["step"])
        if values.get("engine", self._engine.name) != self._engine.name:
            return False
        self._put_back(checkpoint.arrays, values)
        self._stopped, self._seconds = values["stopped"], values["seconds"]
        return True

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

    def _put_back(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        self._engine.restore(arrays)
        self._guards.restore(arrays)
        self._rng.bit_generator.state = values["random"]
        self._step = values["step"]

    def _state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        values = {
            "step": self._step,
            "frames": [recorder.frames for recorder in self._recorders],
            "random": self._rng.bit_generator.state,
        }
        return self._engine.state() | self._guards.state(), values

    def _save(self) -> None:
        for recorder in self._recorders:
            recorder.flush()
        arrays, values = self._state()
        values |= {"engine": self._engine.name, "stopped": self._stopped, "seconds": self._seconds}
        if self._learning:
            learned, values["learning"] = self._learning.state()
            arrays |= learned
        write_checkpoint(Checkpoint(arrays, values), self._folder / CHECKPOINT)

    def go(self, checkpoint_s: Seconds) -> None:
        """Make all steps that are left, or as many as the guards and the time of the job allow."""
        saved = told = now = time.monotonic()
        while self._step < self._settings.steps and not self._stopped and not over():
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
        if self._step < self._settings.steps and not self._stopped:
            raise AllocationEnd

    def _tell(self) -> None:
        (self._folder / STEPS).write_text(f"{self._step}\n")

    def _advance(self) -> None:
        made, found = self._engine.advance(min(self._engine.longest, self._steps_to_next_event()))
        self._step += made
        learning = self._learning if found or self._step in self._looks() else None
        if learning:
            went_back, found = self._look_at_potential(learning, found)
            if went_back:
                return
        if not found and self._frame_is_due():
            found = self._look_and_record()
        if found:
            at = self._step * self._settings.timestep_fs / 1000
            self._stopped = f"step {self._step} ({at:.4g} ps): {found}"
            return
        if self._step == self._settings.thermalisation_steps:
            self._engine.move(self._atoms)
            self._engine = self._engine_after(self._step)
        if self._step == self._settings.equilibration_steps:
            self._engine.move(self._atoms)
            self._guards = self._new_guards()
        if learning:
            learning.keep(*self._state())

    def _looks(self) -> set[int]:
        """Return the steps after which the potential is looked at: also where a part of the run ends."""
        asked = self._settings
        due = {self._learning.next_look} if self._learning else set()
        return due | {asked.thermalisation_steps, asked.equilibration_steps, asked.steps}

    def _look_at_potential(self, learning: LearningRun, found: str) -> tuple[bool, str]:
        """Look at the uncertainty and learn; return whether the run went back, and what is wrong if it did not."""
        self._engine.move(self._atoms)
        verdict = "far" if found else learning.judge(self._atoms)
        if verdict == "sure":
            learning.looked(self._step)
            return False, ""
        near = not learning.may_look_closer
        if found and near:
            return False, found
        if verdict == "unsure" or near:
            learning.learn(self._atoms, self._step)
        if verdict == "far":
            self._go_back(learning)
        if verdict == "unsure" or near:
            self._swap(learning)
        return verdict == "far", ""

    def _go_back(self, learning: LearningRun) -> None:
        """Return to the last good state; frames recorded after it are cut off."""
        arrays, values = learning.good()
        self._engine = self._engine_after(values["step"])
        self._put_back(arrays, values)
        self.close()
        for name, frames in zip((EQUILIBRATION, PRODUCTION), values["frames"], strict=True):
            self._recorders.append(Recorder.resume(self._folder / name, frames))

    def _swap(self, learning: LearningRun) -> None:
        """Go on with the potential as it is now, from the very same state."""
        state, random = self._engine.state(), self._rng.bit_generator.state
        before = self._engine.moment().conserved
        self._equip()
        self._engine = self._engine_after(self._step)
        self._engine.restore(state)
        self._rng.bit_generator.state = random
        learning.swapped(self._step, before, self._engine.moment().conserved)

    def _steps_to_next_event(self) -> Count:
        """Return the number of steps until a frame is due or a part of the run ends."""
        asked, done = self._settings, self._step
        ends = (asked.thermalisation_steps, asked.equilibration_steps, asked.steps)
        until = min(end for end in ends if end > done) - done
        since = done if done < asked.equilibration_steps else done - asked.equilibration_steps
        if self._learning:
            until = min(until, self._learning.next_look - done)
        return min(until, asked.steps_per_frame - since % asked.steps_per_frame)

    def _phase(self) -> tuple[int, int]:
        """Return which phase the last step belongs to (0 equilibration, 1 production), and its step in there."""
        before = self._settings.equilibration_steps
        return (0, self._step) if self._step <= before else (1, self._step - before)

    def _frame_is_due(self) -> bool:
        return self._phase()[1] % self._settings.steps_per_frame == 0

    def _look_and_record(self) -> str:
        phase, step = self._phase()
        now = self._engine.moment()
        sample = Sample(
            time=step * self._settings.timestep_fs,
            positions=now.positions,
            cell=now.cell,
            energy=now.energy,
            temperature=now.temperature,
            conserved=self._learning.based(now.conserved) if self._learning else now.conserved,
        )
        found = self._guards.look(sample, at_distances=not self._engine.sees_distances)
        if not found:
            self._recorders[phase].append(
                RecordedFrame(now.positions, now.cell, now.energy, now.temperature, now.pressure)
            )
        return found

    def close(self) -> None:
        """Close the trajectories."""
        while self._recorders:
            self._recorders.pop().close()

    def end(self) -> RunEnd:
        """Return the end of the run, which is still open."""
        self._engine.move(self._atoms)
        slope = 1000 * self._guards.drift.slope() / len(self._symbols)
        return RunEnd(
            structure=to_structure(self._atoms),
            steps=self._step,
            frames=self._recorders[1].frames,
            equilibration_frames=self._recorders[0].frames,
            stopped=self._stopped,
            drift=slope if self._engine.conserves else None,
            ms_per_step=1000 * self._seconds / max(self._step, 1),
        )


def _learning_of(calculator: Any, settings: DynamicsSettings) -> LearningRun | None:
    if not isinstance(calculator, ActiveCalculator):
        return None
    return LearningRun(calculator.learner, settings.timestep_fs)
