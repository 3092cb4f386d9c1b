"""Trajectory density: where the mobile ions were, on a grid of the mean cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from ionscape.dynamics.trajectory import Chunk, Trajectory
from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.structures.exchange import replacing
from ionscape.units import Array, CellArray, Count, Indices, Length, Unit

if TYPE_CHECKING:
    from ase import Atoms

#: Blocks of consecutive frames that are counted apart: how far the run is from converged shows in their spread.
BLOCKS = 4
#: Points of the grid at most: in larger cells its spacing grows, so that memory stays what it is.
MOST_VOXELS = 1 << 23

Visits = Annotated[NDArray[np.uint32], Unit("1")]


@dataclass(frozen=True)
class TrajectoryDensity:
    """Probability density of a mobile ion, averaged over ions and time.

    Attributes
    ----------
    species
        The mobile species.
    values
        p in Å⁻³ at the fractional positions (i/n₁, j/n₂, k/n₃) of the mean cell, (n₁, n₂, n₃). ∫ p dV over the
        cell is one; times the number of ions it is their number density.
    cell
        Mean cell, lattice vectors as rows, Å.
    ions, frames
        Number of ions and of frames.
    blocks
        The visits of every voxel in up to four blocks of consecutive frames, (blocks, n₁, n₂, n₃).
    """

    species: str
    values: Annotated[Array, Unit("Å⁻³")] = field(repr=False, metadata={"internal": True})
    cell: CellArray
    ions: Count
    frames: Count
    blocks: Visits = field(repr=False, metadata={"internal": True})

    @property
    def samples(self) -> int:
        """Number of positions that were counted."""
        return int(self.blocks.sum())

    @property
    def spacing(self) -> Length:
        """Largest distance of grid points along a lattice vector, Å."""
        return float((np.linalg.norm(self.cell, axis=1) / self.values.shape).max())

    def smoothed(self, width: Length) -> TrajectoryDensity:
        """Return the density convolved with a Gaussian of standard deviation `width` Å, isotropic in any cell."""
        shape = self.values.shape
        damped = fft.rfftn(self.values, workers=1)
        # |k|² = 4π² n (h hᵀ)⁻¹ nᵀ, plane by plane: arrays of all wave vectors would be larger than the density
        metric = 4 * np.pi**2 * np.linalg.inv(self.cell @ self.cell.T)
        b, c = fft.fftfreq(shape[1], 1 / shape[1])[:, None], fft.rfftfreq(shape[2], 1 / shape[2])[None]
        rest = metric[1, 1] * b**2 + metric[2, 2] * c**2 + 2 * metric[1, 2] * b * c
        for k, a in enumerate(fft.fftfreq(shape[0], 1 / shape[0])):
            square = rest + a * (metric[0, 0] * a + 2 * metric[0, 1] * b + 2 * metric[0, 2] * c)
            damped[k] *= np.exp(-0.5 * width**2 * square)
        values = np.asarray(fft.irfftn(damped, shape, overwrite_x=True))
        return replace(self, values=frozen(np.maximum(values, 0.0, out=values)))


class DensityCounter:
    """Counts the visits of voxels along a trajectory that comes in chunks.

    Parameters
    ----------
    indices
        The mobile atoms.
    spacing
        Largest distance of grid points along each lattice vector, Å; more in cells that would take more than
        `MOST_VOXELS` points.
    """

    def __init__(self, indices: Indices, spacing: Length = 0.2) -> None:
        if not (len(indices) and 0.02 <= spacing <= 2.0):
            raise InputError(
                f"{len(indices)} mobile ions, a grid of {spacing} Å",
                where="trajectory density",
                expected="at least one ion and a spacing from 0.02 to 2 Å",
                remedy="Name an element of the trajectory, and a tenth of the distance between sites.",
            )
        self._indices, self._spacing = indices, spacing
        self._cells, self._frames, self._block = np.zeros((3, 3)), 0, 64
        self._blocks: Visits | None = None

    def add(self, chunk: Chunk) -> None:
        """Count the frames of `chunk`, which follow those before."""
        folded = np.asarray(chunk.folded(), dtype=float)[:, self._indices]
        if self._blocks is None:
            self._blocks = np.zeros((BLOCKS, *grid_shape(np.mean(chunk.cells, axis=0), self._spacing)), np.uint32)
        first = 0
        while first < len(folded):
            block = self._current_block()
            last = min(len(folded), first + self._block - self._frames % self._block)
            _count(folded[first:last], self._blocks[block])
            self._frames += last - first
            first = last
        self._cells += np.sum(chunk.cells, axis=0)

    def _current_block(self) -> int:
        assert self._blocks is not None  # noqa: S101  made by `add`
        if self._frames // self._block >= BLOCKS:
            for k in range(BLOCKS // 2):
                np.add(self._blocks[2 * k], self._blocks[2 * k + 1], out=self._blocks[k])
            self._blocks[BLOCKS // 2 :] = 0
            self._block *= 2
        return self._frames // self._block

    def finish(self, species: str) -> TrajectoryDensity:
        """Return the density of all frames.

        Raises
        ------
        InputError
            If there were none.
        """
        if self._blocks is None:
            raise InputError(
                "no frames",
                where="trajectory density",
                expected="a trajectory with at least one frame",
                remedy="Check the trajectory file.",
            )
        cell = self._cells / self._frames
        used = self._blocks[: -(-self._frames // self._block)]
        used.setflags(write=False)
        values = frozen(_probability(used, cell))
        return TrajectoryDensity(species, values, frozen(cell), len(self._indices), self._frames, used)


def trajectory_density(trajectory: Trajectory, species: str, spacing: Length = 0.2) -> TrajectoryDensity:
    """Return the probability density of the ions of `species`, folded into the mean cell.

    The fractional positions in the cells of the frames are counted in voxels around the grid points. The drift of
    the host has to be taken out of the trajectory before.

    Parameters
    ----------
    trajectory
        The run, read once, in chunks.
    species
        Element of the mobile ions.
    spacing
        Largest distance of grid points along each lattice vector, Å; more in cells of more than `MOST_VOXELS`.

    Raises
    ------
    InputError
        If there are no such ions or no frames.
    """
    counter = DensityCounter(np.flatnonzero(np.array(trajectory.symbols) == species), spacing)
    for chunk in trajectory.chunks():
        counter.add(chunk)
    return counter.finish(species)


def grid_shape(cell: CellArray, spacing: Length) -> tuple[int, int, int]:
    """Return the points of a grid along each lattice vector: `spacing` Å apart, or as `MOST_VOXELS` allow."""
    lengths = np.linalg.norm(cell, axis=1)
    while True:
        n1, n2, n3 = (int(n) for n in np.maximum(np.ceil(lengths / spacing - 1e-9), 1))
        if n1 * n2 * n3 <= MOST_VOXELS:
            return n1, n2, n3
        spacing *= max((n1 * n2 * n3 / MOST_VOXELS) ** (1 / 3), 1.001)


@njit(cache=True)
def _count(fractional, visits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add one to the voxel around every position, (frames, ions, 3)."""
    n1, n2, n3 = visits.shape
    for f in range(fractional.shape[0]):
        for i in range(fractional.shape[1]):
            a = int(np.rint(fractional[f, i, 0] * n1)) % n1
            b = int(np.rint(fractional[f, i, 1] * n2)) % n2
            c = int(np.rint(fractional[f, i, 2] * n3)) % n3
            visits[a, b, c] += np.uint32(1)


