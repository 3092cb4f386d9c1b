"""The plan of a study: calculations, time and disk; nothing is calculated.

The stages are gone through as in a run, with an engine that only writes down what it is asked for. A stage whose
calculations are all in the store goes on to the next; one that asks for more is known exactly up to there, and
what follows from results that are not there yet is estimated from the study file, or told to be unknown.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ionscape.errors import CalculationError
from ionscape.study import tasks
from ionscape.study.costs import Cost, disk_of, stored_costs, timed_cost
from ionscape.study.engine import LocalWorkers, chosen_settings
from ionscape.study.lab import Laboratory
from ionscape.study.motion import planned_runs
from ionscape.study.pipeline import STAGES, Run, StageRecord, begin, run_stages, stages_of
from ionscape.study.progress import EXPECTED_STEPS, Progress
from ionscape.study.resources import EngineSettings
from ionscape.study.runner import STORE, RunOptions, chosen_study, make_importable, study_folder
from ionscape.study.session import Ended
from ionscape.study.store import Store
from ionscape.units import Count, Seconds, Unit

Knowledge = Literal["known", "estimated"]
#: Kinds of one step.
SINGLE = {"single-point", "transport"}


@dataclass(frozen=True)
class Batch:
    """Calculations of one kind at one level that a stage asks for.

    Attributes
    ----------
    kind, level
        What they are; the name of the level, empty where there is none.
    count, atoms, steps
        How many; the mean number of atoms and of steps of each.
    knowledge
        ``known``: exactly these are asked for; ``estimated``: from the study file.
    """

    kind: str
    level: str
    count: Count
    atoms: Annotated[float, Unit("1")]
    steps: Annotated[float, Unit("1")]
    knowledge: Knowledge
    disk: Annotated[int, Unit("byte")]

    @property
    def work(self) -> float:
        """Atoms × steps of all."""
        return self.count * self.atoms * self.steps


@dataclass(frozen=True)
class PlannedStage:
    """A stage of the plan: whether it is finished or open, its calculations, and what depends on results."""

    state: Literal["finished", "open"]
    batches: tuple[Batch, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class LevelPlan:
    """What a level will be asked for, and how long that takes on one worker; None if it is not known."""

    calculations: Count
    seconds: Seconds | None
    cost: Cost


@dataclass(frozen=True)
class StudyPlan:
    """The plan of a study.

    Attributes
    ----------
    stages, levels
        By their names.
    workers
        Calculations side by side.
    seconds
        Expected time of all that is known or estimated; None as soon as one level's cost is not known.
    disk
        Bytes that the calculations will take.
    finished
        Calculations that are in the store already.
    """

    stages: Mapping[str, PlannedStage]
    levels: Mapping[str, LevelPlan]
    workers: Count
    seconds: Seconds | None
    disk: Annotated[int, Unit("byte")]
    finished: Count


class _AskedError(CalculationError):
    """A stage asked for calculations that are not finished."""


class _Notebook:
    """An engine that writes down what it is asked for and runs nothing."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def run(self, requests: Sequence[dict[str, Any]], store_root: Path) -> Iterator[Ended | None]:
        del store_root
        self.requests = list(requests)
        raise _AskedError

    def close(self) -> None:
        """Nothing to end."""


def plan_study(path: Path, options: RunOptions, patience: Seconds = 120.0) -> StudyPlan:
    """Return the plan of the study file at `path`; costs are those in its store, else timed now.

    Parameters
    ----------
    path, options
        As of `runner.run_study`.
    patience
        Longest time that one evaluation may take to be timed, s.

    Raises
    ------
    InputError
        As `runner.run_study`.
    """
    study_file = chosen_study(path, options)
    names = stages_of(study_file.content, options.stages)
    make_importable(study_file.folder)
    with ExitStack() as stack:
        root = options.store or study_folder(study_file, options) / STORE
        if not root.exists():  # nothing is left behind by a plan
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store, notebook = Store(root), _Notebook()
        lab = Laboratory(store, notebook, Progress())
        run = begin(study_file, lab, Progress(), names)
        costs = _Costs(run, stored_costs(store), patience)
        stages = _stages(run, names, notebook, costs, store)
        engine = chosen_settings(options.engine, study_file.content.engine)
        return _summed(stages, costs, engine, lab.reused)


class _Costs:
    """Costs of levels by their names: stored ones, else timed when first needed."""

    def __init__(self, run: Run, stored: Mapping[str, Cost], patience: float) -> None:
        self._run, self._patience = run, patience
        named = {tasks.pace_of_level(level): level for level in run.levels.values()}
        self._levels = {level.name: level for level in named.values()}
        self._known = {named[pace].name: cost for pace, cost in stored.items() if pace in named}

    def of(self, level: str) -> Cost:
        """Return the cost of the level of that name."""
        if level not in self._known:
            self._known[level] = self._timed(level)
        return self._known[level]

    def steps(self, level: str) -> float:
        """Return the expected steps of a relaxation at the level of that name."""
        known = self._known.get(level)
        return EXPECTED_STEPS if known is None or known.steps is None else known.steps

    def _timed(self, level: str) -> Cost:
        if level not in self._levels:
            return Cost(None, "unknown: nothing of this kind is finished yet")
        return timed_cost(self._levels[level], self._run.crystals[0].structure, patience=self._patience)


