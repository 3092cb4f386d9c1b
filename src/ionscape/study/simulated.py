"""Runs of molecular dynamics and their analyses as they stand in the store, and as stages get them."""

from __future__ import annotations

from typing import Any

from ionscape.dynamics.averages import RunAverages
from ionscape.dynamics.exploration import LESSONS
from ionscape.dynamics.runs import SimulatedRun, StoppedRun
from ionscape.dynamics.simulate import EQUILIBRATION, PRODUCTION
from ionscape.levels.calculation import Broken
from ionscape.results import Failure
from ionscape.study import tasks
from ionscape.study.learned import MODEL, PREDICTIONS, LearnedLevel, LearnedPotential
from ionscape.study.store import RESULT, Store
from ionscape.transport.stage import AnalysedRun


def simulated_run(key: str, result: dict[str, Any], store: Store) -> SimulatedRun | Failure:
    """Return the run `key` from its stored `result`; a `StoppedRun` or `Broken` if it did not come to its end."""
    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    folder = store.folder(key)
    averages = None if result["averages"] is None else RunAverages(**result["averages"])
    ms_per_step = store.read(key, tasks.TIMING)["ms_per_step"]
    if averages is None or "stopped" in result:
        return StoppedRun(
            result["stopped"],
            key,
            trajectory=folder / PRODUCTION,
            equilibration=folder / EQUILIBRATION,
            steps=result["steps"],
            averages=averages,
            ms_per_step=ms_per_step,
        )
    return SimulatedRun(
        trajectory=folder / PRODUCTION,
        equilibration=folder / EQUILIBRATION,
        structure=tasks.structure_from_json(result["structure"]),
        steps=result["steps"],
        averages=averages,
        drift=result["drift_eV_per_atom_per_ps"],
        ms_per_step=ms_per_step,
        key=key,
    )


def analysed_run(key: str, result: dict[str, Any], store: Store) -> AnalysedRun | Failure:
    """Return the analysis `key` from its stored `result`; a failure if it could not be done."""
    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    folder = store.folder(key)
    return AnalysedRun(result, folder / RESULT, folder / tasks.CURVES, key)


def learned_potential(
    key: str, result: dict[str, Any], store: Store, teacher: str, materials: tuple[str, ...]
) -> LearnedPotential | Failure:
    """Return the potential that the learning `key` gave; a failure if it could not be learned."""
    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    folder = store.folder(key)
    level = LearnedLevel(f"potential learned from {teacher}", (), folder / MODEL, key)
    return LearnedPotential(level, teacher, materials, result, folder / PREDICTIONS, folder / LESSONS)
