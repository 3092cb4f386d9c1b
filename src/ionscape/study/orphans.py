"""What a killed run leaves behind: interchanges, workers and jobs, found by the name of their run and ended.

Every run that has workers keeps a folder ``engine/NAME`` in its store, locked while it lives (`presence`). Its
processes carry ``<store>|NAME`` in their environment, its jobs on a cluster ``ionscape-NAME`` in theirs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from ionscape.study.presence import LOCK, last_occupant, occupant_of

#: Environment variable that all workers of a run inherit: ``<store>|<name of the run>``.
MARK = "IONSCAPE_RUN"
#: Folder of a store that holds a folder for each run with workers.
ENGINES = "engine"
#: In the folder of a run: which scheduler has its jobs.
SCHEDULER = "scheduler.json"
#: Age after which a folder without a lock is no run that begins at this moment, s.
BEGINNING = 60


@dataclass(frozen=True)
class Orphans:
    """What a killed run had left and was ended.

    Attributes
    ----------
    processes
        Number of processes on this machine.
    jobs
        Numbers of jobs on a cluster.
    untouched
        What could not be ended, and why.
    """

    processes: int = 0
    jobs: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line about it; empty if nothing was there."""
        ended = [f"{len(self.jobs)} jobs ({', '.join(self.jobs)})"] * bool(self.jobs)
        ended += [f"{self.processes} processes"] * bool(self.processes)
        told = [f"ended what a killed run had left here: {' and '.join(ended)}; what they finished counts"]
        return "; ".join(told * bool(ended) + list(self.untouched))


def job_name(run: str) -> str:
    """Return the part of their names by which the jobs of a run are known."""
    return f"ionscape-{run}"


def end_orphans(store_root: Path, *, of_other_machines: bool = False) -> Orphans:
    """End the workers and jobs of runs on this store that were killed; what they finished is in the store.

    Jobs of a run that was started on another machine are only told, unless `of_other_machines`: where locks do not
    reach between machines, such a run may be alive.
    """
    jobs: list[str] = []
    untouched: list[str] = []
    for folder in _folders_of_killed(store_root):
        occupant = last_occupant(folder)
        if occupant is not None and not occupant.is_here and not of_other_machines:
            untouched.append(f"a run of {occupant.host} seems to have been killed: `ionscape stop` ends its jobs")
            continue
        try:
            jobs += _end_jobs(folder)
        except Exception as error:  # noqa: BLE001  commands and clients of schedulers raise anything
            untouched.append(f"the jobs of a killed run could not be ended ({error})")
            continue
        shutil.rmtree(folder, ignore_errors=True)
    return Orphans(_end_processes(store_root), tuple(jobs), tuple(untouched))


def _folders_of_killed(store_root: Path) -> list[Path]:
    folders = sorted((store_root / ENGINES).glob("*/"))
    return [folder for folder in folders if _is_left(folder) and occupant_of(folder) is None]


def _is_left(folder: Path) -> bool:
    try:
        return (folder / LOCK).exists() or time.time() - folder.stat().st_mtime > BEGINNING
    except FileNotFoundError:  # its run ends at this moment
        return False


def _end_jobs(folder: Path) -> list[str]:
    try:
        told = json.loads((folder / SCHEDULER).read_text())
    except FileNotFoundError:
        return []
    from ionscape.study.schedulers import SCHEDULERS, jobs_named

    jobs = jobs_named(told["kind"], job_name(folder.name), told["namespace"])
    if jobs:
        SCHEDULERS[told["kind"]].cancel(jobs, told["namespace"])
    return jobs


def _end_processes(store_root: Path) -> int:
    orphans = [process for process in psutil.process_iter() if _is_orphan(process, store_root)]
    for process in orphans:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(orphans, timeout=10)
    return len(orphans)


def _is_orphan(process: psutil.Process, store_root: Path) -> bool:
    try:
        store, _, run = process.environ().get(MARK, "").rpartition("|")
    except (psutil.Error, OSError):
        return False
    return store == str(store_root) and process.pid != os.getpid() and _is_gone(store_root / ENGINES / run)


def _is_gone(folder: Path) -> bool:
    return occupant_of(folder) is None
