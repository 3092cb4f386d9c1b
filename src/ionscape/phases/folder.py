"""Competing phases from structures: a folder of files, relaxed at the level of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ionscape.errors import InputError, MissingReferenceError
from ionscape.levels.calculation import Lab, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.competing import (
    NAMES_TOLD,
    CompetingPhases,
    gas_references,
    phases_from_rows,
    reference_rows,
    refuse_broken,
    row_of,
)
from ionscape.phases.references import MOLECULES
from ionscape.phases.scheme import scheme_of_level
from ionscape.results import Failure
from ionscape.structures.exchange import read_structure

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: How the names of structure files end, and how they begin without such an end.
SUFFIXES = (".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".traj", ".cssr", ".res", ".xsf")
STEMS = ("POSCAR", "CONTCAR")
FITTED = "a gas element; its reference is fitted to measured enthalpies"


def structures_in(folder: Path) -> tuple[dict[str, Structure], dict[str, str]]:
    """Return the structures in the files anywhere below `folder`, by path, and the files left out, with reasons.

    Raises
    ------
    InputError
        If the folder holds no structure file, or one cannot be read or is disordered.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    wanted = [path for path in paths if path.suffix.lower() in SUFFIXES or path.name.startswith(STEMS)]
    if not wanted:
        raise InputError(
            f"no structure file among {len(paths)} files",
            where=str(folder),
            expected=f"files named POSCAR… or CONTCAR…, or ending in {', '.join(SUFFIXES)}; or VASP runs "
            "(vasprun.xml)",
            remedy="Check the path of the folder.",
        )
    others = {
        str(path.relative_to(folder)): "no structure file by its name" for path in paths if path not in wanted
    }
    return {str(path.relative_to(folder)): read_structure(path) for path in wanted}, others


def relaxed_phases(
    structures: Mapping[str, Structure],
    elements: Iterable[str],
    level: Level,
    *,
    lab: Lab | None,
    relaxation: RelaxationSettings | None,
    calibrate_in_lab: bool = True,
) -> CompetingPhases:
    """Return the phases that `structures` relax to at `level`.

    Gas elements take reference energies fitted to packaged compounds at the level; structures of the pure gas
    elements are left out.

    Parameters
    ----------
    structures
        Structures by name; those with other elements are left out.
    elements
        Element symbols of the chemical system.
    level, lab, relaxation
        Level of theory; where and how structures are relaxed.
    calibrate_in_lab
        Whether compounds that calibrate the gases are relaxed too if they have no packaged energy at `level`.

    Raises
    ------
    MissingReferenceError
        If there is no lab to relax in, or a gas reference cannot be fitted.
    CalculationError
        If the machine ended a relaxation: without the phase the others would look more stable than they are.
    """
    system = set(elements)
    inside = {name: s for name, s in structures.items() if system.issuperset(_symbols(s))}
    gases = {name: FITTED for name, structure in inside.items() if _is_gas(structure)}
    solids = {name: structure for name, structure in inside.items() if name not in gases}
    if solids and lab is None:
        raise _refusal(solids, level)
    references = gas_references(
        level, system, lab=lab if calibrate_in_lab else None, relaxation=relaxation
    )  # before the relaxations: what cannot be calibrated is refused at once
    ends = lab.relax(list(solids.values()), level, relaxation or RelaxationSettings()) if lab and solids else []
    outcomes = dict(zip(solids, ends, strict=True))
    refuse_broken(outcomes)
    rows = [
        row_of(end.structure.composition, end.energy_per_atom)
        for end in outcomes.values()
        if not isinstance(end, Failure)
    ]
    failed = {name: end.reason for name, end in outcomes.items() if isinstance(end, Failure)}
    return phases_from_rows(
        rows + reference_rows(references),
        system,
        level=level.name,
        scheme=scheme_of_level(level),
        references=references,
        excluded=gases | failed,
    )


def _symbols(structure: Structure) -> set[str]:
    return {element.symbol for element in structure.composition.elements}


def _is_gas(structure: Structure) -> bool:
    symbols = _symbols(structure)
    return len(symbols) == 1 and symbols <= set(MOLECULES)


def _refusal(structures: Mapping[str, Structure], level: Level) -> MissingReferenceError:
    names = ", ".join(list(structures)[:NAMES_TOLD])
    more = f" and {len(structures) - NAMES_TOLD} more" if len(structures) > NAMES_TOLD else ""
    return MissingReferenceError(
        f"{len(structures)} structures have no energy at level '{level.name}': {names}{more}",
        where="competing phases",
        expected="permission to relax them",
        remedy="Let them be relaxed (`relax_missing`), or take phases with energies.",
    )
