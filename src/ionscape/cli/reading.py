"""Progress while a trajectory is read and analysed: frames so far, and the time left of the reading."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ionscape.study.progress import QUIET_SECONDS, TICK, clock

if TYPE_CHECKING:
    from ionscape.dynamics.trajectory import Chunk, Trajectory


class Reading:
    """Shows on a stream how far the reading of files is: a live line on a terminal, plain lines elsewhere.

    Parameters
    ----------
    paths
        The files; the part of their bytes that this process has read tells the time left, where the system counts
        them.
    stream
        Where to write; None is silent.
    """

    def __init__(self, paths: Sequence[str | Path], stream: TextIO | None) -> None:
        self._stream = stream
        self._bytes = sum(Path(path).stat().st_size for path in paths if Path(path).is_file())
        self._before = _bytes_read()
        self._started = self._last = time.monotonic()
        self._frames, self._read, self._shown = 0, False, False

    def of(self, trajectory: Trajectory) -> WatchedTrajectory:
        """Return `trajectory`, whose frames are counted as they pass by."""
        return WatchedTrajectory(trajectory, self)

    def count(self, frames: int) -> None:
        """Count so many more frames as read."""
        self._frames += frames

    def end_of_frames(self) -> None:
        """Tell that all frames are read, and the analysis goes on."""
        self._read = True

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Show twice a second, beside whatever this process is busy with, while the context lasts."""
        if self._stream is None:
            yield
            return
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            if self._shown and self._stream.isatty():
                self._stream.write("\n")

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(TICK):
            self.show()

    def show(self) -> None:
        """Show how far it is, unless the last plain line is less than ten seconds old."""
        now = time.monotonic()
        if self._stream is None or (not self._stream.isatty() and now - self._last < QUIET_SECONDS):
            return
        self._last, self._shown = now, True
        text = f"[{clock(now - self._started)}] transport: {self._frames} frames read{self._outlook(now)}"
        self._stream.write(f"\r{text}\x1b[K" if self._stream.isatty() else f"{text}\n")
        self._stream.flush()

    def _outlook(self, now: float) -> str:
        if self._read:
            return ", being analysed"
        part = (_bytes_read() - self._before) / self._bytes if self._bytes else 0.0
        if not 0 < part < 1:
            return ""
        return f" | time left of the reading {clock((now - self._started) * (1 - part) / part)}"


class WatchedTrajectory:
    """A trajectory whose frames are counted as they pass by (satisfies `dynamics.trajectory.Trajectory`)."""

    def __init__(self, trajectory: Trajectory, reading: Reading) -> None:
        self._trajectory, self._reading = trajectory, reading
        self.symbols, self.frame_interval = trajectory.symbols, trajectory.frame_interval
        self.temperature = trajectory.temperature

    def chunks(self, frames: int | None = None) -> Iterator[Chunk]:
        """Yield all frames in order, at most `frames` at a time."""
        for chunk in self._trajectory.chunks() if frames is None else self._trajectory.chunks(frames):
            self._reading.count(len(chunk.positions))
            yield chunk
        self._reading.end_of_frames()


def _bytes_read() -> int:
    """Return the bytes that this process has read so far; 0 where the system does not count them."""
    import psutil

    with contextlib.suppress(AttributeError, psutil.Error, OSError):
        return int(psutil.Process().io_counters().read_chars)
    return 0
