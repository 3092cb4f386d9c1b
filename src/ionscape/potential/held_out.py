"""Frames that are held out of a training to test it: what is beside them in time must not be taught.

Neighbours on a trajectory are nearly the same structure. Where they are taught, the error of a held-out frame is
that of an interpolation, and too good. By default the last part of every trajectory is held out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ionscape.potential.calibration import Calibration, calibration, spread_of
from ionscape.potential.errors_of_model import Predictions, errors_of, predictions
from ionscape.potential.frames import Frame
from ionscape.potential.model import SparseModel
from ionscape.units import Count, Number

#: What frames say of the time at which they were taken, and of the run they belong to.
_CLOCKS = ("step", "time_fs", "time_ps", "time")
_RUNS = ("run", "temperature_K")


def trajectories(atoms: Sequence[Any]) -> list[list[Count]]:
    """Return the frames of a file by trajectory, as indices in order.

    Frames of one trajectory have the same atoms in the same order and the same run or temperature, if they tell
    one, and their step or time does not fall.
    """
    found: dict[Any, list[list[int]]] = {}
    for index, frame in enumerate(atoms):
        key = (tuple(frame.numbers), *(str(frame.info.get(name, "")) for name in _RUNS))
        stretches = found.setdefault(key, [])
        if not stretches or _falls(atoms[stretches[-1][-1]], frame):
            stretches.append([])
        stretches[-1].append(index)
    return [stretch for stretches in found.values() for stretch in stretches]


def _falls(before: Any, after: Any) -> bool:
    for name in _CLOCKS:
        if name in before.info and name in after.info:
            return bool(float(after.info[name]) < float(before.info[name]))
    return False


def last_parts(stretches: Sequence[Sequence[Count]], part: Number, rng: np.random.Generator) -> set[Count]:
    """Return the frames of the last part of every trajectory, at least one frame in all.

    Of trajectories so short that the part is less than half a frame, some, drawn at random, lose their last one.

    Parameters
    ----------
    stretches
        Frames of every trajectory.
    part
        Part of the frames that is held out, above 0.
    rng
        Chooses among short trajectories.
    """
    held: set[Count] = set()
    short = [list(one) for one in stretches if round(part * len(one)) < 1]
    for one in stretches:
        held.update(one[len(one) - round(part * len(one)) :])
    wanted = len(held) + round(part * sum(len(one) for one in short))
    for index in rng.permutation(len(short)):
        if len(held) >= wanted:
            break
        held.add(short[int(index)][-1])
    return held or {max(stretches, key=len)[-1]}


def divided(frames: Sequence[Frame], held: Iterable[Count]) -> tuple[list[Frame], list[Frame]]:
    """Return the frames to be taught and those `held` out, by index."""
    chosen = set(held)
    taught = [frame for index, frame in enumerate(frames) if index not in chosen]
    return taught, [frames[index] for index in sorted(chosen)]


def tested(model: SparseModel, held_out: Sequence[Frame]) -> tuple[SparseModel, Predictions, Calibration]:
    """Return `model` with its errors on frames that it has not seen and its uncertainty calibrated on them.

    Raises
    ------
    InputError
        If a frame has an element that the model does not know.
    """
    found = predictions(model, held_out)
    spread = spread_of(found.losses, found.force_errors, found.species, len(model.inducing))
    deviations = np.array(spread)[found.species] * np.sqrt(found.losses)
    provenance = dataclasses.replace(model.provenance, errors=errors_of(found))
    better = dataclasses.replace(model, provenance=provenance, spread=spread)
    return better, found, calibration(deviations, found.force_errors)
