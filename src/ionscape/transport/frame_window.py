"""The frames that a correlation over time still needs, of two species, and their layout for compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ionscape.dynamics.trajectory import Chunk
from ionscape.units import Array, CellArray, Count, FractionalArray, Indices, LengthArray, Unit


@dataclass(frozen=True)
class PhasedFrames:
    """Frames with time innermost, in single precision, frame t at [t % m, …, t // m] for m phases.

    Attributes
    ----------
    positions
        Displacements of the first species from the first frame, Å, (ions, 3, frames).
    fractional
        Fractional positions of both species, (m, ions, 3, frames / m).
    cells
        Lattice vectors as rows, Å, (frames, 3, 3).
    """

    positions: Annotated[NDArray[np.float32], Unit("Å")]
    fractional: Annotated[tuple[NDArray[np.float32], NDArray[np.float32]], Unit("fractional")]
    cells: CellArray


@dataclass(frozen=True)
class FrameWindow:
    """Consecutive frames of two species.

    Attributes
    ----------
    first
        Index of the first frame in the run.
    positions
        Unwrapped positions of the first species, Å, (frames, ions, 3).
    fractional
        Fractional positions of both, in images that follow each other, (frames, ions, 3); one array twice if the
        species is the same.
    cells
        Lattice vectors as rows, Å, (frames, 3, 3).
    """

    first: Count
    positions: LengthArray
    fractional: tuple[FractionalArray, FractionalArray]
    cells: CellArray

    @staticmethod
    def of(chunk: Chunk, indices: tuple[Indices, Indices], before: FrameWindow | None) -> FrameWindow:
        """Return the frames of `chunk`, which follow those of `before`."""
        folded = np.asarray(chunk.folded(), dtype=float)
        parts = [folded[:, rows] for rows in (indices[:1] if np.array_equal(*indices) else indices)]
        last = [part[0] for part in parts] if before is None else [part[-1] for part in before.fractional]
        new = [_continued(part, row) for part, row in zip(parts, last, strict=False)]
        first = 0 if before is None else before.first + len(before.cells)
        positions = np.asarray(chunk.positions, dtype=float)[:, indices[0]]
        return FrameWindow(first, positions, (new[0], new[-1]), np.asarray(chunk.cells, dtype=float))

    @staticmethod
    def joined(windows: Sequence[FrameWindow]) -> FrameWindow:
        """Return windows that follow each other as one."""
        a = np.concatenate([window.fractional[0] for window in windows])
        same = all(window.fractional[0] is window.fractional[1] for window in windows)
        return FrameWindow(
            windows[0].first,
            np.concatenate([window.positions for window in windows]),
            (a, a if same else np.concatenate([window.fractional[1] for window in windows])),
            np.concatenate([window.cells for window in windows]),
        )

    def after(self, first: int) -> FrameWindow:
        """Return the frames from `first` on, without those before (the last one stays, for what follows)."""
        n = min(first - self.first, len(self.cells) - 1)
        a, b = self.fractional
        later = a[n:].copy()
        same = later if b is a else b[n:].copy()
        return FrameWindow(self.first + n, self.positions[n:].copy(), (later, same), self.cells[n:].copy())

    def phases(self, m: int) -> PhasedFrames:
        """Return the frames laid out for kernels that take every m-th."""
        moved = np.moveaxis(self.positions - self.positions[:1], 0, -1)
        new = [_by_phase(self.fractional[0], m)]
        if self.fractional[1] is not self.fractional[0]:
            new.append(_by_phase(self.fractional[1], m))
        return PhasedFrames(np.ascontiguousarray(moved, np.float32), (new[0], new[-1]), self.cells)


def _continued(folded: Array, before: Array) -> Array:
    """Return fractional positions, each in the image nearest to that of the frame before, along all frames.

    Any image gives the same counts; near ones keep the boxes of the kernel small.
    """
    steps = np.diff(folded, axis=0, prepend=before[None])
    return folded - np.cumsum(np.rint(steps), axis=0)


def _by_phase(fractional: Array, m: int) -> NDArray[np.float32]:
    frames, ions, _ = fractional.shape
    out = np.zeros((m, ions, 3, -(-frames // m)), np.float32)
    offset = np.floor(fractional[0])
    for phase in range(m):
        part = np.moveaxis(fractional[phase::m] - offset, 0, -1)
        out[phase, :, :, : part.shape[-1]] = part
    return out
