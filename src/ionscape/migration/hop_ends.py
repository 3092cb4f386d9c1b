"""The two structures between which a hop leads, in a supercell large enough that the hop does not see itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import InputError
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.hops import Hop
from ionscape.migration.sites import IonSite
from ionscape.structures.supercells import plane_spacings
from ionscape.units import Array, Length

if TYPE_CHECKING:
    from pymatgen.core import Structure


def repeats_for(
    structure: Structure, width: Length, most_atoms: int, axes: Sequence[int] = (0, 1, 2)
) -> tuple[int, int, int]:
    """Return the repeats of the cell with which its lattice planes are `width` Å apart, within `most_atoms`.

    The direction of `axes` in which the cell is narrowest is repeated first; what the number of atoms does not
    allow is left.
    """
    repeats = np.ones(3, dtype=int)
    spacing = plane_spacings(np.array(structure.lattice.matrix))
    allowed = np.isin(np.arange(3), axes)
    while True:
        widths = np.where(allowed & (spacing * repeats < width - 1e-6), spacing * repeats, np.inf)
        axis = int(np.argmin(widths))
        grown = repeats + (np.arange(3) == axis)
        if not np.isfinite(widths[axis]) or len(structure) * int(np.prod(grown)) > most_atoms:
            return int(repeats[0]), int(repeats[1]), int(repeats[2])
        repeats = grown


def hop_ends(
    structure: Structure, sites: Sequence[IonSite], hop: Hop, ion: str, repeats: tuple[int, int, int]
) -> EndPoints:
    """Return the ends of `hop` in the supercell of `repeats`, unrelaxed, with the atoms in one order.

    Raises
    ------
    InputError
        If the supercell is so small that two of the sites are one.
    """
    cell = structure.copy()
    cell.remove_oxidation_states()
    cell.make_supercell(repeats)
    matrix = np.array(structure.lattice.matrix)

    def place(site: int, translation: Sequence[int] = (0, 0, 0)) -> Array:
        where: Array = (sites[site].fractional + np.asarray(translation)) @ matrix
        return where

    start, end = place(hop.start), place(hop.end, hop.translation)
    if hop.mechanism in {"vacancy", "divacancy"}:
        gone = [_atom_at(cell, end)] + ([_atom_at(cell, place(*hop.through))] if hop.through else [])
        moves = {_atom_at(cell, start): end - start}
    elif hop.mechanism == "interstitial":
        cell.append(ion, start, coords_are_cartesian=True)
        gone, moves = [], {len(cell) - 1: end - start}
    else:
        assert hop.through is not None  # noqa: S101  every interstitialcy hop pushes an ion
        middle = place(*hop.through)
        pushed = _atom_at(cell, middle)
        cell.append(ion, start, coords_are_cartesian=True)
        gone, moves = [], {len(cell) - 1: middle - start, pushed: end - middle}
    if len({*gone, *moves}) < len(gone) + len(moves):
        raise InputError(
            f"sites of the hop fall on one another in a cell of {'×'.join(map(str, repeats))} repeats",
            where=f"{hop.mechanism} hop of {hop.length:.2f} Å",
            expected="a supercell in which they are different atoms",
            remedy="Use a wider supercell.",
        )
    return _ends(cell, gone, moves)


def _ends(cell: Structure, gone: Sequence[int], moves: dict[int, Array]) -> EndPoints:
    displacement = np.zeros((len(cell), 3))
    for atom, vector in moves.items():
        displacement[atom] = vector
    final = cell.copy()
    for atom, vector in moves.items():
        final.translate_sites([atom], vector, frac_coords=False, to_unit_cell=False)
    kept = np.delete(displacement, list(gone), axis=0)
    initial = cell.copy()
    for structure in (initial, final):
        structure.remove_sites(list(gone))
    return EndPoints(initial, final, kept)


def _atom_at(cell: Structure, position: Array) -> int:
    fractional = cell.lattice.get_fractional_coords(position)
    return int(np.argmin(cell.lattice.get_all_distances(fractional, cell.frac_coords)[0]))
