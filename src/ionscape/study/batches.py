"""Batches of runs of molecular dynamics as one task: several requests whose cells are evaluated together.

A batch is no calculation of its own: each of its runs stands in the store under the key that it has alone, as soon
as it ends, and is found there however it was made; how it was made stands in its provenance.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ionscape.levels.allocation import AllocationEnd, stop_if_over
from ionscape.study import tasks
from ionscape.study.progress import steps_so_far
from ionscape.study.running import sign
from ionscape.study.store import Store, request_key

if TYPE_CHECKING:
    from ionscape.dynamics.simulate import RunEnd


#: Runs of one batch: each holds three files open.
MOST_RUNS = 100


def batches_of(requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return requests for runs as batches: one for all runs of a level, up to `MOST_RUNS`."""
    levels: dict[str, list[dict[str, Any]]] = {}
    for request in requests:
        levels.setdefault(tasks.pace(request), []).append(request)
    parts = [runs[k : k + MOST_RUNS] for runs in levels.values() for k in range(0, len(runs), MOST_RUNS)]
    return [{"kind": tasks.BATCH, "level": runs[0]["level"], "runs": runs} for runs in parts]


def keys_of(task: dict[str, Any]) -> list[str]:
    """Return the keys of the calculations that a task makes: those of the runs of a batch, else its own."""
    return [request_key(run) for run in task["runs"]] if task["kind"] == tasks.BATCH else [request_key(task)]


def perform_batch(batch: dict[str, Any], store: Store, threads: int) -> dict[str, Any]:
    """Carry out all runs of a batch that are not finished; answers as `tasks.perform`."""
    runs = {request_key(run): run for run in batch["runs"]}
    try:
        with contextlib.ExitStack() as held:
            for key in sorted(runs):  # in the same order everywhere: no two batches wait for one another
                held.enter_context(store.lock(key))
            left = [run for key, run in runs.items() if key not in store]
            if left:
                stop_if_over()
                _run_together(left, store, threads)
    except AllocationEnd:
        return {"error": "", "paused": True, "steps": sum(_steps(key, store) for key in runs)}
    except Exception as error:  # noqa: BLE001  as `tasks.perform`
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"error": ""}


def _steps(key: str, store: Store) -> int:
    """Return the steps of a run so far, whether it has ended or not."""
    return int(store.read(key)["steps"]) if key in store else steps_so_far(store.working_folder(key))


def _run_together(runs: list[dict[str, Any]], store: Store, threads: int) -> None:
    from ionscape.dynamics.batch import BatchMember, simulate_batch

    level = tasks.level_of(runs[0], tasks.Desk(store.root, store, threads))
    forces, started, members = level.batched(threads), time.monotonic(), []
    for run in runs:
        key = request_key(run)
        sign(run, key, store)
        folder = store.working_folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        structure = tasks.structure_from_json(run["structure"])
        members.append(BatchMember(structure, tasks.dynamics_settings(run), folder))
    told = {"cells": len(runs), "forces": forces.provenance}
    told["integrators"] = f"ase {importlib.metadata.version('ase')}"

    def ended(place: int, end: RunEnd) -> None:
        result = tasks.run_result(end, members[place].folder)
        made = tasks.provenance_of(time.monotonic() - started, threads, forces.device)
        tasks.publish(runs[place], result, {**made, "batch": told}, store)

    simulate_batch(members, forces, ended, json.dumps(runs[0]["level"]["identity"], sort_keys=True))
