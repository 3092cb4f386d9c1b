"""Cells of the tables about ion transport: numbers with their intervals, or why there are none."""

from __future__ import annotations

import math

from markupsafe import Markup

from ionscape.report.transport_records import Estimate

#: Columns of the table of how fast ions are: the number, its head, its unit.
SPEEDS = (
    ("D", Markup("<i>D</i>"), "cm²/s"),
    ("sigma", Markup("<i>σ</i>"), "S/cm"),
    ("haven_ratio", Markup("Haven ratio"), ""),
)
#: Columns of the table of how they move, and through what.
WAYS = (
    ("tau1", Markup("<i>τ</i><sub>1</sub>"), "ps"),
    ("tau2", Markup("<i>τ</i><sub>2</sub>"), "ps"),
    ("xi", Markup("<i>ξ</i>"), "Å"),
    ("d1", Markup("<i>d</i><sub>1</sub>"), "Å"),
    ("d2", Markup("<i>d</i><sub>2</sub>"), "Å"),
)


def estimate_html(found: Estimate | None) -> Markup:
    """Return a number with its interval below it, or a bound, or a dash; reasons are told on hovering."""
    if found is None:
        return Markup("–")
    if found.value is not None:
        shown = scientific(found.value.value, 3)
        return (
            shown if found.low is None else shown + Markup('<br><span class="none">{}</span>').format(span(found))
        )
    if found.bound is not None:
        return Markup('<span class="none" title="{}">below {}</span>').format(
            found.reason, scientific(found.bound.value, 2)
        )
    return Markup('<span class="none" title="{}">none</span>').format(found.reason)


def span(found: Estimate) -> Markup:
    """Return the ends of the interval of an estimate that has one."""
    low, high = (Markup("?") if end is None else scientific(end.value, 2) for end in (found.low, found.high))
    return Markup("{} to {}").format(low, high)


def scientific(value: float, digits: int) -> Markup:
    """Return `value` with `digits` significant digits as safe HTML, beyond 0.01 to 1000 with a power of 10."""
    if value == 0 or not math.isfinite(value):
        return Markup("{}").format("0" if value == 0 else value)
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -2 <= exponent < 3:
        return Markup("{}").format(f"{value:.{max(digits - 1 - exponent, 0)}f}".replace("-", "−"))
    mantissa = f"{value / 10**exponent:.{digits - 1}f}"
    return Markup("{}\u2009×\u200910<sup>{}</sup>").format(mantissa, str(exponent).replace("-", "−"))
