"""A calculator that remembers: every evaluation is appended to a trajectory and replayed after an interruption.

An interrupted relaxation is continued by running it again from its start: as long as the optimiser asks for
exactly the recorded positions and cells, the recorded energies, forces and stresses answer, so that the optimiser
reaches the very state it was in, whatever it keeps in memory, and the continued run equals the uninterrupted one
(to the last bit if the level is a function of positions and cell alone; to rounding if it keeps a neighbour list).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory

from ionscape.levels.allocation import stop_if_over

PROPERTIES = ("energy", "forces", "stress")
#: Key under which each frame carries the hash of its own numbers, so that a damaged frame is never replayed.
DIGEST = "sha256"


class RecordingCalculator(Calculator):
    """Wrap `inner`, writing each evaluation to `path` (ASE trajectory) and replaying what is there already.

    Parameters
    ----------
    inner
        The calculator that is asked when nothing recorded answers.
    path
        Trajectory; frames of an interrupted run in it are replayed first.
    """

    implemented_properties: ClassVar[list[str]] = list(PROPERTIES)

    def __init__(self, inner: Any, path: Path) -> None:
        super().__init__()
        self._inner = inner
        self._properties = tuple(name for name in PROPERTIES if name != "stress" or gives_stress(inner))
        self._path = path
        self._replay = recorded_frames(path)
        self._next = 0
        self._trajectory = _rewritten(path, self._replay)
        self.evaluations = 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Answer from the record if it holds exactly this configuration next, else compute and record."""
        super().calculate(atoms, properties, system_changes)
        recorded = self._recorded()
        if recorded is not None:
            self.results = {name: recorded.calc.results[name] for name in self._properties}
            return
        stop_if_over()  # all that was evaluated is recorded
        atoms = self.atoms.copy()
        atoms.set_constraint()  # what is recorded are the forces of the level, on held atoms too
        atoms.calc = self._inner
        self.results = {
            "energy": float(atoms.get_potential_energy()),
            "forces": np.array(atoms.get_forces(), dtype=float),
        }
        if "stress" in self._properties:
            self.results["stress"] = np.array(atoms.get_stress(), dtype=float)
        self.evaluations += 1
        atoms.calc = SinglePointCalculator(atoms, **self.results)
        atoms.info = {DIGEST: _digest(atoms)}
        self._trajectory.write(atoms)

    def close(self) -> None:
        """Close the trajectory; it is complete on disk afterwards."""
        self._trajectory.close()

    def _recorded(self) -> Any | None:
        if self._next >= len(self._replay):
            return None
        frame = self._replay[self._next]
        same = np.array_equal(frame.positions, self.atoms.positions) and np.array_equal(
            frame.cell.array, self.atoms.cell.array
        )
        if not same:  # what follows belongs to another path, e.g. of another machine's rounding
            self._trajectory.close()
            self._replay = self._replay[: self._next]
            self._trajectory = _rewritten(self._path, self._replay)
            return None
        self._next += 1
        return frame


def gives_stress(calculator: Any) -> bool:
    """Tell whether `calculator` gives the stress beside energy and forces; one that does not say is taken to."""
    return "stress" in getattr(calculator, "implemented_properties", PROPERTIES)


def recorded_frames(path: Path) -> list[Any]:
    """Return the readable frames of the trajectory at `path`, up to the first damaged one."""
    if not path.is_file():
        return []
    frames: list[Any] = []
    try:
        with path.open("rb") as file, Trajectory(file) as trajectory:
            for i in range(len(trajectory)):
                frame = trajectory[i]
                if frame.info.get(DIGEST) != _digest(frame):
                    break
                frames.append(frame)
    except Exception:  # noqa: BLE001  a file cut short by a kill fails in any way; what was readable counts
        return frames
    return frames


def _digest(atoms: Any) -> str:
    results = atoms.calc.results
    recorded = [results[name] for name in PROPERTIES if name in results]
    numbers = (atoms.numbers, atoms.positions, atoms.cell.array, *recorded)
    return hashlib.sha256(b"".join(np.asarray(array, dtype=float).tobytes() for array in numbers)).hexdigest()


def _rewritten(path: Path, frames: list[Any]) -> Any:
    part = path.with_suffix(".part")
    trajectory = Trajectory(part, "w")
    for frame in frames:
        trajectory.write(frame)
    os.replace(part, path)  # noqa: PTH105  the open handle follows the rename
    return trajectory
