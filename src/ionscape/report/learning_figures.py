"""Figures of a study's learned potential, how it was taught and how it tests, and of its runs in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ionscape.dynamics.recording import read_header, record_blocks
from ionscape.potential.errors_of_model import Predictions
from ionscape.report.potential_figures import calibration_figure, parity_figure
from ionscape.report.potential_records import PotentialRecord
from ionscape.report.records import StudyRecord
from ionscape.report.style import (
    FAINT,
    MUTED,
    ONE_COLUMN,
    TWO_COLUMNS,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.typography import formula_math

#: Stems of the figure files; the page looks for them by these names.
PARITY, CALIBRATION, LEARNING = "potential-parity", "potential-calibration", "potential-learning"
#: Most points of a curve against time.
_POINTS = 400


def series_stem(temperature: float) -> str:
    """Return the stem of energy, temperature and volume against time at a temperature, K."""
    return f"run-series-{temperature:g}K".replace(".", "-")


@dataclass(frozen=True)
class RunSeries:
    """A run in time: ps; potential energy per atom less its mean, meV; K; volume over its mean."""

    label: str
    time: ArrayLike
    energy: ArrayLike
    temperature: ArrayLike
    volume: ArrayLike


def learning_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    """Yield parity (Fig. S10), calibration and learning curve of the potential, and runs in time (Fig. S11)."""
    if record.potential is not None:
        yield from _of_potential(record.potential, record.file(record.potential.predictions_file))
    for kelvin, series in runs_in_time(record):
        yield series_stem(kelvin), series_figure(series, note=f"{kelvin:g} K")


def runs_in_time(record: StudyRecord) -> Iterator[tuple[float, list[RunSeries]]]:
    """Yield each temperature, the hottest first, with its recorded runs; the first replica stands for all."""
    recorded = record.dynamics.runs if record.dynamics else ()
    for kelvin in sorted({run.head.temperature_K for run in recorded}, reverse=True):
        runs = [run for run in recorded if run.head.temperature_K == kelvin and run.head.replica == 1]
        files = [(run.head.material, record.file(run.trajectory_file)) for run in runs]
        series = [one for name, path in files if path is not None for one in run_series(name, path)]
        if series:
            yield kelvin, series


def _of_potential(potential: PotentialRecord, path: Path | None) -> Iterator[tuple[str, Figure]]:
    yield LEARNING, learning_curve_figure(*potential.curve)
    if path is None or not potential.held_out:
        return
    with np.load(path, allow_pickle=False) as arrays:
        names = ("energies", "forces", "stresses", "losses", "species")
        found, deviations = Predictions(*(arrays[name] for name in names)), arrays["deviations"]
    note = f"{potential.held_out} frames held out"
    yield PARITY, parity_figure(found, note=note)
    yield CALIBRATION, calibration_figure(deviations, found.force_errors, note=note)


def learning_curve_figure(times: ArrayLike, dear_calls: ArrayLike, *, width: float = ONE_COLUMN) -> Figure:
    """Dear calls against time explored, ps.

    Raises
    ------
    InputError
        If there is no point.
    """
    x, calls = np.asarray(times, dtype=float), np.asarray(dear_calls, dtype=float)
    if not x.size:
        raise nothing_to_draw("lessons")
    with journal_style():
        figure = new_figure(width, 0.62 * width)
        axes = figure.add_subplot()
        axes.step(x, calls, where="post", color=look(0).colour)
        axes.set(xlim=(0, None), ylim=(0, None))
        axes.set_xlabel("time explored (ps)")
        axes.set_ylabel("calls of the dear level")
    return figure


def run_series(label: str, path: Path) -> list[RunSeries]:
    """Return a recorded run in time, thinned for the eye; nothing if it holds fewer than two frames."""
    header, blocks = read_header(path), list(record_blocks(path))
    if sum(map(len, blocks)) < 2:
        return []
    names = ("energy", "temperature", "cell")
    energy, temperature, cell = (np.concatenate([block[name] for block in blocks]) for name in names)
    volume = np.abs(np.linalg.det(cell))
    parts = np.array_split(np.arange(len(energy)), min(_POINTS, len(energy)))
    time = header.frame_interval * (np.arange(len(energy)) + 1) / 1000
    columns = (time, 1000 * (energy - energy.mean()) / len(header.symbols), temperature, volume / volume.mean())
    return [RunSeries(label, *(np.array([column[part].mean() for part in parts]) for column in columns))]


def series_figure(series: Sequence[RunSeries], *, note: str = "", width: float = TWO_COLUMNS) -> Figure:
    """Potential energy, temperature and volume of runs against time.

    Raises
    ------
    InputError
        If there is no run.
    """
    if not series:
        raise nothing_to_draw("runs")
    panels = (("energy", "energy (meV/atom)"), ("temperature", "temperature (K)"), ("volume", "volume / mean"))
    with journal_style():
        figure = new_figure(width, 0.36 * width)
        for axes, (name, title) in zip(figure.subplots(1, 3), panels, strict=True):
            for k, one in enumerate(series):
                axes.plot(
                    one.time, getattr(one, name), lw=0.6, color=look(k).colour, label=formula_math(one.label)
                )
            if name != "temperature":
                axes.axhline(0 if name == "energy" else 1, color=FAINT, lw=0.6, zorder=0)
            axes.set_xlabel("time (ps)")
            axes.set_ylabel(title)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), handlelength=1.4)
        if note:
            figure.suptitle(note, fontsize=8, color=MUTED)
    return figure
