"""Interactive figures of ion transport: displacements, Arrhenius plot, numbers by content, van Hove functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ionscape.report.content_figures import ContentSeries, DisplacementPanel
from ionscape.report.interactive.plot import (
    Plot,
    Trace,
    axes,
    axis,
    band,
    curve,
    numbers,
    panel,
    panels,
    text,
    upper_bounds,
    with_interval,
)
from ionscape.report.transport_figures import ArrheniusPoints, ChannelSeries, DisplacementSeries
from ionscape.report.van_hove_figures import VanHoveMap
from ionscape.units import Array

#: Most points of a displacement, and most cells of a map along time and distance.
_POINTS, _CELLS = 80, (90, 110)
#: The colour scale of G_self ends here, Å⁻¹; that of G_distinct above there.
_FAINTEST, _HIGHEST = 1e-3, 3.0


def displacement_plot(runs: Sequence[DisplacementPanel], mobile: str) -> Plot:
    """Mean-square displacement of the mobile ion in every run; the host's elements are switched off at first.

    Both axes are logarithmic: diffusion has slope 1, and runs of any length and temperature show together.
    """
    traces: list[Trace] = []
    hosts: set[str] = set()
    for k, run in enumerate(runs):
        for one in run.series:
            if one.label == mobile:
                traces += _mobile(one, f"{run.row}, {run.column}", k)
            else:
                first = one.label not in hosts
                group: dict[str, Any] = {"legendgroup": one.label, "visible": "legendonly"}
                hosts.add(one.label)
                lag, msd, _ = _kept(one)
                told: dict[str, Any] = {"text": [f"{one.label}, {text(run.row)}, {run.column}"] * len(lag)}
                hover = {"hovertemplate": "%{text}: %{x:.2f} ps, %{y:.3f} Å²<extra></extra>"}
                traces.append(
                    curve(f"{one.label}, all runs", lag, msd, k, showlegend=first, **group, **told, **hover)
                )
    layout = axes("lag (ps)", f"mean-square displacement of {mobile} (Å²)")
    for name in ("xaxis", "yaxis"):
        layout[name] |= {"type": "log", "exponentformat": "power", "dtick": 1}
    return Plot(traces, layout, 460)


def _mobile(one: DisplacementSeries, name: str, k: int) -> list[Trace]:
    lag, msd, error = _kept(one)
    group: dict[str, Any] = {"legendgroup": str(k)}
    line = curve(name, lag, msd, k, hovertemplate="%{x:.2f} ps: %{y:.3f} Å²", **group)
    line["line"] |= {"dash": ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")[k // 6 % 6]}
    if error is None:
        return [line]
    low = np.maximum(msd - error, 0.01 * msd)  # an error as large as the number has no end on this axis
    return [line, band(lag, low, msd + error, k, **group)]


def _kept(one: DisplacementSeries) -> tuple[Array, Array, Array | None]:
    """Return lags, displacements and errors up to half of the run, evenly thinned on a logarithmic axis."""
    lag, msd = np.asarray(one.times_ps, dtype=float), np.asarray(one.msd_A2, dtype=float)
    last = max(2, len(lag) // 2)
    kept = np.unique(np.geomspace(1, last, _POINTS).astype(int).clip(max=len(lag) - 1))
    kept = kept[(lag[kept] > 0) & (msd[kept] > 0)]
    error = None if one.error_A2 is None else np.asarray(one.error_A2, dtype=float)[kept]
    return lag[kept], msd[kept], error


def arrhenius_plot(series: Sequence[ArrheniusPoints], marked_K: float) -> Plot:
    """Diffusion coefficients with intervals against 1000/T, and the laws with their bands."""
    traces: list[Trace] = []
    for k, one in enumerate(series):
        kelvin = np.asarray(one.temperatures_K, dtype=float)
        group: dict[str, Any] = {"legendgroup": str(k)}
        hover: dict[str, Any] = {
            "text": [f"{t:.4g} K" for t in kelvin],
            "hovertemplate": "%{text}: %{y:.3g} cm²/s",
        }
        points = curve(one.label, 1000 / kelvin, one.values, k, mode="markers", **group, **hover)
        traces.append(with_interval(points, one.low95, one.high95))
        traces += [trace | group for trace in upper_bounds(one.label, [(1000 / t, d) for t, d in one.bounds], k)]
        if one.line is not None:
            t, value, low, high = np.asarray(one.line, dtype=float).T
            traces.append(band(1000 / t, low, high, k, **group))
            told: dict[str, Any] = {
                "text": [f"{x:.4g} K" for x in t],
                "hovertemplate": "%{text}: %{y:.3g} cm²/s (law)",
            }
            traces.append(curve(one.label, 1000 / t, value, k, showlegend=False, **group, **told))
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": 1000 / marked_K, "x1": 1000 / marked_K}
    layout = {
        "xaxis": axis("1000/<i>T</i> (1/K)"),
        "yaxis": axis("<i>D</i> (cm²/s)", type="log", exponentformat="power", dtick=1),
        "shapes": [line | {"line": {"dash": "dot", "width": 1, "color": "#808690"}}],
    }
    return Plot(traces, layout, 440)


def content_plot(
    series: Sequence[ContentSeries], quantity: str, dopant: str, *, logarithmic: bool = False
) -> Plot:
    """Show a number with intervals against dopant content."""
    traces: list[Trace] = []
    for k, one in enumerate(series):
        if len(np.asarray(one.x)):
            points = curve(
                one.label, one.x, one.values, k, mode="lines+markers", hovertemplate="x = %{x}: %{y:.3g}"
            )
            traces.append(with_interval(points, one.low95, one.high95))
        traces += upper_bounds(one.label, one.bounds, k)
    scale = {"type": "log", "exponentformat": "power"} if logarithmic else {}
    x = axis(f"<i>x</i>, {dopant or 'dopants'} per formula unit")
    return Plot(traces, {"xaxis": x, "yaxis": axis(quantity, **scale)})


def channel_plot(series: Sequence[ChannelSeries], dopant: str) -> Plot:
    """Lengths of the host's channels against dopant content, mean and standard deviation over frames."""
    traces = []
    for k, one in enumerate(series):
        mean, spread = (np.asarray(v, dtype=float) for v in (one.mean_A, one.deviation_A))
        hover = "x = %{x}: %{y:.3f} Å"
        points = curve(one.label, one.x, mean, k, mode="lines+markers", hovertemplate=hover)
        traces.append(with_interval(points, mean - spread, mean + spread))
    return Plot(traces, axes(f"<i>x</i>, {dopant or 'dopants'} per formula unit", "length (Å)"))


