"""Progress: plain lines, silence, and a time left that is worth reading."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from ionscape.study import progress as module
from ionscape.study.progress import Progress, clock, steps_so_far
from ionscape.study.told import TOLD, read_told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time that the progress sees, to be set by the test."""
    time = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: time[0])
    return time


def write_steps(folder: Path, key: str, steps: int) -> None:
    (folder / key).mkdir(exist_ok=True)
    (folder / key / "relaxation.log").write_text("step\n" * steps)


def test_silent_without_a_stream(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shown = Progress(planned={"host": [4]})
    shown.enter("host")
    shown.begin({"a": 4})
    shown.look(tmp_path)
    shown.message("hello")
    shown.finish("a", 10)
    assert capsys.readouterr() == ("", "")


def test_plain_lines_where_there_is_no_terminal(now: list[float], tmp_path: Path) -> None:
    stream = io.StringIO()
    shown = Progress(stream=stream, _started=now[0])
    shown.enter("host")
    shown.begin({"a": 4, "b": 4})
    for _ in range(30):  # 15 s of looking twice a second
        now[0] += 0.5
        shown.look(tmp_path)
    shown.finish("a", 10)
    shown.finish("b", 10)
    text = stream.getvalue()
    assert "\r" not in text
    assert "\x1b" not in text
    assert text.endswith("\n")
    assert len(text.splitlines()) == 2 + 1 + 2  # enter and begin, one look in fifteen seconds, two ends
    assert re.fullmatch(r"\[0:15\] host: 2 of 2 calculations \| time left 0:00", text.splitlines()[-1])


def test_one_live_line_on_a_terminal(now: list[float], tmp_path: Path) -> None:
    stream = Terminal()
    shown = Progress(stream=stream)
    shown.begin({"a": 4})
    shown.look(tmp_path)
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().count("\r") == 2
    shown.message("a line")
    assert "\ra line\x1b[K\n" in stream.getvalue()


def test_time_left_is_unknown_before_anything_is_done(now: list[float], tmp_path: Path) -> None:
    shown = Progress(stream=io.StringIO())
    assert shown.seconds_left({}) is None
    shown.begin({"a": 4})
    assert shown.seconds_left({}) is None
    assert "being estimated" in shown.stream.getvalue()


def test_time_left_follows_work_in_atoms_times_steps(now: list[float]) -> None:
    """Ten equal relaxations, one after the other: the estimate must approach the truth and never be absurd."""
    shown = Progress()
    shown.begin({str(i): 100 for i in range(10)})
    steps, seconds_per_step = 40, 2.0
    for i in range(10):
        for step in range(1, steps + 1):
            now[0] += seconds_per_step
            truth = (10 - i) * steps * seconds_per_step - step * seconds_per_step
            estimate = shown.seconds_left({str(i): 100.0 * step})
            assert estimate is not None
            assert estimate <= 1.6 * truth + 20
            assert estimate >= 0.5 * truth
        shown.finish(str(i), steps)
    assert shown.seconds_left({}) == 0


def test_larger_cells_count_for_more(now: list[float]) -> None:
    shown = Progress()
    shown.begin({"small": 10, "large": 100})
    now[0] += 30.0
    shown.finish("small", 60)
    assert shown.seconds_left({}) == pytest.approx(300, rel=0.01)


def test_planned_stages_count_until_they_are_entered(now: list[float]) -> None:
    shown = Progress(planned={"host": [10], "doping": [10, 10, 10]})
    shown.enter("host")
    shown.begin({"a": 10})
    now[0] += 60.0
    shown.finish("a", 60)
    assert shown.seconds_left({}) == pytest.approx(180, rel=0.01)
    shown.enter("doping")
    assert shown.seconds_left({}) == 0
    shown.begin({"b": 10, "c": 10})
    assert shown.seconds_left({}) == pytest.approx(120, rel=0.01)


def test_steps_are_read_from_the_log(tmp_path: Path) -> None:
    assert steps_so_far(tmp_path / "nothing") == 0
    write_steps(tmp_path, "a", 7)
    assert steps_so_far(tmp_path / "a") == 7


def test_running_relaxations_are_seen_in_the_time_left(now: list[float], tmp_path: Path) -> None:
    stream = io.StringIO()
    shown = Progress(stream=stream)
    shown.begin({"a": 10})
    now[0] += 30.0
    write_steps(tmp_path, "a", 30)
    shown.look(tmp_path)
    assert "time left 0:30" in stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.7, "1:00:00"), (3661, "1:01:01")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_each_kind_of_work_has_its_own_rate(now: list[float], tmp_path: Path) -> None:
    """Ten relaxation steps took 10 s; steps of a fast level take 0.01 s; what is planned is of the first kind."""
    shown = Progress(planned_work={"later": 400})
    shown.begin({"a": 4}, kind="dear")
    now[0] += 10
    shown.finish("a", 10)
    shown.begin({"md": 4}, {"md": 1000}, kind="fast")
    now[0] += 2
    assert shown.seconds_left({"md": 4 * 200.0}) == pytest.approx(8 + 100)
    shown.enter("later")
    assert shown.seconds_left({"md": 4 * 200.0}) == pytest.approx(8)


def test_other_processes_are_told_how_far_a_run_is_until_it_ends(tmp_path):
    progress = Progress(file=tmp_path / TOLD)
    progress.enter("doping")
    progress.begin({"a" * 64: 10, "b" * 64: 20}, {"b" * 64: 50}, names={"a" * 64: "relaxation, Li2O"})
    folder = tmp_path / "working" / ("b" * 64)
    folder.mkdir(parents=True)
    (folder / "steps.txt").write_text("25")
    progress.look(tmp_path / "working")
    progress.finish("a" * 64, 7)
    told = read_told(tmp_path)
    assert (told["stage"], told["finished"], told["count"]) == ("doping", 1, 2)
    assert told["running"] == {"b" * 64: {"name": "", "atoms": 20, "steps": 25, "planned_steps": 50}}
    progress.end()
    assert read_told(tmp_path) is None
    assert not list(tmp_path.glob("*.json"))


def test_what_cannot_be_told_ends_no_run(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    progress = Progress(file=tmp_path / "taken" / TOLD)
    progress.begin({"a" * 64: 10})
    progress.finish("a" * 64, 3)
