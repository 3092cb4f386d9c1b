"""The engine: runs tasks, in this process, on local workers, or in jobs of a cluster.

Tasks write their own results into the store, so the engine only has to run them, tell which one ended, and leave
nothing behind: workers that outlive a killed run are found and ended by the next (`orphans`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ionscape.errors import InputError
from ionscape.levels.allocation import END
from ionscape.study import tasks
from ionscape.study.learned import STORED
from ionscape.study.orphans import MARK, SCHEDULER, end_orphans
from ionscape.study.resources import EngineSettings, Resources
from ionscape.study.schedulers import SCHEDULERS, check_engine
from ionscape.study.session import Ended, Pool, Session, interchange_command, worker_path

#: Seconds between two looks at the workers: one that was killed is replaced after that time.
HEARTBEAT = 5
#: A job draws no more calculations this long before those it has must stop, s; less where the wall time is short.
DRAIN = 30
TIME_OVER = "the time of this job is over; the same command goes on where it stopped"
#: Kinds of engine that ``--engine`` may name; anything else is a file with a table [engine].
CHOICES = {"process": "threads", "threads": "threads", "processes": "processes", "local": "processes"}


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
            done = tasks.perform(request, str(store_root), self._threads)
            yield Ended(index, TIME_OVER if done.get("paused") else done["error"])

    def close(self) -> None:
        """Nothing to end."""


class LocalWorkers:
    """Parsl's high-throughput executor on this machine; started at the first task, not before.

    Parameters
    ----------
    settings
        Numbers of workers and threads.
    tell
        Is given one line if a killed run had left workers.
    """

    def __init__(self, settings: EngineSettings, tell: Callable[[str], object] = lambda _line: None) -> None:
        cores = available_cores()
        self.workers = settings.workers or cores
        self.threads = settings.threads_per_worker or max(1, cores // self.workers)
        self._settings, self._tell = settings, tell
        self._session: Session | None = None

    def run(self, requests: Sequence[dict[str, Any]], store_root: Path) -> Iterator[Ended | None]:
        """Run `requests` on the workers; a worker that is lost is replaced and its task tried again."""
        if self._session is None:
            self._session = Session(store_root, self._settings, self._tell)
            self._session.add("local", self._pool(self._session))
        yield from self._session.run(requests, ["local"] * len(requests))

    def close(self) -> None:
        """End the workers and remove their scratch folder."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _pool(self, session: Session) -> Pool:
        from parsl.executors import HighThroughputExecutor
        from parsl.jobs.error_handlers import windowed_error_handler
        from parsl.providers import LocalProvider

        executor = HighThroughputExecutor(
            label=session.label("local"),
            address="127.0.0.1",
            interchange_launch_cmd=interchange_command(),
            loopback_address="127.0.0.1",
            max_workers_per_node=self.workers,
            heartbeat_period=HEARTBEAT,
            heartbeat_threshold=self._settings.lost_after_s,
            block_error_handler=windowed_error_handler,  # gives up at the third pool lost in a row
            encrypted=True,
            provider=LocalProvider(
                init_blocks=1,
                min_blocks=1,
                max_blocks=1,
                worker_init="\n".join(session.lines(self.threads, worker_path())),
            ),
        )
        return Pool(executor, self.threads)


