"""Figures of interfaces: the search for the registry, works of adhesion, dopants layer by layer, structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ionscape.report.interface_records import InterfaceRecord
from ionscape.report.records import StudyRecord
from ionscape.report.structure_figure import Camera, structure_figure
from ionscape.report.style import (
    INK,
    MUTED,
    ONE_COLUMN,
    PALETTE,
    TWO_COLUMNS,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.typography import converted, formula_math
from ionscape.structures.exchange import read_structure
from ionscape.units import J_PER_M2_PER_EV_PER_A2

#: Stems of the figure files.
REGISTRY, ADHESION, SEGREGATION = "registry-search", "work-of-adhesion", "dopant-segregation"


@dataclass(frozen=True)
class RegretSeries:
    """Energies of one search above the lowest it found, (n,), J/m² of contact; not a number where one failed."""

    label: str
    above_J_per_m2: Sequence[float]


@dataclass(frozen=True)
class AdhesionBar:
    """Works of adhesion of one contact, J/m²; None where not known. `reported` is that of another study."""

    label: str
    work: float
    cleavage: float | None = None
    strain_corrected: float | None = None
    reported: float | None = None


def interface_stem(number: int) -> str:
    """Return the stem of the drawing of a contact, counted from 1."""
    return f"interface-{number}"


def interface_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    """Yield stem and figure of everything that the contacts of a study allow."""
    contacts = [one for one in record.interfaces if not one.unavailable]
    for number, contact in enumerate(record.interfaces, start=1):
        path = record.file(contact.structure_file)
        if path is not None:
            camera = Camera(along=1, turn=4.0, tilt=3.0, distance=12.0)
            yield (
                interface_stem(number),
                structure_figure(read_structure(path), camera=camera, width=TWO_COLUMNS / 2),
            )
    if contacts:
        yield REGISTRY, regret_figure([regret_series(one) for one in contacts])
    bars = adhesion_bars(record)
    if bars:
        yield ADHESION, adhesion_figure(bars)
    for contact in contacts[:1]:
        drawn = segregation_layers(contact)
        if drawn:
            yield SEGREGATION, segregation_figure(drawn, label=contact.name)


def segregation_layers(contact: InterfaceRecord) -> list[tuple[float, float]]:
    """Return distance (Å) and energy (meV/atom above the bulk region) of every doped layer that has an energy."""
    layers = contact.segregation.layers if contact.segregation else ()
    known = [(one.distance.value, one.relative_per_atom) for one in layers]
    return [(distance, converted(e, "meV/atom")) for distance, e in known if e is not None]


def regret_series(contact: InterfaceRecord) -> RegretSeries:
    """Return the energies of a search above the lowest, per area of contact."""
    energies = np.array([np.nan if step.energy is None else step.energy.value for step in contact.steps])
    area = (contact.area.value if contact.area else 1.0) * max(contact.n_interfaces, 1)
    above = (energies - np.nanmin(energies)) / area * J_PER_M2_PER_EV_PER_A2
    return RegretSeries(contact.name, above.tolist())


def adhesion_bars(record: StudyRecord) -> list[AdhesionBar]:
    """Return the works of adhesion of all contacts, with those that another study reports."""
    reported = {c.target: c.study.value for c in record.comparison if c.quantity == "work of adhesion"}
    bars = []
    for contact in record.interfaces:
        work = contact.work("work_of_adhesion")
        if work is None:
            continue
        others = {name: contact.work(name) for name in ("cleavage", "strain_corrected")}
        values = {name: None if one is None else one.value for name, one in others.items()}
        bars.append(AdhesionBar(contact.name, work.value, **values, reported=reported.get(contact.name)))
    return bars


def regret_figure(series: Sequence[RegretSeries], *, width: float = ONE_COLUMN) -> Figure:
    """Search for the registry: every evaluation (points) and the lowest so far (lines), J/m² above the best.

    Parameters
    ----------
    series
        One search each.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no search.
    """
    if not series:
        raise nothing_to_draw("registry searches", "at least one search")
    with journal_style():
        figure = new_figure(width, 2.4)
        axes = figure.add_subplot()
        for k, one in enumerate(series):
            above = np.array(one.above_J_per_m2, dtype=float)
            steps = np.arange(1, len(above) + 1)
            lowest = np.fmin.accumulate(above)
            style = look(k)
            axes.plot(
                steps, above, style.marker, color=style.colour, alpha=0.45, markersize=3.5, markeredgewidth=0
            )
            axes.step(steps, lowest, where="post", color=style.colour, label=formula_math(one.label))
        axes.set(xlabel="Evaluations", ylabel="Energy above the lowest found (J/m²)")
        axes.set_yscale("symlog", linthresh=0.05)
        axes.set_ylim(bottom=-0.005)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return figure


def adhesion_figure(bars: Sequence[AdhesionBar], *, width: float = ONE_COLUMN) -> Figure:
    """Works of adhesion as bars, J/m², negative for a bound contact; marks for variants and for another study.

    Parameters
    ----------
    bars
        The contacts, from top to bottom.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no contact.
    """
    if not bars:
        raise nothing_to_draw("works of adhesion", "at least one contact")
    marks = (
        ("cleavage", "frozen slabs", "D", PALETTE[1], PALETTE[1]),
        ("strain_corrected", "strain-corrected", "s", PALETTE[2], PALETTE[2]),
        ("reported", "reported", "o", INK, "none"),
    )
    with journal_style():
        figure = new_figure(width, 1.1 + 0.32 * len(bars))
        axes = figure.add_subplot()
        rows = np.arange(len(bars))
        axes.barh(rows, [bar.work for bar in bars], height=0.5, color=PALETTE[0], label="work of adhesion")
        for name, label, marker, colour, fill in marks:
            known = [(getattr(bar, name), row) for bar, row in zip(bars, rows, strict=True)]
            points = np.array([(value, row) for value, row in known if value is not None]).reshape(-1, 2)
            if len(points):
                axes.plot(*points.T, marker, color=colour, markerfacecolor=fill, markersize=4.5, label=label)
        axes.axvline(0.0, color=MUTED, linewidth=0.6)
        axes.set_yticks(rows, [formula_math(bar.label) for bar in bars])
        axes.invert_yaxis()
        axes.set_xlabel("Work of adhesion (J/m²)")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def segregation_figure(
    layers: Sequence[tuple[float, float]], *, label: str = "", width: float = ONE_COLUMN
) -> Figure:
    """Energy of a dopant by layer, meV/atom above that in the bulk region, against its distance from the contact.

    Parameters
    ----------
    layers
        Distance (Å) and energy (meV/atom) of each, from the contact inwards; the last is the bulk region.
    label
        Name of the contact.
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is no layer.
    """
    if not layers:
        raise nothing_to_draw("doped layers", "at least one layer")
    with journal_style():
        figure = new_figure(width, 2.2)
        axes = figure.add_subplot()
        axes.plot([x for x, _ in layers], [e for _, e in layers], "o-", color=PALETTE[0])
        axes.axhline(0.0, color=MUTED, linewidth=0.6)
        axes.set(xlabel="Distance from the contact (Å)", ylabel="Energy above the bulk region (meV/atom)")
        if label:
            axes.set_title(formula_math(label))
    return figure
