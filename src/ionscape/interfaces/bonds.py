r"""How near two faces come: the gap at which facing atoms touch as they do in the crystals.

Two elements touch at the shortest distance at which they occur in either crystal, else at the sum of their
covalent radii (B. Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j). The contact gap is the
smallest at which no pair of atoms across the interface is nearer than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ionscape.units import Array, Length

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Neighbours farther apart than this do not touch, Å.
LONGEST_CONTACT = 4.5
#: Contact distance by pair of elements, the names in alphabetical order.
Contacts = Mapping[tuple[str, str], Length]


def contacts(structures: Sequence[Structure]) -> Contacts:
    """Return the shortest distance, Å, of every pair of elements that are neighbours in one of `structures`."""
    found: dict[tuple[str, str], float] = {}
    for structure in structures:
        symbols = np.array([site.specie.symbol for site in structure])
        centres, neighbours, _, distances = structure.get_neighbor_list(LONGEST_CONTACT)
        for one, other, distance in zip(symbols[centres], symbols[neighbours], distances, strict=True):
            pair = _pair(str(one), str(other))
            found[pair] = min(float(distance), found.get(pair, np.inf))
    return found


def contact_distance(one: str, other: str, known: Contacts) -> Length:
    """Return the distance in Å at which two elements touch."""
    return known.get(_pair(one, other)) or covalent_radius(one) + covalent_radius(other)


def covalent_radius(symbol: str) -> Length:
    """Return the covalent radius of an element, Å."""
    from ase.data import atomic_numbers, covalent_radii

    return float(covalent_radii[atomic_numbers[symbol]])


def contact_gap(
    lower: tuple[Sequence[str], Array], upper: tuple[Sequence[str], Array], cell: Array, known: Contacts
) -> Length:
    """Return the gap in Å between two slabs, their highest and lowest atoms, at which they touch.

    Parameters
    ----------
    lower, upper
        Elements and positions (n, 3), Å, of the two slabs, each at any height.
    cell
        Lattice vectors of the interface, rows, (2, 2), Å.
    known
        Contact distances (`contacts`).
    """
    below = lower[1] - np.array([0.0, 0.0, lower[1][:, 2].max()])
    above = upper[1] - np.array([0.0, 0.0, upper[1][:, 2].min()])
    gap = 0.0
    for one in sorted(set(lower[0])):
        for other in sorted(set(upper[0])):
            reach = contact_distance(one, other, known)
            pairs = below[np.array(lower[0]) == one], above[np.array(upper[0]) == other]
            gap = max(gap, _touching(*pairs, cell, reach))
    return gap


def _touching(below: Array, above: Array, cell: Array, reach: Length) -> Length:
    """Return the smallest gap at which no pair is nearer than `reach`; 0 if none ever is."""
    low, high = below[below[:, 2] > -reach], above[above[:, 2] < reach]
    if not len(low) or not len(high):
        return 0.0
    share = (high[None, :, :2] - low[:, None, :2]) @ np.linalg.inv(cell)
    share -= np.rint(share)
    images = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 2)
    lateral = np.linalg.norm((share[:, :, None] + images) @ cell, axis=-1).min(axis=-1)
    needed = np.sqrt(np.maximum(reach**2 - lateral**2, 0.0)) - (high[None, :, 2] - low[:, None, 2])
    return float(needed[lateral < reach].max(initial=0.0))


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)
