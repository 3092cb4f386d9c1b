"""Runs in the background: begun, looked at, ended, and one at a time in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ionscape.cli.main import main
from ionscape.errors import InputError
from ionscape.study.presence import LOCK, at_work, last_occupant, occupant_of

STUDY = """
[study]
name = "toy"
seed = 3

[host]
structure = "phase:Li6Zr2O7"

[levels.cheap]
name = "toy_levels:SoftSpheres"
settings = {{ diary = "{diary}", seconds = {seconds} }}

[relaxation]
move = "positions"
fmax_eV_per_A = 0.1
"""


def wait_until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def written(folder: Path, seconds: float) -> Path:
    (folder / "toy.toml").write_text(STUDY.format(diary=folder / "diary", seconds=seconds))
    return folder / "toy.toml"


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_in_the_background_is_seen_and_ended(tmp_path: Path, capsys, lines) -> None:
    study, out = written(tmp_path, 0.2), tmp_path / "out"
    words = ("run", study, "--out", out, "--stages", "host", "--engine", "process", "--detach")
    begun = told(capsys, *words)
    wait_until(lambda: len(lines(tmp_path / "diary")) > 2)
    status = told(capsys, "status", out)
    assert status["is_running"]
    assert status["process"]["pid"] == begun["pid"]
    (calculation,) = status["calculations"]
    assert (calculation["kind"], calculation["content"]) == ("relaxation", "Li24Zr8O28")
    assert calculation["pid"] == begun["pid"]
    assert calculation["steps"] >= 1
    assert main([str(word) for word in words]) == 2  # one run at a time in a folder
    assert str(begun["pid"]) in capsys.readouterr().err
    with pytest.raises(InputError, match="is being run by process"), at_work(out):
        pass

    assert told(capsys, "stop", out) == {"pid": begun["pid"], "processes": 0, "jobs": []}
    status = told(capsys, "status", out)
    assert (status["is_running"], status["calculations"]) == (False, [])
    assert status["unfinished"], "what was running left its checkpoint"
    assert "interrupted" in Path(begun["log"]).read_text()
    assert main(["stop", str(out)]) == 0
    assert "no run" in capsys.readouterr().out


def test_bad_input_is_told_at_once(tmp_path: Path, capsys) -> None:
    study = tmp_path / "toy.toml"
    study.write_text(STUDY.format(diary=tmp_path / "diary", seconds=0).replace("toy_levels", "no_levels"))
    assert main(["run", str(study), "--out", str(tmp_path / "out"), "--detach"]) == 2
    assert "no_levels" in capsys.readouterr().err


def test_presence_ends_with_its_process_however_it_dies(tmp_path: Path) -> None:
    script = "import sys, time, pathlib; from ionscape.study.presence import at_work\n"
    script += "with at_work(pathlib.Path(sys.argv[1])): print('here', flush=True); time.sleep(600)"
    other = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "here\n"
        found = occupant_of(tmp_path)
        assert found is not None
        assert found.pid == other.pid
        assert found.is_here
        with pytest.raises(InputError, match=str(other.pid)), at_work(tmp_path):
            pass
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert occupant_of(tmp_path) is None
    assert last_occupant(tmp_path) == found  # it did not end in order
    with at_work(tmp_path):
        assert occupant_of(tmp_path).pid == os.getpid()
    assert not (tmp_path / LOCK).exists()
    assert last_occupant(tmp_path) is None
