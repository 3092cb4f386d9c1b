"""Batches through TorchSim: as calculations in the store, by the command line, and against plain integrators."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet

from ionscape.cli.main import main
from ionscape.dynamics.batch import BatchMember, simulate_batch
from ionscape.dynamics.integrators import draw_velocities
from ionscape.dynamics.recording import record_blocks, start_positions
from ionscape.dynamics.runs import RunRequest, SimulatedRun, StoppedRun
from ionscape.dynamics.settings import DynamicsSettings, GuardSettings
from ionscape.dynamics.simulate import PRODUCTION, simulate
from ionscape.levels.calculation import Broken
from ionscape.levels.registry import Level
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.model_file import write_model
from ionscape.potential.torch_calculator import torch_calculator
from ionscape.structures.exchange import to_atoms, to_structure, write_cif
from ionscape.study import tasks
from ionscape.study.batches import batches_of, keys_of
from ionscape.study.engine import EngineSettings, InProcess, LocalWorkers
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.store import PROVENANCE, Store, request_key

sys.path.insert(0, str(Path(__file__).parents[1] / "potential"))
from made_frames import alloy, model

#: TorchSim 0.3.0 imports vesin and compiles functions in ways that these packages warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
installed = pytest.mark.skipif(
    importlib.util.find_spec("torch_sim") is None, reason="pip install 'ionscape[torchsim]'"
)


@pytest.fixture
def level(tmp_path: Path) -> Level:
    write_model(model(), tmp_path / "m.sgpr")
    return Level.of(f"sgpr:{tmp_path / 'm.sgpr'}", {"precision": "double"})


def settings(**changes: Any) -> DynamicsSettings:
    values = {
        "ensemble": "nve",
        "temperature_K": 300.0,
        "frame_interval_fs": 1.0,
        "precision": "double",
        "seed": 5,
    }
    return DynamicsSettings(**values | {"equilibration_ps": 0.0, "production_ps": 0.05} | changes)


def laboratory(store: Store) -> Laboratory:
    return Laboratory(store, InProcess(), Progress())


def asked(level: Level, **changes: Any) -> list[RunRequest]:
    cells = (alloy(1), alloy(2), alloy(3).repeat((1, 2, 1)))
    return [
        RunRequest(to_structure(cell), level, settings(temperature_K=kelvin, **changes))
        for cell, kelvin in zip(cells, (200.0, 500.0, 900.0), strict=True)
    ]


def positions(run: SimulatedRun) -> np.ndarray:
    return start_positions(run.trajectory) + np.concatenate(list(record_blocks(run.trajectory)))["shift"]


@installed
def test_nve_of_a_batch_is_velocity_verlet(level: Level, tmp_path: Path) -> None:
    """Fifty steps of three cells at three temperatures, against ASE around the compiled core: 1e-8 Å."""
    requests = asked(level)
    runs = laboratory(Store(tmp_path / "s")).simulate(requests, together=True)
    for run, request in zip(runs, requests, strict=True):
        atoms = to_atoms(request.structure)
        draw_velocities(atoms, request.settings.temperature_K, np.random.default_rng(request.settings.seed))
        atoms.calc = PotentialCalculator(model(), CalculatorSettings(precision="double"))
        plain, found = VelocityVerlet(atoms, 1.0 * units.fs), positions(run)
        for frame in found:
            plain.step()
            assert np.abs(frame - atoms.positions).max() < 1e-8
        assert np.abs(found[-1] - found[0]).max() > 0.05


@installed
@pytest.mark.parametrize("ensemble", ["nvt", "npt", "npt-isotropic"])
def test_a_batch_of_three_is_three_runs_in_compiled_code(ensemble: str, level: Level, tmp_path: Path) -> None:
    """The same thermostats, barostats and first random numbers, to rounding."""
    requests = asked(level, ensemble=ensemble, production_ps=0.03, pressure_GPa=1.0)
    together = laboratory(Store(tmp_path / "a")).simulate(requests, together=True)
    alone = laboratory(Store(tmp_path / "b")).simulate(requests)
    for one, other in zip(together, alone, strict=True):
        assert one.key == other.key
        np.testing.assert_allclose(positions(one), positions(other), rtol=0, atol=1e-7)
        left, right = (np.concatenate(list(record_blocks(run.trajectory))) for run in (one, other))
        for name, tolerance in (("cell", 1e-8), ("energy", 1e-6), ("temperature", 1e-3), ("pressure", 1e-8)):
            np.testing.assert_allclose(left[name], right[name], rtol=0, atol=tolerance, err_msg=name)


@installed
def test_random_forces_of_a_batch_are_those_of_single_runs(level: Level, tmp_path: Path) -> None:
    """Of single runs on ASE's integrators: compiled code draws its own."""
    requests = asked(level, ensemble="nvt-langevin", production_ps=0.03)
    together = laboratory(Store(tmp_path / "a")).simulate(requests, together=True)
    for place, (run, request) in enumerate(zip(together, requests, strict=True)):
        folder = tmp_path / str(place)
        folder.mkdir()
        simulate(request.structure, torch_calculator(model(), "cpu", "double"), request.settings, folder)
        shifts = np.concatenate(list(record_blocks(folder / PRODUCTION)))["shift"]
        found = np.concatenate(list(record_blocks(run.trajectory)))["shift"]
        assert np.abs(shifts).max() > 0.05
        np.testing.assert_allclose(found, shifts, rtol=0, atol=1e-8)


