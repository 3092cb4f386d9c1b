"""Figures of diffusion: displacement against time, Arrhenius plot, channel diameters against dopant content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ionscape.report.style import (
    FAINT,
    INK,
    MUTED,
    ONE_COLUMN,
    Look,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.typography import formula_math
from ionscape.units import Array

#: Most points of a curve; more are not seen.
_POINTS = 1500
#: Temperatures that are named above an Arrhenius plot where there is room, K; the first have precedence.
_KELVIN = (
    300,
    400,
    600,
    1000,
    1400,
    500,
    800,
    1200,
    2000,
    350,
    250,
    200,
    700,
    900,
    1100,
    1600,
    450,
    1800,
    150,
    100,
)


@dataclass(frozen=True)
class DisplacementSeries:
    """Mean-square displacement of one element, or of one run.

    Attributes
    ----------
    label
        Element, or temperature.
    times_ps
        Lags, (n,), ps.
    msd_A2
        Mean-square displacements, (n,), Å².
    error_A2
        Their standard errors, (n,), Å²; None: no band.
    """

    label: str
    times_ps: ArrayLike
    msd_A2: ArrayLike
    error_A2: ArrayLike | None = None


@dataclass(frozen=True)
class ArrheniusPoints:
    """Diffusion coefficients of one material, and the law through them.

    Attributes
    ----------
    label
        Name of the material.
    temperatures_K, values, low95, high95
        Temperatures and D (or σ) with their intervals, (n,).
    bounds
        Temperature and upper bound of runs that are not diffusive.
    line
        Temperatures, value, low and high of the law, (m, 4); None: no law.
    """

    label: str
    temperatures_K: ArrayLike
    values: ArrayLike
    low95: ArrayLike
    high95: ArrayLike
    bounds: Sequence[tuple[float, float]] = ()
    line: ArrayLike | None = None


@dataclass(frozen=True)
class ChannelSeries:
    """A length of the host's channels against dopant content.

    Attributes
    ----------
    label
        What the length is: d1, d2, the O–O edge.
    x
        Dopants per formula unit, (n,).
    mean_A, deviation_A
        Mean and standard deviation over frames, (n,), Å.
    frames_A
        The values of all frames, for every content: their distribution is drawn; empty: it is not.
    """

    label: str
    x: ArrayLike
    mean_A: ArrayLike
    deviation_A: ArrayLike
    frames_A: Sequence[ArrayLike] = ()


def displacement_figure(
    series: Sequence[DisplacementSeries],
    *,
    note: str = "",
    width: float = ONE_COLUMN,
    longest: float = 0.5,
) -> Figure:
    """Mean-square displacement against time, Å² against ps, with the band of one standard error.

    Parameters
    ----------
    series
        Elements of a run, or runs at several temperatures.
    note
        Material and temperature, above the axes.
    width
        Width of the figure, inches.
    longest
        Part of the run that is shown: at long lags few windows are left.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    _refuse_empty(series, "displacements")
    with journal_style():
        figure = new_figure(width, 0.72 * width)
        axes = figure.add_subplot()
        for k, one in enumerate(series):
            draw_displacement(axes, one, look(k), longest)
        axes.set_xlabel("time (ps)")
        axes.set_ylabel("mean-square displacement (Å²)")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        _labelled(axes, note)
    return figure


def draw_displacement(axes: Axes, one: DisplacementSeries, style: Look, longest: float = 0.5) -> None:
    """Draw a displacement with its band into `axes`, up to the part `longest` of the run."""
    times, values, error = _thinned(one, longest)
    if error is not None:
        axes.fill_between(times, values - error, values + error, color=style.colour, alpha=0.18, lw=0)
    axes.plot(times, values, color=style.colour, label=formula_math(one.label))


