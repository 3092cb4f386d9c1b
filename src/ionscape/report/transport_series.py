"""What the figures of transport show, from the curves and the record of an analysis; and all of them as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ionscape.report.density_figures import DensityMap, JumpMap, density_figure, jump_figure
from ionscape.report.style import save
from ionscape.report.transport_figures import (
    ArrheniusPoints,
    DisplacementSeries,
    displacement_figure,
    running_diffusion_figure,
)
from ionscape.report.van_hove_figures import VanHoveMap, van_hove_figure
from ionscape.transport.arrhenius import Arrhenius
from ionscape.transport.conductivity import CM2_PER_S_PER_A2_PER_FS
from ionscape.transport.curves import Curves, density_of
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.law_records import law_line
from ionscape.transport.result import in_cm2_per_s


def run_label(record: Mapping[str, Any]) -> str:
    """Return the formula of the cell, and the temperature of the run if it is known."""
    counts = record["atoms"]
    divisor = int(np.gcd.reduce(list(counts.values())))
    formula = "".join(f"{name}{'' if n == divisor else n // divisor}" for name, n in counts.items())
    kelvin = record["temperature_K"]
    return f"{formula}, {kelvin:g} K" if isinstance(kelvin, float | int) else formula


def displacement_series(curves: Curves) -> list[DisplacementSeries]:
    """Return the mean-square displacement of every element that was analysed, the mobile one first."""
    found = {key.partition("/")[2]: rows for key, rows in curves.items() if key.startswith("displacement/")}
    return [DisplacementSeries(name, *rows.T) for name, rows in found.items()]


def van_hove_maps(
    curves: Curves, label: str, first_ps: float | None = None, onset_ps: float | None = None
) -> list[VanHoveMap]:
    """Return self and distinct part of the van Hove function of the mobile ions; nothing if there is none.

    `first_ps` and `onset_ps` are τ1 and τ2, ps, where they are known.
    """
    if "van-hove/times" not in curves:
        return []
    times, distances = curves["van-hove/times"], curves["van-hove/distances"]
    return [
        VanHoveMap(label, "self", times, distances, curves["van-hove/self"], first_ps),
        VanHoveMap(label, "distinct", times, distances, curves["van-hove/distinct"], onset_ps),
    ]


def density_map(curves: Curves, label: str, smoothing: float = 0.2) -> DensityMap | None:
    """Return the trajectory density, smoothed for the eye, with the mean host; None if there is none."""
    density = density_of(curves, "")
    if density is None:
        return None
    shown = density.smoothed(smoothing)
    if "host/symbols" not in curves:
        return DensityMap(label, shown.values, shown.cell)
    symbols = [str(symbol) for symbol in curves["host/symbols"]]
    return DensityMap(label, shown.values, shown.cell, symbols, curves["host/fractional"])


def jump_map(curves: Curves, label: str) -> JumpMap | None:
    """Return the jump network; None if there is none."""
    if "jumps/sites" not in curves:
        return None
    parts = (curves[f"jumps/{name}"] for name in ("cell", "sites", "occupations", "edges", "counts"))
    return JumpMap(label, *parts)


def arrhenius_points(
    runs: Sequence[tuple[float, Diffusion | NotDiffusive]], law: Arrhenius | None, coldest: float, label: str = ""
) -> ArrheniusPoints:
    """Return diffusion coefficients in cm²/s with the law through them down to the temperature `coldest`, K."""
    told = [(t, run) for t, run in runs if isinstance(run, Diffusion)]
    bounds = [(t, in_cm2_per_s(run.upper_bound)) for t, run in runs if isinstance(run, NotDiffusive)]
    rows = np.array([(t, run.value, run.low95, run.high95) for t, run in told]).reshape(-1, 4)
    rows[:, 1:] *= CM2_PER_S_PER_A2_PER_FS
    line = None if law is None else law_line(law, coldest, max(t for t, _ in runs))
    kelvin, value, low, high = rows.T
    return ArrheniusPoints(label, kelvin, value, low, high, bounds, line)


def transport_figures(curves: Curves, record: Mapping[str, Any]) -> dict[str, Figure]:
    """Return every figure that an analysis has data for, by name.

    Parameters
    ----------
    curves, record
        Of one run (`transport.curves`, `transport.records.transport_record`).
    """
    figures: dict[str, Figure] = {}
    label, moved = run_label(record), displacement_series(curves)
    if moved:
        figures["displacement"] = displacement_figure(moved, note=label)
    if f"displacement/{record['mobile']}" in curves:
        figures["running-diffusion"] = _running(record, moved[0])
    times = (record.get(key) for key in ("tau1_ps", "tau2_ps"))
    maps = van_hove_maps(curves, label, *(time if isinstance(time, float) else None for time in times))
    if maps:
        figures["van-hove"] = van_hove_figure(maps)
    density, jumps = density_map(curves, label), jump_map(curves, label)
    if density is not None:
        figures["trajectory-density"] = density_figure([density])
    if jumps is not None:
        figures["jump-network"] = jump_figure(jumps)
    return figures


def _running(record: Mapping[str, Any], moved: DisplacementSeries) -> Figure:
    found = record["D_cm2_per_s"]
    if "value" in found:
        estimate = found["value"], found["low95"], found["high95"]
        return running_diffusion_figure(moved, estimate, begins_ps=record["diffusive_from_ps"])
    return running_diffusion_figure(moved, None, bound=record.get("D_upper_bound_cm2_per_s"))


def save_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as SVG and PNG into `folder`, and return the paths."""
    return [path for name, figure in figures.items() for path in save(figure, folder / name)]
