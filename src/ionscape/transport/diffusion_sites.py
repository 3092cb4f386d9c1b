"""Sites of mobile ions: given by a structure, or the basins of their trajectory density."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.transport.density import TrajectoryDensity
from ionscape.transport.percolation import descending, voronoi_neighbours
from ionscape.units import Array, CellArray, FractionalArray, Indices, Length, Number, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Ions that a basin holds on average, from which on it is a site however small its share of them all is.
LEAST_IONS = 0.1
#: Share of the highest density below which there is nothing but rounding of the smoothing.
NOTHING = 1e-6


@dataclass(frozen=True)
class DiffusionSites:
    """Places between which ions jump.

    Attributes
    ----------
    fractional
        Fractional positions in the mean cell, in [0, 1), (n, 3).
    cell
        Mean cell, lattice vectors as rows, Å.
    separation
        Shortest distance between two sites, periodic images included, Å.
    weights
        Share of the density in the basin of each site, (n,); equal shares for sites of a structure.
    """

    fractional: FractionalArray
    cell: CellArray
    separation: Length
    weights: Annotated[NDArray[np.float64], Unit("1")]


def sites_of_structure(structure: Structure, species: str) -> DiffusionSites:
    """Return the sites of `species` in a structure, e.g. the host with its interstitial sites filled.

    Raises
    ------
    InputError
        If there are none.
    """
    rows = [site.frac_coords for site in structure if site.specie.symbol == species]
    if not rows:
        raise InputError(
            f"no {species} in {structure.composition.formula}",
            where="sites of the mobile ions",
            expected=f"a structure with all {species} sites filled, also those that are empty on average",
            remedy="Add the sites, or take them from the trajectory density.",
        )
    return diffusion_sites(np.array(rows), np.array(structure.lattice.matrix))


def sites_of_density(density: TrajectoryDensity, depth: Number = 1.0, smallest: Number = 0.002) -> DiffusionSites:
    """Return the sites that the ions themselves show: the basins of −ln p that are deeper than `depth`.

    From the highest density down, every voxel joins a basin next to it or starts a new one. Where two basins
    meet before the lower has risen by `depth` above the meeting point, they are one. The site is the mean position
    of the voxels of a basin above half its maximum.

    Parameters
    ----------
    density
        Trajectory density; smoothed, if the run is short (0.2–0.3 Å), else noise makes sites.
    depth
        Least barrier out of a basin, in k_B T of the run.
    smallest
        Basins with a smaller share of the density do not count, unless they hold more than `LEAST_IONS` ions on
        average: of many sites each holds a small share.

    Raises
    ------
    InputError
        If nothing is left.
    """
    shape = np.array(density.values.shape)
    steps = voronoi_neighbours(density.cell / shape[:, None])
    values = np.ascontiguousarray(density.values).ravel()
    order = descending(density.values, NOTHING * float(values.max()))
    basins = _basins(order, values, (shape, steps), np.exp(depth))
    total = float(values.sum())
    least = min(smallest, LEAST_IONS / max(density.ions, 1)) * total
    found = [
        (float(values[members].sum()) / total, _centre(members, values[members], shape))
        for members in _members(basins, values, least)
    ]
    if not found:
        raise InputError(
            f"no basin holds {smallest:.2%} of the density",
            where="sites of the mobile ions",
            expected="ions that rest at sites",
            remedy="Lower `smallest`, smooth the density, or give the sites.",
        )
    weights = np.array([weight for weight, _ in found])
    return diffusion_sites(np.array([centre for _, centre in found]), density.cell, weights)


def diffusion_sites(
    fractional: FractionalArray, cell: CellArray, weights: NDArray[np.float64] | None = None
) -> DiffusionSites:
    """Return sites at fractional positions in a cell, with the shortest distance between them.

    Raises
    ------
    InputError
        If two of them coincide (closer than 0.3 Å).
    """
    fractional = np.mod(fractional, 1.0)
    separation, pair = _closest(fractional, np.asarray(cell, dtype=float))
    if separation < 0.3:
        raise InputError(
            f"sites {pair[0]} and {pair[1]} are {separation:.2f} Å apart",
            where="sites of the mobile ions",
            expected="sites at least 0.3 Å apart",
            remedy="Merge them, or smooth the density before its basins are sought.",
        )
    shares = np.full(len(fractional), 1 / len(fractional)) if weights is None else weights
    return DiffusionSites(frozen(fractional), frozen(cell), separation, frozen(shares))


def _closest(fractional: FractionalArray, cell: CellArray) -> tuple[Length, tuple[int, int]]:
    """Return the shortest distance between sites or a site and its own image, and which two they are."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    # no packing is denser than that of spheres, so that two are surely as near as this
    reach = 1.001 * (np.sqrt(2) * abs(np.linalg.det(cell)) / len(fractional)) ** (1 / 3)
    points = np.ascontiguousarray(fractional @ cell)
    periodic = np.ones(3, dtype=np.int64)
    lattice = np.ascontiguousarray(cell)
    one, other, image, distance = find_points_in_spheres(points, points, float(reach), periodic, lattice, 1e-8)
    apart = np.where((one == other) & ~np.any(image, axis=1), np.inf, distance)
    k = int(np.argmin(apart))
    return float(apart[k]), (int(one[k]), int(other[k]))


