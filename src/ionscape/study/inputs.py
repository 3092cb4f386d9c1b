"""The crystals that a study names: structure files and packaged phases, with their formal charges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ionscape.errors import InputError
from ionscape.files import path_inside
from ionscape.phases.table import Phase, phase_table, polymorphs
from ionscape.structures.charges import formal_charges
from ionscape.structures.exchange import read_structure
from ionscape.study.crystals import Cell, Crystal

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.study.schema import Crystal as CrystalTable

PACKAGED = "phase:"


def crystal_of(table: CrystalTable, folder: Path, where: str) -> Crystal:
    """Return the crystal that a table of the study file describes.

    Parameters
    ----------
    table
        The table ``[host]`` or ``[cathode]``.
    folder
        Folder of the study file, at which relative paths start.
    where
        Path of the key, for error messages.

    Raises
    ------
    InputError
        If the structure cannot be read, or a charge is given for an element that is not in it.
    """
    if table.structure.startswith(PACKAGED):
        crystal = _packaged(table.structure.removeprefix(PACKAGED))
    else:
        structure = read_structure(path_inside(folder, table.structure, where=where))
        crystal = Crystal(structure.composition.reduced_formula, structure, {}, Path(table.structure).name)
    foreign = set(table.charges) - {element.symbol for element in crystal.structure.composition.elements}
    if foreign:
        raise InputError(
            f"a charge for {', '.join(sorted(foreign))}, which is not in {crystal.name}",
            where=where.replace("structure", "charges"),
            expected=f"elements of {crystal.name}",
            remedy="Remove it, or check the spelling of the element.",
        )
    charges = {**formal_charges(crystal.structure), **table.charges}
    return Crystal(crystal.name, crystal.structure, charges, crystal.source, crystal.measured)


def _packaged(name: str) -> Crystal:
    found = packaged_phase(name)
    measured = (Cell(*found.measured_lengths, *found.measured_angles),) if found.measured_lengths else ()
    source = f"{found.source}; measured cell: {found.measured_source}" if measured else found.source
    return Crystal(found.formula, found.structure(), {}, source, measured)


def packaged_phase(name: str) -> Phase:
    """Return the packaged phase called `name`, or the primary polymorph of that formula.

    Raises
    ------
    MissingReferenceError
        If there is none.
    """
    return phase_table().get(name) or polymorphs(name)[0]


def structure_named(text: str) -> Structure:
    """Return the structure that a command-line argument names: a file, or ``phase:NAME``."""
    if text.startswith(PACKAGED):
        return packaged_phase(text.removeprefix(PACKAGED)).structure()
    return read_structure(text)