@installed
@pytest.mark.parametrize("ensemble", ["nvt", "nvt-langevin"])
def test_each_cell_has_its_own_temperature(ensemble: str, level: Level, tmp_path: Path) -> None:
    """Within four standard errors, which know the correlation in time."""
    requests = asked(
        level, ensemble=ensemble, equilibration_ps=0.2, production_ps=0.6, thermostat_time_fs=20.0,
        timestep_fs=2.0, frame_interval_fs=4.0,
    )  # fmt: skip
    for run, request in zip(
        laboratory(Store(tmp_path / "s")).simulate(requests, together=True), requests, strict=True
    ):
        kelvin, found = request.settings.temperature_K, run.averages
        assert abs(found.temperature - kelvin) < 4 * found.temperature_error
        assert found.temperature_error < 0.2 * kelvin


class Interrupted:
    """Forces of a batch that break after some evaluations, as a killed process does."""

    def __init__(self, forces: Any, after: int) -> None:
        self._forces, self._left, self.known_elements = forces, after, forces.known_elements

    def evaluate(self, cells: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise InterruptedError
        return self._forces.evaluate(cells)


@installed
def test_an_interrupted_batch_goes_on_to_the_same_bytes(level: Level, tmp_path: Path) -> None:
    """One run ends early, so that the cells of an evaluation change; once before that, once after."""
    members: dict[str, list[BatchMember]] = {"alone": [], "torn": []}
    for home, (place, request) in itertools.product(members, enumerate(asked(level, ensemble="npt"))):
        folder = tmp_path / home / str(place)
        folder.mkdir(parents=True)
        times = {"equilibration_ps": 0.01, "production_ps": 0.02 if place == 1 else 0.04}
        members[home].append(BatchMember(request.structure, request.settings.model_copy(update=times), folder))
    simulate_batch(members["alone"], level.batched(1), lambda *_: None)
    left, gone = list(members["torn"]), list[BatchMember]()
    for after in (15, 25, 10**6):
        here, forces = [one for one in left if one not in gone], Interrupted(level.batched(1), after)
        with contextlib.suppress(InterruptedError):
            simulate_batch(here, forces, lambda place, _, here=here: gone.append(here[place]), checkpoint_s=0.0)
    assert len(gone) == 3
    for one in members["torn"]:
        other = tmp_path / "alone" / one.folder.name
        assert (one.folder / PRODUCTION).read_bytes() == (other / PRODUCTION).read_bytes()


@installed
def test_runs_of_a_batch_stand_in_the_store_as_those_alone(level: Level, tmp_path: Path) -> None:
    store, requests = Store(tmp_path / "s"), asked(level)
    first = laboratory(store)
    runs = first.simulate([*requests, requests[0]], together=True)
    assert (first.computed, first.reused) == (3, 0)
    assert runs[3] == runs[0] or runs[3].key == runs[0].key
    for run in runs:
        assert store.damage(run.key) is None
        made = store.read(run.key, PROVENANCE)
        assert made["batch"]["cells"] == 3
        assert made["batch"]["forces"].startswith("torch-sim-atomistic 0.3")
        assert made["batch"]["integrators"].startswith("ase ")
        assert made["device"] == "cpu"
    again = laboratory(store)
    assert [run.averages for run in again.simulate(requests)] == [run.averages for run in runs[:3]]
    assert (again.computed, again.reused) == (0, 3)
    assert not list((store.root / "working").iterdir())
    assert not list((store.root / "locks").iterdir())


@installed
def test_a_cell_that_is_stopped_stops_no_other(level: Level, tmp_path: Path) -> None:
    requests = asked(level)
    narrow = settings(temperature_K=6000.0, guards=GuardSettings(closest_approach=0.85))
    requests[1] = RunRequest(requests[1].structure, level, narrow)
    runs = laboratory(Store(tmp_path / "s")).simulate(requests, together=True)
    assert isinstance(runs[1], StoppedRun)
    assert "atoms too close" in runs[1].reason
    assert [isinstance(run, SimulatedRun) for run in runs] == [True, False, True]


@installed
def test_workers_run_a_batch(level: Level, tmp_path: Path) -> None:
    requests = asked(level, production_ps=0.01)
    lab = Laboratory(
        Store(tmp_path / "w"), LocalWorkers(EngineSettings(workers=1, threads_per_worker=1)), Progress()
    )
    try:
        runs = lab.simulate(requests, together=True)
    finally:
        lab.close()
    alone = laboratory(Store(tmp_path / "a")).simulate(requests, together=True)
    assert [run.averages for run in runs] == [run.averages for run in alone]


def test_a_batch_at_a_level_without_a_model_breaks_and_says_why(copper, tmp_path: Path) -> None:
    (run,) = laboratory(Store(tmp_path / "s")).simulate(
        [RunRequest(copper, Level.of("chgnet"), settings())], together=True
    )
    assert isinstance(run, Broken)
    assert "no model of TorchSim" in run.reason


def test_a_batch_is_of_one_level(copper, level: Level) -> None:
    requests = [
        tasks.dynamics_request(RunRequest(copper, one, settings(seed=seed)))
        for seed, one in enumerate((level, Level.of("chgnet"), level))
    ]
    batches = batches_of(requests)
    assert [len(batch["runs"]) for batch in batches] == [2, 1]
    assert keys_of(batches[0]) == [request_key(requests[0]), request_key(requests[2])]
    assert keys_of(requests[1]) == [request_key(requests[1])]


COMMAND = (
    "md", "alloy.cif", "--ensemble", "nvt", "--timestep-fs", "1", "--frame-interval-fs", "2", "--time-ps", "0.02",
    "--equilibration-ps", "0.01", "--json",
)  # fmt: skip


@pytest.fixture
def home(level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_cif(to_structure(alloy(1)), tmp_path / "alloy.cif")
    return tmp_path


def told(capfd: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    code = main([*COMMAND, *options])
    out, error = capfd.readouterr()
    return code, json.loads(out) if code in (0, 3) else error


@pytest.mark.parametrize("batch", [False, pytest.param(True, marks=installed)])
def test_several_temperatures_by_the_command(batch: bool, home: Path, capfd) -> None:
    """A folder and an answer each, those of a command of its own; the analysis reads the trajectory."""
    several = ("--level", "sgpr:m.sgpr", "--temperature-K", "300,600.5", "--out", "runs")
    code, answer = told(capfd, *several, *["--batch"] * batch)
    assert code == 0
    assert [run.pop("asked_temperature_K") for run in answer["runs"]] == [300.0, 600.5]
    for kelvin, run in zip(("300", "600.5"), answer["runs"], strict=True):
        assert run["trajectory"] == f"runs/{kelvin}K/production.trajectory"
        assert (home / "runs" / f"{kelvin}K" / "last.cif").is_file()
        code, own = told(capfd, "--level", "sgpr:m.sgpr", "--temperature-K", kelvin, "--out", "one")
        assert code == 0
        paths = {"trajectory", "equilibration", "structure"}
        assert {k: v for k, v in own.items() if k not in paths} == {k: v for k, v in run.items() if k not in paths}
    assert main(["transport", "runs/300K/production.trajectory", "--mobile", "Cu", "--json"]) in (0, 3)


@installed
def test_a_stopped_run_among_several_is_told_with_code_3(home: Path, capfd) -> None:
    hot = ("--temperature-K", "200,90000", "--ensemble", "nve", "--time-ps", "0.15", "--mobile", "Cu")
    code, answer = told(capfd, "--level", "sgpr:m.sgpr", "--batch", *hot, "--timestep-fs", "2")
    assert code == 3
    assert [bool(run["stopped"]) for run in answer["runs"]] == [False, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch", "--level", "chgnet"), "no model of TorchSim"),
        (("--batch", "--learn-from", "chgnet"), "--learn-from"),
        (("--learn-from", "chgnet", "--temperature-K", "300,600"), "2 temperatures"),
        (("--temperature-K", "300,300"), "--temperature-K"),
        (("--temperature-K", "1000.001,1000.002"), "--temperature-K"),
        (("--temperature-K", "300,"), "--temperature-K"),
        (("--temperature-K", "300,-5"), "temperature_K"),
        (("--temperature-K", "nan,300"), "temperature_K"),
    ],
)
def test_bad_options_are_refused(options: tuple[str, ...], words: str, home: Path, capfd) -> None:
    try:
        code, error = told(capfd, *options)
    except SystemExit as end:  # argparse
        code, error = end.code, capfd.readouterr().err
    assert code == 2
    assert words in error


def test_missing_torchsim_is_one_message(home: Path, capfd, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch_sim" else find(name, *a)
    )
    code, error = told(capfd, "--batch", "--level", "sgpr:m.sgpr")
    assert code == 2
    assert "torch-sim-atomistic is not installed" in error
    assert "ionscape[torchsim]" in error
