"""Interactive figures of a learned potential and of runs in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ionscape.potential.errors_of_model import Predictions
from ionscape.report.interactive.plot import Plot, axes, curve, panel, panels
from ionscape.report.learning_figures import RunSeries
from ionscape.units import GPA_PER_EV_PER_A3, Array

#: Most points of a cloud; more are thinned evenly.
_POINTS = 1500


def parity_plot(found: Predictions) -> Plot:
    """Energies, forces and stresses of the potential against those of the level that taught it."""
    shown = [
        ("energy", 1000 * (found.energies - found.energies[1].mean()), "meV/atom"),
        ("force", found.forces, "eV/Å"),
    ]
    if found.stresses.size:
        shown.append(("stress", GPA_PER_EV_PER_A3 * found.stresses, "GPa"))
    traces = []
    for k, (what, pairs, unit) in enumerate(shown):
        ours, labels = _thinned(pairs)
        ends = [float(pairs.min()), float(pairs.max())]
        line = curve("equal", ends, ends, k, showlegend=False, hoverinfo="skip", **panel(k))
        traces.append(line | {"line": {"color": "#808690", "width": 1}})
        cloud = curve(what, labels, ours, k, mode="markers", hovertemplate=f"%{{x}} → %{{y}} {unit}", **panel(k))
        traces.append(cloud | {"marker": cloud["marker"] | {"size": 5, "opacity": 0.55}})
    titles = [f"{what} ({unit})" for what, _, unit in shown]
    layout = panels(titles, len(shown), "dear level", ["potential", *[""] * (len(shown) - 1)])
    return Plot(traces, layout | {"showlegend": False})


def _thinned(pairs: Array) -> Array:
    flat = pairs.reshape(2, -1)
    return np.asarray(flat[:, :: max(1, -(-flat.shape[1] // _POINTS))])


def calibration_plot(predicted: ArrayLike, found: ArrayLike) -> Plot:
    """Root-mean-square errors of forces against their predicted standard deviation, in bins."""
    highest = float(max(np.max(np.asarray(predicted)), np.max(np.asarray(found))))
    equal = curve("equal", [0, highest], [0, highest], 1, hoverinfo="skip")
    bins = curve("bins", predicted, found, 0, mode="markers", hovertemplate="predicted %{x}, found %{y} eV/Å")
    titles = ("predicted standard deviation (eV/Å)", "error, root mean square (eV/Å)")
    return Plot([equal | {"line": {"color": "#808690", "width": 1}}, bins], axes(*titles))


def learning_plot(times: ArrayLike, calls: ArrayLike) -> Plot:
    """Draw the calls of the dear level against the time explored."""
    trace = curve("dear calls", times, calls, 0, hovertemplate="%{y} calls after %{x} ps")
    return Plot(
        [trace | {"line": trace["line"] | {"shape": "hv"}}], axes("time explored (ps)", "calls of the dear level")
    )


def series_plot(series: Sequence[RunSeries]) -> Plot:
    """Energy, temperature and volume of runs against time; one legend entry switches a run in all panels."""
    shown = (("energy", "energy (meV/atom)"), ("temperature", "temperature (K)"), ("volume", "volume / mean"))
    traces = []
    for k, one in enumerate(series):
        for column, (name, _) in enumerate(shown):
            more: dict[str, Any] = {
                "legendgroup": str(k),
                "showlegend": column == 0,
                "hovertemplate": "%{x:.1f} ps: %{y}",
            }
            trace = curve(one.label, one.time, getattr(one, name), k, **more, **panel(column))
            traces.append(trace | {"line": trace["line"] | {"width": 1}})
    return Plot(traces, panels(["", "", ""], 3, "time (ps)", [title for _, title in shown]))
