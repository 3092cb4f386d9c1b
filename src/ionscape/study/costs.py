"""What calculations cost: time per atom and step at a level, from what the store holds or from a short timing.

A level is taken to need t = c N n for n steps of N atoms, with one c for each level. That holds for potentials;
for density-functional theory c grows with N, so that an estimate from smaller cells is too low.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from ionscape.study import tasks
from ionscape.study.orphans import MARK
from ionscape.units import Count, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level
    from ionscape.study.store import Store

CostPerStep = Annotated[float, Unit("s")]
#: Finished calculations of a store that are looked at.
LOOKED_AT = 2000
#: Longest time that one evaluation may take to be timed, s.
PATIENCE = 120.0


@dataclass(frozen=True)
class Cost:
    """Time that a level takes for an atom and step, and where that is known from.

    Attributes
    ----------
    seconds
        Per atom and step; None if it is not known, `source` tells why.
    source
        In words: how many finished calculations, or what was timed.
    steps
        Mean number of steps of finished relaxations at this level; None without any.
    """

    seconds: CostPerStep | None
    source: str
    steps: Annotated[float, Unit("1")] | None = None


def stored_costs(store: Store) -> dict[str, Cost]:
    """Return the costs of the levels whose calculations are in the store, by `tasks.pace`."""
    spent: dict[str, list[tuple[float, float]]] = {}
    relaxed: dict[str, list[int]] = {}
    for key in islice(store.finished(), LOOKED_AT):
        request, result = store.read(key, "input.json"), store.read(key)
        if "failure" in result or "level" not in request or request["kind"] == "learning":
            continue
        pace, steps = tasks.pace(request), _evaluations(result)
        spent.setdefault(pace, []).append((_seconds(key, result, store), tasks.size(request, store) * steps))
        if request["kind"] == "relaxation":
            relaxed.setdefault(pace, []).append(result["steps"])
    return {pace: _cost(rows, relaxed.get(pace, [])) for pace, rows in spent.items()}


def _cost(rows: list[tuple[float, float]], relaxed: list[int]) -> Cost:
    seconds, work = map(sum, zip(*rows, strict=True))
    told = f"measured: {len(rows)} finished calculations in the store"
    return Cost(seconds / work, told, sum(relaxed) / len(relaxed) if relaxed else None)


def _evaluations(result: Mapping[str, Any]) -> int:
    return int(result.get("n_force_calls", result.get("steps", 0))) or 1


def _seconds(key: str, result: Mapping[str, Any], store: Store) -> float:
    """Return the time a calculation took: of a run from all its steps, whatever interrupted it."""
    if "frames" in result:
        return float(store.read(key, tasks.TIMING)["ms_per_step"]) * int(result["steps"]) / 1000
    return float(store.read(key, "provenance.json")["seconds"])


def timed_cost(level: Level, structure: Structure, threads: int = 1, patience: float = PATIENCE) -> Cost:
    """Return the cost of `level` from one evaluation of `structure`, after a first one that loads it.

    It runs in a process of its own, which is ended after `patience` (s): the cost is unknown then.
    """
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    request = tasks.single_point_request(structure, level)
    work = (json.dumps(request), level.name, json.dumps(dict(level.settings)), threads, answers)
    process = context.Process(target=_evaluate, args=work, daemon=True)
    process.start()
    found = _answer(answers, process, patience)
    process.kill()
    process.join()
    atoms = len(structure)
    if isinstance(found, str):
        return Cost(None, f"unknown: {found}")
    return Cost(found / atoms, f"timed now: one evaluation of {atoms} atoms, {found:.3g} s")


def _answer(answers: Any, process: Any, patience: float) -> float | str:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            answer: float | str = answers.get(timeout=0.2)
        except queue.Empty:
            if not process.is_alive() and answers.empty():
                return "the process that timed it broke down"
            continue
        return answer
    return f"one evaluation takes longer than {patience:.0f} s"


def _evaluate(request: str, name: str, settings: str, threads: int, answers: Any) -> None:
    import os

    from ionscape.levels.evaluation import evaluate_structure
    from ionscape.levels.registry import Level

    os.environ.pop(MARK, None)
    structure = tasks.structure_from_json(json.loads(request)["structure"])
    try:
        calculator = Level.of(name, json.loads(settings)).calculator(threads)
        evaluate_structure(structure, calculator)
        moved = structure.copy().perturb(0.01, seed=0)
        started = time.perf_counter()
        evaluate_structure(moved, calculator)
        answers.put(time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001  it is told, and the plan goes on without this cost
        answers.put(f"{type(error).__name__}: {error}")


def disk_of(kind: str, atoms: Count, steps: float, frames: Count = 0) -> int:
    """Return about how many bytes a finished calculation takes.

    Trajectories of relaxations and bands hold positions, forces and a head for each evaluation; runs of molecular
    dynamics one position of four bytes a coordinate (the default precision) for each frame.
    """
    fixed = 6_000 + 120 * atoms
    if kind == "dynamics":
        return fixed + frames * (12 * atoms + 108) + 400 * atoms
    if kind in {"relaxation", "band"}:
        return fixed + int(steps * (1_000 + 60 * atoms))
    return fixed + 60 * atoms
