"""Pair separations between frames, counted on a grid of the cell: one addition a pair, all images at once.

A separation modulo the cell falls into one voxel; how many distances to how many images a voxel stands for is
tabulated once. Fractional positions are whole numbers, three to a machine word, so that a separation is one
subtraction. What it costs in sharpness is told by `grid_blur`: distances are those of the mean cell of the frames,
uniform within a voxel. The exact count is `pair_histograms`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ionscape.dynamics.unwrapping import reduced_basis
from ionscape.transport.frame_window import FrameWindow
from ionscape.units import Array, CellArray, Indices, Length, Unit

#: Bits of a fractional position, and bits that keep the borrow of one component from the next.
PRECISION, GUARDS = 10, np.uint32((1 << 10) | (1 << 21))
#: Largest edge of a voxel, Å, and most voxels along an edge of the cell, as a power of two.
VOXEL, MOST = 0.18, 7
#: Points along each edge of a voxel at which its distances are taken.
POINTS = 3
#: Origins that are treated together.
BLOCK = 4096

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class VoxelTable:
    """How many distances to how many images every voxel stands for.

    Attributes
    ----------
    cell
        Mean cell for which it was made, lattice vectors as rows, Å.
    bits
        Number of voxels along each axis of the reduced cell, as powers of two.
    starts, bins, weights
        Bins and numbers of distances of voxel v: entries starts[v] … starts[v + 1].
    """

    cell: CellArray
    bits: Indices
    starts: Indices
    bins: Indices
    weights: Annotated[Array, Unit("1")]

    def serves(self, cell: CellArray, tolerance: Length, farthest: Length) -> bool:
        """Return whether the distances of another cell differ by less than `tolerance` up to `farthest`."""
        strain = np.linalg.inv(self.cell) @ cell - np.eye(3)
        return float(np.linalg.norm(strain, ord=2)) * farthest < tolerance


def grid_blur(cells: CellArray, farthest: Length) -> Length:
    """Return the standard deviation of a counted distance from the true one, Å; infinite for too coarse a grid.

    Uniform positions in a voxel of edges e, twice (the separation, and the points that stand for it): √(e²/6);
    cells that fluctuate about their mean: the relative deviation of the cell times the distance.
    """
    cell = cells.mean(axis=0)
    reduced = reduced_basis(np.ascontiguousarray(cell))
    voxel = float((np.linalg.norm(reduced, axis=1) / 2.0 ** _bits(reduced)).max())
    strain = np.linalg.inv(cell) @ cells - np.eye(3)
    symmetric = (strain + np.swapaxes(strain, 1, 2)) / 2
    deviation = float(np.sqrt(np.mean(np.linalg.norm(symmetric, ord=2, axis=(1, 2)) ** 2)))
    return float("inf") if voxel > 2 * VOXEL else math.hypot(voxel / math.sqrt(6), deviation * farthest)


def voxel_table(cell: CellArray, edges: Array) -> VoxelTable:
    """Return the table of distances of a cell, for distance bins with `edges`, Å."""
    reduced = reduced_basis(np.ascontiguousarray(cell))
    bits = _bits(reduced)
    reach = np.ceil(edges[-1] * np.linalg.norm(np.linalg.inv(reduced), axis=0) + 0.5).astype(np.int64)
    width = float(edges[1] - edges[0])
    return VoxelTable(cell, bits, *_table(reduced, bits, reach, (1 / width, len(edges) - 1)))


def words(window: FrameWindow, table: VoxelTable, m: int) -> tuple[Words, Words]:
    """Return the fractional positions of both species as words, (m, ions, frames / m).

    Frame t is at [t % m, …, t // m]. They are those of the reduced cell; the second species carries the guards and
    the rounding of the difference.
    """
    reduced = reduced_basis(np.ascontiguousarray(table.cell))
    change = np.rint(table.cell @ np.linalg.inv(reduced))
    first = _words(window.fractional[0] @ change, m)
    return first, _words(window.fractional[1] @ change + 0.5 / 2.0**table.bits, m) | GUARDS


def _bits(reduced: CellArray) -> Indices:
    wanted = np.ceil(np.log2(np.linalg.norm(reduced, axis=1) / VOXEL)).astype(np.int64)
    return np.clip(wanted, 2, MOST)


def _words(fractional: Array, m: int) -> Words:
    """Return positions as words, the components at bits 0, 11 and 22, laid out by phases."""
    frames, ions, _ = fractional.shape
    size = 1 << PRECISION
    whole = np.floor(fractional * size).astype(np.int64) & (size - 1)
    packed = (whole[..., 2] | whole[..., 1] << 11 | whole[..., 0] << 22).astype(np.uint32)
    out = np.zeros((m, ions, -(-frames // m)), np.uint32)
    for phase in range(m):
        part = packed[phase::m].T
        out[phase, :, : part.shape[1]] = part
    return out


@njit(nogil=True, cache=True)
def grid_histogram(
    ions: tuple[Words, Words], bits: Indices, lag: int, span: tuple[int, int], same: bool, voxels: Indices
) -> int:
    """Add the separations of all pairs of different ions to `voxels`, as `pair_histogram` does; return how many.

    Parameters
    ----------
    ions
        Words of both species, (m, ions, frames / m).
    bits
        Powers of two of the grid.
    lag
        Frames between origin and end.
    span
        First origin, and the one after the last.
    same
        Whether both species are the same: an ion is then not paired with itself.
    voxels
        Counts, (2^(sum of bits),), int32.
    """
    phases, others, samples = ions[0].shape[0], ions[1].shape[1], 0
    place = np.empty(BLOCK, np.int32)
    for phase in range(phases):
        start = (span[0] - phase + phases - 1) // phases
        stop = (span[1] - phase + phases - 1) // phases
        later, shift = (phase + lag) % phases, (phase + lag) // phases
        for first in range(start, stop, BLOCK):
            n = min(BLOCK, stop - first)
            for i in range(ions[0].shape[1]):
                for j in range((phase - i * others) % phases, others, phases):
                    if same and i == j:
                        continue
                    b = ions[1][later, j, first + shift : first + shift + n]
                    _voxels_of(ions[0][phase, i, first : first + n], b, bits, place)
                    _add(place[:n], voxels)
                    samples += n
    return samples


@njit(nogil=True, cache=True)
def _voxels_of(a, b, bits, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    x, y, z = bits
    for q in range(len(a)):
        d = np.uint32(b[q] - a[q])
        low = (d >> np.uint32(10 - z)) & np.uint32((1 << z) - 1)
        middle = (d >> np.uint32(21 - y)) & np.uint32((1 << y) - 1)
        high = (d >> np.uint32(32 - x)) & np.uint32((1 << x) - 1)
        place[q] = np.int32(low | middle << np.uint32(z) | high << np.uint32(y + z))


@njit(nogil=True, cache=True)
def _add(place, voxels):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    # neighbouring frames often share a voxel: times far apart in turn keep one addition from waiting for the last
    quarter = len(place) // 4
    for q in range(quarter):
        voxels[place[q]] += 1
        voxels[place[q + quarter]] += 1
        voxels[place[q + 2 * quarter]] += 1
        voxels[place[q + 3 * quarter]] += 1
    for q in range(4 * quarter, len(place)):
        voxels[place[q]] += 1


@njit(nogil=True, fastmath=True, cache=True)
def fold(voxels: Indices, table: tuple[Indices, Indices, Array], counts: Array) -> None:
    """Add what the voxels of all blocks stand for to the distance bins.

    Parameters
    ----------
    voxels
        Counts, (blocks, voxels).
    table
        starts, bins and weights of a `VoxelTable`.
    counts
        Distances, (bins, blocks): an entry of the table is read once for all blocks.
    """
    starts, bins, weights = table
    blocks = voxels.shape[0]
    here = np.empty(blocks)
    for v in range(voxels.shape[1]):
        total = 0
        for k in range(blocks):
            here[k] = voxels[k, v]
            total += voxels[k, v]
        if total:
            for e in range(starts[v], starts[v + 1]):
                row = counts[bins[e]]
                for k in range(blocks):
                    row[k] += here[k] * weights[e]


@njit(nogil=True, cache=True)
def _table(cell, bits, reach, binning):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return starts, bins, weights: the distances from the points of every voxel to all images within reach."""
    scale, top = binning
    shape = (1 << bits[0], 1 << bits[1], 1 << bits[2])
    size = shape[0] * shape[1] * shape[2]
    starts, row = np.zeros(size + 1, np.int64), np.zeros(top, np.int64)
    room = 1 << 16
    bins, weights = np.empty(room, np.int64), np.empty(room)
    used = 0
    for v in range(size):
        here = (v // (shape[1] * shape[2]), v // shape[2] % shape[1], v % shape[2])
        row[:] = 0
        low, high = _row_of(here, shape, cell, (reach, scale), row)
        for b in range(low, high + 1):
            if row[b]:
                if used == room:
                    room *= 2
                    bins, weights = _longer(bins, room), _longer(weights, room)
                bins[used], weights[used] = b, row[b] / POINTS**3
                used += 1
        starts[v + 1] = used
    return starts, bins[:used].copy(), weights[:used].copy()


@njit(nogil=True, cache=True)
def _longer(array, room):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    out = np.empty(room, array.dtype)
    out[: len(array)] = array
    return out


@njit(nogil=True, cache=True)
def _row_of(here, shape, cell, reaching, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Count the distances of one voxel, all points and images; return the first and last bin."""
    reach, scale = reaching
    top = len(row)
    far = (top / scale + 0.5 * _diagonal(cell, shape)) ** 2
    low, high = top, -1
    s, centre = np.empty(3), np.empty(3)
    for x in range(-reach[0], reach[0] + 1):
        for y in range(-reach[1], reach[1] + 1):
            for z in range(-reach[2], reach[2] + 1):
                centre[0] = here[0] / shape[0] + x
                centre[1] = here[1] / shape[1] + y
                centre[2] = here[2] / shape[2] + z
                if _square(centre, cell) > far:
                    continue
                for p in range(POINTS**3):
                    part = (p // (POINTS * POINTS), p // POINTS % POINTS, p % POINTS)
                    for k in range(3):
                        s[k] = centre[k] + ((part[k] + 0.5) / POINTS - 0.5) / shape[k]
                    b = int(math.sqrt(_square(s, cell)) * scale)
                    if b < top:
                        row[b] += 1
                        low, high = min(low, b), max(high, b)
    return low, high


@njit(nogil=True, cache=True)
def _square(s, cell):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    a = s[0] * cell[0, 0] + s[1] * cell[1, 0] + s[2] * cell[2, 0]
    b = s[0] * cell[0, 1] + s[1] * cell[1, 1] + s[2] * cell[2, 1]
    c = s[0] * cell[0, 2] + s[1] * cell[1, 2] + s[2] * cell[2, 2]
    return a * a + b * b + c * c


@njit(nogil=True, cache=True)
def _diagonal(cell, shape):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return an upper bound on the diagonal of a voxel."""
    total = 0.0
    for k in range(3):
        total += math.sqrt(cell[k, 0] ** 2 + cell[k, 1] ** 2 + cell[k, 2] ** 2) / shape[k]
    return total
