"""What the figures of transport show, from the result of an analysis; and all of them as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
from ionscape.results import Failure
from ionscape.transport.arrhenius import Arrhenius
from ionscape.transport.conductivity import CM2_PER_S_PER_A2_PER_FS
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.displacement import Displacement
from ionscape.transport.result import TransportResult, in_cm2_per_s
from ionscape.units import Array

#: Temperatures along the drawn law.
_LINE = 60


def run_label(result: TransportResult) -> str:
    """Return the formula of the cell, and the temperature of the run if it is known."""
    counts = result.run.counts
    divisor = int(np.gcd.reduce(list(counts.values())))
    formula = "".join(f"{name}{'' if n == divisor else n // divisor}" for name, n in counts.items())
    kelvin = result.run.temperature
    return formula if isinstance(kelvin, Failure) else f"{formula}, {kelvin:g} K"


def displacement_series(result: TransportResult) -> list[DisplacementSeries]:
    """Return the mean-square displacement of every element that was analysed, the mobile one first."""
    found: dict[str, Displacement] = {}
    if not isinstance(result.displacement, Failure):
        found[result.run.mobile] = result.displacement
    if not isinstance(result.host, Failure):
        found |= result.host.displacements
    return [
        DisplacementSeries(name, one.times / 1000, one.total, one.standard_error) for name, one in found.items()
    ]


def van_hove_maps(result: TransportResult) -> list[VanHoveMap]:
    """Return self and distinct part of the van Hove function of the mobile ions; nothing if there is none."""
    if isinstance(result.space_time, Failure):
        return []
    picture, label = result.space_time, run_label(result)
    g, times = picture.functions, picture.functions.times / 1000
    first, onset = (
        None if isinstance(time, Failure) else time.value / 1000
        for time in (picture.first_jump, picture.concerted_onset)
    )
    weights = g.self_part * 4 * np.pi * g.distances**2
    return [
        VanHoveMap(label, "self", times, g.distances, weights, first),
        VanHoveMap(label, "distinct", times, g.distances, g.distinct_part, onset),
    ]


def density_map(result: TransportResult, smoothing: float = 0.2) -> DensityMap | None:
    """Return the trajectory density, smoothed for the eye, with the mean host; None if there is none."""
    if isinstance(result.density, Failure):
        return None
    shown = result.density.smoothed(smoothing)
    label = run_label(result)
    if isinstance(result.host, Failure):
        return DensityMap(label, shown.values, shown.cell)
    return DensityMap(label, shown.values, shown.cell, result.host.symbols, result.host.fractional)


def jump_map(result: TransportResult) -> JumpMap | None:
    """Return the jump network; None if there is none."""
    if isinstance(result.hopping, Failure):
        return None
    jumps, network = result.hopping.jumps, result.hopping.network
    edges = [(one.start, one.end, *one.translation) for one in network]
    counts = [one.rate.count for one in network]
    sites = jumps.sites
    return JumpMap(run_label(result), sites.cell, sites.fractional, jumps.occupations, edges, counts)


def arrhenius_points(
    runs: Sequence[tuple[float, Diffusion | NotDiffusive]], law: Arrhenius | None, coldest: float, label: str = ""
) -> ArrheniusPoints:
    """Return diffusion coefficients in cm²/s with the law through them down to the temperature `coldest`, K."""
    told = [(t, run) for t, run in runs if isinstance(run, Diffusion)]
    bounds = [(t, in_cm2_per_s(run.upper_bound)) for t, run in runs if isinstance(run, NotDiffusive)]
    rows = np.array([(t, run.value, run.low95, run.high95) for t, run in told]).reshape(-1, 4)
    rows[:, 1:] *= CM2_PER_S_PER_A2_PER_FS
    line = None if law is None else _line(law, coldest, max(t for t, _ in runs))
    kelvin, value, low, high = rows.T
    return ArrheniusPoints(label, kelvin, value, low, high, bounds, line)


def _line(law: Arrhenius, coldest: float, hottest: float) -> Array:
    kelvin = 1 / np.linspace(1 / hottest, 1 / min(coldest, hottest), _LINE)
    points = [law.diffusion(float(t)) for t in kelvin]
    values = [(p.value, p.low95, p.high95) for p in points]
    return np.column_stack([kelvin, np.array(values) * CM2_PER_S_PER_A2_PER_FS])


def transport_figures(result: TransportResult) -> dict[str, Figure]:
    """Return every figure that a result has data for, by name."""
    figures: dict[str, Figure] = {}
    moved = displacement_series(result)
    if moved:
        figures["displacement"] = displacement_figure(moved, note=run_label(result))
    if not isinstance(result.displacement, Failure):
        figures["running-diffusion"] = _running(result, moved[0])
    maps = van_hove_maps(result)
    if maps:
        figures["van-hove"] = van_hove_figure(maps)
    density, jumps = density_map(result), jump_map(result)
    if density is not None:
        figures["trajectory-density"] = density_figure([density])
    if jumps is not None:
        figures["jump-network"] = jump_figure(jumps)
    return figures


def _running(result: TransportResult, moved: DisplacementSeries) -> Figure:
    found = result.diffusion
    if isinstance(found, Diffusion):
        estimate = in_cm2_per_s(found.value), in_cm2_per_s(found.low95), in_cm2_per_s(found.high95)
        return running_diffusion_figure(moved, estimate, begins_ps=found.begins_at / 1000)
    bound = in_cm2_per_s(found.upper_bound) if isinstance(found, NotDiffusive) else None
    return running_diffusion_figure(moved, None, bound=bound)


def save_figures(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Write figures as SVG and PNG into `folder`, and return the paths."""
    return [path for name, figure in figures.items() for path in save(figure, folder / name)]
