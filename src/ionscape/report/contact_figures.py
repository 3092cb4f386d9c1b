"""Figures of contacts: the heat map of mutual reaction energies, reaction energy along the mixing ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike

from ionscape.errors import InputError
from ionscape.report.heat_scale import NO_REACTION, HeatScale, day_map, readable
from ionscape.report.panels import noted_panels
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
from ionscape.report.typography import decimals, formula_math, shortened
from ionscape.units import Array

_HATCH = "/////"
#: Width of a character of a name, inches.
_CHARACTER = 0.05
#: Kinks nearer than this in x get their numbers on different sides of the line.
_CROWDED = 0.06


@dataclass(frozen=True)
class ContactEnergies:
    """Mutual reaction energies of cathodes (rows) with phases (columns).

    Attributes
    ----------
    cathodes, phases
        Formulas or names, (n,) and (m,).
    energies_meV_per_atom
        Lowest reaction energies, (n, m), meV/atom, at most 0.
    high95_meV_per_atom
        Upper ends of their 95 % intervals, (n, m), meV/atom; None if not known.
    """

    cathodes: Sequence[str]
    phases: Sequence[str]
    energies_meV_per_atom: ArrayLike
    high95_meV_per_atom: ArrayLike | None = None


@dataclass(frozen=True)
class ProfileSeries:
    """Reaction energy of one pair along the mixing ratio.

    Attributes
    ----------
    cathode, phase
        Formulas or names.
    x
        Share of the atoms from the cathode at every kink, (n,), rising.
    energies_meV_per_atom
        Reaction energies there, (n,), meV/atom.
    products
        Products at every kink, formulas; empty where not known.
    """

    cathode: str
    phase: str
    x: ArrayLike
    energies_meV_per_atom: ArrayLike
    products: Sequence[tuple[str, ...]] = ()


def contact_heat_map(
    energies: ContactEnergies, *, level: str = "", note: str = "", width: float = TWO_COLUMNS
) -> Figure:
    """Mutual reaction energies of cathodes with phases, ΔE in meV/atom, written in every cell.

    Colours as in `heat_scale`. Hatched cells cannot be told from no reaction: the upper end of the 95 % interval
    lies above −1 meV/atom (W. D. Richards et al., Chem. Mater. 28, 266 (2016), doi:10.1021/acs.chemmater.5b04082).

    Parameters
    ----------
    energies
        The matrix.
    level
        Level of theory, for the line below.
    note
        Conditions (a voltage, a temperature), likewise.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no cathode or no phase, or the shapes differ.
    """
    values, upper = _matrix(energies, energies.energies_meV_per_atom), None
    if energies.high95_meV_per_atom is not None:
        upper = _matrix(energies, energies.high95_meV_per_atom)
    with journal_style():
        figure = new_figure(*_size(energies, width))
        axes = figure.add_subplot()
        scale = HeatScale.over(float(values.min()))
        mesh = axes.pcolormesh(values, cmap=day_map(), vmin=scale.lowest, vmax=0.0, edgecolors="white", lw=1.2)
        undecided = np.zeros(values.shape, bool) if upper is None else upper > -NO_REACTION
        for (i, j), value in np.ndenumerate(values):
            _draw_cell(axes, (j, i), float(value), scale, undecided=bool(undecided[i, j]))
        _name_cells(axes, energies)
        _colour_bar(figure, mesh)
        conditions = formula_math(", ".join(filter(None, (level, note))))
        if undecided.any():
            _hatch_legend(figure, conditions)
        elif conditions:
            figure.supxlabel(conditions, fontsize=7)
    return figure


def _size(energies: ContactEnergies, width: float) -> tuple[float, float]:
    """Return the size that cells and names need, inches."""
    rows, columns = len(energies.cathodes), len(energies.phases)
    names, headings = (max(len(shortened(n)) for n in names) for names in (energies.cathodes, energies.phases))
    needed = 1.2 + _CHARACTER * names + 0.62 * columns
    return min(width, max(ONE_COLUMN, needed)), 0.75 + 0.6 * _CHARACTER * headings + 0.34 * max(rows, 3)


def _matrix(energies: ContactEnergies, given: ArrayLike) -> Array:
    values, shape = np.asarray(given, dtype=float), (len(energies.cathodes), len(energies.phases))
    if values.size == 0 or values.shape != shape:
        raise InputError(
            f"energies of shape {values.shape} for {shape[0]} cathodes and {shape[1]} phases",
            where="heat map",
            expected="one energy for every cathode with every phase, and at least one of each",
            remedy="Give the matrix row by row, one row for each cathode.",
        )
    return values


def _draw_cell(axes: Axes, corner: tuple[int, int], value: float, scale: HeatScale, *, undecided: bool) -> None:
    colour = scale.day(value)
    ink = readable(colour)
    box = {"facecolor": colour, "edgecolor": "none", "pad": 1.2}
    if undecided:
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, hatch=_HATCH, ec=FAINT if ink == "#ffffff" else MUTED, lw=0)
        )
    axes.text(
        corner[0] + 0.5, corner[1] + 0.5, decimals(value, 0), ha="center", va="center", fontsize=7, color=ink,
        bbox=box if undecided else None,
    )  # fmt: skip


def _name_cells(axes: Axes, energies: ContactEnergies) -> None:
    names = [formula_math(shortened(name)) for name in energies.phases]
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=40, ha="left", rotation_mode="anchor")
    rows = [formula_math(shortened(name)) for name in energies.cathodes]
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=2)
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colour_bar(figure: Figure, mesh: QuadMesh) -> None:
    bar = figure.colorbar(mesh, aspect=22, fraction=0.05, pad=0.015)
    bar.set_label(r"$\Delta\mathit{E}$ (meV/atom)", fontsize=7.5)
    bar.ax.tick_params(labelsize=7, width=0.6, length=2)
    bar.ax.locator_params(axis="y", nbins=6)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")


def _hatch_legend(figure: Figure, conditions: str) -> None:
    patch = Patch(facecolor="none", edgecolor=MUTED, hatch=_HATCH, lw=0.5)
    patch.set_label(f"may not react: 95 % interval reaches −{NO_REACTION:.0f} meV/atom")
    figure.legend(
        handles=[patch], title=conditions or None, title_fontsize=7, loc="outside lower center", handlelength=1.6,
        borderaxespad=0.2, fontsize=7,
    )  # fmt: skip


def reaction_profile_figure(
    series: Sequence[ProfileSeries], *, level: str = "", width: float = TWO_COLUMNS
) -> Figure:
    """Reaction energy ΔE (meV/atom) against the share x of the atoms from the cathode, one panel per pair.

    Every kink has a number, with its products below the panel; a ring marks the lowest.

    Parameters
    ----------
    series
        The pairs.
    level
        Level of theory, for the axis.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no pair.
    """
    if not series:
        raise nothing_to_draw("reactions", "at least one pair")
    with journal_style():
        figure, panels = noted_panels([_kink_notes(s) for s in series], width)
        for k, (axes, s) in enumerate(zip(panels, series, strict=True)):
            _draw_profile(axes, s, look(k))
        figure.supxlabel(r"share $\mathit{x}$ of the atoms", fontsize=8)
        at_level = f" at {formula_math(level)}" if level else ""
        figure.supylabel(f"reaction energy $\\Delta\\mathit{{E}}$\n{at_level.strip()} (meV/atom)", fontsize=8)
    return figure


def _kinks(series: ProfileSeries) -> list[int]:
    """Return the kinks at which something reacts: those between the ends."""
    x = np.asarray(series.x, dtype=float)
    return [int(k) for k in np.flatnonzero((x > 1e-9) & (x < 1 - 1e-9))]


def _kink_notes(series: ProfileSeries) -> list[str]:
    return [" + ".join(series.products[k]) for k in _kinks(series)] if series.products else []


def _draw_profile(axes: Axes, series: ProfileSeries, style: Look) -> None:
    x = np.asarray(series.x, dtype=float)
    y = np.asarray(series.energies_meV_per_atom, dtype=float)
    lowest, depth = int(np.argmin(y)), max(-float(y.min()), 1.0)
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.plot(x, y, color=style.colour, marker=style.marker, mec="white", mew=0.5, clip_on=False)
    if y[lowest] < 0:
        axes.plot(x[lowest], y[lowest], ls="", marker="o", mfc="none", mec=INK, mew=0.7, ms=8, clip_on=False)
    _number_kinks(axes, x, y, _kinks(series))
    cathode, phase = (formula_math(shortened(name)) for name in (series.cathode, series.phase))
    title = rf"$\mathit{{x}}$ {cathode} + (1 − $\mathit{{x}}$) {phase}"
    axes.set_title(title, fontsize=7.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(-1.28 * depth, 0.06 * depth)
    axes.locator_params(axis="y", nbins=5)


def _number_kinks(axes: Axes, x: Array, y: Array, kinks: Sequence[int]) -> None:
    """Write the numbers of the kinks below the line, in turns above it where kinks crowd."""
    below, last = True, -1.0
    for number, k in enumerate(kinks, start=1):
        below, last = not below if x[k] - last < _CROWDED else True, x[k]
        axes.annotate(
            f"({number})", (x[k], y[k]), xytext=(0, -7 if below else 5), textcoords="offset points", ha="center",
            va="top" if below else "bottom", fontsize=6.5, color=MUTED,
        )  # fmt: skip
