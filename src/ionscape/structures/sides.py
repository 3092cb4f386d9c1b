"""Which sites of an interface belong to which slab, told by elements or by numbers of sites."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.units import Array

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Numbers of sites and ranges of them: ``0-47,50``.
_NUMBERS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


def first_side(structure: Structure, first: str, second: str) -> NDArray[np.bool_]:
    """Return which sites belong to the first of two slabs, (sites,).

    Every site belongs to the slab whose marks, atoms of elements that only this slab has, are nearest to it.

    Parameters
    ----------
    structure
        An interface.
    first, second
        Elements of either slab, as ``Co`` or ``Zr,N``; in place of them numbers of sites, counted from 0, as
        ``0-47``: then exactly these belong to the slab.

    Raises
    ------
    InputError
        If an element or a site does not exist, one side is empty, or both share a site.
    """
    ours, others = (_marks(structure, text) for text in (first, second))
    if (ours & others).any() or not ours.any() or not others.any():
        raise InputError(
            f"'{first}' marks {int(ours.sum())} sites and '{second}' {int(others.sum())}, "
            f"{int((ours & others).sum())} of them both",
            where="sides of the interface",
            expected="marks of one slab each, such as Co and Zr",
            remedy="Name elements that one slab has and the other has not, or numbers of sites such as 0-47.",
        )
    if _NUMBERS.fullmatch(first):
        return ours
    if _NUMBERS.fullmatch(second):
        return ~others
    return np.asarray(_nearest(structure, ours) < _nearest(structure, others))


def _nearest(structure: Structure, marks: NDArray[np.bool_]) -> Array:
    fractional = structure.frac_coords
    distances: Array = structure.lattice.get_all_distances(fractional, fractional[marks]).min(axis=1)
    return distances


def _marks(structure: Structure, text: str) -> NDArray[np.bool_]:
    symbols = [site.specie.symbol for site in structure]
    if _NUMBERS.fullmatch(text):
        chosen = np.zeros(len(symbols), dtype=bool)
        for part in text.split(","):
            low, _, high = part.partition("-")
            chosen[int(low) : int(high or low) + 1] = True
        return chosen
    wanted = [part.strip() for part in text.split(",")]
    missing = [part for part in wanted if part not in symbols]
    if missing:
        raise InputError(
            f"'{missing[0]}'",
            where="sides of the interface",
            expected=f"elements of the structure ({', '.join(sorted(set(symbols)))}) or numbers of sites",
            remedy="Name elements that one slab has and the other has not, or numbers of sites such as 0-47.",
        )
    return np.isin(symbols, wanted)
