r"""A way for an ion around what is in its path: through the least electron density of the atoms at rest.

The density of the other atoms, half-way between both ends, is the superposition of free ions
(`structures.density`); cations, whose few electrons say nothing of how they repel an ion, keep it away as an oxide
ion does. Among all chains of points of a local grid from one end to the other the route makes

    ∫ (ρ² + ρ₀²) ds

least, by Dijkstra's algorithm, with ρ₀ the density at the ends (0.03 e/Å³ if that is less): what is as empty as a
site costs no more than its length. Density-guided first paths: Rong et al., J. Chem. Phys. 145, 074112 (2016),
doi:10.1063/1.4960790; here the route is the best of all on the grid, not relaxed from a straight line, so that it
finds its way around an obstacle that stands in the middle of the line. A first guess, and no more: the band
decides.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element
from scipy.ndimage import map_coordinates
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from ionscape.migration.endpoints import EndPoints
from ionscape.migration.sites import is_ligand
from ionscape.structures.density import superposed_density
from ionscape.units import Array, Indices, Length, LengthArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Spacing of the local grid, Å; how far it reaches beyond the ends, Å; half its width: this, Å, and this part of
#: the distance of the ends.
STEP, BEYOND, ASIDE, PART_ASIDE = 0.2, 1.0, 1.0, 0.5
#: Spacing of the grid of the density, Å, and the density, e/Å³, that far atoms may leave out.
SPACING, ACCURACY = 0.2, 1e-4
#: Density that is as good as empty for an ion: about that at lithium sites of oxides, e/Å³.
EMPTY = 0.03
#: Atoms that go at least this part of the longest way, and this far, Å, are guided; the others go straight.
GUIDED_PART, GUIDED_FROM = 0.5, 0.8
#: Rounds of averaging with both neighbours that take the steps of the grid out of a route.
ROUNDS = 12


def guided_positions(ends: EndPoints, count: int) -> LengthArray:
    """Return positions (count + 2, atoms, 3) along the way: hopping ions on their routes, the others straight.

    Parameters
    ----------
    ends
        The matched end points.
    count
        Number of intermediate images.
    """
    parts = np.linspace(0.0, 1.0, count + 2)
    start = np.array(ends.initial.cart_coords)
    positions = start + parts[:, None, None] * ends.displacement
    lengths = np.linalg.norm(ends.displacement, axis=1)
    guided = np.flatnonzero(lengths >= max(GUIDED_PART * lengths.max(), GUIDED_FROM))
    if not len(guided):
        return positions
    rest = ends.initial.copy()
    for atom, moved in enumerate(ends.displacement):
        rest.translate_sites([atom], moved / 2, frac_coords=False, to_unit_cell=True)
    rest.remove_sites(guided.tolist())
    if not len(rest):
        return positions
    density = _log_density(rest)
    for atom in guided.tolist():
        way = _route(density, np.array(rest.lattice.matrix), start[atom], ends.displacement[atom])
        positions[:, atom] = _at(way, parts)
    return positions


def _log_density(rest: Structure) -> Array:
    """Return log ρ of the atoms at rest on a grid of their cell, cations of an ionic crystal as oxide ions."""
    obstacles, charges = rest.copy(), {}
    if any(is_ligand(symbol) for symbol in rest.symbol_set):
        obstacles.replace_species({symbol: "O" for symbol in rest.symbol_set if not is_ligand(symbol)})
        charges = {one: float(min(Element(one).common_oxidation_states)) for one in obstacles.symbol_set}
    return np.log(np.maximum(superposed_density(obstacles, charges, SPACING, ACCURACY).values, 1e-12))


def _route(density: Array, matrix: Array, start: Array, moved: Array) -> LengthArray:
    """Return points (n, 3) from `start` to `start + moved` along the way of least density."""
    points, shape, first, last = _local_grid(start, moved)
    fractional = points @ np.linalg.inv(matrix)
    rho = np.exp(map_coordinates(density, (fractional * density.shape).T, order=1, mode="grid-wrap"))
    cost = rho**2 + max(rho[first], rho[last], EMPTY) ** 2
    ends, lengths = _edges(shape)
    weights = lengths * (cost[ends[0]] + cost[ends[1]]) / 2
    graph = coo_array((weights, ends), shape=(len(points), len(points))).tocsr()
    before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)[1]
    chain = [last]
    while chain[-1] != first:
        chain.append(int(before[chain[-1]]))
    return _smoothed(points[chain[::-1]])


def _local_grid(start: Array, moved: Array) -> tuple[LengthArray, tuple[int, int, int], int, int]:
    """Return points about the line, the shape of their grid, and the indices of both ends among them.

    The grid of the way back is the same set of points.
    """
    length = float(np.linalg.norm(moved))
    along = moved / length
    aside = np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))])
    aside /= np.linalg.norm(aside)
    steps = max(round(length / STEP), 2)
    more, wide = round(BEYOND / STEP), round((ASIDE + PART_ASIDE * length) / STEP)
    u = np.arange(-more, steps + more + 1) * (length / steps)
    v = np.arange(-wide, wide + 1) * STEP
    grid = np.stack(np.meshgrid(u, v, v, indexing="ij"), axis=-1).reshape(-1, 3)
    shape = (len(u), len(v), len(v))
    middle = wide * len(v) + wide
    layer = len(v) ** 2
    points = start + grid @ np.array([along, aside, np.cross(along, aside)])
    return points, shape, more * layer + middle, (more + steps) * layer + middle


def _edges(shape: tuple[int, int, int]) -> tuple[Indices, Array]:
    """Return both ends (2, m) of all steps to the 26 neighbours, each once, and their lengths (m,) in steps."""
    number = np.arange(int(np.prod(shape))).reshape(shape)
    firsts, seconds, lengths = [], [], []
    for move in itertools.product((-1, 0, 1), repeat=3):
        if move <= (0, 0, 0):
            continue
        here = tuple(slice(max(-m, 0), n - max(m, 0)) for m, n in zip(move, shape, strict=True))
        there = tuple(slice(max(m, 0), n - max(-m, 0)) for m, n in zip(move, shape, strict=True))
        firsts.append(number[here].ravel())
        seconds.append(number[there].ravel())
        lengths.append(np.full(firsts[-1].size, float(np.linalg.norm(move))))
    return np.array([np.concatenate(firsts), np.concatenate(seconds)]), np.concatenate(lengths)


def _smoothed(points: LengthArray) -> LengthArray:
    for _ in range(ROUNDS):
        points = np.vstack([points[:1], (points[:-2] + 2 * points[1:-1] + points[2:]) / 4, points[-1:]])
    return points


def _at(way: LengthArray, parts: Array) -> LengthArray:
    """Return the points at these parts of the length of a way, (parts, 3)."""
    travelled: Array = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    length: Length = float(travelled[-1])
    return np.column_stack([np.interp(parts * length, travelled, way[:, k]) for k in range(3)])
