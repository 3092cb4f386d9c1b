"""Progress: how much of the planned work is done, and how much time is left.

Work is counted in atoms × steps. The steps of running calculations are read from their files. Molecular dynamics
tells its steps beforehand; those of relaxations to come are expected to be the mean of the finished ones, so the
time left is known after the first steps. An atom and step takes as long as it took so far in work of the same kind
(a learned potential is a thousand times as fast as a universal one).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ionscape.errors import IonscapeError
from ionscape.study.told import write_told

#: Steps expected of a relaxation before any has finished.
EXPECTED_STEPS = 60.0
#: Seconds between two lines where there is no terminal.
QUIET_SECONDS = 10.0
#: Seconds between two looks at running calculations.
TICK = 0.5
#: Seconds between two writings of `Progress.file`.
TELL_SECONDS = 1.0
#: File of molecular dynamics that tells the number of steps made.
STEPS = "steps.txt"
#: File of a learning that tells the stretches that are through.
STRETCHES = "stretches.json"


@dataclass
class Progress:
    """Shows what a run is doing, on standard error: one live line on a terminal, plain lines elsewhere.

    Attributes
    ----------
    planned
        Numbers of atoms of the calculations that are still to be asked for, by stage.
    planned_work
        Atoms × steps of those whose steps are known, by stage.
    stream
        Where to write; None is silent.
    file
        Where to tell other processes how far the run is (`told`); None: nowhere.
    """

    planned: dict[str, list[int]] = field(default_factory=dict)
    planned_work: dict[str, int] = field(default_factory=dict)
    stream: TextIO | None = None
    stage: str = ""
    file: Path | None = None
    _finished_work: float = 0.0
    _finished_steps: list[int] = field(default_factory=list)
    _finished_count: int = 0
    _running: dict[str, int] = field(default_factory=dict)
    _running_work: dict[str, float] = field(default_factory=dict)
    _known_steps: dict[str, int] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _told: float = 0.0
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _head_start: dict[str, float] = field(default_factory=dict)
    _kind: str = ""
    _rates: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _clock_start: float | None = None
    _last_line: float = 0.0

    def enter(self, stage: str) -> None:
        """Begin `stage`; what was planned for it is from now on counted as it is asked for."""
        self.stage = stage
        self.planned.pop(stage, None)
        self.planned_work.pop(stage, None)
        self._show(force=True)

    def begin(
        self,
        sizes: Mapping[str, int],
        steps: Mapping[str, int] | None = None,
        kind: str = "",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Begin calculations: `sizes` maps each key to its number of atoms, `steps` to its steps where known.

        Calculations of one `kind` (kind and level) take equally long for an atom and step; `names` tell what
        each is.
        """
        self._names = dict(names or {})
        if self._clock_start is not None and kind != self._kind:
            self._remember_rate()
        self._kind = kind
        if self._clock_start is None:
            self._clock_start = time.monotonic()
        self._running = dict(sizes)
        self._known_steps = {key: count for key, count in (steps or {}).items() if count}
        self._show(force=True)

    def _remember_rate(self) -> None:
        """Keep how fast the kind of work was that ends here, and start the clock anew."""
        done, elapsed = self._done(), time.monotonic() - (self._clock_start or 0.0)
        if done > 0 and elapsed > 0:
            self._rates[self._kind] = done / elapsed
        self._clock_start, self._finished_work = None, 0.0
        self._head_start.clear()

    def _done(self) -> float:
        return self._finished_work + sum(self._running_work.values()) - sum(self._head_start.values())

    def look(self, working: Path) -> None:
        """Read how far the running calculations are from their files under the folder `working`."""
        self._running_work = {
            key: float(atoms * steps_so_far(working / key)) for key, atoms in dict(self._running).items()
        }
        for key in self._known_steps:  # what an interrupted run left was not done in the time since the start
            self._head_start.setdefault(key, self._running_work.get(key, 0.0))
        self._show()

    @contextlib.contextmanager
    def watching(self, working: Path) -> Iterator[None]:
        """Look twice a second, beside whatever this process is busy with, while the context lasts."""
        if self.stream is None and self.file is None:
            yield
            return
        done = threading.Event()

        def watch() -> None:
            while not done.wait(TICK):
                self.look(working)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def finish(self, key: str, steps: int) -> None:
        """Count the calculation `key` as finished after `steps` steps."""
        atoms = self._running.pop(key, 0)
        self._running_work.pop(key, None)
        self._finished_work += atoms * max(steps, 1)
        if key not in self._known_steps:
            self._finished_steps.append(steps)
        self._finished_count += 1
        self._show(force=True)

    def end(self) -> None:
        """Leave the live line, so that what is written next begins a new one; tell that the run has ended."""
        if self.file is not None:
            with self._telling:
                self.file.unlink(missing_ok=True)
                self.file = None
        if self.stream is not None and self.stream.isatty() and self._last_line:
            self.stream.write("\n")
            self.stream.flush()
            self._last_line = 0.0

    def message(self, text: str) -> None:
        """Show one line of text."""
        if self.stream is not None:
            end = "\x1b[K\n" if self.stream.isatty() else "\n"
            self.stream.write(("\r" if self.stream.isatty() else "") + text + end)
            self.stream.flush()

    def _expected(self) -> float:
        samples = [EXPECTED_STEPS] * 3 + [float(steps) for steps in self._finished_steps if steps > 0]
        return sum(samples) / len(samples)

    def seconds_left(self, running_work: Mapping[str, float]) -> float | None:
        """Return the expected time to the end of all that is planned, in s; None before anything is known."""
        done = self._finished_work + sum(running_work.values()) - sum(self._head_start.values())
        if self._clock_start is None or done <= 0 or time.monotonic() <= self._clock_start:
            return None
        rate = done / (time.monotonic() - self._clock_start)
        expected = self._expected()
        running = sum(
            self._work_left(key, atoms, expected, running_work) for key, atoms in dict(self._running).items()
        )
        later = sum(atoms * expected for sizes in self.planned.values() for atoms in sizes)
        later += sum(self.planned_work.values())
        first = next(iter(self._rates.values()), rate)  # what is planned is of the kind that comes first
        return running / rate + later / first

    def _work_left(self, key: str, atoms: int, expected: float, done: Mapping[str, float]) -> float:
        if key in self._known_steps:
            return max(atoms * self._known_steps[key] - done.get(key, 0.0), 0.0)
        return max(atoms * expected - done.get(key, 0.0), 0.1 * atoms * expected)

    def _tell(self, *, force: bool) -> None:
        """Write for other processes how far the run is; that it cannot be written ends no run."""
        if self.file is None or (not force and time.monotonic() - self._told < TELL_SECONDS):
            return
        with self._telling, contextlib.suppress(IonscapeError, OSError):
            if self.file is not None:
                write_told(self.file, self._state())
        self._told = time.monotonic()

    def _state(self) -> dict[str, Any]:
        done = dict(self._running_work)
        running = {
            key: {
                "name": self._names.get(key, ""),
                "atoms": atoms,
                "steps": int(done.get(key, 0.0) / max(atoms, 1)),
                "planned_steps": self._known_steps.get(key, 0),
            }
            for key, atoms in dict(self._running).items()
        }
        return {
            "pid": os.getpid(),
            "stage": self.stage,
            "seconds": time.monotonic() - self._started,
            "seconds_left": self.seconds_left(done),
            "finished": self._finished_count,
            "count": self._finished_count + len(running) + sum(map(len, self.planned.values())),
            "running": running,
        }

    def _show(self, *, force: bool = False) -> None:
        self._tell(force=force)
        if self.stream is None:
            return
        now = time.monotonic()
        terminal = self.stream.isatty()
        if not terminal and not force and now - self._last_line < QUIET_SECONDS:
            return
        self._last_line = now
        left = self.seconds_left(self._running_work)
        count = self._finished_count + len(self._running) + sum(map(len, self.planned.values()))
        text = (
            f"[{clock(now - self._started)}] {self.stage}: {self._finished_count} of {count} calculations"
            f" | time left {'being estimated' if left is None else clock(left)}"
        )
        self.stream.write(f"\r{text}\x1b[K" if terminal else f"{text}\n")
        self.stream.flush()


def clock(seconds: float) -> str:
    """Return a duration as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def steps_so_far(folder: Path) -> int:
    """Return the number of steps that the calculation in `folder` made, as its files tell."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / STEPS).read_text())
    with contextlib.suppress(OSError, ValueError):
        return _steps_of_stretches(folder)
    with contextlib.suppress(OSError):  # it may be finished, and its folder moved, at this moment
        for log in folder.glob("*.log"):
            with log.open("rb") as handle:
                return sum(1 for _ in handle)
    return 0


def _steps_of_stretches(folder: Path) -> int:
    """Return the steps of all runs that teach a potential: of those that are through, and of the one that runs."""
    done = sum(int(one["steps"]) for one in json.loads((folder / STRETCHES).read_text()))
    running = sum(int(path.read_text()) for path in folder.glob(f"*/{STEPS}"))
    return done + running


def on_standard_error() -> Progress:
    """Return a progress that shows on standard error."""
    return Progress(stream=sys.stderr)
