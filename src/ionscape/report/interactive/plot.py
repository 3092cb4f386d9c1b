"""The parts of an interactive figure: traces and layout in Plotly's own terms, as plain data.

Colours of text, lines and grids are the page's, so that they follow its theme; only series have colours here.
Texts are HTML that `typography.formula_html` made safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ionscape.report.style import PALETTE
from ionscape.report.typography import formula_html

#: Plotly's names of the markers of `style.MARKERS`.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
#: Significant digits of numbers that are drawn.
_DIGITS = 5

Trace = dict[str, Any]


@dataclass(frozen=True)
class Plot:
    """An interactive figure.

    Attributes
    ----------
    traces
        Series, each a trace of Plotly.
    layout
        Axes, annotations and the like.
    height
        Height, CSS pixels.
    """

    traces: Sequence[Trace]
    layout: Mapping[str, Any] = field(default_factory=dict)
    height: int = 400

    def as_data(self) -> dict[str, Any]:
        """Return what the page's script draws it from."""
        return {"data": list(self.traces), "layout": dict(self.layout), "height": self.height}


def numbers(values: ArrayLike) -> list[Any]:
    """Return numbers with five significant digits, nested as they are; what is no number becomes a gap."""
    array = np.asarray(values, dtype=float)
    if array.ndim > 1:
        return [numbers(row) for row in array]
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in array]


def colour(k: int) -> str:
    """Return the colour of the series number `k`, the same as in the files."""
    return PALETTE[k % len(PALETTE)]


def text(name: str) -> str:
    """Return a name as safe HTML with its formulas set."""
    return str(formula_html(name))


def curve(name: str, x: ArrayLike, y: ArrayLike, k: int, *, mode: str = "lines", **more: Any) -> Trace:
    """Return the series number `k` of points or a line; `more` goes into the trace."""
    trace: Trace = {"type": "scatter", "name": text(name), "x": numbers(x), "y": numbers(y), "mode": mode}
    if "lines" in mode:
        trace["line"] = {"color": colour(k), "width": 1.8}
    if "markers" in mode:
        trace["marker"] = {"color": colour(k), "symbol": SYMBOLS[k % len(SYMBOLS)], "size": 8}
    return trace | more


def hollow(trace: Trace) -> Trace:
    """Return a series with hollow markers: numbers of another study, or not converged."""
    marker = dict(trace["marker"])
    return trace | {"marker": marker | {"symbol": f"{marker['symbol']}-open"}}


def with_interval(trace: Trace, low: ArrayLike, high: ArrayLike) -> Trace:
    """Return a series with intervals from `low` to `high`."""
    y = np.array(trace["y"], dtype=float)
    above, below = np.asarray(high, dtype=float) - y, y - np.asarray(low, dtype=float)
    bars = {"type": "data", "symmetric": False, "array": numbers(above), "arrayminus": numbers(below)}
    return trace | {"error_y": bars | {"color": trace["marker"]["color"], "thickness": 1.2, "width": 3}}


def upper_bounds(name: str, points: Sequence[tuple[float, float]], k: int) -> list[Trace]:
    """Return arrows that point down from upper bounds at (x, y); nothing if there is none."""
    if not points:
        return []
    x, y = zip(*points, strict=True)
    marker = {"symbol": "triangle-down-open", "size": 12, "color": colour(k)}
    return [curve(f"{name}, upper bound", x, y, k, mode="markers", marker=marker)]


def band(x: ArrayLike, low: ArrayLike, high: ArrayLike, k: int, **more: Any) -> Trace:
    """Return the shaded area between `low` and `high`."""
    x, low, high = (np.asarray(one, dtype=float) for one in (x, low, high))
    r, g, b = (int(colour(k)[i : i + 2], 16) for i in (1, 3, 5))
    trace: Trace = {
        "type": "scatter", "mode": "lines", "fill": "toself", "line": {"width": 0}, "hoverinfo": "skip",
        "x": numbers(np.concatenate([x, x[::-1]])), "y": numbers(np.concatenate([low, high[::-1]])),
        "fillcolor": f"rgba({r},{g},{b},0.18)", "showlegend": False,
    }  # fmt: skip
    return trace | more


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with its title, quantity and unit."""
    return {"title": {"text": title}} | more


def axes(x: str, y: str, **more: Any) -> dict[str, Any]:
    """Return the layout of one pair of axes; `more` goes into the layout."""
    return {"xaxis": axis(x), "yaxis": axis(y)} | more


def panel(k: int) -> dict[str, str]:
    """Return the names of the axes of the panel number `k`."""
    return {"xaxis": f"x{k + 1 if k else ''}", "yaxis": f"y{k + 1 if k else ''}"}


def panels(titles: Sequence[str], columns: int, x: str, y: Sequence[str]) -> dict[str, Any]:
    """Return the layout of panels in rows of `columns`: their titles, all with `x`, each with its title of `y`."""
    rows = -(-len(titles) // columns)
    layout: dict[str, Any] = {"grid": {"rows": rows, "columns": columns, "pattern": "independent"}}
    layout["grid"] |= {"xgap": 0.3, "ygap": 0.36}
    layout["annotations"] = []
    for k, title in enumerate(titles):
        suffix = str(k + 1) if k else ""
        layout[f"xaxis{suffix}"], layout[f"yaxis{suffix}"] = axis(x), axis(y[k])
        layout["annotations"].append(
            {
                "text": title, "showarrow": False, "x": 0.5, "y": 1.02, "xanchor": "center", "yanchor": "bottom",
                "xref": f"x{suffix} domain", "yref": f"y{suffix} domain",
            }
        )  # fmt: skip
    return layout
