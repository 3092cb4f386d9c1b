"""Figures of electronic structure: states by layer with the verdict (Fig. 3), and what moved along the normal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ionscape.report.electronic_records import ElectronicRecord, LayerRow
from ionscape.report.records import StudyRecord
from ionscape.report.style import INK, MUTED, ONE_COLUMN, PALETTE, journal_style, new_figure
from ionscape.report.typography import formula_math
from ionscape.units import Array

#: Energies shown, eV from the top of the valence band; most layers, those about the owner of the top.
BELOW, ABOVE, MOST_LAYERS = -4.0, 4.0, 8
#: Curves of less than this part of the highest are left out of a panel.
SHOWN = 0.05


def states_stem(case: ElectronicRecord) -> str:
    """Return the stem of the figure of the states of a case."""
    return f"electronic-states-{_plain(case.name)}"


def planar_stem(case: ElectronicRecord) -> str:
    """Return the stem of the figure of its density difference."""
    return f"electronic-difference-{_plain(case.name)}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def electronic_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of the stage with their stems."""
    for case in record.electronic:
        states = record.file(case.states_file)
        if states is not None:
            yield states_stem(case), states_figure(case, states)
        planar = record.file(case.difference.planar_file) if case.difference else None
        if planar is not None:
            yield planar_stem(case), planar_figure(case, planar)


def states_figure(case: ElectronicRecord, file: Path) -> Figure:
    """Return a panel for every layer, the topmost first: states by element and orbital, up and down.

    The panel of the layer that owns the top of the valence band says so. At most eight layers are shown, those
    about the owner.
    """
    data = json.loads(file.read_text(encoding="utf-8"))
    energies = np.array(data["energy_from_valence_top_eV"])
    inside = (energies >= BELOW) & (energies <= ABOVE)
    layers = _about_owner(case)
    states = {one["layer"]: one["states_per_eV"] for one in data["layers"]}
    names = sorted({name for layer in layers for name in states[layer.number]})
    colours = {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(names)}
    with journal_style():
        figure = new_figure(ONE_COLUMN, 0.5 + 0.75 * len(layers))
        panels = figure.subplots(len(layers), 1, squeeze=False, sharex=True)[:, 0]
        shown: dict[str, str] = {}
        for axes, layer in zip(panels, reversed(layers), strict=True):
            curves = {name: np.array(values)[:, inside] for name, values in states[layer.number].items()}
            shown |= _panel(axes, energies[inside], curves, colours)
            owns = layer.number == case.owner.get("layer")
            told = f" owns the top: {case.owner['species']} {case.owner['orbital']}" if owns else ""
            axes.set_title(formula_math(layer.formula) + told, fontsize=7, loc="left", color=INK)
        panels[-1].set_xlabel("energy from the valence top (eV)")
        figure.supylabel("states (1/eV), spin up and down", fontsize=8, color=INK)
        for name, colour in shown.items():
            panels[0].plot([], [], color=colour, label=name)
        panels[0].legend(fontsize=6, ncols=4, loc="lower left", bbox_to_anchor=(0.0, 1.25), frameon=False)
    return figure


def _about_owner(case: ElectronicRecord) -> list[LayerRow]:
    owner = int(case.owner.get("layer", 0))
    first = max(0, min(owner - MOST_LAYERS // 2, len(case.layers) - MOST_LAYERS))
    return list(case.layers[first : first + MOST_LAYERS])


def _panel(axes: Axes, energies: Array, curves: dict[str, Array], colours: dict[str, str]) -> dict[str, str]:
    """Draw the curves worth showing; return them with their colours."""
    highest = max((float(values.max(initial=0.0)) for values in curves.values()), default=0.0)
    shown = {name: colours[name] for name, values in curves.items() if values.max(initial=0.0) > SHOWN * highest}
    for name, colour in shown.items():
        for sign, values in zip((1, -1), curves[name], strict=False):
            axes.fill_between(energies, 0, sign * values, color=colour, alpha=0.35, linewidth=0)
            axes.plot(energies, sign * values, color=colour, linewidth=0.7)
    axes.axvline(0, color=MUTED, lw=0.5, ls=":")
    axes.axhline(0, color=INK, lw=0.4)
    axes.set_xlim(BELOW, ABOVE)
    axes.set_yticks([])
    return shown


def planar_figure(case: ElectronicRecord, file: Path) -> Figure:
    """Return what moved in each plane along the normal, e/Å, with the layers marked."""
    data = json.loads(file.read_text(encoding="utf-8"))
    heights, values = np.array(data["height_A"]), np.array(data["e_per_A"])
    with journal_style():
        figure = new_figure(ONE_COLUMN, 2.2)
        axes = figure.subplots()
        axes.plot(heights, values, color=INK, linewidth=0.8)
        for sign, colour in ((1, PALETTE[0]), (-1, PALETTE[1])):
            part = np.where(sign * values > 0, values, 0)
            axes.fill_between(heights, 0, part, color=colour, alpha=0.5, linewidth=0)
        _marks(axes, case.layers, float(heights[-1]))
        axes.axhline(0, color=INK, lw=0.4)
        axes.set_xlabel("height along the normal (Å)")
        axes.set_ylabel("density difference (e/Å)")
    return figure


def _marks(axes: Axes, layers: Sequence[LayerRow], period: float) -> None:
    for layer in layers:
        axes.axvline(layer.height.value % max(period, 1e-9), color=MUTED, lw=0.4, ls=":")
