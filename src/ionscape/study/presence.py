"""Who is at work in a folder: a locked file that says so and is free again when its process dies, however it dies.

The lock is the system's (`flock`): it needs no clock and no process numbers, and file systems that several
machines share keep it between them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ionscape.errors import InputError

LOCK = "run.lock"
#: Looks at a lock that another process may be testing at this moment.
TRIES = 20


@dataclass(frozen=True)
class Occupant:
    """The process that is at work in a folder: its machine, its number there, and since when (ISO 8601)."""

    host: str
    pid: int
    since: str

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == socket.gethostname()


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Be the one process at work in `folder`, which exists, while the context lasts.

    Raises
    ------
    InputError
        If another process is.
    """
    path = folder / LOCK
    with path.open("a+") as handle:
        if not _taken(handle.fileno(), fcntl.LOCK_EX):
            raise _refusal(folder)
        occupant = Occupant(
            socket.gethostname(), os.getpid(), dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        )
        handle.truncate(0)
        handle.write(json.dumps(asdict(occupant)))
        handle.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def occupant_of(folder: Path) -> Occupant | None:
    """Return the process that is at work in `folder`; None if none is."""
    try:
        with (folder / LOCK).open() as handle:
            if _taken(handle.fileno(), fcntl.LOCK_SH, tries=1):
                return None
            # it has the lock, and may not have written yet
            return _written(handle.read()) or Occupant("unknown", 0, "unknown")
    except FileNotFoundError:
        return None


def last_occupant(folder: Path) -> Occupant | None:
    """Return the process that was killed at work in `folder`; None if none was, or it did not say."""
    try:
        return _written((folder / LOCK).read_text())
    except FileNotFoundError:
        return None


def _written(text: str) -> Occupant | None:
    try:
        return Occupant(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _taken(descriptor: int, kind: int, tries: int = TRIES) -> bool:
    for left in range(tries, 0, -1):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if left > 1:
                time.sleep(0.02)
            continue
        return True
    return False


def _refusal(folder: Path) -> InputError:
    found = occupant_of(folder)
    who = f"process {found.pid} on {found.host}, since {found.since}" if found else "another process"
    return InputError(
        f"is being run by {who}",
        where=f"folder {folder}",
        expected="a folder in which no run is at work",
        remedy=f"Wait for it (`ionscape status {folder}`), end it (`ionscape stop {folder}`), or choose --out.",
    )