def _stages(
    run: Run, names: Sequence[str], notebook: _Notebook, costs: _Costs, store: Store
) -> dict[str, PlannedStage]:
    planned: dict[str, PlannedStage] = {}

    def note(records: Mapping[str, StageRecord]) -> None:
        for name, record in records.items():
            if name not in planned and record.state != "pending":
                asked, notebook.requests = notebook.requests, []
                planned[name] = _stage(run, name, record, _known(asked, costs, store), costs)

    run_stages(run, names, note)
    return planned


def _stage(run: Run, name: str, record: StageRecord, known: list[Batch], costs: _Costs) -> PlannedStage:
    if record.state in {"done", "cached"}:
        return PlannedStage("finished")
    if known:
        return PlannedStage("open", tuple(known), "what follows depends on their results")
    if record.state == "failed":
        return PlannedStage("open", note=f"cannot be planned: {record.reason}")
    estimated = _estimated(run, name, costs)
    found = "estimated from the study file; which they are " if estimated else ""
    return PlannedStage("open", tuple(estimated), f"{found}depends on results ({record.reason})")


def _known(requests: Sequence[Mapping[str, Any]], costs: _Costs, store: Store) -> list[Batch]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for request in requests:
        level = request.get("level", {}).get("identity", {}).get("name", "")
        groups.setdefault((request["kind"], level), []).append(request)
    return [_batch(kind, level, group, costs, store) for (kind, level), group in groups.items()]


def _batch(kind: str, level: str, group: Sequence[Mapping[str, Any]], costs: _Costs, store: Store) -> Batch:
    atoms = [tasks.size(dict(request), store) for request in group]
    steps = [_steps(request, level, costs, store) for request in group]
    frames = [tasks.expected_frames(dict(request)) for request in group]
    work = sum(map(math.prod, zip(atoms, steps, strict=True)))
    disk = sum(disk_of(kind, *one) for one in zip(atoms, steps, frames, strict=True))
    mean = sum(atoms) / len(atoms)
    return Batch(kind, level, len(group), mean, work / sum(atoms), "known", disk)


def _steps(request: Mapping[str, Any], level: str, costs: _Costs, store: Store) -> float:
    told = tasks.expected_steps(dict(request), store)
    return told or (1.0 if request["kind"] in SINGLE else costs.steps(level))


def _estimated(run: Run, name: str, costs: _Costs) -> list[Batch]:
    level = run.cheap.name
    sizes = [size for size in STAGES[name].sizes(run.study, run.crystals) if name != "potential"]
    batches = []
    if sizes:
        steps, mean = costs.steps(level), sum(sizes) / len(sizes)
        disk = len(sizes) * disk_of("relaxation", round(mean), steps)
        batches.append(Batch("relaxation", level, len(sizes), mean, steps, "estimated", disk))
    runs = planned_runs(run.study, run.crystals) if name == "dynamics" else None
    if runs is not None:
        role = run.study.dynamics.level if run.study.dynamics else "cheap"
        asked = "learned" if role == "learned" else run.levels[role].name
        disk = runs.count * disk_of("dynamics", runs.atoms, runs.steps, runs.frames)
        batches.append(Batch("dynamics", asked, runs.count, runs.atoms, runs.steps, "estimated", disk))
    return batches


def _summed(
    stages: Mapping[str, PlannedStage], costs: _Costs, engine: EngineSettings, finished: Count
) -> StudyPlan:
    batches = [batch for stage in stages.values() for batch in stage.batches]
    levels: dict[str, LevelPlan] = {}
    for name in dict.fromkeys(batch.level for batch in batches if batch.level):
        own, cost = [batch for batch in batches if batch.level == name], costs.of(name)
        seconds = None if cost.seconds is None else cost.seconds * sum(batch.work for batch in own)
        levels[name] = LevelPlan(sum(batch.count for batch in own), seconds, cost)
    workers = side_by_side(engine)
    total = [level.seconds for level in levels.values()]
    known = [one for one in total if one is not None]
    longest = _longest(batches, levels)
    seconds = max(sum(known) / workers, longest) if len(known) == len(total) else None
    return StudyPlan(stages, levels, workers, seconds, sum(batch.disk for batch in batches), finished)


def _longest(batches: Sequence[Batch], levels: Mapping[str, LevelPlan]) -> float:
    costs = {name: level.cost.seconds or 0.0 for name, level in levels.items()}
    return max((costs.get(batch.level, 0.0) * batch.atoms * batch.steps for batch in batches), default=0.0)


def side_by_side(engine: EngineSettings) -> Count:
    """Return how many calculations run side by side on `engine`."""
    if engine.kind == "threads":
        return 1
    if engine.kind == "processes":
        return LocalWorkers(engine).workers
    return engine.resources.jobs * engine.resources.calculations_per_job
