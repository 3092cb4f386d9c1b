"""Studies on a real Slurm: the same numbers as here, nothing lost with a job, nothing left by a killed run."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy_study import antifluorite, begin, toy_levels_importable, written

from ionscape.levels.calculation import Relaxation
from ionscape.study import schedulers
from ionscape.study.engine import ClusterWorkers, EngineSettings
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.resources import Resources
from ionscape.study.runner import RunOptions, run_study, study_status
from ionscape.study.store import Store


def slurm_answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    asked = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=60, check=False)
    return "up" in asked.stdout


pytestmark = pytest.mark.skipif(not slurm_answers(), reason="make install-slurm")

#: Relaxations at a slow level, then dynamics that a job stops once and the next continues.
STUDY = """
[study]
name = "jobs"
seed = 5

[host]
structure = "host.cif"
charges = {{ Li = 1, O = -2 }}

[levels.cheap]
name = "toy_levels:SoftSpheres"
settings = {{ seconds = {seconds}, diary = "{diary}" }}

[levels.fast]
name = "toy_levels:Washboard"

[relaxation]
move = "positions"
fmax_eV_per_A = 0.3

[voids]
method = "geometric"

[doping]
supercell = [1, 1, 1]
samples = 6
keep = 2
charges = {{ N = -3 }}

[[doping.routes]]
name = "N on O"
replace = {{ O = "N" }}
insert = {{ Li = 1 }}
counts = [1]

[dynamics]
level = "fast"
temperatures_K = [1300]
ensemble = "nvt-langevin"
timestep_fs = 5.0
frame_interval_fs = 10.0
equilibration_ps = 0.25
production_ps = 1.5
guards = {{ closest_approach = 0.0 }}
"""
ENGINE = """
[engine]
kind = "slurm"
address = "127.0.0.1"
lost_after_s = 10
idle_s = 5
margin_min = 1.25

[engine.resources]
jobs = 2
wall_time_min = 10
memory_GB = 1

[engine.fast]            # a run of 49 s and more in jobs that stop after 45 s
wall_time_min = 2
environment = ["export TOY_SECONDS=0.14 TOY_DIARY={diary}-fast"]
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "POLL", 2)


@pytest.fixture(autouse=True)
def _no_jobs_after() -> Iterator[None]:
    """Let every test end its own jobs, and find it out where one does not."""
    before = jobs()
    yield
    left = set(jobs()) - set(before)
    for job in left:
        subprocess.run(["scancel", job], check=False)
    assert not left


def jobs() -> dict[str, str]:
    """Return the states of this user's jobs."""
    said = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%i %t"], capture_output=True, text=True, check=True
    )
    found = dict(line.split() for line in said.stdout.splitlines())
    return {job: state for job, state in found.items() if state != "CG"}


def wait_until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def written_study(folder: Path, seconds: float) -> tuple[Path, Path]:
    """Return the study file and the file of the engine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "slurm.toml").write_text(ENGINE.format(diary=folder / "diary"))
    text = STUDY.format(seconds=seconds, diary=folder / "diary")
    return written(folder, text, antifluorite()), folder / "slurm.toml"


def test_jobs_give_the_numbers_of_this_process(tmp_path: Path, lines) -> None:
    study, engine = written_study(tmp_path, 0.05)
    begin(study, tmp_path / "here", stages=["dynamics"])
    (tmp_path / "diary").unlink()
    run_study(study, RunOptions(out=tmp_path / "there", engine=str(engine), stages=["dynamics"]), Progress())
    here, there = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("here", "there"))
    assert here == there
    assert not [name for name, stage in here["stages"].items() if "failed" in stage]
    assert "-" not in {line.split()[2] for line in lines(tmp_path / "diary")}
    steps = [line.split()[1] for line in lines(tmp_path / "diary-fast")]
    assert len(set(steps)) >= 2, "the run stopped before the end of its job and went on in the next"
    (run,) = there["stages"]["dynamics"]["runs"]
    assert len(steps) <= run["steps"]["value"] + 3 * len(set(steps)), "what was done was not done again"


def test_a_cancelled_job_loses_nothing(cells, toy, positions, tmp_path, lines) -> None:
    diary, store = tmp_path / "diary", Store(tmp_path / "store")
    settings = EngineSettings(
        kind="slurm", address="127.0.0.1", lost_after_s=10, idle_s=5, resources=Resources(jobs=2, wall_time_min=10)
    )

    class Canceller(Progress):
        victim = ""

        def look(self, working: Path) -> None:
            seen = {line.split()[2] for line in lines(diary)}
            if not self.victim and len(seen) == 2:
                self.victim = min(seen)
                subprocess.run(["scancel", self.victim], check=True)

    canceller = Canceller(stream=io.StringIO())
    lab = Laboratory(store, ClusterWorkers(settings), canceller)
    structures = cells(6)
    try:
        answers = lab.relax(structures, toy(seconds=0.4, diary=str(diary)), positions)
    finally:
        lab.close()
    assert all(isinstance(answer, Relaxation) for answer in answers), answers
    assert canceller.victim
    # whatever was evaluated before the end of the job is not evaluated again; what was in the air may be
    assert len(lines(diary)) <= sum(answer.steps + 1 for answer in answers) + 1


def test_a_killed_run_is_tidied_up_by_the_next_start(tmp_path, lines) -> None:
    study, engine = written_study(tmp_path, 0.3)
    out, diary = tmp_path / "out", tmp_path / "diary"
    command = [sys.executable, "-m", "ionscape", "run", str(study), "--out", str(out), "--stages", "doping"]
    command += ["--engine", str(engine), "--detach", "--json"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    driver = json.loads(said.stdout)["pid"]
    wait_until(lambda: lines(diary))
    status = study_status(out)
    assert status.occupant is not None
    assert status.occupant.pid == driver
    assert {one.kind for one in status.running} == {"relaxation"}
    os.kill(driver, signal.SIGKILL)
    wait_until(lambda: study_status(out).occupant is None)
    orphaned, at_kill = set(jobs()), len(lines(diary))
    assert orphaned
    wait_until(lambda: len(lines(diary)) > at_kill)  # they go on, and what they write counts
    said = io.StringIO()
    run_study(study, RunOptions(out=out, engine=str(engine), stages=["doping"]), Progress(stream=said))
    (told,) = [line for line in said.getvalue().splitlines() if "killed run" in line]
    assert all(job in told for job in orphaned)
    assert not orphaned & set(jobs())
    assert "failed" not in json.loads((out / "results.json").read_text())["stages"]["doping"]
    with toy_levels_importable():
        alone = begin(study, tmp_path / "alone", stages=["doping"])
    assert (alone.folder / "results.json").read_bytes() == (out / "results.json").read_bytes()
    assert study_status(out).occupant is None
