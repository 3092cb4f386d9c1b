"""Percolation of a trajectory density: at which level the places of high density connect through the crystal.

Voxels are added from the highest density down. Each belongs to a set and knows in which periodic image of the
set's root it lies. Where two voxels of the same set meet with images that differ, the set closes on itself around
the crystal: it percolates along every lattice vector in which they differ. The density of the voxel that closes it
is the highest level at which the density percolates, and the lowest point of the best path.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ionscape.dynamics.unwrapping import reduced_basis
from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.density import TrajectoryDensity
from ionscape.units import BOLTZMANN_EV_PER_K, Array, Count, Energy, Indices, Number, Temperature

Axis = Literal["a", "b", "c"]
AXES: tuple[Axis, ...] = ("a", "b", "c")


@dataclass(frozen=True)
class Percolation:
    """Highest density at which a path of mobile ions connects the crystal along one lattice vector.

    Attributes
    ----------
    axis
        Lattice vector.
    level
        Density at the lowest point of the best path over the highest density of the grid.
    visits
        Number of times that an ion was seen in the voxel at that point. Few visits: the run is short of barrier
        crossings, and the true barrier may be lower or higher by more than k_B T.
    barrier
        −k_B T ln(level), eV: difference of free energy between the lowest point of the path and the most visited.
    spread
        Largest difference between the barriers of the blocks of the run and `barrier`, eV, or the reason why there
        is none: a path that only some of the blocks hold is not converged.
    """

    axis: Axis
    level: Number
    visits: Count
    barrier: Energy
    spread: Energy | Failure


def percolation(density: TrajectoryDensity, temperature: Temperature) -> dict[Axis, Percolation | Failure]:
    r"""Return the percolation of a density along each lattice vector.

    .. math:: ΔF = -k_B T \ln \frac{\max_\text{path} \min_{r ∈ \text{path}} p(r)}{\max_r p(r)}

    It is the barrier that the sampled density implies: a property of the most visited path in three dimensions, at
    the temperature of the run, with the noise of few visits in it; not a migration barrier at 0 K.

    Parameters
    ----------
    density
        Trajectory density of the mobile ion. Smoothing it lowers both the noise and the barrier.
    temperature
        Temperature of the run, K.

    Returns
    -------
    dict
        For "a", "b", "c": the percolation, or a failure with a lower bound of the barrier where the places that
        ions visited do not connect.

    Raises
    ------
    InputError
        If the temperature is not positive.
    """
    if not temperature > 0:
        raise InputError(
            f"temperature {temperature} K",
            where="percolation",
            expected="the temperature of the run, above 0 K",
            remedy="Give the temperature.",
        )
    visits = density.blocks.sum(axis=0, dtype=np.uint32)
    parts = [percolation_levels(block, density.cell)[0] for block in density.blocks]
    levels, voxels = percolation_levels(visits, density.cell)
    results: dict[Axis, Percolation | Failure] = {}
    for k, axis in enumerate(AXES):
        if levels[k] <= 0:
            bound = BOLTZMANN_EV_PER_K * temperature * np.log(visits.max())
            results[axis] = Failure(
                f"not connected along {axis}: no path was visited from end to end; if there is one, its barrier "
                f"is above {bound:.2f} eV, the most that {density.samples} positions can show"
            )
            continue
        barrier = -BOLTZMANN_EV_PER_K * temperature * float(np.log(levels[k]))
        others = np.array([part[k] for part in parts])
        spread: float | Failure
        if len(others) < 2 or np.any(others <= 0):
            spread = Failure(
                f"{np.count_nonzero(others > 0)} of {len(others)} blocks of the run connect along {axis}"
            )
        else:
            spread = float(np.abs(-BOLTZMANN_EV_PER_K * temperature * np.log(others) - barrier).max())
        results[axis] = Percolation(axis, float(levels[k]), int(visits.flat[voxels[k]]), barrier, spread)
    return results


def percolates(density: TrajectoryDensity, level: Number) -> dict[Axis, bool]:
    """Return along which lattice vectors the voxels of at least `level` times the highest density connect."""
    levels, _ = percolation_levels(density.values, density.cell)
    return {axis: bool(0 < level <= levels[k]) for k, axis in enumerate(AXES)}


def percolation_levels(values: Array, cell: Array) -> tuple[Array, Indices]:
    """Return the highest levels that percolate along each lattice vector, over the maximum, and the voxels there.

    A level of 0 and voxel −1: not connected. Voxels are neighbours if their Voronoi cells share a face, so that
    the shape of the cell does not matter.

    Parameters
    ----------
    values
        Density, or number of visits, on a periodic grid, (n₁, n₂, n₃), ≥ 0.
    cell
        Lattice vectors as rows, Å.
    """
    steps = voronoi_neighbours(cell / np.array(values.shape)[:, None])
    voxels = _first_windings(descending(values), np.array(values.shape), steps)
    highest = float(values.max())
    levels = np.array([values.flat[v] / highest if v >= 0 else 0.0 for v in voxels])
    return levels, voxels


def descending(values: Array, floor: Number = 0.0) -> NDArray[np.int32]:
    """Return the flat indices of the `values` above `floor`, highest first; equal ones in their order."""
    flat = values.ravel()
    above = np.flatnonzero(flat > floor).astype(np.int32)
    found = flat[above]
    return above[np.argsort(found.max() - found if len(found) else found, kind="stable")]


def voronoi_neighbours(basis: Array) -> Indices:
    """Return the lattice vectors whose Voronoi cells share a face with that of the origin, whole numbers, (n, 3).

    A vector is one of them if it and its negative are the only shortest of its class modulo twice the lattice.

    References
    ----------
    J. H. Conway, N. J. A. Sloane, Proc. R. Soc. A 436, 55 (1992), doi:10.1098/rspa.1992.0004.
    """
    reduced = reduced_basis(np.ascontiguousarray(basis, dtype=float))
    combinations = np.array([v for v in itertools.product((-1, 0, 1), repeat=3) if any(v)])
    lengths = np.linalg.norm(combinations @ reduced, axis=1)
    kept = []
    for parity in {tuple(v % 2) for v in combinations}:
        members = np.flatnonzero(np.all(combinations % 2 == parity, axis=1))
        shortest = members[lengths[members] < lengths[members].min() * (1 + 1e-9)]
        if len(shortest) == 2:
            kept += list(shortest)
    return np.rint(combinations[kept] @ reduced @ np.linalg.inv(basis)).astype(np.int64)


@njit(cache=True)
def _first_windings(order: Indices, shape: Indices, steps: Indices) -> Indices:
    """Return the voxel whose addition first closes a loop around each lattice vector, −1: none does."""
    size = shape[0] * shape[1] * shape[2]
    # small types: the arrays are as long as the grid
    parent, image = np.full(size, -1, np.int32), np.zeros((size, 3), np.int16)
    found, there, wrap = np.full(3, -1, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int32)
    for voxel in order:
        parent[voxel] = voxel
        here = (voxel // (shape[1] * shape[2]), voxel // shape[2] % shape[1], voxel % shape[2])
        for s in range(len(steps)):
            for k in range(3):
                to = here[k] + steps[s, k]
                there[k] = to % shape[k]
                wrap[k] = to // shape[k]
            other = (there[0] * shape[1] + there[1]) * shape[2] + there[2]
            if parent[other] >= 0:
                _join(parent, image, (voxel, other), wrap, found)
        if found.min() >= 0:
            break
    return found


@njit(cache=True)
def _join(parent, image, pair, wrap, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Join the sets of two neighbours, the second in the image `wrap` of the cell, or note how the loop winds."""
    a, b = _root(parent, image, pair[0]), _root(parent, image, pair[1])
    for k in range(3):
        # image of the second seen from the first along the step, against that along the set
        turn = image[pair[0], k] + wrap[k] - image[pair[1], k]
        if a == b:
            if turn != 0 and found[k] < 0:
                found[k] = pair[0]
        else:
            image[b, k] = turn
    if a != b:
        parent[b] = a


@njit(cache=True)
def _root(parent, image, voxel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the root of a voxel's set; the voxel then hangs on it, with its image relative to it."""
    root = voxel
    total = np.zeros(3, np.int32)
    while parent[root] != root:
        total += image[root]
        root = parent[root]
    while parent[voxel] != root and voxel != root:
        above, own = parent[voxel], image[voxel].copy()
        parent[voxel] = root
        image[voxel] = total
        total -= own
        voxel = above
    return root
