"""Figures of a study's runs: what is drawn of molecular dynamics and ion transport, and under which names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from ionscape.report.content_figures import (
    ContentSeries,
    DisplacementPanel,
    content_figure,
    displacement_panels,
)
from ionscape.report.density_figures import DensityMap, density_figure
from ionscape.report.records import StudyRecord
from ionscape.report.transport_figures import ArrheniusPoints, ChannelSeries, arrhenius_figure, channel_figure
from ionscape.report.transport_records import AnalysedRun, DrawnRun, Estimate, TransportRecord
from ionscape.report.transport_series import density_map, displacement_series, van_hove_maps
from ionscape.report.van_hove_figures import VanHoveMap, van_hove_figure
from ionscape.transport.curves import read_curves

#: Stems of the figure files; the page looks for them by these names.
DISPLACEMENTS, ARRHENIUS, CHANNELS = "displacements", "arrhenius", "channels-content"
CONDUCTIVITY, CORRELATION = "conductivity-content", "correlation-length-content"


def van_hove_stem(temperature: float) -> str:
    """Return the stem of the van Hove functions at a temperature, K."""
    return f"van-hove-{temperature:g}K".replace(".", "-")


def density_stem(temperature: float) -> str:
    """Return the stem of the trajectory densities at a temperature, K."""
    return f"trajectory-density-{temperature:g}K".replace(".", "-")


def run_figures(record: StudyRecord, dopant: str) -> Iterator[tuple[str, Figure]]:
    """Yield every figure that the runs of a study allow, with its stem.

    Displacements (Fig. S7, 4a), Arrhenius plot (4b), conductivity against content (4c), channels (4d, S12), van
    Hove functions (5a–d), trajectory densities (5e, f) and the correlation length.

    Parameters
    ----------
    record
        The study.
    dopant
        Element whose content is on horizontal axes; empty where there is not one.
    """
    transport = record.transport
    if transport is None:
        return
    drawn = drawn_runs(record)
    panels = displacement_panel_list(drawn)
    if panels:
        yield DISPLACEMENTS, displacement_panels(panels)
    points = arrhenius_series(transport)
    if points:
        yield ARRHENIUS, arrhenius_figure(points, marked_K=transport.at_K)
    yield from _content_figures(transport, dopant)
    yield from _channel_figure(drawn, dopant)
    yield from _maps(drawn, transport)


def drawn_runs(record: StudyRecord) -> list[DrawnRun]:
    """Return the analysed runs of a study whose curves are there, with them."""
    runs = record.transport.runs if record.transport else ()
    return [DrawnRun(run, read_curves(path)) for run in runs if (path := record.file(run.curves_file))]


def arrhenius_series(transport: TransportRecord) -> list[ArrheniusPoints]:
    """Return the diffusion coefficients of every material that has any, or a bound."""
    return [one for one in (_points(transport, name) for name in transport.materials) if one is not None]


def displacement_panel_list(drawn: Sequence[DrawnRun]) -> list[DisplacementPanel]:
    """Return a panel for the first replica of every run that has displacements."""
    found = [(one.run.head, displacement_series(one.curves)) for one in drawn if one.run.head.replica == 1]
    ordered = sorted(found, key=lambda pair: pair[0].temperature_K)
    return [DisplacementPanel(head.material, f"{head.temperature_K:g} K", s) for head, s in ordered if s]


def _points(transport: TransportRecord, material: str) -> ArrheniusPoints | None:
    """Return the diffusion coefficients of a material with its law; None if it has not even a bound."""
    runs = [run for run in transport.runs if run.head.material == material]
    known = [(run.head.temperature_K, *_ends(run.estimates["D"])) for run in runs if _is_known(run, "D")]
    bounds = [
        (run.head.temperature_K, run.estimates["D"].bound.value)
        for run in runs
        if "D" in run.estimates and run.estimates["D"].bound is not None
    ]
    if not known and not bounds:
        return None
    line = next((law.line for law in transport.laws if law.material == material), ())
    rows = np.array(known, dtype=float).reshape(-1, 4)
    kelvin, values, low, high = rows.T
    return ArrheniusPoints(material, kelvin, values, low, high, bounds, np.array(line) if line else None)


def _is_known(run: AnalysedRun, name: str) -> bool:
    return name in run.estimates and run.estimates[name].value is not None


def _ends(found: Estimate) -> tuple[float, float, float]:
    assert found.value is not None  # noqa: S101  the callers looked
    low, high = (end or found.value for end in (found.low, found.high))
    return found.value.value, low.value, high.value


def _content_figures(transport: TransportRecord, dopant: str) -> Iterator[tuple[str, Figure]]:
    sigma = conductivity_series(transport)
    if several_contents(sigma):
        yield (
            CONDUCTIVITY,
            content_figure(sigma, r"conductivity $\mathit{σ}$ (S/cm)", dopant=dopant, logarithmic=True),
        )
    length = correlation_series(transport)
    if several_contents(length):
        yield CORRELATION, content_figure(length, r"correlation length $\mathit{ξ}$ (Å)", dopant=dopant)


def conductivity_series(transport: TransportRecord) -> list[ContentSeries]:
    """Return the conductivity against content at every temperature, and extrapolated."""
    return [*_content_series(transport, "sigma"), *_extrapolated(transport)]


def correlation_series(transport: TransportRecord) -> list[ContentSeries]:
    """Return the correlation length against content at every temperature."""
    return _content_series(transport, "xi")


def several_contents(series: Sequence[ContentSeries]) -> bool:
    """Tell whether numbers or bounds of more than one content are among `series`."""
    places = [np.asarray(one.x, dtype=float) for one in series] + [
        np.array([x for x, _ in one.bounds]) for one in series
    ]
    return bool(series) and len(np.unique(np.concatenate(places))) > 1


def _content_series(transport: TransportRecord, name: str) -> list[ContentSeries]:
    """Return a number of all materials against their content, a series for each temperature."""
    series = []
    for kelvin in transport.temperatures_K:
        runs = [run for run in transport.runs if run.head.temperature_K == kelvin and name in run.estimates]
        pairs = [(run.head.x_per_formula_unit, run.estimates[name]) for run in runs]
        series.append(_of_content(f"{kelvin:g} K", pairs))
    return series


def _extrapolated(transport: TransportRecord) -> list[ContentSeries]:
    pairs = [(law.x_per_formula_unit, law.conductivity) for law in transport.laws]
    return [_of_content(f"{transport.at_K:g} K, extrapolated", pairs)]


def _of_content(label: str, pairs: Sequence[tuple[float, Estimate]]) -> ContentSeries:
    known = [(x, *_ends(found)) for x, found in pairs if found.value is not None]
    bounds = [(x, found.bound.value) for x, found in pairs if found.bound is not None]
    x, values, low, high = np.array(known, dtype=float).reshape(-1, 4).T
    return ContentSeries(label, x, values, low, high, bounds)


def _channel_figure(drawn: Sequence[DrawnRun], dopant: str) -> Iterator[tuple[str, Figure]]:
    series = channel_series(drawn)
    if series:
        yield CHANNELS, channel_figure(series, dopant=dopant)


def channel_series(drawn: Sequence[DrawnRun]) -> list[ChannelSeries]:
    """Return the channels at the hottest temperature at which they were measured."""
    names = (("channels/d1", "d1"), ("channels/d2", "d2"), ("channels/edge", "edge"))
    kelvin = max((one.run.head.temperature_K for one in drawn if names[0][0] in one.curves), default=None)
    runs = [one for one in drawn if one.run.head.temperature_K == kelvin]
    series = []
    for key, label in names:
        found = [(one.run.head.x_per_formula_unit, one.curves[key]) for one in runs if key in one.curves]
        if found:
            x, frames = zip(*found, strict=True)
            mean, deviation = ([float(f(v)) for v in frames] for f in (np.mean, np.std))
            series.append(ChannelSeries(label, x, mean, deviation, frames))
    return series


def _maps(drawn: Sequence[DrawnRun], transport: TransportRecord) -> Iterator[tuple[str, Figure]]:
    for kelvin, maps, densities in maps_of_runs(drawn, transport):
        if maps:
            yield van_hove_stem(kelvin), van_hove_figure(maps)
        if densities:
            yield density_stem(kelvin), density_figure(densities)


def maps_of_runs(
    drawn: Sequence[DrawnRun], transport: TransportRecord
) -> Iterator[tuple[float, list[VanHoveMap], list[DensityMap]]]:
    """Yield each temperature with van Hove functions and densities of the first replicas of its runs."""
    for kelvin in transport.temperatures_K:
        runs = [one for one in drawn if one.run.head.temperature_K == kelvin and one.run.head.replica == 1]
        maps = [
            one
            for each in runs
            for one in van_hove_maps(each.curves, each.run.head.label, *map(_time, _times(each.run)))
        ]
        densities = [density_map(each.curves, f"{transport.mobile}: {each.run.head.label}") for each in runs]
        yield kelvin, maps, [one for one in densities if one is not None]


def _times(run: AnalysedRun) -> tuple[Estimate | None, Estimate | None]:
    return run.estimates.get("tau1"), run.estimates.get("tau2")


def _time(found: Estimate | None) -> float | None:
    return None if found is None or found.value is None else found.value.value
