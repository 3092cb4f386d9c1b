"""The verdict of a study: what its numbers answer, each with number, level and where the evidence stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from ionscape.report.energy_figures import PLAUSIBLE
from ionscape.report.figures import level_name, routes
from ionscape.report.records import Quantity, StudyRecord, Target
from ionscape.report.typography import converted, decimals, formula_html, number, significant

#: Differences of decomposition energies smaller than this decide nothing, meV/atom.
ALIKE = 1.0


@dataclass(frozen=True)
class Statement:
    """One sentence of the verdict.

    Attributes
    ----------
    figure
        The number it rests on, with unit.
    claim
        What it says, in a few words.
    grounds
        How that was found.
    level
        Level of theory of the number.
    section
        Anchor of the section with the evidence.
    """

    figure: str
    claim: Markup
    grounds: Markup
    level: str
    section: str


def verdict(record: StudyRecord) -> list[Statement]:
    """Return what the finished stages of a study say: stability of host and doped cells, route, cell."""
    level = level_name(record)
    return [*_host(record, level), *_doped(record, level), *_favoured(record, level), *_cell(record, level)]


def _milli(target: Target) -> float:
    return converted(target.e_d, "meV/atom")


def _host(record: StudyRecord, level: str) -> Iterator[Statement]:
    for target in record.targets:
        if target.route:
            continue
        value, name = _milli(target), formula_html(target.formula)
        if value <= ALIKE:
            claim = Markup("{} is stable").format(name)
            how = "It lies on the convex hull" if value > -ALIKE else "It lies below every mixture"
            grounds = Markup("{} of {} competing phases, at 0 K.").format(how, len(record.phases))
        else:
            claim = Markup("{} lies above the hull").format(name)
            grounds = Markup("It would decompose into {} at 0 K.").format(products_html(target))
        yield Statement(number(target.e_d, "meV/atom"), claim, grounds, level, "stability")


def products_html(target: Target) -> Markup:
    """Return the decomposition products, the most abundant first, as safe HTML."""
    ordered = sorted(target.products, key=lambda product: -target.products[product])
    return Markup(" + ").join(map(formula_html, ordered))


def _doped(record: StudyRecord, level: str) -> Iterator[Statement]:
    for route, targets in routes(record).items():
        energies = sorted(_milli(target) for target in targets)
        contents = sorted(target.x_per_formula_unit for target in targets)
        side = "below" if energies[-1] < PLAUSIBLE else "not all below"
        grounds = Markup(
            "Decomposition energy at <i>x</i> = {}; {} the 100\u2009meV/atom under which metastable oxides "
            "are usually found. Products: {}."
        ).format(_span([significant(x) for x in contents]), side, products_html(targets[-1]))
        state = "metastable" if energies[-1] > ALIKE else "stable"
        claim = Markup("{} is {}").format(formula_html(route), state)
        span = _span([decimals(energy, 1) for energy in energies])
        yield Statement(f"{span}\u2009meV/atom", claim, grounds, level, "stability")


def _span(values: list[str]) -> str:
    return values[0] if values[0] == values[-1] else f"{values[0]}–{values[-1]}"


def _favoured(record: StudyRecord, level: str) -> Iterator[Statement]:
    """Compare the routes at the smallest content that all of them share."""
    grouped = {
        route: {round(t.x_per_formula_unit, 6): _milli(t) for t in targets}
        for route, targets in routes(record).items()
    }
    shared = set.intersection(*map(set, grouped.values())) if len(grouped) > 1 else set()
    if not shared:
        return
    x = min(shared)
    (best, low), (second, high) = sorted(((r, points[x]) for r, points in grouped.items()), key=lambda e: e[1])[:2]
    decided = high - low >= ALIKE
    claim = Markup("{} is favoured").format(formula_html(best)) if decided else Markup("Neither route is favoured")
    grounds = Markup("At <i>x</i> = {} the decomposition energy of {} lies this far below that of {}.").format(
        significant(x), formula_html(best), formula_html(second)
    )
    yield Statement(number(Quantity(high - low, "meV/atom")), claim, grounds, level, "stability")


def _cell(record: StudyRecord, level: str) -> Iterator[Statement]:
    for crystal in record.crystals:
        pairs = {
            key: 100 * (crystal.cell[key].value / crystal.compared_cell[key].value - 1)
            for key in "abc"
            if key in crystal.cell and key in crystal.compared_cell
        }
        if crystal.role == "host" and crystal.compared_with == "measured" and pairs:
            worst = max(pairs, key=lambda key: abs(pairs[key]))
            claim = Markup("The relaxed cell of {} against the measured one").format(formula_html(crystal.formula))
            grounds = Markup("Largest deviation of a lattice parameter: <i>{}</i>.").format(worst)
            sign = "+" if pairs[worst] > 0 else ""
            yield Statement(f"{sign}{decimals(pairs[worst], 1)}\u2009%", claim, grounds, level, "host")
