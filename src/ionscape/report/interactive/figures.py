"""All interactive figures of a study, by the stem of the file that shows the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ionscape.potential.errors_of_model import Predictions
from ionscape.report.contact_series import host_phase, profile_series, voltage_steps, window_bars
from ionscape.report.figures import (
    DECOMPOSITION,
    EWALD,
    PROFILES,
    VOLTAGES,
    WINDOW,
    decomposition_series,
    dopant,
    ewald_series,
)
from ionscape.report.interactive.contacts import adhesion_plot, registry_plot, segregation_plot, thickness_plot
from ionscape.report.interactive.energies import (
    decomposition_plot,
    ewald_plot,
    reaction_plot,
    voltage_plot,
    window_plot,
)
from ionscape.report.interactive.hops import hop_plot
from ionscape.report.interactive.learning import calibration_plot, learning_plot, parity_plot, series_plot
from ionscape.report.interactive.plot import Plot
from ionscape.report.interactive.runs import (
    arrhenius_plot,
    channel_plot,
    content_plot,
    displacement_plot,
    van_hove_plot,
)
from ionscape.report.interface_figures import (
    ADHESION,
    REGISTRY,
    SEGREGATION,
    adhesion_bars,
    regret_series,
    segregation_layers,
)
from ionscape.report.learning_figures import CALIBRATION, LEARNING, PARITY, runs_in_time, series_stem
from ionscape.report.migration_figures import profile_stem
from ionscape.report.potential_figures import binned_deviations
from ionscape.report.records import StudyRecord
from ionscape.report.run_figures import (
    ARRHENIUS,
    CHANNELS,
    CONDUCTIVITY,
    CORRELATION,
    DISPLACEMENTS,
    arrhenius_series,
    channel_series,
    conductivity_series,
    correlation_series,
    displacement_panel_list,
    drawn_runs,
    maps_of_runs,
    several_contents,
    van_hove_stem,
)
from ionscape.report.surface_figures import layers_stem
from ionscape.report.typography import electrode


def interactive_figures(record: StudyRecord) -> dict[str, Plot]:
    """Return every interactive figure that the results allow, by the stem of its file."""
    parts = (_bulk, _contacts, _windows, _interfaces, _learned, _in_time, _transport, _hops)
    return {stem: plot for part in parts for stem, plot in part(record)}


def _bulk(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    if record.targets:
        yield DECOMPOSITION, decomposition_plot(decomposition_series(record), dopant(record))
    rankings = [one for one in map(ewald_series, record.doping) if one is not None]
    if rankings:
        yield EWALD, ewald_plot(rankings)


def _contacts(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    for matrix in record.contacts[:1]:
        yield PROFILES, reaction_plot(profile_series(matrix, host_phase(record, matrix)))


def _windows(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    if not record.windows:
        return
    mobile = record.windows[0].mobile
    yield WINDOW, window_plot(window_bars(record.windows), str(electrode(mobile)))
    steps = voltage_steps(record.windows)
    if steps:
        yield VOLTAGES, voltage_plot(steps, mobile, str(electrode(mobile)))


def _interfaces(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    for crystal in record.surfaces:
        if any(len(row.gammas) > 1 for row in crystal.rows):
            yield layers_stem(crystal.role), thickness_plot(crystal)
    contacts = [one for one in record.interfaces if not one.unavailable]
    if contacts:
        yield REGISTRY, registry_plot([regret_series(one) for one in contacts])
    bars = adhesion_bars(record)
    if bars:
        yield ADHESION, adhesion_plot(bars)
    for contact in contacts[:1]:
        layers = segregation_layers(contact)
        if layers:
            yield SEGREGATION, segregation_plot(layers, contact.name)


def _learned(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    potential = record.potential
    if potential is None:
        return
    yield LEARNING, learning_plot(*potential.curve)
    path = record.file(potential.predictions_file)
    if path is None or not potential.held_out:
        return
    with np.load(path, allow_pickle=False) as arrays:
        names = ("energies", "forces", "stresses", "losses", "species")
        found, deviations = Predictions(*(arrays[name] for name in names)), arrays["deviations"]
    yield PARITY, parity_plot(found)
    yield CALIBRATION, calibration_plot(*binned_deviations(deviations, found.force_errors))


def _in_time(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    for kelvin, series in runs_in_time(record):
        yield series_stem(kelvin), series_plot(series)


def _transport(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    transport, element = record.transport, dopant(record)
    if transport is None:
        return
    drawn = drawn_runs(record)
    moved = displacement_panel_list(drawn)
    if moved:
        yield DISPLACEMENTS, displacement_plot(moved, transport.mobile)
    points = arrhenius_series(transport)
    if points:
        yield ARRHENIUS, arrhenius_plot(points, transport.at_K)
    sigma, length = conductivity_series(transport), correlation_series(transport)
    if several_contents(sigma):
        yield CONDUCTIVITY, content_plot(sigma, "<i>σ</i> (S/cm)", element, logarithmic=True)
    if several_contents(length):
        yield CORRELATION, content_plot(length, "<i>ξ</i> (Å)", element)
    channels = channel_series(drawn)
    if channels:
        yield CHANNELS, channel_plot(channels, element)
    for kelvin, maps, _ in maps_of_runs(drawn, transport):
        if maps:
            yield van_hove_stem(kelvin), van_hove_plot(maps)


def _hops(record: StudyRecord) -> Iterator[tuple[str, Plot]]:
    for crystal in record.migration.crystals if record.migration else ():
        if crystal.drawn:
            yield profile_stem(crystal), hop_plot(crystal.drawn)
