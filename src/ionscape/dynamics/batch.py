"""Runs of molecular dynamics as one batch: a step of all cells asks the level once.

Every run is what it is alone: integrators of ASE, thermostat, random numbers, guards, records (`underway`). Only
the evaluations are gathered. A run goes on until it needs numbers of positions that nobody has evaluated yet; once
all have come so far, the level is asked for all of them together, and each makes its step again, now with the
answer. To make half a step twice costs less than a millisecond, and needs no integrator but those of single runs.

Sums of a batch may be added up in another order when its cells change. Its runs therefore have their checkpoints
at the same step, together, and again whenever one of them ends: continued, every evaluation is of the same cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray
from pymatgen.core import Structure

from ionscape.dynamics.checkpoints import Checkpoint, read_checkpoint
from ionscape.dynamics.engines import EngineMaker
from ionscape.dynamics.independence import changed
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import check_run
from ionscape.dynamics.underway import CHECKPOINT_S, RunEnd, Underway
from ionscape.errors import CalculationError
from ionscape.levels.allocation import AllocationEnd, over
from ionscape.levels.evaluation import require_elements
from ionscape.units import Count, Seconds

#: Checkpoints of a batch, by the number of its round.
ROUND, ROUNDS = "checkpoint-{}.npz", "checkpoint-*.npz"
#: Evaluations within one step beyond which an integrator does not repeat itself.
_MOST = 4
_ANSWER = ("energy", "forces", "stress")


class ForcesOfBatch(Protocol):
    """Evaluates many cells at once."""

    @property
    def known_elements(self) -> tuple[str, ...] | None:
        """Elements that it knows; None if it does not tell."""
        ...

    def evaluate(self, cells: Sequence[Any]) -> list[dict[str, Any] | CalculationError]:
        """Return the results of ASE atoms (energy, forces, stress), or why there are none, in their order."""
        ...


@dataclass(frozen=True)
class BatchMember:
    """A run of a batch: its start, its settings, and its existing folder for trajectories and checkpoints."""

    structure: Structure
    settings: DynamicsSettings
    folder: Path


def simulate_batch(
    members: Sequence[BatchMember],
    forces: ForcesOfBatch,
    ended: Callable[[int, RunEnd], None],
    level: str = "",
    checkpoint_s: Seconds = CHECKPOINT_S,
) -> None:
    """Simulate all `members` step by step together, continuing what an interrupted batch left in their folders.

    Runs may have different atoms, ensembles, temperatures and lengths; one that a guard stops leaves the others
    going. Files are those of `simulate`, but for the name of the checkpoint. The time of a step is shared equally
    between the runs that made it.

    Parameters
    ----------
    members
        The runs.
    forces
        Evaluates all cells of a step.
    ended
        Is given the place of each run that has ended, and its end; its files are closed then.
    level
        Name or identity of the level, for the header of the trajectories.
    checkpoint_s
        Wall time between checkpoints, s.

    Raises
    ------
    InputError
        If a run has fewer than two atoms, or an element is not there or not known, or a file cannot be written.
    AllocationEnd
        If the time of the job ends before the runs do; their state is saved.
    """
    for one in members:
        check_run(one.structure, one.settings)
        require_elements(forces, {site.specie.symbol for site in one.structure}, "structure")
    batch = _Batch(members, forces, ended)
    try:
        batch.open(level)
        batch.go(checkpoint_s)
    finally:
        batch.close()


class _Wanted(Exception):  # noqa: N818  no error: a question
    """A run needs an evaluation."""

    def __init__(self, atoms: Any) -> None:
        super().__init__()
        self.atoms = atoms


class _Answers:
    """Evaluations that a run was given since its last step, and the one that this step ended with."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, dict[str, Any] | CalculationError]] = []

    def of(self, atoms: Any) -> dict[str, Any]:
        """Return the results of ASE `atoms`; a question or a failure is raised."""
        answer = self._find(atoms)
        if answer is None:
            raise _Wanted(atoms.copy())
        if isinstance(answer, CalculationError):
            raise answer
        return answer

    def _find(self, atoms: Any) -> dict[str, Any] | CalculationError | None:
        """Return what is known of exactly these positions and this cell."""
        for known, answer in self._known:
            same = np.array_equal(known.positions, atoms.positions)
            if same and np.array_equal(known.cell.array, atoms.cell.array):
                return answer
        return None

    def add(self, atoms: Any, answer: dict[str, Any] | CalculationError) -> None:
        """Keep an evaluation."""
        if len(self._known) > _MOST:
            message = f"the integrator did not repeat its step: {len(self._known)} evaluations in one"
            raise RuntimeError(message)
        self._known.append((atoms, answer))

    def settle(self) -> None:
        """Forget all but the last: a step was made."""
        del self._known[:-1]

    def arrays(self, atoms: Any) -> dict[str, NDArray[Any]]:
        """Return the evaluation of ASE `atoms` as arrays, for a checkpoint; empty if there is none."""
        answer = self._find(atoms)
        if answer is None or isinstance(answer, CalculationError):
            return {}
        return {f"answer_{name}": np.array(answer[name]) for name in _ANSWER}

    def restore(self, arrays: Mapping[str, NDArray[Any]], atoms: Any) -> None:
        """Put back what `arrays` returned, the evaluation of ASE `atoms`."""
        self._known.clear()
        if f"answer_{_ANSWER[0]}" in arrays:
            energy = float(arrays["answer_energy"])
            answer: dict[str, Any] = {name: np.array(arrays[f"answer_{name}"]) for name in _ANSWER[1:]}
            self._known.append((atoms, answer | {"energy": energy, "free_energy": energy}))


