"""Figures of open systems: electrochemical windows, voltage against the content of the mobile ion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ionscape.report.panels import noted_panels
from ionscape.report.style import (
    INK,
    MUTED,
    ONE_COLUMN,
    PALETTE,
    TWO_COLUMNS,
    Look,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.typography import decimals, electrode, formula_math, shortened

#: Heights above the hull smaller than this are none, meV/atom.
STABLE = 1.0


@dataclass(frozen=True)
class WindowBar:
    """Electrochemical window of one phase.

    Attributes
    ----------
    label
        Formula or name.
    reduction_V, oxidation_V
        Limits against the metal of the mobile ion, V; None where there is no limit.
    reduction_95, oxidation_95
        Their 95 % intervals, V; None where not known.
    height_meV_per_atom
        Height above the hull, meV/atom; None if the phase has no energy of its own.
    """

    label: str
    reduction_V: float | None
    oxidation_V: float | None
    reduction_95: tuple[float, float] | None = None
    oxidation_95: tuple[float, float] | None = None
    height_meV_per_atom: float | None = 0.0


@dataclass(frozen=True)
class VoltageSteps:
    """Voltage profile of one phase.

    Attributes
    ----------
    label
        Formula or name.
    voltages_V
        Voltage of every plateau, (n,), V, falling.
    contents
        Mobile ions per formula unit at the ends of the plateaus, (n + 1,), rising.
    names
        What happens at every plateau, for the note below the panel; empty where not known.
    as_made
        Mobile ions per formula unit of the phase itself; None if not known.
    """

    label: str
    voltages_V: Sequence[float]
    contents: Sequence[float]
    names: Sequence[str] = ()
    as_made: float | None = None


def window_figure(
    bars: Sequence[WindowBar], *, mobile: str = "Li", level: str = "", width: float = ONE_COLUMN
) -> Figure:
    """Electrochemical windows as bars, V against the metal of the mobile ion, 95 % intervals as error bars.

    Hollow bars: the phase lies above the hull or has no energy of its own, the limits are those of the equilibrium
    mixture it would decompose into. An arrowhead: no limit on that side.

    Parameters
    ----------
    bars
        The phases, from top to bottom.
    mobile
        Symbol of the mobile ion.
    level
        Level of theory, for the axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no phase.
    """
    if not bars:
        raise nothing_to_draw("windows", "at least one phase")
    low, high = _span(bars)
    with journal_style():
        figure = new_figure(width, 0.75 + 0.21 * len(bars))
        axes = figure.add_subplot()
        axes.set_xlim(low, high)
        for row, bar in enumerate(bars):
            _draw_window(axes, bar, row)
        axes.set_yticks(range(len(bars)), [formula_math(shortened(bar.label)) for bar in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, pad=7)
        at_level = f", {formula_math(level)}" if level else ""
        axes.set_xlabel(f"voltage against {electrode(mobile, figure=True)} (V){at_level}")
        if any(not _is_stable(bar) for bar in bars):
            _hollow_legend(figure)
    return figure


def _is_stable(bar: WindowBar) -> bool:
    return bar.height_meV_per_atom is not None and bar.height_meV_per_atom <= STABLE


def _span(bars: Sequence[WindowBar]) -> tuple[float, float]:
    found = [v for bar in bars for v in (bar.reduction_V, bar.oxidation_V) if v is not None]
    found += [v for bar in bars for pair in (bar.reduction_95, bar.oxidation_95) if pair for v in pair]
    low, high = min([0.0, *found]), max([1.0, *found])
    room = 0.04 * (high - low)
    return low - (room if low < 0 else 0.0), high + room + 0.22 * (high - low)


def _draw_window(axes: Axes, bar: WindowBar, row: int) -> None:
    left, right = axes.get_xlim()
    start = left if bar.reduction_V is None else bar.reduction_V
    end = right if bar.oxidation_V is None else bar.oxidation_V
    colour = PALETTE[0]
    face = colour if _is_stable(bar) else "none"
    axes.barh(row, end - start, left=start, height=0.52, fc=face, ec=colour, lw=0.9, alpha=1.0, zorder=2)
    for limit, interval in ((bar.reduction_V, bar.reduction_95), (bar.oxidation_V, bar.oxidation_95)):
        if limit is not None and interval is not None:
            axes.plot(interval, [row, row], color=INK, lw=0.8, marker="|", ms=4, mew=0.8, zorder=4)
    for open_end, position, marker in ((bar.reduction_V, left, "<"), (bar.oxidation_V, right, ">")):
        if open_end is None:
            axes.plot(position, row, marker=marker, color=colour, ms=5, clip_on=False, zorder=5, ls="")
    if bar.oxidation_V is not None:
        edge = max(end, bar.oxidation_95[1] if bar.oxidation_95 else end)
        low = decimals(bar.reduction_V, 2) if bar.reduction_V is not None else "none"
        axes.annotate(
            f"{low} – {decimals(bar.oxidation_V, 2)}", (edge, row), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=6.5, color=MUTED,
        )  # fmt: skip


def _hollow_legend(figure: Figure) -> None:
    patches = [Patch(fc=face, ec=PALETTE[0], lw=0.9) for face in (PALETTE[0], "none")]
    labels = ["on the hull", "not on the hull: its equilibrium mixture"]
    figure.legend(
        patches, labels, loc="outside upper center", ncols=2, handlelength=1.4, columnspacing=1.2,
        borderaxespad=0.1, fontsize=7,
    )  # fmt: skip


def voltage_profile_figure(
    series: Sequence[VoltageSteps], *, mobile: str = "Li", level: str = "", width: float = TWO_COLUMNS
) -> Figure:
    """Voltage (V against the metal of the mobile ion) against mobile ions per formula unit, one panel per phase.

    Plateaus carry numbers, with what happens at them below the panel; a dotted line marks the phase as made.

    Parameters
    ----------
    series
        The phases; those without a plateau are left out.
    mobile
        Symbol of the mobile ion.
    level
        Level of theory, for the axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no plateau.
    """
    drawn = [s for s in series if len(s.voltages_V)]
    if not drawn:
        raise nothing_to_draw("voltage profiles", "at least one phase")
    with journal_style():
        figure, panels = noted_panels([s.names for s in drawn], width)
        for k, (axes, s) in enumerate(zip(panels, drawn, strict=True)):
            _draw_steps(axes, s, look(k))
        figure.supxlabel(f"{formula_math(mobile)} per formula unit", fontsize=8)
        at_level = f" at {formula_math(level)}" if level else ""
        figure.supylabel(f"voltage against {electrode(mobile, figure=True)}\n{at_level.strip()} (V)", fontsize=8)
    return figure


def _draw_steps(axes: Axes, series: VoltageSteps, style: Look) -> None:
    voltages, contents = np.asarray(series.voltages_V, dtype=float), np.asarray(series.contents, dtype=float)
    axes.plot(np.repeat(contents, 2)[1:-1], np.repeat(voltages, 2), color=style.colour, solid_joinstyle="miter")
    if series.as_made is not None:
        axes.axvline(series.as_made, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=0)
    for number, (voltage, middle) in enumerate(
        zip(voltages, (contents[:-1] + contents[1:]) / 2, strict=True), start=1
    ):
        axes.annotate(
            f"({number})", (middle, voltage), xytext=(0, 2.5), textcoords="offset points", ha="center",
            fontsize=6.5, color=MUTED,
        )  # fmt: skip
    handles = [Line2D([], [], color=MUTED, lw=0.8, ls=(0, (1, 2)), label="as made")]
    if series.as_made is not None:
        axes.legend(handles=handles, loc="lower left", fontsize=6.5, handlelength=1.4, borderaxespad=0.1)
    axes.set_title(formula_math(shortened(series.label, 60)), fontsize=7.5)
    axes.set_ylim(min(0.0, 1.15 * float(voltages.min())), 1.18 * max(float(voltages.max()), 0.5))
    axes.margins(x=0.03)
