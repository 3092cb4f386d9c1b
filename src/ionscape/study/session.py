"""A session of Parsl: the executors of one run, their marks, and their end.

Parsl's futures only say that a task ended; results are in the store. A calculation that stopped before the end of
its job, its state saved, is sent again; one whose worker was lost is tried again; one that failed is not.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ionscape.study import tasks
from ionscape.study.orphans import ENGINES, MARK, end_orphans, job_name
from ionscape.study.presence import at_work
from ionscape.study.resources import EngineSettings
from ionscape.units import Unit

#: Seconds between two looks at running tasks.
TICK = 0.5
#: Jobs in a row that may end before a calculation made a step; it is given up then.
IN_VAIN = 5
TOO_SHORT = f"{IN_VAIN} jobs in a row ended before it made a step: a longer wall_time_min is needed"
NEVER_DRAWN = (
    f"{IN_VAIN} jobs in a row ended before their workers could take it: starting a worker takes longer than a job "
    "draws calculations; a longer wall_time_min is needed"
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Ended:
    """A task that ended: its place in the sequence of requests, and what broke (empty if nothing did)."""

    index: Annotated[int, Unit("1")]
    error: str


@dataclass(frozen=True)
class Pool:
    """Workers of one kind: their executor, and the threads of each."""

    executor: Any
    threads: Annotated[int, Unit("1")]


class Vigil:
    """Watches one pool for jobs that end in order, one after the other, before a worker takes a calculation.

    Parsl starts such a job anew for ever, because nothing failed.

    Parameters
    ----------
    executor
        Executor of the pool.
    """

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._known: set[str] = set()

    def renew(self) -> None:
        """Count jobs submitted from now on: a calculation of the pool ended or stopped in order, or none waits."""
        self._known = set(self._executor.blocks_to_job_id)

    def look(self) -> None:
        """Give up the calculations of the pool if `IN_VAIN` jobs came and ended since and none is at work."""
        if self._completed() < IN_VAIN or self._executor.bad_state_is_set:
            return
        if not any(manager["tasks"] for manager in self._executor.connected_managers()):
            self._executor.set_bad_state_and_fail_all(RuntimeError(NEVER_DRAWN))

    def _completed(self) -> int:
        from parsl.jobs.states import JobState

        states = dict(self._executor.status_facade)
        return sum(one.state == JobState.COMPLETED for job, one in states.items() if job not in self._known)


class Session:
    """Parsl, started for one store; what killed runs left there is ended first.

    Parameters
    ----------
    store_root
        Folder of the store.
    settings
        Table [engine].
    tell
        Is given one line if something was left.
    """

    def __init__(self, store_root: Path, settings: EngineSettings, tell: Callable[[str], object]) -> None:
        import parsl
        from parsl.config import Config

        self._open = contextlib.ExitStack()
        self._store_root = store_root
        if left := str(end_orphans(store_root)):
            tell(left)
        self.name = secrets.token_hex(4)
        self.folder = store_root / ENGINES / self.name
        self.folder.mkdir(parents=True)
        self._open.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._open.enter_context(at_work(self.folder))
        self._mark()
        config = Config(
            executors=[],
            run_dir=str(self.folder),
            retries=settings.retries,
            retry_handler=_cost_of(settings.retries),
            max_idletime=settings.idle_s,
            strategy="htex_auto_scale",
            initialize_logging=False,
        )
        self._kernel = parsl.load(config)
        self._open.callback(self._kernel.cleanup)
        self._apps: dict[str, tuple[Any, int]] = {}
        self._vigils: dict[str, Vigil] = {}

    def _mark(self) -> None:
        marks = {MARK: f"{self._store_root}|{self.name}", "SPT_NOENV": "1"}  # the latter keeps the mark readable
        os.environ.update(marks)
        self._open.callback(os.environ.pop, MARK, None)  # what this process starts from then on is no worker

    def label(self, pool: str) -> str:
        """Return the label of an executor for the pool of that name; the jobs of the run are known by it."""
        return f"{job_name(self.name)}-{pool}"

    def lines(self, threads: int, path: str) -> list[str]:
        """Return the lines of shell by which workers become those of this run."""
        inherited = {name: os.environ[name] for name in (MARK, "SPT_NOENV", "PYTHONPATH") if name in os.environ}
        values = dict.fromkeys(THREAD_VARIABLES, str(threads)) | inherited
        return [f'export PATH={shlex.quote(path)}:"$PATH"'] * bool(path) + [
            f"export {name}={shlex.quote(value)}" for name, value in values.items()
        ]

    def has(self, name: str) -> bool:
        """Tell whether the pool `name` was added."""
        return name in self._apps

    def add(self, name: str, pool: Pool) -> None:
        """Start the workers of `pool`; its executor is labelled by `label`."""
        import parsl

        self._kernel.add_executors([pool.executor])
        app = parsl.python_app(tasks.perform, data_flow_kernel=self._kernel, executors=[pool.executor.label])
        self._apps[name] = (app, pool.threads)
        self._vigils[name] = Vigil(pool.executor)

    def run(self, requests: Sequence[dict[str, Any]], pools: Sequence[str]) -> Iterator[Ended | None]:
        """Run each of `requests` on the pool named at its place; yield each as it ends, and None now and then."""
        ended: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()

        def send(index: int) -> None:
            app, threads = self._apps[pools[index]]
            future = app(requests[index], str(self._store_root), threads)
            future.add_done_callback(lambda done: ended.put((index, done)))

        for pool in set(pools):
            self._vigils[pool].renew()
        for index in range(len(requests)):
            send(index)
        left, pauses = len(requests), dict[int, tuple[int, int]]()
        while left:
            try:
                index, future = ended.get(timeout=TICK)
            except queue.Empty:
                for pool in set(pools):
                    self._vigils[pool].look()
                yield None
                continue
            self._vigils[pools[index]].renew()
            if _is_paused(future):
                pauses[index] = _in_vain(pauses.get(index, (0, -1)), future.result()["steps"])
                if pauses[index][0] < IN_VAIN:
                    send(index)
                    continue
            left -= 1
            yield Ended(index, TOO_SHORT if _is_paused(future) else _error_of(future))

    def close(self) -> None:
        """End all workers and remove the folder of the run."""
        self._open.close()


def worker_path() -> str:
    """Return the folder of this Python's commands, which workers on the same files need on their path."""
    return str(Path(sys.executable).parent)


def interchange_command() -> list[str]:
    """Return the command of Parsl's interchange, whatever the path of this process is."""
    return [sys.executable, "-m", "parsl.executors.high_throughput.interchange"]


def _in_vain(before: tuple[int, int], steps: int) -> tuple[int, int]:
    """Return how often in a row a calculation stopped without a step, and its steps."""
    times, made = before
    return (times + 1 if steps <= made else 0), steps


def _is_paused(future: Any) -> bool:
    return future.exception() is None and bool(future.result().get("paused"))


def _error_of(future: Any) -> str:
    error = future.exception()
    return f"lost: {error}" if error else str(future.result()["error"])


def _cost_of(retries: int) -> Callable[[Exception, Mapping[str, Any]], float]:
    """Return Parsl's retry handler: a lost worker costs one try, anything else all."""
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    def cost(error: Exception, _record: Mapping[str, Any]) -> float:
        return 1.0 if isinstance(error, ManagerLost | WorkerLost) else retries + 1.0

    return cost
