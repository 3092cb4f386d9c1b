"""Figures of learned potentials: predictions against the dear level, uncertainty against error."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ionscape.potential.errors_of_model import Predictions, errors_of
from ionscape.report.style import (
    FAINT,
    INK,
    MUTED,
    ONE_COLUMN,
    TWO_COLUMNS,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.units import GPA_PER_EV_PER_A3, Array

#: Bins of the calibration plot, with equally many atoms in each.
_BINS = 12


def parity_figure(found: Predictions, *, note: str = "", width: float = TWO_COLUMNS) -> Figure:
    """Predicted against labelled energies (meV/atom, about their mean), forces (eV/Å) and stresses (GPa).

    Parameters
    ----------
    found
        Predictions on frames that were not taught, with their labels.
    note
        What the frames are, above the axes.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there are no frames.
    """
    if not found.energies.size:
        raise nothing_to_draw("frames")
    errors = errors_of(found)
    panels = [
        ("energy", 1000 * (found.energies - found.energies[1].mean()), "meV/atom", "energy_mae_meV_per_atom"),
        ("force", found.forces, "eV/Å", "force_mae_eV_per_A"),
    ]
    if found.stresses.size:
        panels.append(("stress", GPA_PER_EV_PER_A3 * found.stresses, "GPa", "stress_mae_GPa"))
    with journal_style():
        figure = new_figure(width, 0.95 * width / len(panels))
        for k, (axes, (what, pairs, unit, key)) in enumerate(
            zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True)
        ):
            _draw_parity(axes, pairs, look(k).colour)
            axes.set_xlabel(f"{what}, dear level ({unit})")
            axes.set_ylabel(f"{what}, potential ({unit})")
            told = f"MAE {errors[key]:.3g} {unit}"
            if f"{what}_r2" in errors:
                told += f"\n$R^2$ {errors[f'{what}_r2']:.4f}"
            axes.text(0.04, 0.96, told, transform=axes.transAxes, va="top", color=INK)
        if note:
            figure.suptitle(note, fontsize=8, color=MUTED)
    return figure


def _draw_parity(axes: Axes, pairs: Array, colour: str) -> None:
    ours, labels = pairs
    low, high = float(pairs.min()), float(pairs.max())
    margin = 0.05 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color=FAINT, lw=0.8, zorder=0)
    many = len(labels) > 300
    axes.plot(
        labels, ours, ls="none", marker="o", ms=1.4 if many else 3.0, mew=0, alpha=0.35 if many else 0.8,
        color=colour, rasterized=many,
    )  # fmt: skip
    axes.set(xlim=ends, ylim=ends, aspect="equal")


def calibration_figure(
    deviations: ArrayLike, errors: ArrayLike, *, note: str = "", width: float = ONE_COLUMN
) -> Figure:
    """Root-mean-square error of forces against their predicted standard deviation, eV/Å, in bins of equal size.

    Parameters
    ----------
    deviations
        Predicted standard deviation of a force component of each atom, eV/Å, (atoms,).
    errors
        Predicted less found forces, eV/Å, (atoms, 3).
    note
        What the atoms are, above the axes.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there are no atoms.
    """
    sigma, found = np.asarray(deviations, dtype=float), np.asarray(errors, dtype=float)
    if not sigma.size:
        raise nothing_to_draw("atoms")
    predicted, rms = binned_deviations(sigma, found)
    with journal_style():
        figure = new_figure(width, 0.85 * width)
        axes = figure.add_subplot()
        every = np.sqrt((found**2).mean(axis=1))
        axes.plot(sigma, every, ls="none", marker="o", ms=1.2, mew=0, alpha=0.25, color=MUTED, rasterized=True)
        end = 1.05 * max(*sigma.tolist(), *every.tolist(), 1e-9)
        axes.plot((0, end), (0, end), color=FAINT, lw=0.8, zorder=0)
        axes.plot(predicted, rms, color=look(0).colour, marker=look(0).marker, label="bins of equal size")
        axes.set(xlim=(0, 1.1 * max(sigma.max(), 1e-9)), ylim=(0, end))
        axes.set_xlabel("predicted standard deviation of a force (eV/Å)")
        axes.set_ylabel("error found (eV/Å)")
        axes.set_title(note, color=MUTED)
        axes.legend(loc="upper left")
    return figure


def binned_deviations(deviations: ArrayLike, errors: ArrayLike) -> tuple[list[float], list[float]]:
    """Return root mean squares of predicted deviations, (atoms,), and errors, (atoms, 3), in bins of one size."""
    sigma, found = np.asarray(deviations, dtype=float), np.asarray(errors, dtype=float)
    bins = np.array_split(np.argsort(sigma), min(_BINS, len(sigma)))
    squares = [(float((sigma[one] ** 2).mean()), float((found[one] ** 2).mean())) for one in bins]
    return [p**0.5 for p, _ in squares], [f**0.5 for _, f in squares]
