"""What the barriers of a study say, for its verdict: the easiest hops, in crystals and through interfaces."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from ionscape.report.migration_records import CrystalHops, HopRecord
from ionscape.report.records import StudyRecord
from ionscape.report.statement import Statement
from ionscape.report.typography import formula_html, number


def migration_statements(record: StudyRecord) -> Iterator[Statement]:
    """Yield a statement for every crystal or interface in which a barrier was found."""
    stage = record.migration
    if stage is None:
        return
    contacts = {contact.name for contact in record.interfaces}
    for crystal in stage.crystals:
        found = [hop for hop in crystal.hops if hop.converged and hop.forward is not None]
        if found:
            question = "crosses" if crystal.name in contacts else "conducts"
            yield _easiest(crystal, found, stage.mobile, stage.level, question)


def _easiest(crystal: CrystalHops, found: list[HopRecord], mobile: str, level: str, question: str) -> Statement:
    hop = min(found, key=_barrier)
    assert hop.forward is not None  # noqa: S101  the caller left out hops without one
    claim = Markup("Lowest of {} barriers of {} in {}").format(len(found), mobile, formula_html(crystal.name))
    grounds = Markup("{}: {} → {}, {}; backward {}.").format(
        hop.name, formula_html(hop.start), formula_html(hop.end), hop.mechanism, _backward(hop)
    )
    paths = [
        f"{axis} {number(value)}"
        for carrier in crystal.carriers
        for axis, value in carrier.percolation.items()
        if not isinstance(value, str)
    ]
    if paths:
        grounds += Markup(" To cross the crystal along {}.").format(", ".join(paths))
    error = "no interval known" if hop.saddle_error is None else f"error of the saddle {_milli(hop)}\u2009meV"
    return Statement(number(hop.forward), claim, grounds, level, "migration", question, error)


def _barrier(hop: HopRecord) -> float:
    return hop.forward.value if hop.forward else float("inf")


def _milli(hop: HopRecord) -> str:
    return f"{1000 * hop.saddle_error.value:.1f}" if hop.saddle_error else "?"


def _backward(hop: HopRecord) -> str:
    return number(hop.backward) if hop.backward else "not known"
