"""Progress while a trajectory is read: lines now and then, the time left where the system counts bytes."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "transport"))

from made_runs import made_run

from ionscape.cli import reading as module
from ionscape.cli.reading import Reading


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return the time and the bytes read that the progress sees, to be set by the test."""
    seen = {"time": 100.0, "bytes": 5000.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: seen["time"])
    monkeypatch.setattr(module, "_bytes_read", lambda: int(seen["bytes"]))
    return seen


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_time_left_follows_from_the_bytes_read(
    clock: dict[str, float], stream: io.StringIO, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"0" * 1000)
    run, shown = made_run(200), Reading([path], stream)
    chunks = shown.of(run).chunks(50)
    next(chunks)
    clock["time"], clock["bytes"] = 120.0, 5250.0
    shown.show()
    assert "[0:20] transport: 50 frames read | time left of the reading 1:00" in stream.getvalue()
    assert sum(len(chunk.positions) for chunk in chunks) == 150
    clock["time"] = 140.0
    shown.show()
    last = re.split("[\r\n]", stream.getvalue().rstrip("\n"))[-1]
    assert last.removesuffix("\x1b[K") == "[0:40] transport: 200 frames read, being analysed"


def test_quick_and_silent_readings_say_nothing(clock: dict[str, float]) -> None:
    stream = io.StringIO()
    quick = Reading([], stream)
    clock["time"] += 5
    with quick.watching():
        quick.show()
    assert stream.getvalue() == ""
    with Reading([], None).watching():
        pass
