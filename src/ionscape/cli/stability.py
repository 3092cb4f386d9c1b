"""Commands about thermodynamic stability: hull, phases."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, laboratory, level_of, relaxation_of, with_lab, with_relaxation
from ionscape.cli.output import Answer, table
from ionscape.errors import CalculationError, InputError

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

    from ionscape.levels.calculation import RelaxationSettings
    from ionscape.levels.registry import Level
    from ionscape.phases.competing import CompetingPhases
    from ionscape.stability.decomposition import Decomposition
    from ionscape.stability.settings import StabilitySettings
    from ionscape.stability.stage import StabilityTarget
    from ionscape.study.lab import Laboratory


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
    from ionscape.stability.settings import StabilitySettings
    from ionscape.stability.stage import judge_stability

    level, relaxation = level_of(options), relaxation_of(options)
    settings = StabilitySettings(
        phases=options.phases, relax_missing=options.relax_missing, exclude=tuple(options.exclude)
    )
    structures = {text: _structure(text) for text in options.targets}
    with laboratory(options) as lab:
        phases = {
            text: _phases_of(text, structures[text], level, relaxation, lab, settings) for text in structures
        }
        targets = [_target(text, structures[text], phases[text], level, relaxation, lab) for text in structures]
        found = [judge_stability([target], settings, level, relaxation, lab) for target in targets]
    entries = [_entry(stability.targets[0].decomposition) for stability in found]
    rows = [(entry["formula"], f"{entry['e_d_meV_per_atom']:.2f}", entry["reaction"]) for entry in entries]
    excluded = {name: reason for stability in found for name, reason in stability.excluded.items()}
    notes = [f"no part is taken by {name}: {reason}" for name, reason in excluded.items()]
    text = "\n".join([table(("target", "E_d/(meV/atom)", "reaction"), rows), *notes])
    return Answer({"targets": entries, "level": level.name, "excluded": excluded}, text)


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


def _phases_of(
    text: str,
    structure: Structure | None,
    level: Level,
    relaxation: RelaxationSettings,
    lab: Laboratory,
    settings: StabilitySettings,
) -> CompetingPhases:
    from ionscape.phases.competing import phase_energies

    elements = [element.symbol for element in _composition(text, structure).elements]
    return phase_energies(level, elements, lab=lab if settings.relax_missing else None, relaxation=relaxation)


def _target(
    text: str,
    structure: Structure | None,
    phases: CompetingPhases,
    level: Level,
    relaxation: RelaxationSettings,
    lab: Laboratory,
) -> StabilityTarget:
    from ionscape.results import Failure
    from ionscape.stability.stage import StabilityTarget

    composition = _composition(text, structure)
    if structure is None:
        return StabilityTarget(text, composition, phases.energy_of(composition.reduced_formula))
    answer = lab.relax([structure], level, relaxation)[0]
    if isinstance(answer, Failure):
        message = f"{text}: {answer.reason}"
        raise CalculationError(message)
    return StabilityTarget(text, composition, answer.energy_per_atom)


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
        notes = [f"no part is taken by {name}: {reason}" for name, reason in excluded.items()]
        text = "\n".join([table(("formula", "energy/(eV/atom)"), rows), *notes])
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
