"""Projected states of a VASP calculation, from its vasprun.xml (LORBIT = 10, 11 or higher)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.electronic.states import ProjectedStates
from ionscape.errors import InputError, unreadable
from ionscape.files import Wanted, check_file
from ionscape.structures.exchange import check_structure
from ionscape.units import CellArray, LengthArray

VASPRUN = Wanted(
    "a vasprun.xml",
    "a complete vasprun.xml of a calculation with a density of states",
    "Check that VASP ended, and that NEDOS and LORBIT were set.",
    largest_MB=8192,
)
#: Energies (eV) and states per eV are smaller.
LARGEST = 1e6
#: Orbitals of vasprun.xml by the first letter of their names: s, px, dxy, f-3, …
_LETTERS = "spdf"


def read_vasprun(path: str | Path) -> tuple[ProjectedStates, CellArray, LengthArray]:
    """Return the projected states of the last ionic step, its lattice vectors, Å, and positions, Å, (atoms, 3).

    Raises
    ------
    InputError
        If the file cannot be read, or holds no projected density of states.
    """
    from pymatgen.io.vasp.outputs import Vasprun

    check_file(Path(path), VASPRUN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = Vasprun(str(path), parse_potcar_file=False, parse_dos=True, parse_eigen=True)
            _, bottom, top, _ = run.eigenvalue_band_properties
    except Exception as error:  # noqa: BLE001  the parser raises anything; one clear error leaves here
        raise unreadable(
            error,
            VASPRUN.name,
            where=str(path),
            expected=VASPRUN.expected,
            remedy=VASPRUN.remedy,
        ) from None
    if not getattr(run, "pdos", None):
        raise InputError(
            "holds no projected density of states",
            where=str(path),
            expected="a calculation with LORBIT = 10, 11 or higher",
            remedy="Run it again with LORBIT = 11 and NEDOS = 2001.",
        )
    structure = run.final_structure
    check_structure(structure, where=str(path))
    energies, values = np.asarray(run.tdos.energies, dtype=float), _values(run.pdos)
    _check_numbers((energies, values, top, bottom), str(path))
    symbols = tuple(site.specie.symbol for site in structure)
    states = ProjectedStates(energies, values, symbols, float(top), float(bottom), str(path))
    return states, structure.lattice.matrix, structure.cart_coords


def _check_numbers(parts: tuple[Any, ...], where: str) -> None:
    if all(np.isfinite(part).all() and np.abs(part).max(initial=0.0) < LARGEST for part in map(np.asarray, parts)):
        return
    raise InputError(
        f"an energy or a density of states that is not finite, or larger than {LARGEST:g}",
        where=where,
        expected=VASPRUN.expected,
        remedy=VASPRUN.remedy,
    )


def _values(pdos: Any) -> Any:
    """Return states by atom, orbital (s, p, d, f) and spin; of pymatgen's lists of {orbital: {spin: values}}."""
    spins = sorted({spin for atom in pdos for one in atom.values() for spin in one}, key=int, reverse=True)
    count = len(next(iter(next(iter(pdos[0].values())).values())))
    values = np.zeros((len(pdos), len(_LETTERS), len(spins), count))
    for number, atom in enumerate(pdos):
        for orbital, by_spin in atom.items():
            letter = _LETTERS.index(str(orbital)[0])
            for place, spin in enumerate(spins):
                values[number, letter, place] += np.asarray(by_spin[spin])
    return values
