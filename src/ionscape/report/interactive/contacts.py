"""Interactive figures of surfaces and interfaces: γ against thickness, registry, adhesion, segregation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ionscape.report.interactive.plot import Plot, Trace, axes, axis, colour, curve, hollow, numbers, text
from ionscape.report.interface_figures import AdhesionBar, RegretSeries
from ionscape.report.surface_records import SurfacesRecord


def thickness_plot(crystal: SurfacesRecord) -> Plot:
    """Surface energy against the thickness of the slabs; hollow: still changing."""
    traces = []
    for k, row in enumerate(row for row in crystal.rows if len(row.gammas) > 1):
        name = f"{row.plane} {row.termination}"
        trace = curve(name, row.thicknesses_A, row.gammas, k, mode="lines+markers")
        trace["hovertemplate"] = "%{x:.1f} Å: %{y:.3f} J/m²"
        traces.append(trace if row.converged else hollow(trace))
    return Plot(traces, axes("thickness of the slab (Å)", "<i>γ</i> (J/m²)"))


def registry_plot(series: Sequence[RegretSeries]) -> Plot:
    """Energies of a search above the lowest it found, and the lowest so far, by evaluation."""
    traces: list[Trace] = []
    for k, one in enumerate(series):
        above = np.array(one.above_J_per_m2, dtype=float)
        steps = np.arange(1, len(above) + 1)
        group = {"legendgroup": str(k), "hovertemplate": "evaluation %{x}: +%{y:.3f} J/m²"}
        traces.append(curve(one.label, steps, above, k, mode="markers", opacity=0.6, **group))
        lowest = curve(f"{one.label}, lowest so far", steps, np.fmin.accumulate(above), k, **group)
        traces.append(lowest | {"line": lowest["line"] | {"shape": "hv"}})
    return Plot(traces, axes("evaluations", "energy above the lowest found (J/m²)"))


def adhesion_plot(bars: Sequence[AdhesionBar]) -> Plot:
    """Works of adhesion as bars, marks for frozen slabs, for slabs in their own lattices, and of another study."""
    rows = list(range(len(bars)))
    marks = (
        ("cleavage", "frozen slabs", 1),
        ("strain_corrected", "strain-corrected", 2),
        ("reported", "reported", 3),
    )
    hover: dict[str, Any] = {"hovertemplate": "%{x:.3f} J/m²"}
    traces: list[Trace] = [
        {
            "type": "bar", "orientation": "h", "y": rows, "x": numbers([bar.work for bar in bars]), "width": 0.5,
            "name": "work of adhesion", "marker": {"color": colour(0)},
        } | hover
    ]  # fmt: skip
    for name, label, k in marks:
        known = [(getattr(bar, name), row) for row, bar in enumerate(bars)]
        points = [(value, row) for value, row in known if value is not None]
        if points:
            x, y = zip(*points, strict=True)
            trace = curve(label, x, y, k, mode="markers", **hover)
            traces.append(hollow(trace) if name == "reported" else trace)
    names = axis("", tickvals=rows, ticktext=[text(bar.label) for bar in bars], autorange="reversed")
    return Plot(traces, {"xaxis": axis("work of adhesion (J/m²)"), "yaxis": names}, 150 + 50 * len(bars))


def segregation_plot(layers: Sequence[tuple[float, float]], label: str) -> Plot:
    """Energy of a dopant above that in the bulk region, against its distance from the contact."""
    x, energies = zip(*layers, strict=True)
    trace = curve(label, x, energies, 0, mode="lines+markers", hovertemplate="%{x:.1f} Å: %{y:.2f} meV/atom")
    return Plot([trace], axes("distance from the contact (Å)", "energy above the bulk region (meV/atom)"))
