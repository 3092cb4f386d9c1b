"""The engine on real Parsl workers: threads, lost workers, and runs that were killed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ionscape.levels.calculation import Relaxation
from ionscape.study.engine import (
    MARK,
    Ended,
    EngineSettings,
    InProcess,
    LocalWorkers,
    available_cores,
    end_orphans,
)
from ionscape.study.lab import Laboratory
from ionscape.study.orphans import Orphans
from ionscape.study.presence import at_work
from ionscape.study.progress import Progress
from ionscape.study.store import Store
from ionscape.study.tasks import relaxation_request, single_point_request


def marked(store: Path) -> list[psutil.Process]:
    """Return the living processes of runs on `store`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK, "").startswith(f"{store}|") and process.pid != os.getpid():
                found.append(process)
    return found


def wait_until(condition, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize(("workers", "threads"), [(0, 0), (1, 0), (2, 3), (1000, 0)])
def test_workers_share_the_cores(workers: int, threads: int) -> None:
    engine = LocalWorkers(EngineSettings(workers=workers, threads_per_worker=threads))
    assert engine.workers == (workers or available_cores())
    assert engine.threads >= 1
    assert engine.threads == threads or engine.threads * engine.workers <= max(available_cores(), engine.workers)
    engine.close()


def test_in_process_runs_in_order(cells, toy, tmp_path: Path) -> None:
    requests = [single_point_request(cell, toy()) for cell in cells(3)]
    assert list(InProcess().run(requests, tmp_path)) == [Ended(i, "") for i in range(3)]


class Assassin(Progress):
    """Kills the first worker that is seen at work, once."""

    diary: Path
    victim: int = 0

    def look(self, working: Path) -> None:
        del working
        if not self.victim and self.diary.exists():
            self.victim = int(self.diary.read_text().split()[0])
            os.kill(self.victim, signal.SIGKILL)


def test_lost_worker_is_replaced_and_its_calculation_continues(
    cells, toy, positions, tmp_path, lines, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # as when the environment is not activated
    diary, store = tmp_path / "diary", Store(tmp_path / "store")
    assassin = Assassin(stream=io.StringIO())  # silent progress does not look
    assassin.diary = diary
    lab = Laboratory(store, LocalWorkers(EngineSettings(workers=2, threads_per_worker=3)), assassin)
    structures, level = cells(4), toy(seconds=0.1, diary=str(diary))
    try:
        answers = lab.relax(structures, level, positions)
    finally:
        lab.close()
    assert all(isinstance(answer, Relaxation) for answer in answers), answers
    workers = {line.split()[0] for line in lines(diary)}
    assert str(assassin.victim) in workers
    assert len(workers) >= 2
    assert {line.split()[1] for line in lines(diary)} == {"3"}
    # whatever was evaluated before the kill is not evaluated again; what was in the air may be
    assert len(lines(diary)) <= sum(answer.steps + 1 for answer in answers) + 1
    assert MARK not in os.environ
    wait_until(lambda: not marked(store.root), 20)
    for structure, answer in zip(structures, answers, strict=True):
        alone = Laboratory(Store(tmp_path / "alone"), InProcess(), Progress())
        (same,) = alone.relax([structure], toy(), positions)
        assert (same.energy, same.fmax, same.steps) == (answer.energy, answer.fmax, answer.steps)
        assert same.structure == answer.structure


DRIVER = """
import json, sys
from pathlib import Path
from ionscape.study.engine import EngineSettings, LocalWorkers
engine = LocalWorkers(EngineSettings(workers=2))
for _ in engine.run(json.loads(sys.argv[1]), Path(sys.argv[2])):
    pass
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Return a list of processes that are ended after the test, whatever happens."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_killed_run_leaves_orphans_that_the_next_run_ends(cells, toy, positions, tmp_path, lines, started) -> None:
    diary, store = tmp_path / "diary", Store(tmp_path / "store")
    structures, level = cells(4), toy(seconds=0.2, diary=str(diary))
    requests = [relaxation_request(cell, level, positions) for cell in structures]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, json.dumps(requests), str(store.root)])
    started.append(driver)
    wait_until(lambda: len(lines(diary)) >= 2)
    assert end_orphans(store.root) == Orphans(), "workers of a living run are no orphans"
    driver.kill()
    driver.wait()
    at_kill = len(lines(diary))
    wait_until(lambda: len(list(store.finished())) >= 1)  # orphans go on, and what they finish counts
    assert len(lines(diary)) > at_kill
    orphans = {process.pid for process in marked(store.root)}
    assert orphans

    lab = Laboratory(store, LocalWorkers(EngineSettings(workers=2)), Progress())
    try:
        answers = lab.relax(structures, level, positions)
        assert not orphans & {process.pid for process in marked(store.root)}
    finally:
        lab.close()
    assert all(isinstance(answer, Relaxation) for answer in answers), answers
    assert lab.reused >= 1
    assert lab.reused + lab.computed == 4
    assert store.unfinished() == []
    # of all evaluations only those in the air at the end of an orphan were done twice
    assert len(lines(diary)) <= sum(answer.steps + 1 for answer in answers) + 2
    wait_until(lambda: not marked(store.root), 20)


SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"


def test_orphans_are_told_from_others(tmp_path: Path, started) -> None:
    store, other = str(tmp_path / "store"), str(tmp_path / "other")
    marks = {"orphan": f"{store}|gone", "worker": f"{store}|alive", "stranger": f"{other}|gone", "bystander": ""}
    alive = tmp_path / "store" / "engine" / "alive"
    alive.mkdir(parents=True)
    processes = {}
    for name, mark in marks.items():
        environment = {**os.environ, MARK: mark} if mark else dict(os.environ)
        processes[name] = subprocess.Popen(
            [sys.executable, "-c", SLEEPER], env=environment, stdout=subprocess.PIPE, text=True
        )
        started.append(processes[name])
        assert processes[name].stdout.readline() == "ready\n"
    with at_work(alive):
        assert end_orphans(Path(store)).processes == 1
    assert processes["orphan"].poll() is not None
    assert all(processes[name].poll() is None for name in ("worker", "stranger", "bystander"))
    for process in processes.values():
        process.kill()
        process.wait()
        process.stdout.close()
