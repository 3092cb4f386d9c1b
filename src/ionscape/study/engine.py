"""The engine: runs tasks, in this process or on the local workers of Parsl.

Tasks write their own results into the store, so the engine only has to run them, tell which one ended, and leave
nothing behind: workers that outlive a killed run are found by a mark in their environment and ended by the next.
"""

from __future__ import annotations

import concurrent.futures
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
from pydantic import Field

from ionscape.settings import Settings
from ionscape.study import tasks

#: Environment variable that all workers of a run inherit: ``<store>|<process id of the run>``.
MARK = "IONSCAPE_RUN"
#: Seconds between two looks at running tasks.
TICK = 0.5
#: Seconds between two looks at the workers: one that was killed is replaced after that time.
HEARTBEAT = 5
#: Heartbeats without a sign after which the whole pool of workers is taken as lost, and started again.
HEARTBEATS_MISSED = 12
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class EngineSettings(Settings):
    """Where calculations run."""

    workers: int = Field(0, ge=0, le=1024, description="Local worker processes; 0 means one per core available.")
    threads_per_worker: int = Field(
        0, ge=0, le=256, description="Threads of each worker; 0 shares the cores equally between workers."
    )


@dataclass(frozen=True)
class Ended:
    """A task that ended: its place in the sequence of requests, and what broke (empty if nothing did)."""

    index: int
    error: str


class Engine(Protocol):
    """Runs requests and yields each as it ends; yields None now and then so that progress can be looked at."""

    def run(self, requests: Sequence[dict[str, Any]], store_root: Path) -> Iterator[Ended | None]:
        """Run all `requests` against the store at `store_root`, in any order."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


class InProcess:
    """Runs one task after the other in this process; for single calculations and for tests.

    Parameters
    ----------
    threads
        Threads of each task.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def run(self, requests: Sequence[dict[str, Any]], store_root: Path) -> Iterator[Ended | None]:
        """Run `requests` in order."""
        for index, request in enumerate(requests):
            yield Ended(index, tasks.perform(request, str(store_root), self._threads)["error"])

    def close(self) -> None:
        """Nothing to end."""


class LocalWorkers:
    """Parsl's high-throughput executor on this machine; started at the first task, not before.

    Parameters
    ----------
    settings
        Numbers of workers and threads.
    """

    def __init__(self, settings: EngineSettings) -> None:
        cores = available_cores()
        self.workers = settings.workers or cores
        self.threads = settings.threads_per_worker or max(1, cores // self.workers)
        self._kernel: Any = None
        self._app: Any = None
        self._folder: Path | None = None

    def run(self, requests: Sequence[dict[str, Any]], store_root: Path) -> Iterator[Ended | None]:
        """Run `requests` on the workers; a worker that is lost is replaced and its task tried again."""
        if self._kernel is None:
            self._start(store_root)
        futures = {
            self._app(request, str(store_root), self.threads): index for index, request in enumerate(requests)
        }
        yield from _as_ended(futures)

    def close(self) -> None:
        """End the workers and remove their scratch folder."""
        if self._kernel is not None:
            self._kernel.cleanup()
            self._kernel = None
            os.environ.pop(MARK, None)  # what this process starts from now on is no worker
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, store_root: Path) -> None:
        import parsl
        from parsl.config import Config
        from parsl.executors import HighThroughputExecutor
        from parsl.jobs.error_handlers import windowed_error_handler
        from parsl.providers import LocalProvider

        end_orphans(store_root)
        os.environ[MARK] = f"{store_root}|{os.getpid()}"
        os.environ["SPT_NOENV"] = "1"  # keeps Parsl's process titles from overwriting the mark
        path = f'PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'
        threads = " ".join(f"{name}={self.threads}" for name in THREAD_VARIABLES)
        self._folder = _scratch(store_root)
        executor = HighThroughputExecutor(
            label="local",
            address="127.0.0.1",
            interchange_launch_cmd=[sys.executable, "-m", "parsl.executors.high_throughput.interchange"],
            loopback_address="127.0.0.1",
            max_workers_per_node=self.workers,
            heartbeat_period=HEARTBEAT,
            heartbeat_threshold=HEARTBEATS_MISSED * HEARTBEAT,
            block_error_handler=windowed_error_handler,  # gives up at the third pool lost in a row
            encrypted=True,
            provider=LocalProvider(
                init_blocks=1, min_blocks=1, max_blocks=1, worker_init=f"export {path} {threads}"
            ),
        )
        self._kernel = parsl.load(
            Config(
                executors=[executor],
                run_dir=str(self._folder),
                retries=2,
                strategy="simple",
                initialize_logging=False,
            )
        )
        self._app = parsl.python_app(tasks.perform, data_flow_kernel=self._kernel, executors=["local"])


def _scratch(store_root: Path) -> Path:
    """Return the scratch folder of this run in the store; those of runs that are gone are removed."""
    engines = store_root / "engine"
    for left in engines.glob("[0-9]*"):
        if not psutil.pid_exists(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    own = engines / str(os.getpid())
    own.mkdir(parents=True, exist_ok=True)
    return own


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_orphans(store_root: Path) -> int:
    """End the workers of runs on this store whose own process is gone (killed); return how many were ended."""
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
        store, _, owner = process.environ().get(MARK, "").rpartition("|")
    except (psutil.Error, OSError):
        return False
    if store != str(store_root) or process.pid in {os.getpid(), int(owner)}:
        return False
    return not _owns(int(owner), process)


def _owns(owner: int, process: psutil.Process) -> bool:
    # a process younger than the worker has only been given the number of the run that ended
    try:
        run = psutil.Process(owner)
        return run.status() != psutil.STATUS_ZOMBIE and run.create_time() <= process.create_time()
    except psutil.Error:
        return False


def _as_ended(futures: dict[Any, int]) -> Iterator[Ended | None]:
    pending = set(futures)
    while pending:
        done, pending = concurrent.futures.wait(
            pending, timeout=TICK, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for future in done:
            error = future.exception()
            yield Ended(futures[future], f"lost: {error}" if error else future.result()["error"])
        yield None
