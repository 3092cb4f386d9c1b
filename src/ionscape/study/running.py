"""What is being calculated at this moment: who holds a key writes into its lock what it is doing, and where."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ionscape.study.progress import steps_so_far
from ionscape.units import Count, Unit

if TYPE_CHECKING:
    from ionscape.study.store import Store


@dataclass(frozen=True)
class RunningCalculation:
    """A calculation in progress.

    Attributes
    ----------
    key
        Its key in the store.
    kind, content, level
        What it is, the chemical elements in it with their counts, and the name of its level (empty if none).
    host, pid
        Where it runs.
    since
        When this worker took it up (ISO 8601); what others did before counts in `steps`.
    steps
        Steps made, where the calculation tells.
    """

    key: str
    kind: str
    content: str
    level: str
    host: str
    pid: Annotated[int, Unit("1")]
    since: str
    steps: Count = 0


def sign(request: Mapping[str, Any], key: str, store: Store) -> None:
    """Write into the lock of `key`, which this process holds, what it is calculating."""
    level = request.get("level", {}).get("identity", {}).get("name", "")
    species = request.get("structure", {}).get("species", [])
    content = "".join(f"{element}{count}" for element, count in Counter(species).items())
    since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    told = RunningCalculation(key, request["kind"], content, level, socket.gethostname(), os.getpid(), since)
    _lock(store, key).write_text(json.dumps(asdict(told)))


def running_calculations(store: Store) -> list[RunningCalculation]:
    """Return the calculations that living processes hold, by the time at which they were taken up."""
    found = [told for path in (store.root / "locks").glob("*.lock") if (told := _held(path, store)) is not None]
    return sorted(found, key=lambda one: (one.since, one.key))


def _held(path: Path, store: Store) -> RunningCalculation | None:
    with contextlib.suppress(OSError, ValueError, TypeError), path.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            told = json.loads(handle.read())
            return RunningCalculation(**told | {"steps": steps_so_far(store.working_folder(path.stem))})
    return None


def _lock(store: Store, key: str) -> Path:
    return store.root / "locks" / f"{key}.lock"
