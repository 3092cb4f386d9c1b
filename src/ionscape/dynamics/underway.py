"""A run of molecular dynamics in progress: its steps and phases, what it records, its state between two steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from ionscape.dynamics.checkpoints import Checkpoint, write_checkpoint
from ionscape.dynamics.engines import Engine, EngineMaker
from ionscape.dynamics.guards import Guards, Sample
from ionscape.dynamics.integrators import draw_velocities
from ionscape.dynamics.learning import LearningRun
from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader
from ionscape.dynamics.runs import DriftRate, Milliseconds
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.errors import InputError
from ionscape.levels.allocation import AllocationEnd, over
from ionscape.potential.active_calculator import ActiveCalculator
from ionscape.structures.exchange import to_atoms, to_structure
from ionscape.units import Count, Seconds

EQUILIBRATION, PRODUCTION = "equilibration.trajectory", "production.trajectory"
CHECKPOINT, CHECKPOINTS = "checkpoint.npz", "checkpoint*.npz"
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


class Underway:
    """A run in progress: `open` it, let it `go` or make single steps by `advance`, take its `end`, and `close` it.

    Parameters
    ----------
    structure
        Periodic structure of two atoms or more.
    calculator
        Source of energy, forces and stress, which nothing else uses.
    settings
        Ensemble, conditions, times and guards.
    folder
        Existing folder for trajectories and checkpoint.

    Attributes
    ----------
    seconds
        Wall time that its steps took, also before it was continued.
    """

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
        self.seconds = 0.0

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

    def open(self, level: str, checkpoint: Checkpoint | None) -> None:
        """Continue from `checkpoint` if there is one that can be, else begin; headers name the `level`."""
        fresh = self._rng.bit_generator.state
        if checkpoint is not None and self._continues(checkpoint):
            return
        self.close()
        self._rng.bit_generator.state = fresh
        for path in self._folder.glob(CHECKPOINTS):
            path.unlink()
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
        self._stopped, self.seconds = values["stopped"], values["seconds"]
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

    def save(self, path: Path) -> None:
        """Write the state between two steps to the checkpoint `path`; all frames so far are on the disk then."""
        for recorder in self._recorders:
            recorder.flush()
        arrays, values = self._state()
        values |= {"engine": self._engine.name, "stopped": self._stopped, "seconds": self.seconds}
        if self._learning:
            learned, values["learning"] = self._learning.state()
            arrays |= learned
        write_checkpoint(Checkpoint(arrays, values), path)

    def go(self, checkpoint_s: Seconds) -> None:
        """Make all steps that are left, or as many as the guards and the time of the job allow."""
        path = self._folder / CHECKPOINT
        saved = told = now = time.monotonic()
        while not self.done and not over():
            self.advance()
            before, now = now, time.monotonic()
            self.seconds += now - before
            if now - told > 1:
                self.tell()
                told = now
            if now - saved > checkpoint_s:
                self.save(path)
                saved = now = time.monotonic()
        self.save(path)
        self.tell()
        if not self.done:
            raise AllocationEnd

    @property
    def done(self) -> bool:
        """Whether all steps are made, or a guard stopped the run."""
        return self._step >= self._settings.steps or bool(self._stopped)

    def tell(self) -> None:
        """Write the number of steps for whoever watches."""
        (self._folder / STEPS).write_text(f"{self._step}\n")

    def advance(self) -> None:
        """Make steps until something is due; what an evaluation raises leaves all but the engine as it was."""
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
            ms_per_step=1000 * self.seconds / max(self._step, 1),
        )


def _learning_of(calculator: Any, settings: DynamicsSettings) -> LearningRun | None:
    if not isinstance(calculator, ActiveCalculator):
        return None
    return LearningRun(calculator.learner, settings.timestep_fs)
