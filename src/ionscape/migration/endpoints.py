"""The two ends of a path: the same atoms in the same cell, each told which atom of the other it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from ase.geometry import find_mic
from scipy.optimize import linear_sum_assignment

from ionscape.errors import InputError
from ionscape.structures.exchange import SELECTIVE, fixed_coordinates
from ionscape.units import Array, Indices, LengthArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: End points in which no atom moves farther than this are one structure; Å.
SAME = 0.05
#: Lattice vectors of the end points may differ by this (rounding in files); Å.
CELL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class EndPoints:
    """Two structures with their atoms in one order, and how far each atom goes.

    Attributes
    ----------
    initial, final
        The structures; `final` has its atoms in the order of `initial`.
    displacement
        Shortest displacement of every atom, (atoms, 3).
    """

    initial: Structure
    final: Structure
    displacement: LengthArray


def matched_ends(
    initial: Structure, final: Structure, mapping: Literal["index", "assignment"] = "index"
) -> EndPoints:
    """Return the end points of a path, after checking that one can become the other.

    Displacements are minimum images, exact in any cell. With `mapping` ``assignment`` the atoms of `final` are
    re-ordered, element by element, to the least sum of squared displacements.

    Raises
    ------
    InputError
        If the cells, the numbers of atoms, the elements or the held coordinates differ, or nothing moves.
    """
    _check_cells(initial, final)
    _check_atoms(initial, final)
    if mapping == "assignment":
        final = _reordered(final, assignment(initial, final))
    _check_order(initial, final)
    _check_held(initial, final)
    moved = displacements(initial, final)
    _check_motion(moved)
    return EndPoints(initial, final, moved)


def displacements(initial: Structure, final: Structure) -> LengthArray:
    """Return the shortest displacement of every site from `initial` to `final`, (sites, 3), Å."""
    matrix = np.array(initial.lattice.matrix)
    apart = (final.frac_coords - initial.frac_coords) @ matrix
    vectors: Array = np.array(find_mic(apart, matrix, pbc=True)[0])
    return vectors


def assignment(initial: Structure, final: Structure) -> Indices:
    """Return for every site of `initial` the site of `final` that it becomes, of least Σ d² in each element."""
    matrix = np.array(initial.lattice.matrix)
    chosen = np.empty(len(initial), dtype=np.int64)
    first, last = _symbols(initial), _symbols(final)
    for symbol in dict.fromkeys(first.tolist()):
        here, there = np.flatnonzero(first == symbol), np.flatnonzero(last == symbol)
        apart = final.frac_coords[there][None] - initial.frac_coords[here][:, None]
        lengths = np.array(find_mic((apart @ matrix).reshape(-1, 3), matrix, pbc=True)[1])
        rows, columns = linear_sum_assignment(lengths.reshape(len(here), len(there)) ** 2)
        chosen[here[rows]] = there[columns]
    return chosen


def _symbols(structure: Structure) -> np.ndarray:
    return np.array([site.specie.symbol for site in structure])


def _reordered(structure: Structure, order: Indices) -> Structure:
    from pymatgen.core import Structure as Crystal

    return Crystal.from_sites([structure[int(site)] for site in order])


def _check_cells(initial: Structure, final: Structure) -> None:
    apart = float(np.abs(initial.lattice.matrix - final.lattice.matrix).max())
    if apart > CELL_TOLERANCE:
        raise InputError(
            f"lattice vectors that differ by up to {apart:.4f} Å",
            where="end points of the path",
            expected="two structures in one cell, with the same lattice vectors",
            remedy="Relax both with the cell held (`ionscape relax --move positions`), written in one setting.",
        )


def _check_atoms(initial: Structure, final: Structure) -> None:
    if len(initial) != len(final):
        raise InputError(
            f"{len(initial)} atoms ({initial.formula}) and {len(final)} atoms ({final.formula})",
            where="end points of the path",
            expected="the same number of atoms in both",
            remedy="Make the final structure from the initial one by moving atoms only.",
        )
    counts = Counter(_symbols(initial).tolist()), Counter(_symbols(final).tolist())
    if counts[0] != counts[1]:
        raise InputError(
            f"{initial.formula} and {final.formula}",
            where="end points of the path",
            expected="the same atoms of every element in both",
            remedy="Make the final structure from the initial one by moving atoms only.",
        )


def _check_order(initial: Structure, final: Structure) -> None:
    first, last = _symbols(initial), _symbols(final)
    odd = np.flatnonzero(first != last)
    if len(odd):
        site = int(odd[0])
        raise InputError(
            f"atom {site} (counted from 0) is {first[site]} in the initial and {last[site]} in the final "
            f"structure ({len(odd)} such atoms)",
            where="end points of the path",
            expected="the same element at every index",
            remedy="Write both with their atoms in one order, or have them matched (--map assignment).",
        )


def _check_held(initial: Structure, final: Structure) -> None:
    held = [fixed_coordinates(end) for end in (initial, final)]
    first, last = (np.zeros((len(initial), 3), dtype=bool) if one is None else one for one in held)
    if not np.array_equal(first, last):
        raise InputError(
            "different atoms are held in the two structures",
            where="selective dynamics of the end points",
            expected="the same held coordinates in both",
            remedy=f"Mark the same atoms in both files, or none ({SELECTIVE}).",
        )
    moved = displacements(initial, final)
    if first.any() and float(np.abs(moved[first]).max()) > CELL_TOLERANCE:
        raise InputError(
            f"a held coordinate differs by {float(np.abs(moved[first]).max()):.4f} Å",
            where="selective dynamics of the end points",
            expected="held atoms at one place in both structures",
            remedy="Let the atom move, or put it at the same place in both.",
        )


def _check_motion(moved: LengthArray) -> None:
    farthest = float(np.linalg.norm(moved, axis=1).max())
    if farthest < SAME:
        raise InputError(
            f"no atom moves farther than {farthest:.4f} Å",
            where="end points of the path",
            expected=f"two different structures (an atom that moves by {SAME} Å at least)",
            remedy="Check that the files are the two ends of a hop, not one structure twice.",
        )