def van_hove_plot(maps: Sequence[VanHoveMap]) -> Plot:
    """Heat maps of the van Hove functions, distance against time, as in the file, with τ1 and τ2."""
    columns = 1 if len(maps) == 1 else 2
    kinds = {"self": "4π<i>r</i>²<i>G</i><sub>self</sub>, log scale", "distinct": "<i>G</i><sub>distinct</sub>"}
    titles = [f"{text(one.label)}<br>{kinds[one.kind]}" for one in maps]
    layout = panels(titles, columns, "time (ps)", ["<i>r</i> (Å)"] * len(maps))
    layout |= {"shapes": [_time(one.time_ps, k) for k, one in enumerate(maps) if one.time_ps is not None]}
    rows = -(-len(maps) // columns)
    return Plot([_map(one, k) for k, one in enumerate(maps)], layout, 60 + 330 * rows)


def _map(one: VanHoveMap, k: int) -> Trace:
    time, r, values = (np.asarray(x, dtype=float) for x in (one.times_ps, one.distances_A, one.values))
    if one.kind == "self":
        time, values = time[1:], values[1:]  # all ions are at r = 0 at t = 0
    every, each = (max(1, -(-n // most)) for n, most in zip(values.shape, _CELLS, strict=True))
    shown = values[::every, ::each].T
    trace: Trace = {"type": "heatmap", "x": numbers(time[::every]), "y": numbers(r[::each]), "showscale": False}
    if one.kind == "self":
        scaled = np.log10(np.clip(shown, _FAINTEST, None))
        trace |= {
            "z": np.round(scaled, 2).tolist(),
            "hovertemplate": "%{x} ps, %{y} Å: 10^%{z} Å⁻¹<extra></extra>",
        }
    else:
        highest = min(_HIGHEST, max(1.5, float(values.max())))
        trace |= {"z": np.round(shown, 2).tolist(), "zmin": 0, "zmax": highest}
        trace |= {"hovertemplate": "%{x} ps, %{y} Å: %{z}<extra></extra>"}
    return trace | {"colorscale": "Viridis"} | panel(k)


def _time(time_ps: float | None, k: int) -> dict[str, Any]:
    names = panel(k)
    place = {
        "xref": names["xaxis"],
        "x0": time_ps,
        "x1": time_ps,
        "yref": f"{names['yaxis']} domain",
        "y0": 0,
        "y1": 1,
    }
    return {"type": "line", "line": {"color": "white", "dash": "dash", "width": 1.2}} | place
