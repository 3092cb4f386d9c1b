"""Runs of molecular dynamics as they stand in the store, and as stages get them."""

from __future__ import annotations

from typing import Any

from ionscape.dynamics.averages import RunAverages
from ionscape.dynamics.runs import SimulatedRun, StoppedRun
from ionscape.dynamics.simulate import EQUILIBRATION, PRODUCTION
from ionscape.levels.calculation import Broken
from ionscape.results import Failure
from ionscape.study import tasks
from ionscape.study.store import Store


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
