"""Commands about thermodynamic stability: hull, phases."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, laboratory, level_of, relaxation_of, with_lab, with_relaxation
from ionscape.cli.output import Answer, table
from ionscape.errors import CalculationError

if TYPE_CHECKING:
    from ionscape.levels.calculation import RelaxationSettings
    from ionscape.levels.registry import Level
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
    with laboratory(options) as lab:
        targets = [_target(text, level, relaxation, lab) for text in options.targets]
        judged = [judge_stability([target], settings, level, relaxation, lab).targets[0] for target in targets]
    entries = [
        {
            "formula": target.decomposition.formula,
            "e_d_meV_per_atom": 1000 * target.decomposition.decomposition_energy,
            "products": dict(target.decomposition.products),
            "reaction": target.decomposition.reaction,
        }
        for target in judged
    ]
    rows = [(entry["formula"], f"{entry['e_d_meV_per_atom']:.2f}", entry["reaction"]) for entry in entries]
    return Answer({"targets": entries, "level": level.name}, table(("target", "E_d/(meV/atom)", "reaction"), rows))


def _target(text: str, level: Level, relaxation: RelaxationSettings, lab: Laboratory) -> StabilityTarget:
    from pymatgen.core import Composition

    from ionscape.phases.competing import phase_energies
    from ionscape.phases.table import polymorphs
    from ionscape.results import Failure
    from ionscape.stability.stage import StabilityTarget
    from ionscape.structures.exchange import read_structure

    if Path(text).suffix or Path(text).exists():
        structure = read_structure(text)
        answer = lab.relax([structure], level, relaxation)[0]
        if isinstance(answer, Failure):
            message = f"{text}: {answer.reason}"
            raise CalculationError(message)
        return StabilityTarget(text, structure.composition, answer.energy_per_atom)
    formula = polymorphs(text)[0].formula
    composition = Composition(formula)
    phases = phase_energies(
        level, [element.symbol for element in composition.elements], lab=lab, relaxation=relaxation
    )
    return StabilityTarget(text, composition, phases.energy_of(formula))


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
        return Answer({"phases": entries, "level": level.name}, table(("formula", "energy/(eV/atom)"), rows))
    return _listing(level, _elements(options.elements))


def _listing(level: Level, elements: list[str]) -> Answer:
    from ionscape.phases.energies import known_energies, packaged_energies
    from ionscape.phases.table import phase_table, phases_within

    listed = phases_within(elements) if elements else list(phase_table().values())
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