def _members(basins: Indices, values: Array, least: float) -> Iterator[Indices]:
    """Yield the voxels of every basin that holds `least` of the density, in the order of their maxima's voxels."""
    inside = np.flatnonzero(basins >= 0)
    order = inside[np.argsort(basins[inside], kind="stable")]
    edges = np.flatnonzero(np.diff(basins[order], prepend=-1, append=-1))
    # rounding of the smoothed density makes many more basins where there is nothing
    held = np.add.reduceat(values[order], edges[:-1]) if len(order) else np.zeros(0)
    for k in np.flatnonzero(held >= least):
        yield order[edges[k] : edges[k + 1]]


def _centre(members: Indices, p: Array, shape: Indices) -> Array:
    place = np.stack(np.unravel_index(members, tuple(shape)), -1) / shape
    offset = place - place[p.argmax()]
    offset -= np.rint(offset)
    top = p >= p.max() / 2
    return np.asarray(np.mod(place[p.argmax()] + np.average(offset[top], axis=0, weights=p[top]), 1.0))


@njit(cache=True)
def _basins(order, values, grid, ratio):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the voxel of the maximum of every voxel's basin, −1 where the density is 0."""
    shape, steps = grid
    parent = np.full(len(values), -1, np.int32)
    for voxel in order:
        parent[voxel] = voxel
        here = (voxel // (shape[1] * shape[2]), voxel // shape[2] % shape[1], voxel % shape[2])
        highest = voxel
        for s in range(len(steps)):
            other = _neighbour(here, steps[s], shape)
            if parent[other] >= 0:
                root = _root(parent, other)
                if values[root] > values[highest] or highest == voxel:
                    highest = root
        parent[voxel] = highest
        for s in range(len(steps)):
            other = _neighbour(here, steps[s], shape)
            if parent[other] >= 0:
                root = _root(parent, other)
                if root != highest and values[root] < ratio * values[voxel]:
                    parent[root] = highest
    basins = np.full(len(values), -1, np.int32)
    for voxel in order:
        basins[voxel] = _root(parent, voxel)
    return basins


@njit(cache=True)
def _neighbour(here, step, shape):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    x, y, z = (here[0] + step[0]) % shape[0], (here[1] + step[1]) % shape[1], (here[2] + step[2]) % shape[2]
    return (x * shape[1] + y) * shape[2] + z


@njit(cache=True)
def _root(parent, voxel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    while parent[voxel] != voxel:
        parent[voxel] = parent[parent[voxel]]
        voxel = parent[voxel]
    return voxel