def _probability(blocks: Visits, cell: Array) -> Array:
    values = blocks.sum(axis=0, dtype=float)
    values *= values.size / abs(np.linalg.det(cell)) / values.sum()
    return np.asarray(values)


def write_cube(density: TrajectoryDensity, path: Path, host: Atoms) -> Path:
    """Write the density and the atoms of the host as Gaussian cube; lengths in bohr, p in Å⁻³. Return the path.

    `host` is placed by its fractional positions, its cell is replaced by the mean cell.
    """
    from ase.io.cube import write_cube as write

    def save(file: Path) -> None:
        with file.open("w", encoding="utf-8") as handle:
            write(handle, _placed(host, density), density.values, comment=_comment(density))

    return _saved(path, save)


def write_xsf(density: TrajectoryDensity, path: Path, host: Atoms) -> Path:
    """Write the density and the atoms of the host as XCrySDen file; p in Å⁻³. Return the path.

    `host` is placed by its fractional positions, its cell is replaced by the mean cell.
    """
    from ase.io.xsf import write_xsf as write

    # the format's grid holds the points of the far faces as well, the same as those of the near ones
    closed = np.pad(density.values, [(0, 1)] * 3, mode="wrap")

    def save(file: Path) -> None:
        with file.open("w", encoding="utf-8") as handle:
            write(handle, [_placed(host, density)], data=closed, origin=np.zeros(3), span_vectors=density.cell)

    return _saved(path, save)


def _placed(host: Atoms, density: TrajectoryDensity) -> Atoms:
    placed = host.copy()
    placed.set_cell(density.cell, scale_atoms=True)
    placed.pbc = True
    return placed


def _comment(density: TrajectoryDensity) -> str:
    return f"probability density of {density.species} in 1/A^3, {density.frames} frames, {density.ions} ions"


def _saved(path: Path, save: Callable[[Path], None]) -> Path:
    with replacing(path) as temporary:
        save(temporary)
    return path
