"""Trajectories as the analyses see them: unwrapped, in streaming, of any origin.

A trajectory is read in chunks of consecutive frames, so that one larger than memory is analysed in bounded memory.
Positions are unwrapped once, here (`unwrapping`), for every analysis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ionscape.units import (
    CellArray,
    Count,
    EnergyArray,
    FractionalArray,
    LengthArray,
    Temperature,
    TemperatureArray,
    Time,
)

#: Positions of a chunk unless the caller wants another number of frames: bytes, and frames at most.
BYTES_PER_CHUNK, FRAMES_PER_CHUNK = 1 << 25, 512


class TrajectoryWarning(UserWarning):
    """Something about a trajectory that the user should know, and that does not prevent its analysis."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames of a trajectory.

    `positions` are for displacements, `folded` is for structure. The two say the same in a fixed cell. In a
    changing cell an unwrapped position cannot both move as the atom does and be a periodic image of it
    (`unwrapping`).

    Attributes
    ----------
    first
        Index of the first of them in the whole run.
    positions
        Unwrapped Cartesian positions, continuous over chunks, Å, (frames, atoms, 3).
    cells
        Lattice vectors as rows, Å, (frames, 3, 3).
    fractional
        Fractional positions in the cells of the frames, in [0, 1), (frames, atoms, 3); None where they follow from
        `positions` and `cells` (see `folded`).
    energies
        Potential energies, eV, (frames,); None if the files do not tell.
    temperatures
        Instantaneous temperatures, K, (frames,); None if the files do not tell.
    """

    first: Count
    positions: LengthArray
    cells: CellArray
    fractional: FractionalArray | None = None
    energies: EnergyArray | None = None
    temperatures: TemperatureArray | None = None

    def folded(self) -> FractionalArray:
        """Return the fractional positions in the cells of the frames, in [0, 1), (frames, atoms, 3)."""
        if self.fractional is not None:
            return self.fractional
        return folded(np.matmul(self.positions, np.linalg.inv(self.cells)))


def frames_per_chunk(atoms: int) -> Count:
    """Return the number of frames of a chunk unless the caller wants another: bounded memory for any size."""
    return max(1, min(FRAMES_PER_CHUNK, BYTES_PER_CHUNK // (24 * max(1, atoms))))


def folded(fractional: FractionalArray) -> FractionalArray:
    """Return fractional positions folded into [0, 1), any shape."""
    inside = fractional - np.floor(fractional)
    inside[inside >= 1.0] = 0.0  # a tiny negative number folds to exactly one
    return inside


class Trajectory(Protocol):
    """A run of molecular dynamics: what is known about all its frames, and the frames in chunks.

    Attributes
    ----------
    symbols
        Element of every atom.
    frame_interval
        Time between frames, fs.
    temperature
        Temperature of the run, K; None if the files do not tell.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element of every atom."""

    @property
    def frame_interval(self) -> Time:
        """Time between frames, fs."""

    @property
    def temperature(self) -> Temperature | None:
        """Temperature of the run, K; None if the files do not tell."""

    def chunks(self, frames: int = ...) -> Iterator[Chunk]:
        """Yield all frames in order, at most `frames` at a time."""
        ...
