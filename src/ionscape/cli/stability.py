"""Commands about thermodynamic stability: hull, phases."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, laboratory, level_of, relaxation_of, with_lab, with_relaxation
from ionscape.cli.output import Answer, table
from ionscape.errors import CalculationError, InputError

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

    from ionscape.levels.calculation import Relaxation
    from ionscape.levels.registry import Level
    from ionscape.results import Failure
    from ionscape.stability.decomposition import Decomposition


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    hull = command(commands, "hull", _hull, "decomposition energies against the competing phases")
    hull.add_argument(
        "targets", nargs="+", metavar="TARGET", help="formula of a packaged phase, or structure file"
    )
    hull.add_argument("--phases", choices=("packaged",), default="packaged", help="source of competing phases")
    hull.add_argument("--relax-missing", action="store_true", help="relax phases without energies at the level")
    hull.add_argument("--exclude", action="append", default=[], metavar="FORMULA", help="phase that takes no part")
    with_lab(hull)
    with_relaxation(hull)

    phases = command(commands, "phases", _phases, "what the packaged phase table holds; relax phases at a level")
    phases.add_argument("--elements", default="", metavar="Li-Zr-O-N", help="chemical system (default: all)")
    phases.add_argument("--relax", default="", metavar="Li-Zr-O-N", help="relax the phases of a system at --level")
    with_lab(phases)
    with_relaxation(phases)


def _hull(options: argparse.Namespace) -> Answer:
    from ionscape.phases.competing import phase_energies
    from ionscape.stability.decomposition import decomposition_energy
    from ionscape.stability.stage import without_excluded

    level, relaxation = level_of(options), relaxation_of(options)
    structures = {text: _structure(text) for text in options.targets}
    compositions = {text: _composition(text, structure) for text, structure in structures.items()}
    entries: list[dict[str, Any]] = []
    excluded: dict[str, str] = {}
    with laboratory(options) as lab:
        missing_to = lab if options.relax_missing else None
        systems = {  # all of them before the first relaxation: what is missing is refused at once
            text: phase_energies(level, _symbols(composition), lab=missing_to, relaxation=relaxation)
            for text, composition in compositions.items()
        }
        hulls = {text: without_excluded(phases, options.exclude) for text, phases in systems.items()}
        for text, phases in systems.items():
            structure, composition = structures[text], compositions[text]
            energy = (
                phases.energy_of(composition.reduced_formula)
                if structure is None
                else _relaxed_energy(text, lab.relax([structure], level, relaxation)[0])
            )
            entries.append(_entry(decomposition_energy(composition, hulls[text], energy)))
            excluded |= hulls[text].excluded
    rows = [(entry["formula"], f"{entry['e_d_meV_per_atom']:.2f}", entry["reaction"]) for entry in entries]
    text = "\n".join([table(("target", "E_d/(meV/atom)", "reaction"), rows), *_notes(excluded)])
    return Answer({"targets": entries, "level": level.name, "excluded": excluded}, text)


def _notes(excluded: Mapping[str, str]) -> list[str]:
    return [f"no part is taken by {name}: {reason}" for name, reason in excluded.items()]


def _symbols(composition: Composition) -> list[str]:
    return [element.symbol for element in composition.elements]


def _relaxed_energy(text: str, answer: Relaxation | Failure) -> float:
    from ionscape.results import Failure

    if isinstance(answer, Failure):
        message = f"{text}: {answer.reason}"
        raise CalculationError(message)
    return answer.energy_per_atom


def _entry(decomposition: Decomposition) -> dict[str, Any]:
    return {
        "formula": decomposition.formula,
        "e_d_meV_per_atom": 1000 * decomposition.decomposition_energy,
        "products": dict(decomposition.products),
        "reaction": decomposition.reaction,
    }


def _structure(text: str) -> Structure | None:
    """Return the structure in the file `text`, None if it is the formula of a packaged phase."""
    from ionscape.phases.table import polymorphs
    from ionscape.structures.exchange import read_structure

    if Path(text).is_file():
        return read_structure(text)
    try:
        polymorphs(text.removeprefix("phase:"))
    except InputError:
        if Path(text).suffix.lower() in {".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".traj", ".json"}:
            return read_structure(text)
        raise
    return None


def _composition(text: str, structure: Structure | None) -> Composition:
    from pymatgen.core import Composition

    from ionscape.phases.table import polymorphs

    if structure is not None:
        return structure.composition.element_composition
    return Composition(polymorphs(text.removeprefix("phase:"))[0].formula)


def _phases(options: argparse.Namespace) -> Answer:
    from ionscape.phases.competing import phase_energies

    level = level_of(options)
    if options.relax:
        with laboratory(options) as lab:
            phases = phase_energies(level, _elements(options.relax), lab=lab, relaxation=relaxation_of(options))
        entries = [
            {"formula": label, "energy_eV_per_atom": float(energy)}
            for label, energy in zip(phases.labels, phases.energies, strict=True)
        ]
        rows = [(entry["formula"], f"{entry['energy_eV_per_atom']:.5f}") for entry in entries]
        excluded = dict(phases.excluded)
        text = "\n".join([table(("formula", "energy/(eV/atom)"), rows), *_notes(excluded)])
        return Answer({"phases": entries, "level": level.name, "excluded": excluded}, text)
    return _listing(level, _elements(options.elements))


def _listing(level: Level, elements: list[str]) -> Answer:
    from ionscape.phases.energies import known_energies, packaged_energies
    from ionscape.phases.table import checked_elements, phase_table, phases_within

    listed = phases_within(checked_elements(elements)) if elements else list(phase_table().values())
    known = known_energies(packaged_energies(level), listed)
    listing = [
        {
            "name": p.name,
            "formula": p.formula,
            "space_group": p.space_group,
            "source": p.source,
            "packaged_energy": p.name in known,
        }
        for p in listed
    ]
    rows = [(p.name, p.space_group, p.source, "yes" if p.name in known else "no") for p in listed]
    return Answer(
        {"phases": listing, "level": level.name},
        table(("phase", "space group", "source", f"energy ({level.name})"), rows),
    )


def _elements(text: str) -> list[str]:
    return [symbol.strip() for symbol in text.replace(",", "-").split("-") if symbol.strip()]