class _Asking(Calculator):
    """Answers from what the run was given, and asks for the rest; it has no memory but that (`independence`)."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, answers: _Answers) -> None:
        super().__init__()
        self._answers = answers

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results``."""
        super().calculate(atoms, properties, system_changes)
        self.results = dict(self._answers.of(self.atoms))

    def check_state(self, atoms: Any, tol: float = 0.0) -> list[str]:
        """Return what changed since the last evaluation, exactly."""
        del tol
        return changed(self.atoms, atoms)


class _Member(Underway):
    """A run that stops inside a step where it needs an evaluation, and makes the step again with the answer."""

    def __init__(self, member: BatchMember, place: int) -> None:
        self._answers = _Answers()
        super().__init__(member.structure, _Asking(self._answers), member.settings, member.folder)
        self.place, self.folder = place, member.folder

    def _equip(self) -> None:
        self._maker = EngineMaker(self._calculator, None)

    def until_asking(self) -> Any:
        """Make steps until an evaluation is needed; return its ASE atoms, None if the run has come to its end."""
        while not self.done:
            before, random = self._engine.state(), self._rng.bit_generator.state
            try:
                self.advance()
            except _Wanted as question:
                self._engine.restore(before)
                self._rng.bit_generator.state = random
                return question.atoms
            self._answers.settle()
        return None

    def answer(self, atoms: Any, found: dict[str, Any] | CalculationError) -> None:
        """Take the evaluation of `atoms`."""
        self._answers.add(atoms, found)

    def _state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays, values = super()._state()
        return arrays | self._answers.arrays(self._atoms_now()), values

    def _put_back(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        super()._put_back(arrays, values)
        self._answers.restore(arrays, self._atoms_now())

    def _atoms_now(self) -> Any:
        atoms = self._atoms.copy()
        self._engine.move(atoms)
        return atoms


class _Batch:
    """Runs that step together."""

    def __init__(
        self, members: Sequence[BatchMember], forces: ForcesOfBatch, ended: Callable[[int, RunEnd], None]
    ) -> None:
        self._going = [_Member(member, place) for place, member in enumerate(members)]
        self._forces, self._ended, self._round = forces, ended, 0

    def open(self, level: str) -> None:
        """Continue every run from where all of them stood together, else from its own last checkpoint."""
        rounds = [_rounds(run.folder) for run in self._going]
        begun = [found for found in rounds if found]
        shared = set.intersection(*begun) if begun else set()
        self._round = max((max(found) for found in begun), default=0)
        for run, found in zip(self._going, rounds, strict=True):
            run.open(level, _checkpoint(run.folder, max(shared or found, default=0)) if found else None)

    def go(self, checkpoint_s: Seconds) -> None:
        """Make all steps that are left, or as many as the guards and the time of the job allow."""
        saved = told = now = time.monotonic()
        while self._going and not over():
            asked = [(run, run.until_asking()) for run in self._going]
            if any(atoms is None for _, atoms in asked):
                self._save()
                self._end([run for run, atoms in asked if atoms is None])
                saved = time.monotonic()
            self._answer([(run, atoms) for run, atoms in asked if atoms is not None])
            before, now = now, time.monotonic()
            for run in self._going:
                run.seconds += (now - before) / len(self._going)
            if now - told > 1:
                self._tell()
                told = now
            if now - saved > checkpoint_s:
                self._save()
                saved = now = time.monotonic()
        if self._going:
            self._save()
            self._tell()
            raise AllocationEnd

    def _answer(self, asked: Sequence[tuple[_Member, Any]]) -> None:
        found = self._forces.evaluate([atoms for _, atoms in asked]) if asked else []
        for (run, atoms), answer in zip(asked, found, strict=True):
            run.answer(atoms, answer)

    def _save(self) -> None:
        """Save the state of all runs; the last round goes only when this one is whole."""
        self._round += 1
        for run in self._going:
            run.save(run.folder / ROUND.format(self._round))
        for run in self._going:
            for number in _rounds(run.folder) - {self._round}:
                (run.folder / ROUND.format(number)).unlink()

    def _end(self, runs: Sequence[_Member]) -> None:
        for run in runs:
            run.tell()
            end = run.end()
            run.close()
            self._going.remove(run)
            self._ended(run.place, end)

    def _tell(self) -> None:
        for run in self._going:
            run.tell()

    def close(self) -> None:
        """Close the trajectories."""
        for run in self._going:
            run.close()


def _rounds(folder: Path) -> set[Count]:
    numbers = (path.stem.rpartition("-")[2] for path in folder.glob(ROUNDS))
    return {int(number) for number in numbers if number.isdecimal()}


def _checkpoint(folder: Path, number: Count) -> Checkpoint | None:
    return read_checkpoint(folder / ROUND.format(number))
