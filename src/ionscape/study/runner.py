"""A study from its file to its folder: what ``ionscape run`` calls."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ionscape.errors import InputError
from ionscape.files import Wanted, json_of
from ionscape.levels.registry import Level
from ionscape.study import tasks
from ionscape.study.catalogue import Catalogue
from ionscape.study.engine import end_orphans, engine_of
from ionscape.study.lab import Laboratory
from ionscape.study.pipeline import StageRecord, begin, run_stages, stages_of
from ionscape.study.presence import Occupant, at_work, occupant_of
from ionscape.study.progress import Progress
from ionscape.study.record import write_json, write_record
from ionscape.study.running import RunningCalculation, running_calculations
from ionscape.study.schema import Study, StudyFile, read_study
from ionscape.study.store import Store
from ionscape.study.told import TOLD

RUN_FILE = "run.json"
RUN = Wanted("JSON", "the folder of a study that was run", "Give the folder named with `ionscape run --out`.")
STORE = "store"


@dataclass(frozen=True)
class RunOptions:
    """What a user may choose apart from the study file.

    Attributes
    ----------
    out
        Folder of the study; None: ``runs/NAME`` in the current folder.
    store
        Store of calculations; None: ``store`` in the folder of the study.
    engine
        ``process`` (this process), ``threads``, ``processes`` or ``local`` (Parsl workers), or a file with a table
        [engine]; empty: what the study file says.
    level
        Replaces the cheap level of the study file unless empty.
    seed
        Replaces the seed of the study file unless None.
    stages
        Stages to run with what they need; all if empty.
    """

    out: Path | None = None
    store: Path | None = None
    engine: str = ""
    level: str = ""
    seed: int | None = None
    stages: Sequence[str] = ()


@dataclass(frozen=True)
class StudyRun:
    """A study that was run: its folder and what became of each stage."""

    folder: Path
    stages: dict[str, StageRecord] = field(default_factory=dict)


def run_study(path: Path, options: RunOptions, progress: Progress) -> StudyRun:
    """Run the study file at `path`, or continue it; all that is finished in the store is used as it is.

    Raises
    ------
    InputError
        If the study file, a structure, a level, the folder or the store cannot be used; before anything runs.
    """
    study_file = chosen_study(path, options)
    names = stages_of(study_file.content, options.stages)
    folder = folder_of(study_file, options)
    store = Store(options.store or folder / STORE)
    make_importable(study_file.folder)
    engine = engine_of(options.engine, study_file.content.engine, roles_of(study_file.content), progress.message)
    lab = Laboratory(store, engine, progress)
    run = begin(study_file, lab, progress, names)
    with at_work(folder), contextlib.ExitStack() as at_the_end:
        at_the_end.callback(progress.end)
        at_the_end.enter_context(contextlib.closing(lab))
        progress.file = folder / TOLD
        if left := str(end_orphans(store.root)):
            progress.message(left)
        records = run_stages(run, names, functools.partial(_note, folder, store))
        write_record(run, study_file, records, folder)
    return StudyRun(folder, records)


def roles_of(study: Study) -> dict[str, str]:
    """Return what the levels of the study are for, by `tasks.pace` of their calculations."""
    levels = {role: Level.of(table.name, table.settings) for role, table in study.levels.tables().items()}
    # of two roles with one level the first counts
    return {tasks.pace_of_level(levels[role]): role for role in reversed(levels)}


def chosen_study(path: Path, options: RunOptions) -> StudyFile:
    """Return the study file at `path` with what the options replace."""
    study_file = read_study(path)
    content = study_file.content
    if options.level:
        cheap = content.levels.cheap.model_copy(update={"name": options.level, "settings": {}})
        levels = content.levels.model_copy(update={"cheap": cheap})
        content = content.model_copy(update={"levels": levels})
    if options.seed is not None:
        content = content.model_copy(update={"study": content.study.model_copy(update={"seed": options.seed})})
    return replace(study_file, content=content)


def study_folder(study_file: StudyFile, options: RunOptions) -> Path:
    """Return the folder of the study, existing or not."""
    return (options.out or Path("runs") / study_file.content.study.name).resolve()


def folder_of(study_file: StudyFile, options: RunOptions) -> Path:
    """Return the folder of the study after making it and trying that it can be written."""
    folder = study_folder(study_file, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})",
            where=f"folder {folder}",
            expected="a folder that can be made and written",
            remedy="Choose another with --out.",
        ) from None
    return folder


def make_importable(folder: Path) -> None:
    """Let ``module:factory`` levels live beside the study file, here and in the workers."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


def _note(folder: Path, store: Store, records: dict[str, StageRecord]) -> None:
    """Write ``run.json``, from which `study_status` knows what is to come and what was done."""
    stages = {name: vars(record) for name, record in records.items()}
    write_json(folder / RUN_FILE, {"store": os.path.relpath(store.root, folder), "stages": stages})


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is.

    Attributes
    ----------
    stages
        State of each stage.
    complete
        Number of finished calculations in the store.
    corrupt
        Keys of those that miss files; only `verify` reads every file again.
    unfinished
        Keys of calculations that were begun and not finished.
    occupant
        The process that runs it; None if none does.
    running
        Calculations in progress, of this run or another on the same store.
    """

    stages: dict[str, str]
    complete: int
    corrupt: list[str]
    unfinished: list[str]
    occupant: Occupant | None = None
    running: list[RunningCalculation] = field(default_factory=list)


def study_status(folder: Path) -> StudyStatus:
    """Return how far the study in `folder` is.

    Raises
    ------
    InputError
        If `folder` holds no study.
    """
    data = _run_file(folder)
    store = store_of(folder)
    stages = {name: record["state"] for name, record in data["stages"].items()}
    damaged = {row.key: bool(row.damage) for row in Catalogue(store).rows()}
    corrupt = [key for key, bad in damaged.items() if bad]
    at_it = occupant_of(folder), running_calculations(store)
    return StudyStatus(stages, len(damaged) - len(corrupt), corrupt, store.unfinished(), *at_it)


def store_of(folder: Path) -> Store:
    """Return the store of the study in `folder`, or `folder` itself if it is a store.

    Raises
    ------
    InputError
        If it is neither.
    """
    if (folder / "store.json").is_file():
        return Store(folder)
    return Store(folder / _run_file(folder)["store"])


def _run_file(folder: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json_of(folder / RUN_FILE, RUN)
        states = [record["state"] for record in data["stages"].values()]
        if not (
            isinstance(data["store"], str)
            and "\0" not in data["store"]
            and all(isinstance(state, str) for state in states)
        ):
            raise TypeError
    except (InputError, KeyError, TypeError, AttributeError):
        raise InputError(
            "holds no study (no readable run.json)",
            where=str(folder),
            expected="the folder of a study that was run",
            remedy="Give the folder named with `ionscape run --out`.",
        ) from None
    return data
