"""One potential for several materials: runs that teach it, one after the other, and a last fit to all lessons.

The hottest stretches come first: what ions meet there covers most of what they meet when it is cold, while a
potential taught by cold frames knows nothing of hot ones. A stretch begins with the potential that the one before
left. A killed exploration goes on from the record of lessons, the stretches that are through, and the checkpoint
of the one that was running.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.dynamics.checkpoints import read_checkpoint
from ionscape.dynamics.learning_plan import Stretch
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import CHECKPOINT, simulate
from ionscape.errors import CalculationError
from ionscape.potential.active import Learner, flown
from ionscape.potential.active_calculator import ActiveCalculator
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.calibration import Calibration
from ionscape.potential.errors_of_model import Predictions
from ionscape.potential.frames import Frame
from ionscape.potential.held_out import tested
from ionscape.potential.model import SparseModel
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import split, train
from ionscape.structures.exchange import replacing, to_atoms
from ionscape.units import Count, Indices, Temperature, Time, TimeArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: The labels of the dear level in their order, and how far the stretches are.
LESSONS, STRETCHES = "lessons.extxyz", "stretches.json"


@dataclass(frozen=True)
class ExploredStretch:
    """A stretch that is through.

    Attributes
    ----------
    cell
        Index of the material.
    temperature
        Of the thermostat.
    steps, time
        Steps it made, and the time they covered.
    lessons
        Frames that the dear level had labelled at its end, those of earlier stretches among them.
    asked_at
        Time since its start at which the potential learned, once for each lesson after the first one.
    stopped
        Why it ended early; empty if it did not.
    """

    cell: Count
    temperature: Temperature
    steps: Count
    time: Time
    lessons: Count
    asked_at: TimeArray
    stopped: str


@dataclass(frozen=True)
class Exploration:
    """What runs taught a potential: the stretches, and all labelled frames in the order of the lessons."""

    stretches: tuple[ExploredStretch, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class FinalFit:
    """The last fit to all lessons.

    Attributes
    ----------
    model
        The potential, tested and calibrated on the frames that were held out.
    predictions
        What it says of them; None if none were.
    calibration
        How its uncertainty compares with their errors; None if none were.
    """

    model: SparseModel
    predictions: Predictions | None
    calibration: Calibration | None


def explore(
    cells: Sequence[Structure],
    stretches: Sequence[Stretch],
    dear: Any,
    settings: LearningSettings,
    folder: Path,
    level: str = "",
) -> Exploration:
    """Return what a potential was taught by runs of `cells`, continuing what an interrupted call left in `folder`.

    Parameters
    ----------
    cells
        Materials.
    stretches
        Runs in their order.
    dear
        ASE calculator of the level that teaches.
    settings
        When the dear level is asked, and how the potential grows meanwhile.
    folder
        Existing folder for the record of lessons and the running stretch.
    level
        Name of the dear level.

    Raises
    ------
    CalculationError
        If the dear level fails; what was learned before is kept.
    """
    symbols = {site.specie.symbol for cell in cells for site in cell}
    learner = Learner(dear, symbols, settings, folder / LESSONS, level)
    done = _finished(folder / STRETCHES)
    if done and done[-1].lessons > learner.recorded:  # lessons were lost with the machine: all comes again
        done = []
    _note(done, folder / STRETCHES)
    if done:
        learner.resume(done[-1].lessons)
    for number, stretch in enumerate(stretches):
        if number < len(done):
            continue
        home = folder / f"stretch-{number}"
        home.mkdir(exist_ok=True)
        before = len(learner.lessons)
        _introduce(cells[stretch.cell], stretch.settings, learner)
        done.append(_explored(cells[stretch.cell], stretch, learner, home, before))
        _note(done, folder / STRETCHES)
        shutil.rmtree(home, ignore_errors=True)
    return Exploration(tuple(done), tuple(lesson.frame for lesson in learner.lessons))


def _introduce(cell: Structure, asked: DynamicsSettings, learner: Learner) -> None:
    """Teach the first frames of a new composition; those of the very first one are the beginning of its run.

    Forces of a new composition may be known well from others; what its energy counts from is not.
    """
    atoms, known = to_atoms(cell), [Counter(lesson.frame.symbols) for lesson in learner.lessons]
    if not known or Counter(atoms.get_chemical_symbols()) in known:
        return
    count = learner.settings.first_frames
    for number in range(count):
        moved, rng = atoms.copy(), np.random.default_rng((asked.seed, number))
        moved.positions = flown(atoms, learner.settings.flight_fs * number / (count - 1), asked.temperature_K, rng)
        learner.ask(moved)


def _explored(cell: Structure, stretch: Stretch, learner: Learner, home: Path, before: Count) -> ExploredStretch:
    asked = stretch.settings
    try:
        end = simulate(cell, ActiveCalculator(learner), asked, home, learner.level)
        steps, stopped = end.steps, end.stopped
    except CalculationError as error:
        if error.__cause__ is not None:  # the dear level itself failed
            raise
        steps, stopped = 0, str(error)
    times = _times_of_lessons(home, len(learner.lessons) - before, asked.timestep_fs)
    return ExploredStretch(
        cell=stretch.cell,
        temperature=asked.temperature_K,
        steps=steps,
        time=steps * asked.timestep_fs,
        lessons=len(learner.lessons),
        asked_at=times,
        stopped=stopped,
    )


def _times_of_lessons(home: Path, lessons: Count, timestep: Time) -> TimeArray:
    """Return the times at which lessons were learned; those before the first step count as 0."""
    checkpoint = read_checkpoint(home / CHECKPOINT)
    values = {} if checkpoint is None else checkpoint.values
    times = [timestep * swap["step"] for swap in values.get("learning", {}).get("swaps", [])][-lessons or None :]
    times = times if lessons else []
    return np.array([0.0] * (lessons - len(times)) + times)


def _finished(path: Path) -> list[ExploredStretch]:
    try:
        rows: list[Mapping[str, Any]] = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    return [ExploredStretch(**{**row, "asked_at": np.array(row["asked_at"])}) for row in rows]


def _note(done: Sequence[ExploredStretch], path: Path) -> None:
    rows = [{**asdict(one), "asked_at": one.asked_at.tolist()} for one in done]
    with replacing(path) as part:
        part.write_text(json.dumps(rows))


def final_fit(frames: Sequence[Frame], settings: TrainingSettings) -> FinalFit:
    """Return the potential fitted to all `frames` at once, but those that are held out to test it.

    Lessons are far from one another, for each was asked for because the potential did not know it: frames drawn at
    random test it more severely than a run will.
    """
    taught, held_out = split(frames, settings.held_out, np.random.default_rng(settings.seed))
    model = train(taught, settings.model_copy(update={"held_out": 0.0}))
    if not held_out:
        return FinalFit(model, None, None)
    return FinalFit(*tested(model, held_out))


def learning_curve(stretches: Sequence[ExploredStretch]) -> tuple[TimeArray, Indices]:
    """Return time explored, fs, and lessons until then, after each lesson and at the end of each stretch."""
    times, lessons, start, before = [0.0], [0], 0.0, 0
    for one in stretches:
        times += (start + np.maximum.accumulate(np.minimum(one.asked_at, one.time))).tolist()
        lessons += list(range(before + 1, one.lessons + 1))
        start, before = start + one.time, one.lessons
        times.append(start)
        lessons.append(before)
    return np.array(times), np.array(lessons)
