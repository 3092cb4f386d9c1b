"""The engine of clusters without one: its settings, its plan of times, and PBS played by three small commands."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from parsl.jobs.states import JobState, JobStatus

from ionscape.dynamics import underway
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.errors import InputError
from ionscape.levels import allocation
from ionscape.levels.allocation import END
from ionscape.levels.calculation import Relaxation
from ionscape.study import engine, schedulers, session
from ionscape.study.engine import ClusterWorkers, EngineSettings, InProcess, engine_of
from ionscape.study.lab import Laboratory
from ionscape.study.orphans import SCHEDULER, Orphans, end_orphans
from ionscape.study.presence import LOCK
from ionscape.study.progress import Progress
from ionscape.study.resources import Resources
from ionscape.study.runner import roles_of
from ionscape.study.schema import read_engine, read_study
from ionscape.study.store import Store
from ionscape.study.tasks import perform, relaxation_request, single_point_request

#: A queue of one user on one machine: jobs are processes, their names and numbers files.
COMMANDS = {
    "qsub": """
        script="${@: -1}"
        number="$(date +%s%N).server"
        sed -n 's/^#PBS -N //p' "$script" > "$QUEUE/$number.name"
        grep '^#PBS' "$script" > "$QUEUE/$number.asked"
        setsid bash "$script" > /dev/null 2> "$QUEUE/$number.errors" < /dev/null &
        echo $! > "$QUEUE/$number"
        echo "$number"
    """,
    "qstat": """
        echo '{"Jobs": {'
        comma=""
        for job in "$QUEUE"/*.server; do
            [ -e "$job" ] || continue
            state=F; kill -0 "$(cat "$job")" 2>/dev/null && state=R
            printf '%s "%s": {"Job_Name": "%s", "job_state": "%s"}' \\
                "$comma" "$(basename "$job")" "$(cat "$job.name")" "$state"
            comma=","
        done
        echo '}}'
    """,
    "qdel": """
        for number in "$@"; do kill -TERM -- "-$(cat "$QUEUE/$number")" && rm "$QUEUE/$number"; done
    """,
}


@pytest.fixture
def pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the commands of a queue on the path, and return its folder."""
    queue, commands = tmp_path / "queue", tmp_path / "bin"
    queue.mkdir()
    commands.mkdir()
    for name, text in COMMANDS.items():
        (commands / name).write_text("#!/bin/bash\n" + "\n".join(line.strip() for line in text.splitlines()))
        (commands / name).chmod(0o755)
    monkeypatch.setenv("QUEUE", str(queue))
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setattr(schedulers, "POLL", 2)
    return queue


def test_pbs_jobs_calculate_and_end(cells, toy, positions, tmp_path, lines, pbs) -> None:
    diary, structures = tmp_path / "diary", cells(3)
    settings = EngineSettings(
        kind="pbs",
        queue="short",
        account="battery",
        address="127.0.0.1",
        environment=("export LOADED=module",),
        resources=Resources(cores=3, memory_GB=2, gpus=1, wall_time_min=90),
    )
    lab = Laboratory(Store(tmp_path / "store"), ClusterWorkers(settings), Progress())
    try:
        answers = lab.relax(structures, toy(diary=str(diary)), positions)
    finally:
        lab.close()
    assert all(isinstance(answer, Relaxation) for answer in answers), answers
    assert {line.split()[1] for line in lines(diary)} == {"3"}
    assert len({line.split()[0] for line in lines(diary)}) == 1, "short calculations share a worker"
    (asked,) = pbs.glob("*.asked")
    assert "select=1:ncpus=3:mem=2gb:ngpus=1" in asked.read_text()
    assert "01:30:00" in asked.read_text()
    assert not list(pbs.glob("*.server")), "the job was ended with the run"


def test_jobs_of_a_killed_run_are_told_by_their_name(tmp_path, pbs) -> None:
    store, run = Store(tmp_path / "store"), tmp_path / "store" / "engine" / "12ab"
    run.mkdir(parents=True)
    (run / LOCK).touch()
    (run / SCHEDULER).write_text('{"kind": "pbs", "namespace": ""}')
    script = tmp_path / "script"
    for name in ("parsl.ionscape-12ab-cheap.block-0", "parsl.ionscape-12cd-cheap.block-0", "other"):
        script.write_text(f"#PBS -N {name}\nsleep 600\n")
        schedulers._told(["qsub", str(script)])
        time.sleep(0.01)
    mine, *others = sorted(pbs.glob("*.server"))
    try:
        assert end_orphans(store.root) == Orphans(0, (mine.name,))
        assert sorted(pbs.glob("*.server")) == others
        assert not run.exists()
    finally:
        schedulers._told(["qdel", *(one.name for one in others)])


def test_orphans_of_another_machine_are_told_and_ended_only_when_asked(tmp_path, pbs) -> None:
    store, run = Store(tmp_path / "store"), tmp_path / "store" / "engine" / "12ab"
    run.mkdir(parents=True)
    (run / LOCK).write_text('{"host": "elsewhere", "pid": 1, "since": "2026-01-01"}')
    assert "elsewhere" in str(end_orphans(store.root))
    assert run.exists()
    assert str(end_orphans(store.root, of_other_machines=True)) == ""
    assert not run.exists()


def test_calculations_stop_before_the_end_of_their_job_and_go_on(
    cells, toy, positions, tmp_path, lines, monkeypatch
) -> None:
    store, diary = Store(tmp_path / "store"), tmp_path / "diary"
    (cell,) = cells(1)
    request = relaxation_request(cell, toy(diary=str(diary)), positions)
    asked = itertools.count(1)
    monkeypatch.setattr(allocation, "over", lambda: next(asked) % 4 == 0)  # before every third evaluation or so
    answers = [perform(request, str(store.root), 1)]
    while answers[-1].get("paused"):
        answers.append(perform(request, str(store.root), 1))
    assert answers[-1] == {"error": ""}
    assert len(answers) > 2
    assert answers[0]["paused"]
    made = [answer["steps"] for answer in answers[:-1]]
    assert made == sorted(made)
    (key,) = store.finished()
    assert len(lines(diary)) == store.read(key)["steps"] + 1, "nothing was evaluated twice"


def test_a_job_whose_time_is_over_begins_nothing(cells, toy, tmp_path, lines, monkeypatch) -> None:
    monkeypatch.setenv(END, str(time.time()))
    (cell,) = cells(1)
    store, diary = Store(tmp_path / "store"), tmp_path / "diary"
    answer = perform(single_point_request(cell, toy(diary=str(diary))), str(store.root), 1)
    assert answer == {"error": "", "paused": True, "steps": 0}
    assert not lines(diary)


def test_tables_of_levels_give_what_differs() -> None:
    settings = EngineSettings(
        resources=Resources(cores=4, jobs=9, wall_time_min=60), dear=Resources(cores=32, memory_GB=100)
    )
    dear = settings.of_role("dear")
    assert (dear.cores, dear.memory_GB, dear.jobs, dear.wall_time_min) == (32, 100, 9, 60)
    assert settings.of_role("cheap") == settings.of_role("analysis") == settings.resources


def test_jobs_draw_nothing_new_before_they_stop() -> None:
    for minutes, margin in ((1, 0.75), (10, 5.0), (1440, 5.0)):
        settings = EngineSettings(margin_min=margin)
        resources = Resources(wall_time_min=minutes)
        stop = engine._stop_s(settings, resources)
        assert stop == 60 * (minutes - margin)
        assert 0 < engine._drawing_s(settings, resources) < stop


def test_jobs_too_short_to_draw_anything_end_the_run(cells, toy, positions, tmp_path, pbs, monkeypatch) -> None:
    monkeypatch.setattr(engine, "_drawing_s", lambda _settings, _resources: 1)  # over before a worker is there
    monkeypatch.setattr(session, "IN_VAIN", 2)
    settings = EngineSettings(kind="pbs", address="127.0.0.1", resources=Resources(wall_time_min=90))
    lab = Laboratory(Store(tmp_path / "store"), ClusterWorkers(settings), Progress())
    try:
        (answer,) = lab.relax(cells(1), toy(), positions)
    finally:
        lab.close()
    assert "longer wall_time_min is needed" in str(answer)
    assert len(list(pbs.glob("*.asked"))) <= 4


class Jobs:
    """Jobs of one pool, as Parsl tells of them."""

    bad_state_is_set = False

    def __init__(self) -> None:
        self.blocks_to_job_id: dict[str, str] = {}
        self.status_facade: dict[str, JobStatus] = {}
        self.at_work, self.given_up = 0, ""

    def submit(self, *names: str) -> None:
        self.blocks_to_job_id |= {name: name for name in names}
        self.status_facade |= {name: JobStatus(JobState.RUNNING) for name in names}

    def end(self) -> None:
        self.status_facade = {name: JobStatus(JobState.COMPLETED) for name in self.status_facade}

    def connected_managers(self) -> list[dict[str, int]]:
        return [{"tasks": self.at_work}]

    def set_bad_state_and_fail_all(self, error: Exception) -> None:
        self.given_up = str(error)


def test_jobs_that_calculated_are_not_counted_when_they_end_together() -> None:
    jobs = Jobs()
    vigil = session.Vigil(jobs)
    jobs.submit(*"abcdefgh")
    vigil.renew()  # the last of their calculations has just stopped, before their wall time
    jobs.end()
    vigil.look()
    assert not jobs.given_up
    jobs.submit(*"ijklm")
    vigil.look()
    assert not jobs.given_up
    jobs.end()
    jobs.at_work = 1
    vigil.look()
    assert not jobs.given_up
    jobs.at_work = 0
    vigil.look()
    assert "longer wall_time_min" in jobs.given_up


def test_gpus_are_shared_out() -> None:
    assert engine._accelerators(Resources(gpus=2, calculations_per_job=2)) == ["0,1", "2,3"]
    assert engine._accelerators(Resources()) == []


STUDY = """
[study]
name = "roles"

[host]
structure = "phase:Li6Zr2O7"

[levels.cheap]
name = "toy_levels:SoftSpheres"

[levels.dear]
name = "toy_levels:SoftSpheres"
settings = { seconds = 0.001 }
"""


def test_requests_go_to_the_jobs_of_their_level(cells, toy, tmp_path, pbs) -> None:
    (tmp_path / "s.toml").write_text(STUDY)
    roles = roles_of(read_study(tmp_path / "s.toml").content)
    workers = ClusterWorkers(EngineSettings(kind="pbs"), roles)
    (cell,) = cells(1)
    cheap, dear = (single_point_request(cell, toy(**settings)) for settings in ({}, {"seconds": 0.001}))
    learned = {"kind": "dynamics", "level": {"identity": {"name": "sgpr:store/ab"}, "settings": {}}}
    named = [workers._role(request) for request in (cheap, dear, learned, {"kind": "transport"})]
    assert named == ["cheap", "dear", "learned", "analysis"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[engine]\nkind = "slrum"', "engine.kind"),
        ("[engine]\nkinds = 1", "Did you mean 'kind'"),
        ("[engine.dear]\ncore = 1", "Did you mean 'cores'"),
        ("[engine.dear]\ncores = 0", "engine.dear.cores"),
        ("[study]\nname = 1", "no table [engine]"),
    ],
)
def test_files_of_engines_are_checked(tmp_path, text: str, told: str) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=r".") as refused:
        read_engine(file)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (EngineSettings(kind="slurm"), "no command"),
        (EngineSettings(kind="kubernetes"), "kubernetes"),
    ],
)
def test_what_a_cluster_needs_is_looked_for_first(settings, told: str, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=told):
        engine_of("", settings)


def test_a_margin_longer_than_the_wall_time_is_refused(pbs) -> None:
    with pytest.raises(InputError, match="margin"):
        ClusterWorkers(EngineSettings(kind="pbs", fast=Resources(wall_time_min=4)))


def test_engines_by_name(tmp_path) -> None:
    assert isinstance(engine_of("process", EngineSettings(kind="slurm")), InProcess)
    assert isinstance(engine_of("", EngineSettings(kind="threads")), InProcess)
    with pytest.raises(InputError, match="slrum"):
        engine_of("slrum", EngineSettings())


def test_own_addresses_need_nobody_outside() -> None:
    assert "127.0.0.1" in engine.own_addresses()


def test_dynamics_stop_before_the_end_of_their_job_and_go_on(cells, toy, tmp_path, monkeypatch) -> None:
    (cell,) = cells(1)
    run = {
        **single_point_request(cell, toy("Washboard")),
        "kind": "dynamics",
        "settings": DynamicsSettings(
            timestep_fs=2.0, frame_interval_fs=4.0, production_ps=0.2, equilibration_ps=0.02, ensemble="nve"
        ).model_dump(mode="json"),
    }
    whole, pieces = Store(tmp_path / "whole"), Store(tmp_path / "pieces")
    assert perform(run, str(whole.root), 1) == {"error": ""}
    asked = itertools.count(1)
    monkeypatch.setattr(allocation, "over", lambda: next(asked) % 9 == 0)
    monkeypatch.setattr(underway, "over", allocation.over)
    answers = [perform(run, str(pieces.root), 1)]
    while answers[-1].get("paused"):
        answers.append(perform(run, str(pieces.root), 1))
    assert len(answers) > 2
    (key,) = whole.finished()
    for name in ("result.json", "production.trajectory"):
        assert (pieces.folder(key) / name).read_bytes() == (whole.folder(key) / name).read_bytes()
