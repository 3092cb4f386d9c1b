"""Figures of energies: decomposition energy against dopant content, Ewald energy against relaxed energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ionscape.report.style import (
    FAINT,
    INK,
    MUTED,
    ONE_COLUMN,
    TWO_COLUMNS,
    Look,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.typography import decimals, formula_math

#: Most metastable oxides that were synthesised lie below this; meV/atom (doi:10.1126/sciadv.1600225).
PLAUSIBLE = 100.0
#: The line at `PLAUSIBLE` is drawn if the highest point reaches this share of it.
_IN_RANGE = 0.5


@dataclass(frozen=True)
class DecompositionSeries:
    """Decomposition energies of one doping route.

    Attributes
    ----------
    label
        Name of the route.
    x
        Dopants per formula unit, (n,).
    e_d_meV_per_atom
        Decomposition energies, (n,), meV/atom.
    products
        Decomposition products of every point, formulas; empty where not known.
    reported
        Whether these are values of the source study instead of ours: hollow markers, no line.
    """

    label: str
    x: ArrayLike
    e_d_meV_per_atom: ArrayLike
    products: Sequence[tuple[str, ...]] = ()
    reported: bool = False


@dataclass(frozen=True)
class EwaldSeries:
    """Ewald and relaxed energies of the configurations of one content.

    Attributes
    ----------
    label
        Route and content.
    ewald_eV
        Ewald energies of the unrelaxed cells, (n,), eV per cell.
    relaxed_eV_per_atom
        Relaxed energies, (n,), eV/atom.
    rho, p_value
        Spearman's coefficient and its p value, if there are enough points.
    n_failed
        Configurations whose relaxation failed; they are not drawn.
    """

    label: str
    ewald_eV: ArrayLike
    relaxed_eV_per_atom: ArrayLike
    rho: float | None = None
    p_value: float | None = None
    n_failed: int = 0


def decomposition_figure(
    series: Sequence[DecompositionSeries], *, level: str = "", dopant: str = "", width: float = ONE_COLUMN
) -> Figure:
    """Decomposition energy against dopant content, meV/atom, with the decomposition products.

    Points with the same products carry the same number, explained below the axes. The dashed line is the
    100 meV/atom under which metastable oxides are usually found (W. Sun et al., Sci. Adv. 2, e1600225 (2016),
    doi:10.1126/sciadv.1600225); it is drawn if a point reaches half of it.

    Parameters
    ----------
    series
        Our routes first; a reported series takes the colour of the route with the same label.
    level
        Level of theory of our values, for the legend.
    dopant
        Element whose content is on the horizontal axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no point.
    """
    _refuse_empty(series, "decomposition energies")
    own = list(dict.fromkeys(s.label for s in series))
    numbers = _numbered_products(series)
    with journal_style():
        figure = new_figure(width, 0.72 * width + 0.16 * (len(numbers) + math.ceil(len(series) / 2)))
        axes = figure.add_subplot()
        for s in series:
            _draw_route(axes, s, look(own.index(s.label)), numbers)
        _plausibility(axes, max(float(np.max(np.asarray(s.e_d_meV_per_atom))) for s in series))
        name = f"{dopant} " if dopant else ""
        axes.set_xlabel(f"{name}content $x$ (atoms per formula unit)".replace("$x$", r"$\mathit{x}$"))
        axes.set_ylabel(r"decomposition energy $\mathit{E}_{d}$ (meV/atom)")
        axes.margins(x=0.06)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        lowest = min(float(np.min(np.asarray(s.e_d_meV_per_atom))) for s in series)
        axes.set_ylim(bottom=min(0.0, 1.15 * lowest))
        _route_legend(figure, series, own, level)
        if numbers:
            figure.supxlabel(_products_note(numbers), fontsize=7, color=MUTED, x=0.02, ha="left")
    return figure


def _refuse_empty(series: Sequence[DecompositionSeries] | Sequence[EwaldSeries], what: str) -> None:
    if not series or all(_size(s) == 0 for s in series):
        raise nothing_to_draw(what)


def _size(series: DecompositionSeries | EwaldSeries) -> int:
    return np.size(np.asarray(series.x if isinstance(series, DecompositionSeries) else series.ewald_eV))


def _numbered_products(series: Sequence[DecompositionSeries]) -> dict[tuple[str, ...], int]:
    """Return the number of every set of products, in order of appearance."""
    sets = dict.fromkeys(tuple(sorted(p)) for s in series if not s.reported for p in s.products if p)
    return {products: k for k, products in enumerate(sets, start=1)}


def _products_note(numbers: dict[tuple[str, ...], int]) -> str:
    lines = [" + ".join(map(formula_math, products)) for products in numbers]
    if len(lines) == 1:
        return f"decomposes into {lines[0]}"
    return "\n".join(f"({k}) into {line}" for k, line in enumerate(lines, start=1))


def _draw_route(axes: Axes, series: DecompositionSeries, style: Look, numbers: dict[tuple[str, ...], int]) -> None:
    x, y = np.asarray(series.x, dtype=float), np.asarray(series.e_d_meV_per_atom, dtype=float)
    order = np.argsort(x, kind="stable")
    if series.reported:
        axes.plot(
            x[order], y[order], ls="", marker=style.marker, mfc="none", mec=style.colour, mew=0.9, ms=6, zorder=4
        )
        return
    axes.plot(
        x[order], y[order], color=style.colour, marker=style.marker, mec="white", mew=0.5, zorder=3, clip_on=False
    )
    if len(numbers) < 2:
        return
    for point, products in zip(order, [series.products[k] for k in order], strict=True):
        if products:
            axes.annotate(
                f"({numbers[tuple(sorted(products))]})", (x[point], y[point]), xytext=(0, 6), fontsize=6.5,
                textcoords="offset points", ha="center", color=MUTED,
            )  # fmt: skip


def _plausibility(axes: Axes, highest: float) -> None:
    if highest < _IN_RANGE * PLAUSIBLE:
        axes.set_ylim(top=max(1.2 * highest, 5.0))
        return
    axes.set_ylim(top=max(1.12 * highest, 1.12 * PLAUSIBLE))
    axes.axhline(PLAUSIBLE, color=MUTED, lw=0.7, ls=(0, (4, 3)), zorder=1)
    axes.annotate(
        "usual limit of synthesised oxides", (1.0, PLAUSIBLE), xycoords=("axes fraction", "data"), ha="right",
        xytext=(0, 2.5), textcoords="offset points", fontsize=6.5, color=MUTED,
    )  # fmt: skip


def _route_legend(figure: Figure, series: Sequence[DecompositionSeries], own: Sequence[str], level: str) -> None:
    handles = []
    for s in series:
        style = look(own.index(s.label))
        if s.reported:
            label, face, line = f"{formula_math(s.label)} (reported)", "none", ""
        else:
            label, face, line = formula_math(f"{s.label}, {level}" if level else s.label), style.colour, "-"
        edge = style.colour if s.reported else "white"
        handles.append(
            Line2D(
                [], [], color=style.colour, ls=line, marker=style.marker, mfc=face, mec=edge, mew=0.8, label=label
            )
        )
    figure.legend(
        handles=handles, loc="outside upper center", ncols=2, handlelength=1.6, columnspacing=1.2,
        labelspacing=0.3, borderaxespad=0.1,
    )  # fmt: skip


def ewald_figure(series: Sequence[EwaldSeries], *, level: str = "", width: float = TWO_COLUMNS) -> Figure:
    """Relaxed energy (meV/atom) against Ewald energy (eV per cell), one panel per content, each from its lowest.

    The lowest relaxed configuration has a ring; Spearman's ρ with p value and n stands above the panel, so that
    the reader sees whether the ranking by Ewald energy found it.

    Parameters
    ----------
    series
        One for each content; contents without points are left out.
    level
        Level of theory of the relaxed energies, for the axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no point.

    References
    ----------
    C. Spearman, Am. J. Psychol. 15, 72 (1904), doi:10.2307/1412159.
    """
    _refuse_empty(series, "Ewald energies")
    drawn = [s for s in series if _size(s)]
    columns = min(len(drawn), 4 if width > 1.5 * ONE_COLUMN else 2)
    rows = math.ceil(len(drawn) / columns)
    with journal_style():
        shown = width * min(1.0, max(0.5, columns / 4))
        figure = new_figure(shown, 0.35 + rows * (0.92 * shown / columns if columns > 1 else 0.75 * shown))
        grid = figure.subplots(rows, columns, squeeze=False)
        labels = list(dict.fromkeys(s.label.partition(",")[0] for s in drawn))
        for axes, s in zip(grid.flat, drawn, strict=False):
            _draw_ranking(axes, s, look(labels.index(s.label.partition(",")[0])))
        for axes in grid.flat[len(drawn) :]:
            axes.set_axis_off()
        figure.supxlabel("Ewald energy above the lowest (eV per cell)", fontsize=8)
        at_level = f" at {level}" if level else ""
        figure.supylabel(
            f"relaxed energy above the lowest\n{formula_math(at_level.strip())} (meV/atom)", fontsize=8
        )
    return figure


def _draw_ranking(axes: Axes, series: EwaldSeries, style: Look) -> None:
    ewald = np.asarray(series.ewald_eV, dtype=float)
    relaxed = np.asarray(series.relaxed_eV_per_atom, dtype=float)
    x, y = ewald - ewald.min(), 1000 * (relaxed - relaxed.min())
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.plot(x, y, ls="", marker=style.marker, color=style.colour, mec="white", mew=0.4, ms=4.2)
    best = int(np.argmin(relaxed))
    axes.plot(x[best], y[best], ls="", marker="o", mfc="none", mec=INK, mew=0.7, ms=8)
    axes.set_title(f"{formula_math(series.label)}\n{_statistics(series)}", fontsize=7, linespacing=1.5)
    axes.margins(0.12)
    axes.locator_params(nbins=4)


def _statistics(series: EwaldSeries) -> str:
    failed = f", {series.n_failed} failed" if series.n_failed else ""
    if series.rho is None or series.p_value is None:
        return rf"$\mathit{{n}}$ = {_size(series)}{failed}, no ρ"
    p = f"= {series.p_value:.2g}" if series.p_value >= 1e-3 else "< 0.001"
    return rf"ρ = {decimals(series.rho, 2)}, $\mathit{{p}}$ {p}, $\mathit{{n}}$ = {_size(series)}{failed}"
