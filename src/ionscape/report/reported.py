"""Numbers of a reference study beside ours, wherever ours stand."""

from __future__ import annotations

from markupsafe import Markup

from ionscape.report.quantity import Quantity
from ionscape.report.records import Comparison, StudyRecord
from ionscape.report.typography import converted, significant


def difference(row: Comparison) -> str:
    """Return ours less the study's, with sign, in its unit; as a factor where the unit is one of conductivity."""
    if row.ours is None:
        return ""
    ours, theirs = _in_unit(row.ours, row.study.unit), row.study.value
    if row.study.unit == "S/cm" and theirs > 0:
        return f"×\u2009{significant(ours / theirs, 2)}"
    return f"{'+' if ours >= theirs else '−'}{significant(abs(ours - theirs), 3)}"


def _in_unit(quantity: Quantity, unit: str) -> float:
    return converted(quantity, unit) if quantity.unit != unit else quantity.value


def beside(record: StudyRecord, quantity: str, target: str, kelvin: float | None = None) -> Markup:
    """Return what the reference study reports of a number, the difference, where and why; empty if nothing."""
    told = [
        Markup('<br><span class="study" title="{}">study {}{}</span>').format(
            ". ".join(filter(None, (row.source, row.note))),
            significant(row.study.value),
            Markup(" ({})").format(difference(row)) if row.ours else "",
        )
        for row in record.comparison
        if row.quantity == quantity and row.target == target and _same(row, kelvin)
    ]
    return Markup().join(told)


def _same(row: Comparison, kelvin: float | None) -> bool:
    return row.temperature is None if kelvin is None else bool(row.temperature and row.temperature.value == kelvin)
