"""The laboratory and molecular dynamics: batches in order, runs that stop, commands killed and continued."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read
from toy_study import toy_levels_importable

from ionscape.cli.main import main
from ionscape.dynamics.recording import record_blocks
from ionscape.dynamics.runs import RunRequest, SimulatedRun, StoppedRun
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.levels.calculation import Broken
from ionscape.results import to_json
from ionscape.structures.exchange import write_cif
from ionscape.study.engine import EngineSettings, InProcess, LocalWorkers
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.store import Store

HERE = Path(__file__).parent


def settings(**changes: Any) -> DynamicsSettings:
    values = {"ensemble": "nvt", "temperature_K": 100.0, "timestep_fs": 0.5, "frame_interval_fs": 1.0}
    return DynamicsSettings(**values | {"equilibration_ps": 0.02, "production_ps": 0.02} | changes)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def laboratory(store: Store) -> Laboratory:
    return Laboratory(store, InProcess(), Progress())


def test_batch_is_answered_in_order_and_found_again(cells, toy, store: Store) -> None:
    one, two = cells(2)
    requests = [
        RunRequest(cell, toy(), settings(temperature_K=kelvin)) for cell in (one, two) for kelvin in (50.0, 90.0)
    ]
    lab = laboratory(store)
    runs = lab.simulate([*requests, requests[0]])
    assert all(isinstance(run, SimulatedRun) for run in runs)
    assert (lab.computed, lab.reused) == (4, 0)
    assert len({run.key for run in runs}) == 4
    assert runs[0] == runs[4] or runs[0].key == runs[4].key
    for run in runs:
        assert (run.steps, run.averages.frames) == (80, 20)
        assert run.ms_per_step > 0
        assert len(np.concatenate(list(record_blocks(run.trajectory)))) == 20
        assert store.damage(run.key) is None
        to_json(run)
    again = laboratory(store)
    assert [run.averages for run in again.simulate(requests)] == [run.averages for run in runs[:4]]
    assert (again.computed, again.reused) == (0, 4)


def test_langevin_has_no_drift_and_nve_has(cells, toy, store: Store) -> None:
    (cell,) = cells(1)
    requests = [RunRequest(cell, toy(), settings(ensemble=name)) for name in ("nvt-langevin", "nve")]
    langevin, nve = laboratory(store).simulate(requests)
    assert langevin.drift is None
    assert isinstance(nve.drift, float)


def test_stopped_and_broken_runs_stand_in_their_place(cells, toy, store: Store, tmp_path: Path) -> None:
    (cell,) = cells(1)
    switch = tmp_path / "switch"
    switch.touch()
    stopped, broken, sound = laboratory(store).simulate(
        [
            RunRequest(cell, toy("NotANumber"), settings()),
            RunRequest(cell, toy(switch=str(switch)), settings()),
            RunRequest(cell, toy(), settings()),
        ]
    )
    assert isinstance(stopped, StoppedRun)
    assert stopped.reason.startswith("step 1 (0.0005 ps): energy not finite")
    assert stopped.averages is None
    assert isinstance(broken, Broken)
    assert "MemoryError" in broken.reason
    assert isinstance(sound, SimulatedRun)
    switch.unlink()
    (mended,) = laboratory(store).simulate([RunRequest(cell, toy(switch=str(switch)), settings())])
    assert isinstance(mended, SimulatedRun)
    assert mended.averages == sound.averages


def test_workers_run_a_batch_in_parallel(cells, toy, tmp_path: Path) -> None:
    structures, diary = cells(2), tmp_path / "diary"
    lab = Laboratory(
        Store(tmp_path / "w"), LocalWorkers(EngineSettings(workers=2, threads_per_worker=1)), Progress()
    )
    try:
        level = toy(seconds=0.01, diary=str(diary))
        runs = lab.simulate([RunRequest(cell, level, settings()) for cell in structures])
    finally:
        lab.close()
    alone = laboratory(Store(tmp_path / "a")).simulate(
        [RunRequest(cell, toy(), settings()) for cell in structures]
    )
    assert [run.averages for run in runs] == [run.averages for run in alone]
    assert len({line.split()[0] for line in diary.read_text().splitlines()}) == 2


def md(folder: Path, seconds: float) -> list[str]:
    """Return the command of a run in `folder` at a level that takes `seconds` for each evaluation."""
    (folder / "slow_level.py").write_text(
        f"import toy_levels\n\ndef make():\n    return toy_levels.SoftSpheres(seconds={seconds})\n"
    )
    options = ["--ensemble", "npt-isotropic", "--temperature-K", "100", "--timestep-fs", "0.5", "--time-ps", "0.1"]
    times = [
        "--equilibration-ps",
        "0.05",
        "--frame-interval-fs",
        "2",
        "--pressure-GPa",
        "30",
        "--supercell",
        "1,1,2",
    ]
    return ["md", "cell.cif", *options, *times, "--level", "slow_level:make", "--out", "run", "--json"]


@pytest.fixture(scope="module")
def alone(cells, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the folder and the answer of the command that was left alone."""
    folder, said = tmp_path_factory.mktemp("alone"), io.StringIO()
    write_cif(cells(1)[0], folder / "cell.cif")
    with toy_levels_importable(), contextlib.chdir(folder), contextlib.redirect_stdout(said):
        assert main([*md(folder, 0.0), "--format", "extxyz"]) == 0
    return folder, json.loads(said.getvalue())


