"""Figures of several runs: displacements of all materials at all temperatures, numbers against dopant content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ionscape.report.style import ONE_COLUMN, TWO_COLUMNS, Look, journal_style, look, new_figure, nothing_to_draw
from ionscape.report.transport_figures import DisplacementSeries, draw_displacement
from ionscape.report.typography import formula_math


@dataclass(frozen=True)
class DisplacementPanel:
    """Displacements of all elements of one run; `row` and `column` name material and temperature."""

    row: str
    column: str
    series: Sequence[DisplacementSeries]


@dataclass(frozen=True)
class ContentSeries:
    """A number against dopant content.

    Attributes
    ----------
    label
        What tells the series from the others: a temperature.
    x
        Dopants per formula unit, (n,).
    values, low95, high95
        The number and the ends of its interval, (n,).
    bounds
        Content and upper bound where there is a bound only.
    """

    label: str
    x: ArrayLike
    values: ArrayLike
    low95: ArrayLike
    high95: ArrayLike
    bounds: Sequence[tuple[float, float]] = ()


def displacement_panels(panels: Sequence[DisplacementPanel], *, width: float = TWO_COLUMNS) -> Figure:
    """Mean-square displacement of every element, a row for each material and a column for each temperature.

    Å² against ps, up to half of the run, with the band of one standard error; panels of one temperature share
    their scale.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    rows, columns = (list(dict.fromkeys(getattr(p, name) for p in panels)) for name in ("row", "column"))
    elements = list(dict.fromkeys(one.label for panel in panels for one in panel.series))
    if not elements:
        raise nothing_to_draw("displacements", remedy="Analyse a run first.")
    with journal_style():
        shown = width if len(columns) > 1 else ONE_COLUMN
        figure = new_figure(shown, 0.5 + len(rows) * max(1.25, 0.72 * shown / len(columns)))
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharey="col", sharex="col")
        for axes in grid.flat:
            axes.set_axis_off()
        for panel in panels:
            axes = grid[rows.index(panel.row), columns.index(panel.column)]
            axes.set_axis_on()
            for one in panel.series:
                draw_displacement(axes, one, look(elements.index(one.label)))
        for axes, name in zip(grid[0], columns, strict=True):
            axes.set_title(name, fontsize=7.5)
        for axes, name in zip(grid[:, 0], rows, strict=True):
            axes.set_ylabel(f"{formula_math(name)}\nMSD (Å²)")
        for axes in grid[-1]:
            axes.set_xlabel("time (ps)")
        handles, labels = _legend(list(grid.flat))
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=1.4)
    return figure


def _legend(grid: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    found: dict[str, Artist] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    return list(found.values()), list(found)


def content_figure(
    series: Sequence[ContentSeries],
    quantity: str,
    *,
    dopant: str = "",
    logarithmic: bool = False,
    width: float = ONE_COLUMN,
) -> Figure:
    """Dependence of a number, with its 95 % intervals, on dopant content; arrows mark upper bounds.

    Parameters
    ----------
    series
        One for each temperature.
    quantity
        Name and unit, for the axis.
    dopant
        Element whose content is on the horizontal axis.
    logarithmic
        Whether the number has a logarithmic axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    drawn = [one for one in series if np.size(np.asarray(one.x)) or one.bounds]
    if not drawn:
        raise nothing_to_draw(quantity, remedy="Analyse a run first.")
    with journal_style():
        figure = new_figure(width, 0.76 * width)
        axes = figure.add_subplot()
        if logarithmic:
            axes.set_yscale("log")
        for k, one in enumerate(drawn):
            _draw_content(axes, one, look(k))
        name = f"{dopant} " if dopant else ""
        axes.set_xlabel(rf"{name}content $\mathit{{x}}$ (atoms per formula unit)")
        axes.set_ylabel(quantity)
        axes.margins(x=0.08, y=0.12)
        axes.legend(loc="best", handlelength=1.4)
    return figure


def _draw_content(axes: Axes, one: ContentSeries, style: Look) -> None:
    x, values, low, high = (np.asarray(v, dtype=float) for v in (one.x, one.values, one.low95, one.high95))
    order = np.argsort(x, kind="stable")
    axes.errorbar(
        x[order], values[order], yerr=[(values - low)[order], (high - values)[order]], color=style.colour,
        marker=style.marker, mec="white", mew=0.5, capsize=2, elinewidth=0.8, label=one.label,
    )  # fmt: skip
    for place, bound in one.bounds:
        axes.annotate(
            "", (place, bound / math.e), (place, bound),
            arrowprops={"arrowstyle": "-|>", "color": style.colour, "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axes.plot(place, bound, ls="", marker="_", ms=7, color=style.colour)
