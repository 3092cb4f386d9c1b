"""Runs without a terminal: begun in a session of their own, and ended from any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ionscape.errors import CalculationError, InputError
from ionscape.study.orphans import Orphans, end_orphans
from ionscape.study.presence import Occupant, occupant_of
from ionscape.study.runner import RUN_FILE

#: What a detached run writes, in its folder.
LOG = "run.log"
#: Longest time that a run may take to end in order, s; then it is killed.
PATIENCE = 60.0
TICK = 0.1


@dataclass(frozen=True)
class Begun:
    """A run that was begun: its process, and where it writes."""

    occupant: Occupant
    log: Path


@dataclass(frozen=True)
class Stopped:
    """What `stop` ended: the process of the run if there was one, and what killed runs had left."""

    occupant: Occupant | None
    orphans: Orphans


def begin_detached(arguments: Sequence[str], folder: Path) -> Begun | None:
    """Begin ``ionscape ARGUMENTS``, a run into `folder`, in a session of its own; return when it is at work.

    None if it had so little to do that it ended in order meanwhile.

    Raises
    ------
    InputError
        If a run is at work in the folder already.
    CalculationError
        If the run ended at once; with what it wrote last.
    """
    at_it = occupant_of(folder)
    if at_it is not None:
        raise InputError(
            f"is being run by process {at_it.pid} on {at_it.host}, since {at_it.since}",
            where=f"folder {folder}",
            expected="a folder in which no run is at work",
            remedy=f"See `ionscape status {folder}`, or end it with `ionscape stop {folder}`.",
        )
    log = folder / LOG
    with log.open("w") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "ionscape", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while run.poll() is None:
        found = occupant_of(folder)
        if found is not None and found.pid == run.pid and (folder / RUN_FILE).exists():
            run.returncode = 0  # it outlives this process, which need not wait for it
            return Begun(found, log)
        time.sleep(TICK)
    if run.returncode == 0:
        return None
    raise _ended(run.returncode, log)


def _ended(code: int, log: Path) -> InputError | CalculationError:
    told = log.read_text(errors="replace").strip().splitlines()
    last = told[-1].removeprefix("ionscape run: ") if told else f"exit code {code}"
    if code != InputError.exit_code:
        return CalculationError(f"the run ended with exit code {code}: {last}")
    return InputError(last, where=str(log), expected="a study that can be run", remedy="Mend what is named above.")


def stop(folder: Path, store_root: Path) -> Stopped:
    """End the run at work in `folder`, its workers and jobs; what is finished stays, checkpoints too.

    The run is asked to end in order, and killed after a minute. Then whatever killed runs left on the store at
    `store_root` is ended, here and on clusters, whichever machine they were started from.

    Raises
    ------
    InputError
        If the run is at work on another machine.
    """
    at_it = occupant_of(folder)
    if at_it is not None:
        _end(at_it, folder)
    return Stopped(at_it, end_orphans(store_root, of_other_machines=True))


def _end(at_it: Occupant, folder: Path) -> None:
    if not at_it.is_here:
        raise InputError(
            f"runs on {at_it.host}",
            where=f"folder {folder}",
            expected="a run of this machine",
            remedy=f"Give the command on {at_it.host}.",
        )
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, 10.0)):
        if occupant_of(folder) != at_it:
            return
        try:
            os.kill(at_it.pid, number)
        except ProcessLookupError:
            return
        end = time.monotonic() + patience
        while occupant_of(folder) == at_it and time.monotonic() < end:
            time.sleep(TICK)
