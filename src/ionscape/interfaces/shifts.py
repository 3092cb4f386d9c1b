"""Candidate shifts of a film over a substrate: the grids searched, and the shifts at which atoms overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ionscape.interfaces.displacements import DisplacementCell
from ionscape.units import Array, Length, LengthArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

Mask = NDArray[np.bool_]
#: Shortest distance of every pair of elements, Å.
Distances = Mapping[frozenset[str], float]
#: The search space of the source study: lateral and normal ranges and the step, Å.
STUDY_LATERAL, STUDY_NORMAL, STUDY_STEP = 3.0, 0.75, 0.25
#: Atoms across a contact overlap when they are closer than this part of the shortest distance of such a pair.
OVERLAP = 0.7
#: Two grid points within this part of the step of one another, by symmetry, are one.
SAME = 0.1


def study_grid(
    lateral: Length = STUDY_LATERAL, normal: Length = STUDY_NORMAL, step: Length = STUDY_STEP
) -> LengthArray:
    """Return the grid of the source study: shifts (n, 3) along x, y and the normal, Å.

    Both lateral shifts from 0 to `lateral` and the normal one from 0 to `normal`, in equal steps, ends included:
    13 × 13 × 4 = 676 shifts. x is along the first vector of the common cell. The first is (0, 0, 0).
    """
    sides = [step * np.arange(round(end / step) + 1) for end in (lateral, lateral, normal)]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)


def reduced_grid(cell: DisplacementCell, normals: Sequence[float], step: Length = STUDY_STEP) -> LengthArray:
    """Return shifts (n, 3), Å: one of each set of equivalent lateral ones, with every normal one.

    The cell of displacements is divided along both vectors so that no division is longer than `step`; of points
    that symmetry makes the same, the first is kept. The origin is that among the fixed points of the operations
    which leaves the fewest points.

    Parameters
    ----------
    cell
        The cell of non-identical displacements.
    normals
        Normal shifts, Å.
    step
        Longest division, Å.
    """
    counts = np.maximum(np.ceil(np.linalg.norm(cell.vectors, axis=1) / step - 1e-9).astype(int), 1)
    parts = [np.arange(n) / n for n in counts]
    grid = np.stack(np.meshgrid(*parts, indexing="ij"), axis=-1).reshape(-1, 2) @ cell.vectors
    choices = [_distinct(cell, cell.folded(grid + origin), SAME * step) for origin in _origins(cell)]
    lateral = min(choices, key=len)
    return np.array([(x, y, z) for x, y in lateral for z in normals])


def _origins(cell: DisplacementCell) -> list[Array]:
    """Return the origin and the points that operations leave where they are, up to lattice vectors."""
    found = [np.zeros(2)]
    for rotation, shift in zip(cell.rotations[1:], cell.shifts[1:], strict=True):
        found.append(np.linalg.lstsq((np.eye(2) - rotation).T, shift, rcond=1e-6)[0])
    return found


def _distinct(cell: DisplacementCell, lateral: Array, tolerance: float) -> Array:
    if len(cell.rotations) == 1:
        return lateral
    same = cell.distances(lateral, lateral) < tolerance
    return lateral[[not same[i, :i].any() for i in range(len(lateral))]]


def shortest_distances(*slabs: Structure) -> dict[frozenset[str], float]:
    """Return the shortest distance of every pair of elements that occurs in the slabs together, Å.

    Of a pair that no slab has within the sum of the covalent radii and half as much again, it is that sum
    (Cordero et al. 2008, doi:10.1039/b801115j).
    """
    from ase.data import atomic_numbers, covalent_radii

    symbols = {site.specie.symbol for slab in slabs for site in slab}
    sums = {
        frozenset((a, b)): float(covalent_radii[atomic_numbers[a]] + covalent_radii[atomic_numbers[b]])
        for a in symbols
        for b in symbols
    }
    shortest: dict[frozenset[str], float] = {}
    for slab in slabs:
        names = [site.specie.symbol for site in slab]
        for i, j, _, distance in zip(*slab.get_neighbor_list(1.5 * max(sums.values())), strict=True):
            pair = frozenset((names[i], names[j]))
            shortest[pair] = min(shortest.get(pair, np.inf), float(distance))
    return {pair: min(shortest.get(pair, own), 1.5 * own) for pair, own in sums.items()}


def overlapping(structure: Structure, film: Mask, shifts: Array, shortest: Distances, growth: float = 0.0) -> Mask:
    """Return at which shifts of the film two atoms across a contact overlap, (m,).

    Parameters
    ----------
    structure
        The interface, unshifted; periodic images along all three axes count.
    film
        Which sites are of the film, (n,).
    shifts
        Cartesian displacements of the film, (m, 3), Å.
    shortest
        Shortest distance of every pair of elements in crystals, Å; atoms closer than `OVERLAP` of it overlap.
    growth
        How much the third lattice vector grows with the normal shift: 0 with vacuum, 2 where the film closes the
        space between the substrate and its image.
    """
    first, second, images, limits = _pairs_across(structure, film, shifts, shortest)
    if not len(first):
        return np.zeros(len(shifts), dtype=bool)
    vectors = structure.cart_coords[first] - structure.cart_coords[second] - images @ structure.lattice.matrix
    clash = np.zeros(len(shifts), dtype=bool)
    for k, shift in enumerate(shifts):
        moved = vectors + shift
        moved[:, 2] -= growth * shift[2] * images[:, 2]
        clash[k] = bool(((moved**2).sum(axis=1) < limits**2).any())
    return clash


def _pairs_across(
    structure: Structure, film: Mask, shifts: Array, shortest: Distances
) -> tuple[Array, Array, Array, Array]:
    """Return all pairs (film, substrate, image) that some shift can bring together, and their limits."""
    reach = OVERLAP * max(shortest.values()) + float(np.linalg.norm(shifts, axis=1).max(initial=0.0))
    centre, neighbour, image, _ = structure.get_neighbor_list(reach)
    across = film[centre] & ~film[neighbour]
    names = np.array([site.specie.symbol for site in structure])
    first, second = centre[across], neighbour[across]
    pairs = zip(names[first], names[second], strict=True)
    return first, second, image[across], OVERLAP * np.array([shortest[frozenset(pair)] for pair in pairs])