class ClusterWorkers:
    """Jobs of a scheduler, one kind of job for each role of levels; submitted when first needed.

    Parameters
    ----------
    settings
        Table [engine].
    roles
        What each level is for, by `tasks.pace` of its requests.
    tell
        Is given one line if a killed run had left jobs.

    Raises
    ------
    InputError
        If the scheduler's commands are not there, or times do not fit.
    """

    def __init__(
        self,
        settings: EngineSettings,
        roles: Mapping[str, str] | None = None,
        tell: Callable[[str], object] = lambda _line: None,
    ) -> None:
        check_engine(settings)
        self._settings, self._roles, self._tell = settings, dict(roles or {}), tell
        self._session: Session | None = None

    def run(self, requests: Sequence[dict[str, Any]], store_root: Path) -> Iterator[Ended | None]:
        """Run `requests` in jobs; one that is lost is replaced and its tasks tried again."""
        if self._session is None:
            self._session = Session(store_root, self._settings, self._tell)
            told = {"kind": self._settings.kind, "namespace": self._settings.queue}
            (self._session.folder / SCHEDULER).write_text(json.dumps(told))
        pools = [self._role(request) for request in requests]
        for role in dict.fromkeys(pools):
            if not self._session.has(role):
                self._session.add(role, self._pool(self._session, role))
        yield from self._session.run(requests, pools)

    def close(self) -> None:
        """End all jobs."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _role(self, request: Mapping[str, Any]) -> str:
        level = request.get("level")
        if level is None:
            return "analysis"
        if str(level.get("address", level["identity"]["name"])).startswith(STORED):
            return "learned"
        return self._roles.get(json.dumps(level, sort_keys=True), "cheap")

    def _pool(self, session: Session, role: str) -> Pool:
        from parsl.executors import HighThroughputExecutor
        from parsl.jobs.error_handlers import windowed_error_handler

        settings, resources = self._settings, self._settings.of_role(role)
        executor = HighThroughputExecutor(
            label=session.label(role),
            address=settings.address or "127.0.0.1",
            interchange_launch_cmd=interchange_command(),
            loopback_address="127.0.0.1",
            cores_per_worker=resources.cores,
            max_workers_per_node=resources.calculations_per_job,
            available_accelerators=_accelerators(resources),
            heartbeat_period=HEARTBEAT,
            heartbeat_threshold=settings.lost_after_s,
            drain_period=_drawing_s(settings, resources),
            block_error_handler=windowed_error_handler,  # gives up when three jobs in a row never had a worker
            encrypted=True,
            provider=SCHEDULERS[settings.kind].provider(
                settings, resources, _first_lines(session, settings, role)
            ),
        )
        if not settings.address:
            executor.address, executor.all_addresses = None, own_addresses()
        return Pool(executor, resources.cores)


def _stop_s(settings: EngineSettings, resources: Resources) -> int:
    """Return the time from the start of a job to the moment when its calculations stop, s."""
    return max(1, int(60 * (resources.wall_time_min - settings.margin_min)))


def _drawing_s(settings: EngineSettings, resources: Resources) -> int:
    """Return the time for which a job draws new calculations, s."""
    stop = _stop_s(settings, resources)
    return max(1, stop - min(DRAIN, stop // 4))


def _first_lines(session: Session, settings: EngineSettings, role: str) -> str:
    resources = settings.of_role(role)
    path = "" if settings.kind == "kubernetes" else worker_path()  # a container has a Python of its own
    return "\n".join(
        [
            f"export {END}=$(($(date +%s) + {_stop_s(settings, resources)}))",
            f"export PARSL_CORES={resources.cores * resources.calculations_per_job}",
            *settings.environment,
            *resources.environment,
            *session.lines(resources.cores, path),  # after modules, which may bring a Python of their own
        ]
    )


def _accelerators(resources: Resources) -> list[str]:
    """Return the GPUs of each calculation of a job, by their numbers."""
    each, together = resources.gpus, resources.calculations_per_job
    return [",".join(str(i * each + k) for k in range(each)) for i in range(together)] if each else []


def own_addresses() -> set[str]:
    """Return the addresses (IPv4) of this machine; nobody outside is asked for them."""
    import socket

    import psutil

    found = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET
    }
    return found or {"127.0.0.1"}


def engine_of(
    choice: str,
    settings: EngineSettings,
    roles: Mapping[str, str] | None = None,
    tell: Callable[[str], object] = lambda _line: None,
) -> Engine:
    """Return the engine that ``--engine`` names; without a choice the one of `settings`.

    Raises
    ------
    InputError
        If the choice is neither a kind of engine of this machine nor a file with a table [engine].
    """
    if choice == "process":
        return InProcess()
    settings = chosen_settings(choice, settings)
    if settings.kind == "threads":
        return InProcess(available_cores())
    return LocalWorkers(settings, tell) if settings.is_local else ClusterWorkers(settings, roles, tell)


def chosen_settings(choice: str, settings: EngineSettings) -> EngineSettings:
    """Return the settings that ``--engine`` names; without a choice `settings`.

    Raises
    ------
    InputError
        As `engine_of`.
    """
    from ionscape.study.schema import read_engine

    if choice in CHOICES:
        return settings.model_copy(update={"kind": CHOICES[choice]})
    if not choice:
        return settings
    if not Path(choice).exists():
        raise InputError(
            f"'{choice}'",
            where="--engine",
            expected=f"one of {', '.join(CHOICES)}, or a file with a table [engine]",
            remedy="Clusters are described by such a file: a study file serves.",
        )
    return read_engine(choice)


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = [
    "CHOICES",
    "MARK",
    "ClusterWorkers",
    "Ended",
    "Engine",
    "EngineSettings",
    "InProcess",
    "LocalWorkers",
    "available_cores",
    "chosen_settings",
    "end_orphans",
    "engine_of",
    "own_addresses",
]