def test_killed_command_continues_to_the_same_bytes(cells, alone, tmp_path: Path) -> None:
    """SIGKILL at random moments; the checkpoints of the command are 15 s apart, here 50 ms."""
    rng, kills = random.Random(4), 2
    starter = (
        "import sys; from ionscape.dynamics import simulate as s; s.simulate.__defaults__ = ('', 0.05); "
        "from ionscape.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    write_cif(cells(1)[0], tmp_path / "cell.cif")
    command = [sys.executable, "-c", starter, *md(tmp_path, 0.004)]
    for kill in range(kills + 1):
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "PYTHONPATH": path}
            )
        if kill < kills:
            wait_for_steps(tmp_path, 40 * kill + rng.randrange(20, 60), process)
            process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    untouched, expected = alone
    for key in (
        "steps",
        "n_frames",
        "temperature_K",
        "volume_A3",
        "pressure_GPa",
        "energy_drift_eV_per_atom_per_ps",
    ):
        assert json.loads(out)[key] == expected[key], key
    assert (tmp_path / "run" / "last.cif").read_bytes() == (untouched / "run" / "last.cif").read_bytes()
    for file in ("production.trajectory", "equilibration.trajectory"):  # the headers name the two levels
        one, two = (np.concatenate(list(record_blocks(home / "run" / file))) for home in (tmp_path, untouched))
        assert one.tobytes() == two.tobytes()


def wait_for_steps(folder: Path, steps: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        checkpoints = list(folder.glob(".ionscape/working/*/checkpoint.npz"))
        if checkpoints:
            from ionscape.dynamics.checkpoints import read_checkpoint

            found = read_checkpoint(checkpoints[0])
            if found is not None and found.values["step"] >= steps:
                return
        time.sleep(0.01)
    raise AssertionError((folder / "log").read_text())


def test_command_answers_and_exports(alone, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, answer = alone
    monkeypatch.chdir(folder)
    assert {"steps", "ms_per_step", "trajectory", "temperature_K", "pressure_GPa", "volume_A3"} <= set(answer)
    assert (answer["steps"], answer["n_frames"], answer["stopped"]) == (300, 50, "")
    assert Path(answer["trajectory"]) == Path("run/production.trajectory")
    frames = read(answer["extxyz"], index=":")
    assert len(frames) == 50
    assert len(frames[0]) == 8
    assert np.mean([frame.get_volume() for frame in frames]) == pytest.approx(
        answer["volume_A3"]["value"], rel=1e-6
    )
    assert main([*md(folder, 0.0), "--format", "extxyz"]) == 0
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--frame-interval-fs", "0.7"], "a multiple of the time step"),
        (["--mobile", "Na"], "no atom of the mobile element Na"),
        (["--temperature-K", "-5"], "greater than 0"),
    ],
)
def test_bad_input_is_one_message(
    options: list[str], told: str, cells, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cif(cells(1)[0], tmp_path / "cell.cif")
    assert main([*md(tmp_path, 0.0), *options]) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_command_tells_that_it_was_stopped(cells, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_cif(cells(1)[0], tmp_path / "cell.cif")
    command = md(tmp_path, 0.0)
    (tmp_path / "no_number.py").write_text("from toy_levels import NotANumber as make\n")
    command[command.index("slow_level:make")] = "no_number:make"
    assert main(command) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["stopped"].startswith("step 1")
    assert answer["n_frames"] == 0


def test_time_left_of_a_continued_run_counts_from_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = [0.0]
    monkeypatch.setattr("ionscape.study.progress.time.monotonic", lambda: now[0])
    shown = Progress()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "steps.txt").write_text("600\n")
    shown.begin({"a": 10}, {"a": 1000})
    shown.look(tmp_path)
    now[0] = 100.0
    (tmp_path / "a" / "steps.txt").write_text("700\n")
    shown.look(tmp_path)
    assert shown.seconds_left({"a": 7000.0}) == pytest.approx(300)
