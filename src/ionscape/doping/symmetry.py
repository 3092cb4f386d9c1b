"""Symmetry of the sites of a supercell, and configurations that are alike by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pymatgen.core import Element

from ionscape.doping.sites import SiteLattice
from ionscape.structures.orbits import symmetry_dataset
from ionscape.units import Array, FractionalArray, Indices, LengthArray

#: Distance within which a symmetry operation must bring an atom onto an atom, Å.
SYMMETRY_PRECISION = 0.01
#: The same for empty sites, which voids of a density give on a grid, Å.
EMPTY_SITE_PRECISION = 0.1


@dataclass(frozen=True)
class UniqueConfigurations:
    """Configurations none of which is a symmetry copy of another.

    Attributes
    ----------
    sites
        Canonical site indices, (m, k), in lexicographic order.
    multiplicities
        Number of distinct symmetry copies of each, (m,).
    occurrences
        How often each was among the configurations given, (m,).
    """

    sites: Indices
    multiplicities: Indices
    occurrences: Indices


def site_permutations(sites: SiteLattice, *, precision: float = SYMMETRY_PRECISION) -> Indices:
    """Return the permutations of the sites under the space-group operations of the undoped supercell, (n_ops, n).

    Operations come from the host atoms, centring and supercell translations included; only those that also bring
    every empty site onto an empty site are kept. Operations that move all sites alike count once. Row p maps site
    i to site ``p[i]``; the first row is the identity.

    Parameters
    ----------
    sites
        Sites of the supercell.
    precision
        Distance within which atoms count as mapped onto each other, Å.

    Raises
    ------
    InputError
        If the symmetry of the host cannot be determined.
    """
    identity = np.arange(len(sites.elements))
    rows = [identity]
    for rotation, translation in zip(*_operations(sites, precision), strict=True):
        image = sites.fractional @ rotation.T + translation
        permutation = _permutation(sites, image)
        if permutation is not None:
            rows.append(permutation)
    unique = np.unique(np.array(rows), axis=0)
    first = (unique == identity).all(axis=1)
    return np.ascontiguousarray(np.vstack([unique[first], unique[~first]]), dtype=np.int64)


def _operations(sites: SiteLattice, precision: float) -> tuple[NDArray[np.int32], Array]:
    """Return rotations and translations (fractional) that map the host atoms and the lattice of the supercell."""
    atoms = [i for i, element in enumerate(sites.elements) if element]
    numbers = [Element(sites.elements[i]).Z for i in atoms]
    found = symmetry_dataset((sites.lattice, sites.fractional[atoms], numbers), precision)
    return found.rotations, found.translations


def _permutation(sites: SiteLattice, image: FractionalArray) -> Indices | None:
    """Which site each image falls on; None unless this is one-to-one between like sites."""
    target = np.empty(len(image), dtype=np.int64)
    for element in set(sites.elements):
        members = sites.pool(element)
        distances = _distances(sites.lattice, image[members], sites.fractional[members])
        nearest = distances.argmin(axis=1)
        worst = distances[np.arange(len(members)), nearest].max()
        if worst > EMPTY_SITE_PRECISION or len(np.unique(nearest)) < len(members):
            return None
        target[members] = members[nearest]
    return target


def _distances(lattice: LengthArray, first: FractionalArray, second: FractionalArray) -> LengthArray:
    # Rounding gives the nearest image of sites that nearly coincide, which is all that is asked here.
    difference = first[:, None, :] - second[None, :, :]
    return np.asarray(np.linalg.norm((difference - np.rint(difference)) @ lattice, axis=-1))


def unique_configurations(rows: Indices, starts: Indices, permutations: Indices) -> UniqueConfigurations:
    """Return the symmetry-distinct configurations among `rows`, with multiplicities.

    Parameters
    ----------
    rows
        Site indices, (m, k).
    starts
        First column of each placement, and k at the end.
    permutations
        Site permutations of the symmetry group (`site_permutations`), (n_ops, n).
    """
    canonical, stabilisers = canonical_forms(rows, starts, permutations)
    order = np.lexsort(canonical.astype(np.int32).T[::-1]) if canonical.shape[1] else np.arange(len(rows))
    ordered = canonical[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.flatnonzero(new)
    return UniqueConfigurations(
        sites=ordered[first],
        multiplicities=len(permutations) // stabilisers[order][first],
        occurrences=np.diff(np.append(first, len(rows))),
    )


def canonical_forms(rows: Indices, starts: Indices, permutations: Indices) -> tuple[Indices, Indices]:
    """Return the lexicographically smallest symmetry copy of each configuration, and the order of its stabiliser.

    Parameters
    ----------
    rows
        Site indices, (m, k).
    starts
        First column of each placement, and k at the end.
    permutations
        Site permutations of the symmetry group, (n_ops, n).

    Returns
    -------
    tuple
        Canonical rows, (m, k), and the order of each stabiliser, (m,).
    """
    canonical = np.empty_like(rows)
    return canonical, _canonicalise(rows, starts, permutations, canonical)


@njit(cache=True, nogil=True)
def _canonicalise(rows: Indices, starts: Indices, permutations: Indices, canonical: Indices) -> Indices:
    stabilisers = np.empty(len(rows), dtype=np.int64)
    for m in range(len(rows)):
        stabilisers[m] = canonical_row(rows[m], starts, permutations, canonical[m])
    return stabilisers


@njit(cache=True, nogil=True)
def canonical_row(row: Indices, starts: Indices, permutations: Indices, best: Indices) -> int:
    """Write the smallest copy of `row` into `best`; return how many operations give it: its stabiliser's order."""
    best[:] = row
    _sort_placements(best, starts)
    image = np.empty_like(row)
    equal = 1  # the identity, which is the first permutation
    for p in range(1, len(permutations)):
        lowest = permutations[p, row[0]]
        for column in range(1, starts[1]):
            lowest = min(lowest, permutations[p, row[column]])
        if lowest > best[0]:
            continue
        for column in range(len(row)):
            image[column] = permutations[p, row[column]]
        _sort_placements(image, starts)
        order = _compare(image, best)
        if order < 0:
            best[:] = image
            equal = 1
        elif order == 0:
            equal += 1
    return equal


@njit(cache=True, nogil=True)
def _sort_placements(row: Indices, starts: Indices) -> None:
    """Sort the columns of each placement in place (insertion sort: they are few)."""
    for g in range(len(starts) - 1):
        for column in range(starts[g] + 1, starts[g + 1]):
            value = row[column]
            place = column
            while place > starts[g] and row[place - 1] > value:
                row[place] = row[place - 1]
                place -= 1
            row[place] = value


@njit(cache=True, nogil=True)
def _compare(first: Indices, second: Indices) -> int:
    for a, b in zip(first, second):  # noqa: B905  numba's zip has no strict
        if a != b:
            return -1 if a < b else 1
    return 0
