"""Interactive figures of energies: decomposition, Ewald ranking, reaction profiles, windows and voltages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ionscape.report.contact_figures import ProfileSeries
from ionscape.report.energy_figures import PLAUSIBLE, DecompositionSeries, EwaldSeries
from ionscape.report.interactive.plot import Plot, Trace, axes, axis, colour, curve, hollow, numbers, text
from ionscape.report.typography import decimals
from ionscape.report.window_figures import VoltageSteps, WindowBar


def decomposition_plot(series: Sequence[DecompositionSeries], dopant: str) -> Plot:
    """Decomposition energy against dopant content, the products of every point on hovering."""
    traces, routes = [], list(dict.fromkeys(one.label for one in series))
    for one in series:
        k = routes.index(one.label)
        told = ["<br>→ " + text(" + ".join(names)) if names else "" for names in one.products]
        name = f"{one.label}, reported" if one.reported else one.label
        trace = curve(
            name, one.x, one.e_d_meV_per_atom, k, mode="markers" if one.reported else "lines+markers",
            text=told, hovertemplate="x = %{x}: %{y:.1f} meV/atom%{text}",
        )  # fmt: skip
        traces.append(hollow(trace) if one.reported else trace)
    highest = max(float(np.max(np.asarray(one.e_d_meV_per_atom))) for one in series)
    layout = axes(f"<i>x</i>, {dopant or 'dopants'} per formula unit", "<i>E</i><sub>d</sub> (meV/atom)")
    if highest > PLAUSIBLE / 2:
        line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": PLAUSIBLE, "y1": PLAUSIBLE}
        layout["shapes"] = [line | {"line": {"dash": "dot", "width": 1, "color": "#808690"}}]
    return Plot(traces, layout)


def ewald_plot(series: Sequence[EwaldSeries]) -> Plot:
    """Relaxed energy against Ewald energy, each above the lowest of its content."""
    traces = []
    for k, one in enumerate(series):
        ewald, relaxed = (np.asarray(e, dtype=float) for e in (one.ewald_eV, one.relaxed_eV_per_atom))
        told = "" if one.rho is None else f" (ρ {decimals(one.rho, 2)})"
        found = (ewald - ewald.min(), 1000 * (relaxed - relaxed.min()))
        hover = "Ewald +%{x:.3f} eV, relaxed +%{y:.2f} meV/atom"
        traces.append(curve(f"{one.label}{told}", *found, k, mode="markers", hovertemplate=hover))
    return Plot(traces, axes("Ewald energy above the lowest (eV)", "relaxed energy above the lowest (meV/atom)"))


def reaction_plot(series: Sequence[ProfileSeries]) -> Plot:
    """Reaction energy against the mixing ratio, the products at every kink on hovering."""
    traces = [
        curve(
            f"{one.cathode} with {one.phase}", one.x, one.energies_meV_per_atom, k, mode="lines+markers",
            text=["<br>→ " + text(" + ".join(names)) for names in one.products],
            hovertemplate="x = %{x:.3f}: %{y:.1f} meV/atom%{text}",
        )
        for k, one in enumerate(series)
    ]  # fmt: skip
    return Plot(traces, axes("<i>x</i>, share of the atoms from the cathode", "Δ<i>E</i> (meV/atom)"))


def window_plot(bars: Sequence[WindowBar], electrode: str) -> Plot:
    """Electrochemical windows as bars with intervals; a missing limit ends at the edge."""
    limits = [v for bar in bars for v in (bar.reduction_V, bar.oxidation_V) if v is not None] or [0.0, 5.0]
    low, high = min(*limits, 0.0) - 0.3, max(*limits, 0.0) + 0.5
    rows = list(range(len(bars)))
    starts = np.array([low if bar.reduction_V is None else bar.reduction_V for bar in bars])
    ends = np.array([high if bar.oxidation_V is None else bar.oxidation_V for bar in bars])
    trace: Trace = {
        "type": "bar", "orientation": "h", "y": rows, "base": numbers(starts), "x": numbers(ends - starts),
        "width": 0.45, "marker": {"color": colour(0), "opacity": 0.55}, "showlegend": False,
        "text": [_limits(bar) for bar in bars], "textposition": "none", "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    names = axis("", tickvals=rows, ticktext=[text(bar.label) for bar in bars], autorange="reversed")
    layout = {"xaxis": axis(f"voltage against {electrode} (V)", range=[low, high]), "yaxis": names}
    marks = [_marks("reduction", bars, 1), _marks("oxidation", bars, 2)]
    return Plot([trace, *marks], layout, 130 + 42 * len(bars))


def _limits(bar: WindowBar) -> str:
    def told(limit: float | None) -> str:
        return "no limit" if limit is None else f"{decimals(limit, 2)} V"

    return f"{text(bar.label)}<br>reduction {told(bar.reduction_V)}, oxidation {told(bar.oxidation_V)}"


def _marks(side: str, bars: Sequence[WindowBar], k: int) -> Trace:
    found: list[tuple[int, float, tuple[float, float] | None]] = []
    for row, bar in enumerate(bars):
        limit = bar.reduction_V if side == "reduction" else bar.oxidation_V
        if limit is not None:
            found.append((row, limit, bar.reduction_95 if side == "reduction" else bar.oxidation_95))
    trace = curve(f"{side} limit", [v for _, v, _ in found], [row for row, _, _ in found], k, mode="markers")
    above = [0.0 if ends is None else ends[1] - v for _, v, ends in found]
    below = [0.0 if ends is None else v - ends[0] for _, v, ends in found]
    spread = {"type": "data", "symmetric": False, "array": numbers(above), "arrayminus": numbers(below)}
    spread |= {"color": colour(k), "thickness": 1.2}
    return trace | {"error_x": spread, "hovertemplate": "%{x:.2f} V"}


def voltage_plot(series: Sequence[VoltageSteps], mobile: str, electrode: str) -> Plot:
    """Voltage against the content of the mobile ion, a plateau for each reaction."""
    traces, shapes = [], []
    for k, one in enumerate(series):
        x = np.repeat(np.asarray(one.contents, dtype=float), 2)[1:-1]
        y = np.repeat(np.asarray(one.voltages_V, dtype=float), 2)
        told = [text(name) for name in one.names for _ in range(2)]
        traces.append(curve(one.label, x, y, k, text=told, hovertemplate="%{text}"))
        if one.as_made is not None:
            line: dict[str, Any] = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
            line |= {"x0": one.as_made, "x1": one.as_made, "line": {"dash": "dot", "color": colour(k), "width": 1}}
            shapes.append(line)
    layout = axes(f"{mobile} per formula unit", f"voltage against {electrode} (V)", shapes=shapes)
    return Plot(traces, layout)
