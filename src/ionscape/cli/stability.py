"""Commands about thermodynamic stability: hull, phases."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import (
    bench_of,
    command,
    laboratory,
    level_of,
    relaxation_of,
    with_lab,
    with_phases,
    with_relaxation,
)
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import Target, notes_of, relaxed_energies, require_packaged, target_named

if TYPE_CHECKING:
    from ionscape.levels.registry import Level
    from ionscape.stability.bench import PhaseBench
    from ionscape.stability.decomposition import Decomposition


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    hull = command(commands, "hull", _hull, "decomposition energies against the competing phases")
    hull.add_argument(
        "targets", nargs="+", metavar="TARGET", help="formula of a packaged phase, or structure file"
    )
    with_phases(hull)
    with_lab(hull)
    with_relaxation(hull)

    phases = command(commands, "phases", _phases, "what the packaged phase table holds; relax phases at a level")
    phases.add_argument(
        "action", nargs="?", choices=("list", "relax"), default="list",
        help="list the table, or relax at --level the phases that have no energy there (goes on where it stopped)",
    )  # fmt: skip
    phases.add_argument("--elements", default="", metavar="Li-Zr-O-N", help="chemical system (default: all)")
    with_lab(phases)
    with_relaxation(phases)


def _hull(options: argparse.Namespace) -> Answer:
    from ionscape.stability.conditions import refuse_foreign
    from ionscape.stability.decomposition import decomposition_energy

    level = level_of(options)
    targets = [target_named(text) for text in options.targets]
    for target in targets if options.phases == "packaged" else ():
        require_packaged(target)
    refuse_foreign(options.exclude, [target.elements for target in targets])
    with laboratory(options) as lab:
        bench = bench_of(options, level, lab)
        # all of them before the first relaxation: what is missing is refused at once
        systems = [bench.phases(target.elements) for target in targets]
        known = _energies(targets, bench)
        known |= relaxed_energies(targets, lab, level, relaxation_of(options))
    decompositions = [
        decomposition_energy(target.composition, bench.at_conditions(phases), known[target.text])
        for target, phases in zip(targets, systems, strict=True)
    ]
    excluded = {name: reason for phases in systems for name, reason in phases.excluded.items()}
    conditions = max((bench.conditions(phases) for phases in systems), key=len)
    payload = {
        "targets": [_entry(decomposition) for decomposition in decompositions],
        "level": systems[0].level,
        "scheme": systems[0].scheme,
        "conditions": conditions,
        "excluded": excluded,
    }
    rows = [(d.formula, f"{1000 * d.decomposition_energy:.2f}", d.reaction) for d in decompositions]
    notes = [*([conditions] if conditions else []), *notes_of(excluded)]
    return Answer(payload, "\n".join([table(("target", "E_d/(meV/atom)", "reaction"), rows), *notes]))


def _energies(targets: Sequence[Target], bench: PhaseBench) -> dict[str, float]:
    """Return the energies of formulas, eV/atom, by their texts; files must be comparable with the phases."""
    energies = {}
    for target in targets:
        phases = bench.all_phases(target.elements)
        if target.structure is None:
            energies[target.text] = bench.at_conditions(phases).energy_of(target.composition.reduced_formula)
        else:
            bench.require_same_scheme(phases)
    return energies


def _entry(decomposition: Decomposition) -> dict[str, Any]:
    return {
        "formula": decomposition.formula,
        "e_d_meV_per_atom": 1000 * decomposition.decomposition_energy,
        "products": dict(decomposition.products),
        "reaction": decomposition.reaction,
    }


def _phases(options: argparse.Namespace) -> Answer:
    from ionscape.phases.competing import phase_energies
    from ionscape.phases.table import covered_elements

    level = level_of(options)
    if options.action == "relax":
        elements = _elements(options.elements) or sorted(covered_elements())
        with laboratory(options) as lab:
            phases = phase_energies(level, elements, lab=lab, relaxation=relaxation_of(options))
        entries = [
            {"formula": label, "energy_eV_per_atom": float(energy)}
            for label, energy in zip(phases.labels, phases.energies, strict=True)
        ]
        rows = [(entry["formula"], f"{entry['energy_eV_per_atom']:.5f}") for entry in entries]
        excluded = dict(phases.excluded)
        text = "\n".join([table(("formula", "energy/(eV/atom)"), rows), *notes_of(excluded)])
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
