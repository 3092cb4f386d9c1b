"""What the runs of a study say about ion transport, for its verdict."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from ionscape.report.statement import Statement
from ionscape.report.transport_records import AnalysedRun, DynamicsRecord, Estimate, Law, TransportRecord
from ionscape.report.transport_table import scientific, span
from ionscape.report.typography import decimals, formula_html, significant


def transport_statements(
    transport: TransportRecord | None, dynamics: DynamicsRecord | None
) -> Iterator[Statement]:
    """Yield a statement for every material: its activation energy, or how far its runs are from one."""
    if transport is None:
        return
    level = dynamics.level if dynamics else ""
    yield from _best(transport, level)
    for law in transport.laws:
        runs = [run for run in transport.runs if run.head.material == law.material and not run.unavailable]
        if law.activation_energy.value is not None:
            yield _law(law, transport, level)
        elif runs:
            yield _hottest(max(runs, key=lambda run: run.head.temperature_K), transport, level)


def _best(transport: TransportRecord, level: str) -> Iterator[Statement]:
    """Say which content conducts best, and whether its interval stands apart from that of the next."""
    known = sorted(
        ((law.conductivity, law) for law in transport.laws if law.conductivity.value is not None),
        key=lambda pair: -pair[0].value.value,  # type: ignore[union-attr]
    )
    if len(known) < 2:
        return
    (first, best), (second, next_best) = known[:2]
    assert first.value is not None  # noqa: S101  those without are left out
    apart = first.low is not None and second.high is not None and first.low.value > second.high.value
    word = "conducts best" if apart else "conducts best, not told apart from the next"
    claim = Markup("{}, <i>x</i> = {}, {}").format(
        formula_html(best.material), significant(best.x_per_formula_unit), word
    )
    grounds = Markup("At {}\u2009K, of {} contents; next: {} with {}\u2009S/cm.").format(
        significant(transport.at_K), len(known), formula_html(next_best.material), _value(second)
    )
    interval = Markup("95\u2009% interval {}\u2009S/cm").format(span(first))
    figure = Markup("{}\u2009S/cm").format(_value(first))
    yield Statement(figure, claim, grounds, level, "transport", "conducts", interval)


def _value(sigma: Estimate) -> Markup:
    return Markup("?") if sigma.value is None else scientific(sigma.value.value, 2)


def _law(law: Law, transport: TransportRecord, level: str) -> Statement:
    energy, sigma = law.activation_energy, law.conductivity
    assert energy.value is not None  # noqa: S101  the caller looked
    claim = Markup("Activation energy of {} in {}").format(transport.mobile, formula_html(law.material))
    kelvin = ", ".join(significant(t) for t in law.temperatures_K)
    grounds = Markup("Extrapolated from {}\u2009K: <i>σ</i>({}\u2009K) {}.").format(
        kelvin, significant(transport.at_K), _conductivity(sigma)
    )
    if law.curved:
        grounds += Markup(" The law is curved: this is no safe extrapolation.")
    interval = Markup("95\u2009% interval {}\u2009eV").format(span(energy))
    figure = f"{decimals(energy.value.value, 2)}\u2009eV"
    return Statement(figure, claim, grounds, level, "transport", "conducts", interval)


def _conductivity(sigma: Estimate) -> Markup:
    if sigma.value is None:
        return Markup("is not known ({})").format(sigma.reason)
    return Markup("= {}\u2009S/cm ({})").format(scientific(sigma.value.value, 2), span(sigma))


def _hottest(run: AnalysedRun, transport: TransportRecord, level: str) -> Statement:
    """Say what the hottest run tells where there is no law."""
    sigma, name = run.estimates["sigma"], formula_html(run.head.material)
    at = Markup("{} in {} at {}\u2009K").format(transport.mobile, name, significant(run.head.temperature_K))
    if sigma.value is not None:
        grounds = Markup("No activation energy: one temperature is not enough.")
        value = Markup("{}\u2009S/cm").format(scientific(sigma.value.value, 2))
        interval = Markup("95\u2009% interval {}\u2009S/cm").format(span(sigma))
        return Statement(value, at, grounds, level, "transport", "conducts", interval)
    time = "" if run.run_time is None else f" within {significant(run.run_time.value, 3)}\u2009ps"
    claim = Markup("No diffusion of {}{}").format(at, time)
    figure = Markup("< {}\u2009S/cm").format(scientific(sigma.bound.value, 2)) if sigma.bound else "not known"
    reason = sigma.reason[:1].upper() + sigma.reason[1:]
    grounds = Markup("{}.").format(reason.rstrip("."))
    return Statement(figure, claim, grounds, level, "transport", "conducts")
