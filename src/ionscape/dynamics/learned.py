"""A run of molecular dynamics that learns its potential on the fly, in its own folder, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.dynamics.averages import run_averages
from ionscape.dynamics.checkpoints import read_checkpoint
from ionscape.dynamics.runs import SimulatedRun, StoppedRun
from ionscape.dynamics.simulate import CHECKPOINT, EQUILIBRATION, PRODUCTION, RunEnd, check_run, simulate
from ionscape.errors import InputError
from ionscape.levels.evaluation import require_stress
from ionscape.potential.active import Learner
from ionscape.potential.active_calculator import ActiveCalculator
from ionscape.potential.active_record import Lesson
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.calibration import Calibration, calibration
from ionscape.potential.errors_of_model import Predictions, errors_of
from ionscape.potential.model import ErrorsByName, SparseModel
from ionscape.results import Failure
from ionscape.structures.exchange import replacing
from ionscape.units import Count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ionscape.dynamics.runs import RunRequest

FRAMES, REQUEST = "frames.extxyz", "request.json"


@dataclass(frozen=True)
class LearnedRun:
    """A run that learned, and its potential.

    Attributes
    ----------
    run
        The run; a `StoppedRun` if a guard ended it.
    model
        The potential at the end.
    frames
        All frames of the dear level, with what the potential had said of them before.
    dear_steps
        Step of each of them; 0 for those before the first step.
    errors
        Of the potential on the frames that the run asked for, each before it was taught, by name with unit; empty
        if there were none. They are the worst moments of the run: elsewhere the errors are smaller.
    calibration
        Of the standard deviations told of these frames; a failure if there were none.
    """

    run: SimulatedRun | StoppedRun
    model: SparseModel
    frames: Path
    dear_steps: tuple[Count, ...]
    errors: ErrorsByName
    calibration: Calibration | Failure


def simulate_learning(request: RunRequest, learning: LearningSettings, folder: Path, threads: Count) -> LearnedRun:
    """Simulate with a potential that learns from the level of `request`, continuing what is in `folder`.

    Parameters
    ----------
    request
        Start, dear level, and the run.
    learning
        Tolerance, caution, and the potential.
    folder
        Made if missing; belongs to this run alone.
    threads
        For the dear level.

    Raises
    ------
    InputError
        If the folder holds another run, or as `simulate`.
    CalculationError
        If the dear level fails; the same call continues.
    """
    check_run(request.structure, request.settings)
    dear = request.level.own_calculator(threads)
    require_stress(dear, f"level '{request.level.name}'")
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, _told(request, learning))
    symbols = {site.specie.symbol for site in request.structure}
    learner = Learner(dear, symbols, learning, folder / FRAMES, request.level.name)
    level = f"sparse-GP potential learned from {request.level.name}"
    end = simulate(request.structure, ActiveCalculator(learner), request.settings, folder, level)
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    steps = checkpoint.values["learning"]["dear_steps"] if checkpoint else []
    forecast = [one for one in learner.lessons[learning.first_frames :] if one.forecast is not None]
    unknown = Failure("no frame was asked for that the potential had told of before")
    errors, told = _scored(forecast, learner.model) if forecast else ({}, unknown)
    return LearnedRun(_run(end, folder), learner.model, folder / FRAMES, tuple(steps), errors, told)


def _told(request: RunRequest, learning: LearningSettings) -> dict[str, Any]:
    return {
        "cell": request.structure.lattice.matrix.tolist(),
        "symbols": [site.specie.symbol for site in request.structure],
        "positions": request.structure.cart_coords.tolist(),
        "level": request.level.identity(),
        "settings": request.settings.model_dump(mode="json"),
        "learning": learning.model_dump(mode="json"),
    }


def _claim(folder: Path, told: dict[str, Any]) -> None:
    path, text = folder / REQUEST, json.dumps(told, sort_keys=True, indent=1)
    if not path.is_file():
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
        return
    try:
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        if before == now:
            return
        changed = ", ".join(name for name in told if before.get(name) != now[name])
    except ValueError:
        changed = "the whole request"
    raise InputError(
        f"it holds another run (different: {changed})",
        where=str(folder),
        expected="a new folder, or one of the very same run, which is continued",
        remedy="Give another --out, or remove the folder.",
    )


def _scored(lessons: Sequence[Lesson], model: SparseModel) -> tuple[dict[str, float], Calibration]:
    kinds = [model.descriptor.indices(list(one.frame.symbols), "frames") for one in lessons]
    pairs = [(one.forecast, one.frame) for one in lessons if one.forecast is not None]
    energies = [(told.energy / len(frame.symbols), frame.energy / len(frame.symbols)) for told, frame in pairs]
    found = Predictions(
        energies=np.array(energies).T,
        forces=np.stack(
            [
                np.concatenate([told.forces.ravel() for told, _ in pairs]),
                np.concatenate([frame.forces.ravel() for _, frame in pairs]),
            ]
        ),
        stresses=np.zeros((2, 0)),
        losses=np.concatenate([told.losses for told, _ in pairs]),
        species=np.concatenate(kinds),
    )
    deviations = np.concatenate([told.deviations for told, _ in pairs])
    return errors_of(found), calibration(deviations, found.force_errors)


def _run(end: RunEnd, folder: Path) -> SimulatedRun | StoppedRun:
    averages = run_averages(folder / PRODUCTION)
    if averages is None or end.stopped:
        return StoppedRun(
            end.stopped,
            trajectory=folder / PRODUCTION,
            equilibration=folder / EQUILIBRATION,
            steps=end.steps,
            averages=averages,
            ms_per_step=end.ms_per_step,
        )
    return SimulatedRun(
        trajectory=folder / PRODUCTION,
        equilibration=folder / EQUILIBRATION,
        structure=end.structure,
        steps=end.steps,
        averages=averages,
        drift=end.drift,
        ms_per_step=end.ms_per_step,
    )
