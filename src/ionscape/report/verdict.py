"""The verdict of a study: what its numbers answer, each with number, level and where the evidence stands."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from ionscape.report.contact_series import host_phase, reactions_of
from ionscape.report.contact_table import conditions_html
from ionscape.report.energy_figures import PLAUSIBLE
from ionscape.report.figures import level_name, routes
from ionscape.report.heat_scale import NO_REACTION
from ionscape.report.migration_verdict import migration_statements
from ionscape.report.quantity import Quantity
from ionscape.report.records import StudyRecord, Target
from ionscape.report.statement import Statement
from ionscape.report.transport_verdict import transport_statements
from ionscape.report.typography import converted, decimals, electrode, formula_html, number, significant
from ionscape.report.window_figures import STABLE
from ionscape.results import Failure
from ionscape.stability.contact import MutualReaction
from ionscape.stability.window import ElectrochemicalWindow, VoltageLimit

#: Differences of decomposition energies smaller than this decide nothing, meV/atom.
ALIKE = 1.0
#: What is said of the interval of a number that has none.
UNKNOWN = "no interval known"


def verdict(record: StudyRecord) -> list[Statement]:
    """Return what the finished stages of a study say: stability, doping, contacts, ion transport, cell."""
    level = level_name(record)
    return [
        *_host(record, level),
        *_doped(record, level),
        *_favoured(record, level),
        *_contact(record),
        *_window(record),
        *_adhesion(record),
        *transport_statements(record.transport, record.dynamics),
        *migration_statements(record),
        *_cell(record, level),
    ]


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
        yield Statement(number(target.e_d, "meV/atom"), claim, grounds, level, "stability", "stable", UNKNOWN)


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
        yield Statement(f"{span}\u2009meV/atom", claim, grounds, level, "stability", "stable", UNKNOWN)


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
    figure = number(Quantity(high - low, "meV/atom"))
    yield Statement(figure, claim, grounds, level, "stability", "stable", UNKNOWN)


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
            figure = f"{sign}{decimals(pairs[worst], 1)}\u2009%"
            yield Statement(figure, claim, grounds, level, "host", "cell")


def _contact(record: StudyRecord) -> Iterator[Statement]:
    """Say with which cathodes the host reacts most and least, in the closed system if it was judged."""
    for matrix in record.contacts[:1]:
        phase = host_phase(record, matrix)
        reactions = reactions_of(matrix, phase)
        most, least, name = reactions[0], reactions[-1], formula_html(phase)
        if 1000 * most.strongest.energy > -NO_REACTION:
            claim = Markup("{} reacts with none of {} cathodes").format(name, len(reactions))
            grounds = Markup("Lowest reaction energy; with {}.").format(formula_html(most.cathode))
        else:
            claim = Markup("{} reacts most with {}").format(name, formula_html(most.cathode))
            grounds = Markup("{}.").format(formula_html(most.strongest.reaction))
            if least is not most:
                grounds += Markup(" Least with {}: {}{}.").format(
                    formula_html(least.cathode), _energy(least), _within(least)
                )
        if matrix.voltage is not None:
            grounds += Markup(" All {}.").format(conditions_html(matrix))
        yield Statement(_energy(most), claim, grounds, matrix.level, "contact", "reacts", _interval(most))


def _energy(reaction: MutualReaction) -> str:
    return number(Quantity(1000 * reaction.strongest.energy, "meV/atom"))


def _interval(reaction: MutualReaction) -> str:
    return _within(reaction).strip(" ()") or UNKNOWN


def _adhesion(record: StudyRecord) -> Iterator[Statement]:
    """Say how strongly each contact is bound, its work of adhesion beside that of frozen slabs."""
    for contact in record.interfaces:
        work, frozen = contact.work("work_of_adhesion"), contact.work("cleavage")
        if work is None:
            continue
        bound = "is bound" if work.value < 0 else "is not bound"
        grounds = Markup(
            "Work of adhesion; negative for a bound contact. {} atoms, mean strain {}\u2009%."
        ).format(contact.n_atoms, decimals(100 * contact.mean_strain, 2))
        if frozen is not None:
            grounds += Markup(" With frozen slabs {}.").format(number(frozen))
        claim = Markup("{} {}").format(formula_html(contact.name), bound)
        yield Statement(number(work), claim, grounds, contact.level, "interface", "sticks", UNKNOWN)


def _within(reaction: MutualReaction) -> str:
    if reaction.interval is None:
        return ""
    low, high = (decimals(1000 * end, 0) for end in (reaction.interval.low95, reaction.interval.high95))
    undecided = ", not told from no reaction" if 1000 * reaction.interval.high95 > -NO_REACTION else ""
    return f" (95\u2009% interval {low} to {high}\u2009meV/atom{undecided})"


def _window(record: StudyRecord) -> Iterator[Statement]:
    """Say between which voltages the first phase, the host if it is among them, is stable."""
    hosts = [crystal.formula for crystal in record.crystals if crystal.role == "host"]
    ordered = sorted(record.windows, key=lambda window: window.formula not in hosts)
    for window in ordered[:1]:
        claim = Markup("Electrochemical window of {} against {}").format(
            formula_html(window.formula), electrode(window.mobile)
        )
        grounds = Markup("{} {}{}").format(
            _limit("Below", window.reduction), _limit("Above", window.oxidation), _mixture(window)
        )
        yield Statement(_span_of(window), claim, grounds, window.level, "window", "reacts")


def _span_of(window: ElectrochemicalWindow) -> str:
    low, high = window.reduction, window.oxidation
    if isinstance(low, Failure) or isinstance(high, Failure):
        ends = [
            f"{word} {decimals(limit.voltage, 2)}\u2009V"
            for word, limit in (("above", low), ("below", high))
            if isinstance(limit, VoltageLimit)
        ]
        return ends[0] if ends else "no limits"
    return f"{decimals(low.voltage, 2)}–{decimals(high.voltage, 2)}\u2009V"


def _limit(side: str, limit: VoltageLimit | Failure) -> Markup:
    if isinstance(limit, Failure):
        return Markup("No limit {}: {}.").format("below" if side == "Below" else "above", limit.reason)
    interval = ""
    if limit.low95 is not None and limit.high95 is not None:
        interval = f" (95\u2009% interval {decimals(limit.low95, 2)} to {decimals(limit.high95, 2)}\u2009V)"
    return Markup("{} it{}: {}.").format(side, interval, formula_html(limit.reaction))


def _mixture(window: ElectrochemicalWindow) -> Markup:
    height = window.decomposition_energy
    if isinstance(height, Failure):
        return Markup(" It has no energy of its own; the limits are those of its equilibrium mixture.")
    if 1000 * height <= STABLE:
        return Markup()
    return Markup(" It lies {} above the hull; the limits are those of its equilibrium mixture.").format(
        number(Quantity(1000 * height, "meV/atom"))
    )


def contact_warnings(record: StudyRecord) -> list[str]:
    """Return what a reader must know before using the numbers of the contacts."""
    texts = [
        f"Reaction energies of contacts carry no intervals: {matrix.no_intervals}"
        for matrix in record.contacts
        if matrix.no_intervals
    ]
    if record.windows and record.window_no_intervals:
        texts.append(f"Limits of electrochemical windows carry no intervals: {record.window_no_intervals}")
    texts += [
        f"{', '.join(matrix.on_hull)}: no energy of their own at {matrix.level}; in contacts, "
        "equilibrium mixtures of their composition stand for them."
        for matrix in record.contacts
        if matrix.on_hull
    ]
    return list(dict.fromkeys(texts))