def _thinned(one: DisplacementSeries, part: float) -> tuple[Array, Array, Array | None]:
    times, values = np.asarray(one.times_ps, dtype=float), np.asarray(one.msd_A2, dtype=float)
    end = max(2, int(np.searchsorted(times, part * times[-1], side="right")))
    step = max(1, end // _POINTS)
    error = None if one.error_A2 is None else np.asarray(one.error_A2, dtype=float)[:end:step]
    return times[:end:step], values[:end:step], error


def running_diffusion_figure(
    series: DisplacementSeries,
    estimate: tuple[float, float, float] | None,
    *,
    bound: float | None = None,
    begins_ps: float = 0.0,
    width: float = ONE_COLUMN,
) -> Figure:
    """Apparent diffusion coefficient MSD/6t against time, cm²/s, with the value that the run gives.

    Where the ions diffuse it reaches the value and stays there; where they rattle, or are dragged back, it falls.

    Parameters
    ----------
    series
        Displacement of the mobile ions.
    estimate
        D and the ends of its 95 % interval, cm²/s: line and band; None where the run tells none.
    bound
        Upper bound of D, cm²/s, where there is no D.
    begins_ps
        Time after which the displacement is a line, ps.
    width
        Width of the figure, inches.
    """
    _refuse_empty([series], "displacements")
    times, values, _ = _thinned(series, 0.5)
    with journal_style():
        figure = new_figure(width, 0.72 * width)
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log")
        if estimate is not None:
            axes.axhspan(estimate[1], estimate[2], color=look(1).colour, alpha=0.18, lw=0)
            axes.axhline(estimate[0], color=look(1).colour, label=r"$\mathit{D}$, 95 % interval")
        if bound is not None:
            axes.axhline(bound, color=look(1).colour, ls=(0, (4, 3)), label=r"$\mathit{D}$ is smaller")
        if begins_ps > 0 and estimate is not None:
            axes.axvline(begins_ps, color=MUTED, lw=0.7, ls=":", label="a line from here on")
        known = (times > 0) & (values > 0)
        apparent = 1e-4 * values[known] / (6 * times[known])
        axes.plot(times[known], apparent, color=look(0).colour, label=r"$\mathit{MSD}/6\mathit{t}$")
        axes.set_xlabel("time (ps)")
        axes.set_ylabel(r"apparent $\mathit{D}$ (cm²/s)")
        axes.legend(loc="best", handlelength=1.6)
    return figure


def arrhenius_figure(
    series: Sequence[ArrheniusPoints],
    *,
    quantity: str = "D (cm²/s)",
    marked_K: float | None = 300.0,
    width: float = ONE_COLUMN,
) -> Figure:
    """Arrhenius plot: D on a logarithmic axis against 1000/T, with intervals and the band of the law.

    Arrows mark upper bounds of runs that are not diffusive. The axis above shows the temperature.

    Parameters
    ----------
    series
        Materials.
    quantity
        Quantity and unit, for the axis.
    marked_K
        Temperature of the extrapolation, K: a dotted line.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    _refuse_empty(series, "diffusion coefficients")
    with journal_style():
        figure = new_figure(width, 0.82 * width)
        axes = figure.add_subplot()
        axes.set_yscale("log")
        for k, one in enumerate(series):
            _draw_arrhenius(axes, one, look(k))
        if marked_K is not None:
            axes.axvline(1000 / marked_K, color=MUTED, lw=0.7, ls=":", zorder=0)
        name, _, unit = quantity.partition(" ")
        axes.set_xlabel(r"1000/$\mathit{T}$ (K$^{-1}$)")
        axes.set_ylabel(rf"$\mathit{{{name}}}$ {unit}")
        axes.margins(x=0.06)
        _temperature_axis(axes)
        if len(series) > 1 or series[0].label:
            axes.legend(loc="best", handlelength=1.6)
    return figure


def _draw_arrhenius(axes: Axes, one: ArrheniusPoints, style: Look) -> None:
    kelvin, values, low, high = (
        np.asarray(x, dtype=float) for x in (one.temperatures_K, one.values, one.low95, one.high95)
    )
    if one.line is not None:
        law = np.asarray(one.line, dtype=float)
        axes.fill_between(1000 / law[:, 0], law[:, 2], law[:, 3], color=style.colour, alpha=0.18, lw=0)
        axes.plot(1000 / law[:, 0], law[:, 1], color=style.colour)
    axes.errorbar(
        1000 / kelvin, values, yerr=[values - low, high - values], ls="", marker=style.marker, color=style.colour,
        mec="white", mew=0.5, capsize=2, elinewidth=0.8, label=formula_math(one.label) or None, zorder=3,
    )  # fmt: skip
    for temperature, bound in one.bounds:
        axes.annotate(
            "", (1000 / temperature, bound / 2.2), (1000 / temperature, bound),
            arrowprops={"arrowstyle": "-|>", "color": style.colour, "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axes.plot(1000 / temperature, bound, ls="", marker="_", ms=7, color=style.colour)


def _temperature_axis(axes: Axes) -> None:
    left, right = axes.get_xlim()
    above = axes.twiny()
    above.spines["top"].set_visible(True)
    above.set_xlim(left, right)
    spread: list[int] = []
    for kelvin in _KELVIN:
        nearest = min((abs(1000 / kelvin - 1000 / other) for other in spread), default=math.inf)
        if left <= 1000 / kelvin <= right and nearest > 0.09 * (right - left):
            spread.append(kelvin)
    above.set_xticks([1000 / t for t in spread], [str(t) for t in spread])
    above.set_xlabel(r"$\mathit{T}$ (K)")


def channel_figure(series: Sequence[ChannelSeries], *, dopant: str = "", width: float = ONE_COLUMN) -> Figure:
    """Diameters of the host's channels against dopant content, Å: mean and spread over frames, a panel for each.

    Parameters
    ----------
    series
        Largest free sphere d1, largest included sphere d2, edge of the bottleneck.
    dopant
        Element whose content is on the horizontal axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    _refuse_empty(series, "channel diameters")
    with journal_style():
        figure = new_figure(width, 0.35 + 0.42 * width * len(series))
        panels = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
        for k, (axes, one) in enumerate(zip(panels, series, strict=True)):
            x, mean, spread = (np.asarray(v, dtype=float) for v in (one.x, one.mean_A, one.deviation_A))
            order, style = np.argsort(x, kind="stable"), look(k)
            _draw_distributions(axes, one, style)
            axes.errorbar(
                x[order], mean[order], yerr=spread[order], color=style.colour, marker=style.marker, mec="white",
                mew=0.5, capsize=2, elinewidth=0.8,
            )  # fmt: skip
            axes.set_ylabel(f"{one.label} (Å)")
            axes.margins(x=0.08)
        name = f"{dopant} " if dopant else ""
        panels[-1].set_xlabel(rf"{name}content $\mathit{{x}}$ (atoms per formula unit)")
    return figure


def _draw_distributions(axes: Axes, one: ChannelSeries, style: Look) -> None:
    x, frames = np.asarray(one.x, dtype=float), [np.asarray(values, dtype=float) for values in one.frames_A]
    drawn = [(place, values) for place, values in zip(x, frames, strict=False) if np.ptp(values) > 0]
    if not drawn:
        return
    gaps = np.diff(np.unique(x))
    width = 0.5 * float(gaps.min()) if len(gaps) else 0.2
    parts = axes.violinplot(
        [values for _, values in drawn], [place for place, _ in drawn], widths=width, showextrema=False
    )
    for body in parts["bodies"]:  # type: ignore[attr-defined]
        body.set(facecolor=style.colour, alpha=0.2, linewidth=0)


def _labelled(axes: Axes, note: str) -> None:
    axes.legend(loc="upper left", handlelength=1.4)
    if note:
        axes.set_title(formula_math(note), fontsize=7.5, color=INK)
    axes.grid(axis="y", color=FAINT, lw=0.4)
    axes.set_axisbelow(True)


def _refuse_empty(
    series: Sequence[DisplacementSeries] | Sequence[ArrheniusPoints] | Sequence[ChannelSeries], what: str
) -> None:
    def size(one: DisplacementSeries | ArrheniusPoints | ChannelSeries) -> int:
        if isinstance(one, ArrheniusPoints):
            return np.size(np.asarray(one.values)) + len(one.bounds)
        return np.size(np.asarray(one.times_ps if isinstance(one, DisplacementSeries) else one.x))

    if not series or not any(size(one) for one in series):
        raise nothing_to_draw(what, remedy="Analyse a run first.")
