"""Commands about contacts: mutual reactions, electrochemical windows."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import (
    bench_of,
    command,
    laboratory,
    level_of,
    relaxation_of,
    settings_from,
    whole_number,
    with_lab,
    with_phases,
    with_relaxation,
)
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import Target, as_given, notes_of, relaxed_energies, target_named, told

if TYPE_CHECKING:
    from ionscape.stability.bench import PhaseBench
    from ionscape.stability.contact import ContactMatrix, MutualReaction, ReactionPoint
    from ionscape.stability.system import Reactant
    from ionscape.stability.window import ElectrochemicalWindow, Plateau, VoltageLimit
    from ionscape.stability.window_stage import WindowTable

#: So many of the strongest reactions are told to people.
STRONGEST = 10
#: Smallest height above the hull that is told, meV/atom.
SHOWN = 0.05
TARGET = "formula, name of the phase table (NCM811), or structure file"


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    contact = command(commands, "contact", _contact, "mutual reactions of cathodes with other phases")
    contact.add_argument("--cathode", nargs="+", action="extend", required=True, metavar="F", help=TARGET)
    contact.add_argument("--phase", nargs="+", action="extend", required=True, metavar="F", help=TARGET)
    contact.add_argument(
        "--voltage-V", "--voltage", type=float, help="voltage of the mobile ion's reservoir against its metal, V"
    )
    contact.add_argument(
        "--mobile", default="Li", metavar="Li", help="element exchanged at a voltage (default Li)"
    )
    contact.add_argument(
        "--ends", choices=("hull", "own"), default="hull",
        help="count from the hull at the compositions of the two, or from their own energies (default hull)",
    )  # fmt: skip
    contact.add_argument(
        "--out", type=Path, metavar="DIR", help="write contact.csv, the heat map and its page here"
    )
    window = command(commands, "window", _window, "electrochemical windows and voltage profiles")
    window.add_argument("formulas", nargs="+", metavar="FORMULA", help=TARGET)
    window.add_argument("--mobile", default="Li", metavar="Li", help="element of the mobile ion (default Li)")
    for added in (contact, window):
        added.add_argument(
            "--samples", type=int, default=200, help="draws of the energies' errors for 95 %% intervals; 0: none"
        )
        added.add_argument("--seed", type=whole_number, default=0, help="seed of the draws (default 0)")
        with_phases(added)
        with_lab(added)
        with_relaxation(added)


def _contact(options: argparse.Namespace) -> Answer:
    import numpy as np

    from ionscape.stability.contact_stage import judge_contacts
    from ionscape.stability.settings import ContactSettings

    settings = settings_from(
        ContactSettings,
        "option",
        closed=options.voltage_V is None,
        voltages_V=() if options.voltage_V is None else (options.voltage_V,),
        mobile=options.mobile,
        ends=options.ends,
        samples=options.samples,
    )
    cathodes, others = ([target_named(text) for text in texts] for texts in (options.cathode, options.phase))
    mobile = options.mobile if settings.voltages_V else ""
    bench, rows, columns = _judged(options, cathodes, others, mobile)
    judged = judge_contacts(rows, columns, settings, bench, np.random.default_rng(options.seed))
    matrix = judged.matrices[0]
    payload = _matrix(matrix) | {"scheme": judged.scheme}
    if options.out:
        payload["files"] = [str(path) for path in _written(matrix, options.out)]
    return Answer(payload, _matrix_text(matrix, payload.get("files", [])))


def _judged(
    options: argparse.Namespace, cathodes: Sequence[Target], others: Sequence[Target], mobile: str
) -> tuple[PhaseBench, list[str | Reactant], list[str | Reactant]]:
    """Return the competing phases, and both kinds of targets with the energies of structure files."""
    from ionscape.stability.bench import elements_of
    from ionscape.stability.conditions import refuse_foreign

    level, targets = level_of(options), [*cathodes, *others]
    elements = elements_of((), mobile).union(*(target.elements for target in targets))
    refuse_foreign(options.exclude, [elements])
    with laboratory(options) as lab:
        bench = bench_of(options, level, lab)
        phases = bench.phases(elements)  # what is missing is refused before the first relaxation
        if any(target.structure is not None for target in targets):
            bench.require_same_scheme(phases)
        energies = relaxed_energies(targets, lab, level, relaxation_of(options))
    given = as_given(targets, energies)
    return bench, given[: len(cathodes)], given[len(cathodes) :]


def _matrix(matrix: ContactMatrix) -> dict[str, Any]:
    at_voltage = {} if matrix.voltage is None else {"mobile": matrix.mobile, "voltage_V": matrix.voltage}
    return {
        "pairs": [_pair(reaction) for reaction in matrix.reactions],
        "level": matrix.level,
        "ends": matrix.ends,
        **at_voltage,
        "conditions": matrix.conditions,
        "heights_meV_per_atom": {name: 1000 * height for name, height in matrix.heights.items()},
        "on_hull": list(matrix.on_hull),
        "excluded": dict(matrix.excluded),
        **({"no_intervals": matrix.no_intervals} if matrix.no_intervals else {}),
    }


def _pair(reaction: MutualReaction) -> dict[str, Any]:
    interval = reaction.interval
    return {
        "cathode": reaction.cathode,
        "phase": reaction.phase,
        **_point(reaction.strongest, "dE_min_meV_per_atom"),
        **(
            {"low95_meV_per_atom": 1000 * interval.low95, "high95_meV_per_atom": 1000 * interval.high95}
            if interval
            else {}
        ),
        "profile": [_point(point, "dE_meV_per_atom") for point in reaction.profile],
    }


def _point(point: ReactionPoint, name: str) -> dict[str, Any]:
    return {
        name: 1000 * point.energy,
        "x": point.x,
        "reaction": point.reaction,
        "products": dict(point.products),
    }


def _matrix_text(matrix: ContactMatrix, files: Sequence[str]) -> str:
    width = len(matrix.phases)
    energies = [f"{1000 * reaction.strongest.energy:z.1f}" for reaction in matrix.reactions]
    rows = [(name, *energies[i * width : (i + 1) * width]) for i, name in enumerate(matrix.cathodes)]
    ranked = sorted(matrix.reactions, key=lambda reaction: reaction.strongest.energy)
    strongest = [_reaction_row(reaction) for reaction in ranked[:STRONGEST] if reaction.strongest.energy < 0]
    heads = ("ΔE/(meV/atom)", *(["95 % interval"] if not matrix.no_intervals else []), "x", "reaction")
    return "\n".join(
        [
            table(("ΔE/(meV/atom)", *matrix.phases), rows),
            *(["", table(heads, strongest)] if strongest else []),
            "",
            *_notes(matrix),
            *(f"written: {file}" for file in files),
        ]
    )


def _reaction_row(reaction: MutualReaction) -> tuple[str, ...]:
    point, interval = reaction.strongest, reaction.interval
    reach = [f"{1000 * interval.low95:z.1f} to {1000 * interval.high95:z.1f}"] if interval else []
    return (f"{1000 * point.energy:.1f}", *reach, f"{point.x:.3f}", point.reaction)


def _notes(matrix: ContactMatrix) -> Iterable[str]:
    system = f"open to {matrix.mobile} at {matrix.voltage:g} V" if matrix.voltage is not None else "closed system"
    yield ", ".join(filter(None, [f"level {matrix.level}", system, matrix.conditions]))
    yield from (f"{name} has no energy of its own: the hull stands for it" for name in matrix.on_hull)
    yield from (
        f"{name} lies {1000 * height:.1f} meV/atom above the hull"
        for name, height in matrix.heights.items()
        if 1000 * height >= SHOWN
    )
    yield from notes_of(matrix.excluded)
    if matrix.no_intervals:
        yield f"no intervals: {matrix.no_intervals}"


def _written(matrix: ContactMatrix, folder: Path) -> list[Path]:
    from ionscape.report.contact_figures import contact_heat_map
    from ionscape.report.contact_series import contact_energies
    from ionscape.report.contact_table import write_contact_csv, write_contact_page
    from ionscape.report.style import save

    voltage = "" if matrix.voltage is None else f"{matrix.voltage:g} V against {matrix.mobile} metal"
    note = ", ".join(filter(None, [voltage, matrix.conditions]))
    figure = contact_heat_map(contact_energies(matrix), level=matrix.level, note=note)
    return [
        write_contact_csv(matrix, folder / "contact.csv"),
        *save(figure, folder / "contact-heat-map"),
        write_contact_page(matrix, folder / "contact.html"),
    ]


def _window(options: argparse.Namespace) -> Answer:
    import numpy as np

    from ionscape.stability.settings import WindowSettings
    from ionscape.stability.window_stage import judge_windows

    settings = settings_from(WindowSettings, "option", mobile=options.mobile, samples=options.samples)
    bench, given, _ = _judged(options, [target_named(text) for text in options.formulas], [], options.mobile)
    judged = judge_windows(given, settings, bench, np.random.default_rng(options.seed))
    entries = [_window_entry(window) for window in judged.windows]
    payload = {
        **(entries[0] if len(entries) == 1 else {}),
        "windows": entries,
        "mobile": options.mobile,
        "level": judged.level,
        "scheme": judged.scheme,
        "conditions": judged.conditions,
        "excluded": dict(judged.excluded),
        **({"no_intervals": judged.no_intervals} if judged.no_intervals else {}),
    }
    return Answer(payload, _window_text(judged))


def _window_entry(window: ElectrochemicalWindow) -> dict[str, Any]:
    return {
        "formula": window.formula,
        **_limit(window.reduction, "reduction"),
        **_limit(window.oxidation, "oxidation"),
        "e_d_meV_per_atom": told(window.decomposition_energy, 1000.0),
        "profile": [_plateau(plateau) for plateau in window.profile],
    }


def _limit(limit: VoltageLimit | Any, name: str) -> dict[str, Any]:
    from ionscape.results import Failure

    if isinstance(limit, Failure):
        return {f"{name}_V": told(limit)}
    known = {} if limit.low95 is None else {f"{name}_low95_V": limit.low95, f"{name}_high95_V": limit.high95}
    return {f"{name}_V": limit.voltage, **known, f"{name}_reaction": limit.reaction}


def _plateau(plateau: Plateau) -> dict[str, Any]:
    return {
        "voltage_V": plateau.voltage,
        "mobile_from": plateau.mobile_from,
        "mobile_to": plateau.mobile_to,
        "reaction": plateau.reaction,
        "oxidised": dict(plateau.oxidised),
        "reduced": dict(plateau.reduced),
    }


def _window_text(judged: WindowTable) -> str:
    rows = [(w.formula, *_limit_row(w.reduction), *_limit_row(w.oxidation)) for w in judged.windows]
    profiles = []
    for window in judged.windows:
        steps = [
            (f"{p.voltage:.3f}", f"{p.mobile_from:.4g} to {p.mobile_to:.4g}", p.reaction) for p in window.profile
        ]
        if steps:
            profiles += [
                "",
                table((f"{window.formula}: V", f"{window.mobile} per formula unit", "reaction"), steps),
            ]
    notes = [", ".join(filter(None, [f"level {judged.level}", judged.conditions])), *notes_of(judged.excluded)]
    notes += [
        f"{w.formula} lies {1000 * w.decomposition_energy:.1f} meV/atom above the hull: the limits are those of "
        "the mixture it would decompose into"
        for w in judged.windows
        if isinstance(w.decomposition_energy, float) and 1000 * w.decomposition_energy >= SHOWN
    ]
    notes += [f"no intervals: {judged.no_intervals}"] if judged.no_intervals else []
    heads = ("phase", "reduction/V", "95 %", "reaction", "oxidation/V", "95 %", "reaction")
    return "\n".join([table(heads, rows), *profiles, "", *notes])


def _limit_row(limit: VoltageLimit | Any) -> tuple[str, str, str]:
    from ionscape.results import Failure

    if isinstance(limit, Failure):
        return ("none", "", limit.reason)
    reach = "" if limit.low95 is None else f"{limit.low95:z.2f} to {limit.high95:z.2f}"
    return (f"{limit.voltage:.3f}", reach, limit.reaction)
