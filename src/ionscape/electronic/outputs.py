"""Finished calculations of GPAW and VASP as they are read for their electronic structure."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ionscape.electronic.from_outcar import no_projections
from ionscape.electronic.from_vasp import read_vasprun
from ionscape.electronic.from_vaspout import read_vaspout
from ionscape.electronic.states import ProjectedStates
from ionscape.errors import InputError, unreadable
from ionscape.structures.density import DensityGrid, read_density
from ionscape.units import Array, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Files with projected states, in the order in which they are looked for in a folder.
_STATES = ("vasprun.xml", "vasprun.xml.gz", "vaspout.h5")
_POTENTIAL = "LOCPOT"


@dataclass(frozen=True)
class ElectronicOutput:
    """What a calculation tells: projected states, its structure, and the potential where the output has one.

    Attributes
    ----------
    potential
        Electrostatic potential on a grid of the cell, (n1, n2, n3); None without one.
    """

    states: ProjectedStates
    structure: Structure
    potential: Annotated[Array | None, Unit("eV")]


def read_output(path: str | Path, potential: str | Path | None = None) -> ElectronicOutput:
    """Return what a finished calculation tells of its states.

    Parameters
    ----------
    path
        A .gpw file, vasprun.xml or vaspout.h5, an OUTCAR beside one of them, or the folder of a VASP run.
    potential
        LOCPOT; without it the one in the folder of the run, if there is one. A .gpw file has its own.

    Raises
    ------
    InputError
        If a file is missing, damaged or without projected states.
    """
    file = Path(path)
    if file.suffix == ".gpw":
        return _of_gpaw(file)
    file = _with_states(file)
    read = read_vaspout if file.suffix == ".h5" else read_vasprun
    states, cell, positions = read(file)
    beside = file.parent / _POTENTIAL
    chosen = Path(potential) if potential is not None else beside if beside.is_file() else None
    structure = _structure(states.symbols, cell, positions)
    return ElectronicOutput(states, structure, None if chosen is None else read_potential(chosen, structure))


def read_locpot(path: str | Path) -> tuple[Structure, Array]:
    """Return the structure and the electrostatic potential, eV, (n1, n2, n3), in a LOCPOT.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    from pymatgen.io.vasp.outputs import Locpot

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = Locpot.from_file(str(path))
        return found.structure, np.asarray(found.data["total"], dtype=float)
    except Exception as error:  # noqa: BLE001  the parser raises anything; one clear error leaves here
        raise unreadable(
            error,
            "a LOCPOT",
            where=str(path),
            expected="a complete LOCPOT (LVHAR = .TRUE.)",
            remedy="Check that VASP ended, and that LVHAR or LVTOT was set.",
        ) from None


def read_potential(path: str | Path, structure: Structure) -> Array:
    """Return the electrostatic potential, eV, in a LOCPOT of `structure`, (n1, n2, n3).

    Raises
    ------
    InputError
        If the file cannot be read, or belongs to another structure.
    """
    own, values = read_locpot(path)
    if len(own) != len(structure) or not np.allclose(own.lattice.matrix, structure.lattice.matrix, atol=0.01):
        raise InputError(
            f"a potential of {own.formula}",
            where=str(path),
            expected=f"that of {structure.formula} in its own cell",
            remedy="Give the LOCPOT of the same calculation.",
        )
    return values


def read_output_density(path: str | Path) -> DensityGrid:
    """Return the density in a .gpw, CHGCAR, AECCAR or cube file (`structures.density.read_density`)."""
    if Path(path).suffix != ".gpw":
        return read_density(path)
    from ionscape.electronic.from_gpaw import density_of, open_calculation

    return density_of(open_calculation(path), str(path))


def _with_states(file: Path) -> Path:
    """Return the file with projected states that `file` is, or that lies in the folder, or beside the OUTCAR."""
    is_outcar = file.name.upper().startswith("OUTCAR")
    if not file.is_dir() and not is_outcar:
        return file
    folder = file if file.is_dir() else file.parent
    for name in _STATES:
        if (folder / name).is_file():
            return folder / name
    raise (
        no_projections(file)
        if is_outcar
        else InputError(
            f"none of {', '.join(_STATES)}",
            where=str(file),
            expected="the folder of a finished run of VASP",
            remedy="Give the folder, or the file itself.",
        )
    )


def _of_gpaw(file: Path) -> ElectronicOutput:
    from ionscape.electronic.from_gpaw import open_calculation, potential_of, states_of
    from ionscape.structures.exchange import to_structure

    calculator = open_calculation(file)
    states = states_of(calculator, str(file))
    return ElectronicOutput(states, to_structure(calculator.atoms), potential_of(calculator))


def _structure(symbols: Any, cell: Array, positions: Array) -> Structure:
    from pymatgen.core import Structure as Crystal

    return Crystal(cell, symbols, positions, coords_are_cartesian=True)
