"""Heat maps of van Hove functions: distance against time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ionscape.report.style import ONE_COLUMN, TWO_COLUMNS, journal_style, new_figure, nothing_to_draw
from ionscape.report.typography import formula_math

#: What of the colour scale of G_distinct is white space: everything above this many times the mean density.
_HIGHEST = 3.0


@dataclass(frozen=True)
class VanHoveMap:
    """One van Hove function.

    Attributes
    ----------
    label
        Material, ion and temperature.
    kind
        Self or distinct part.
    times_ps, distances_A
        Times, (n,), ps, and centres of the bins, (m,), Å.
    values
        4πr² G_self, Å⁻¹, or G_distinct over the mean density, (n, m).
    time_ps
        τ1 or τ2, ps, a vertical line; None: not known.
    """

    label: str
    kind: Literal["self", "distinct"]
    times_ps: ArrayLike
    distances_A: ArrayLike
    values: ArrayLike
    time_ps: float | None = None


def van_hove_figure(maps: Sequence[VanHoveMap], *, width: float = TWO_COLUMNS) -> Figure:
    """Heat maps of G(r, t), r in Å against t in ps, self above distinct where there are both.

    4πr² G_self on a logarithmic colour scale (Å⁻¹), G_distinct over the mean density on a linear one that ends
    at 3; a dashed line marks τ1 or τ2.

    Parameters
    ----------
    maps
        The functions.
    width
        Width of the figure, inches; one column holds one map abreast.

    Raises
    ------
    InputError
        If there are none.
    """
    if not maps or any(np.asarray(one.values).size == 0 for one in maps):
        raise nothing_to_draw("van Hove functions", "at least one", remedy="Analyse a run first.")
    columns = 1 if width < 1.5 * ONE_COLUMN or len(maps) == 1 else 2
    shown = width if columns == 2 else min(width, ONE_COLUMN)
    rows = -(-len(maps) // columns)
    with journal_style():
        figure = new_figure(shown, rows * 0.68 * shown / columns + 0.2)
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, one in zip(grid, maps, strict=False):
            _draw_map(figure, axes, one)
        for axes in grid[len(maps) :]:
            axes.set_axis_off()
    return figure


def _draw_map(figure: Figure, axes: Axes, one: VanHoveMap) -> None:
    times, r, values = (np.asarray(x, dtype=float) for x in (one.times_ps, one.distances_A, one.values))
    scale: Normalize
    if one.kind == "self":
        values, times = values[1:], times[1:]  # all ions are at r = 0 at t = 0
        scale = LogNorm(1e-3, max(2e-3, float(values.max(initial=0.0))), clip=True)
        name = r"4π$\mathit{r}$² $\mathit{G}_{self}$ (Å$^{-1}$)"
    else:
        scale = Normalize(0, min(_HIGHEST, max(1.5, float(values.max()))), clip=True)
        name = r"$\mathit{G}_{distinct}$"
    # the picture is a raster also in the vector file: a cell for every number would be megabytes
    mesh = axes.pcolormesh(times, r, values.T, cmap="viridis", norm=scale, shading="nearest", rasterized=True)
    if one.time_ps is not None:
        symbol = "τ$_1$" if one.kind == "self" else "τ$_2$"
        axes.axvline(one.time_ps, color="white", lw=0.9, ls=(0, (4, 3)))
        axes.annotate(
            f"{symbol} = {one.time_ps:.3g} ps", (one.time_ps, 0.97), xycoords=("data", "axes fraction"), va="top",
            xytext=(3, 0), textcoords="offset points", color="white", fontsize=7,
        )  # fmt: skip
    axes.set_xlabel("time (ps)")
    axes.set_ylabel(r"$\mathit{r}$ (Å)")
    if one.label:
        axes.set_title(formula_math(one.label), fontsize=7.5)
    bar = figure.colorbar(mesh, ax=axes, aspect=22, pad=0.02)
    bar.set_label(name, fontsize=7.5)
    bar.ax.tick_params(labelsize=7, width=0.6, length=2)
    bar.outline.set_visible(False)
