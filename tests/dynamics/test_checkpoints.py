"""Runs killed with SIGKILL continue exactly: the same frames, the same state, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from pair_levels import PairLevel
from spring_levels import Springs, crystal

from ionscape.dynamics.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from ionscape.dynamics.independence import IndependentCalculator
from ionscape.dynamics.settings import DynamicsSettings, Ensemble
from ionscape.dynamics.simulate import CHECKPOINT, EQUILIBRATION, PRODUCTION, STEPS, simulate
from ionscape.potential.library import unavailable
from ionscape.structures.exchange import to_atoms

ENSEMBLES = get_args(Ensemble)


def settings(ensemble: str = "npt", **changes: Any) -> DynamicsSettings:
    values = {
        "ensemble": ensemble,
        "temperature_K": 400.0,
        "pressure_GPa": 1.0,
        "timestep_fs": 4.0,
        "frame_interval_fs": 20.0,
        "equilibration_ps": 0.3,
        "production_ps": 0.9,
        "seed": 3,
        "mobile": ("Cu",),
    }
    return DynamicsSettings(**values | changes)


def lennard_jones() -> LennardJones:
    """Return a calculator with a neighbour list that is kept while atoms move less than a skin."""
    return LennardJones(sigma=2.3, epsilon=0.4, rc=4.2, smooth=True)


def in_child(work: Callable[[], Any]) -> int:
    """Begin `work` in a process of its own and return its number."""
    number = os.fork()
    if number == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return number


def run_through_kills(work: Callable[[], Any], folder: Path, kills: int, seed: int) -> int:
    """Let `work` be killed at random moments until it comes to its end; return the kills that hit."""
    rng, hits = random.Random(seed), 0
    for attempt in range(kills + 1):
        child = in_child(work)
        if attempt < kills:
            start = steps = read_steps(folder)
            goal, end = start + rng.randrange(20, 90), time.monotonic() + 20
            while steps < goal and time.monotonic() < end and os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(0.002)
                steps = read_steps(folder)
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                return hits
            hits += os.waitpid(child, 0)[1] == signal.SIGKILL
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return hits


def read_steps(folder: Path) -> int:
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    return 0 if checkpoint is None else int(checkpoint.values["step"])


def assert_same(one: Path, two: Path) -> None:
    for name in (EQUILIBRATION, PRODUCTION, STEPS):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    left, right = read_checkpoint(one / CHECKPOINT), read_checkpoint(two / CHECKPOINT)
    assert left is not None
    assert right is not None
    assert left.arrays.keys() == right.arrays.keys()
    for name, array in left.arrays.items():
        assert array.tobytes() == right.arrays[name].tobytes(), name
    assert {**left.values, "seconds": 0} == {**right.values, "seconds": 0}


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_killed_run_equals_the_one_left_alone(ensemble: str, tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    alone.mkdir()
    killed.mkdir()
    structure = crystal((2, 1, 1), shear=0.3)
    end = simulate(structure, Springs(structure), settings(ensemble), alone)
    assert (end.steps, end.frames, end.equilibration_frames, end.stopped) == (300, 45, 15, "")

    def work() -> None:
        slow = Springs(structure, seconds=0.001)
        simulate(structure, slow, settings(ensemble), killed, checkpoint_s=0.01)

    assert run_through_kills(work, killed, kills=3, seed=ENSEMBLES.index(ensemble)) >= 2
    assert_same(alone, killed)


@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_killed_run_in_compiled_code_equals_the_one_left_alone(ensemble: str, tmp_path: Path) -> None:
    """Hot enough for lists to be built anew between frames and checkpoints."""
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    alone.mkdir()
    killed.mkdir()
    structure, asked = (
        crystal((2, 2, 1), shear=0.3),
        settings(ensemble, temperature_K=1500.0, pressure_GPa=15.0, mobile=()),
    )
    end = simulate(structure, PairLevel(), asked, alone)
    assert (end.steps, end.frames, end.stopped) == (300, 45, "")
    checkpoint = read_checkpoint(alone / CHECKPOINT)
    assert checkpoint is not None
    assert checkpoint.values["engine"] == "compiled"

    def work() -> None:
        simulate(structure, PairLevel(seconds=0.001), asked, killed, checkpoint_s=0.003)

    assert run_through_kills(work, killed, kills=3, seed=ENSEMBLES.index(ensemble)) >= 2
    assert_same(alone, killed)


@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_checkpoint_of_the_other_engine_is_not_continued(tmp_path: Path) -> None:
    class Plain(PairLevel):
        compiled_forces = None  # type: ignore[assignment]

    structure = crystal((2, 1, 1))
    fresh, other = tmp_path / "fresh", tmp_path / "other"
    fresh.mkdir()
    other.mkdir()
    simulate(structure, Plain(), settings("nvt"), other)
    for folder in (fresh, other):
        simulate(structure, PairLevel(), settings("nvt"), folder)
    assert_same(fresh, other)


@pytest.mark.parametrize("ensemble", ["nvt-langevin", "npt"])
def test_neighbour_lists_do_not_remember(ensemble: str, tmp_path: Path) -> None:
    """Lennard-Jones keeps its list over many steps; a continued run makes it at another place."""
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    alone.mkdir()
    killed.mkdir()
    asked = settings(ensemble, equilibration_ps=0.1, production_ps=0.3, timestep_fs=2.0, temperature_K=200.0)
    simulate(crystal(), lennard_jones(), asked, alone)

    def work() -> None:
        simulate(crystal(), lennard_jones(), asked, killed, checkpoint_s=0.01)

    assert run_through_kills(work, killed, kills=2, seed=1) >= 1
    assert_same(alone, killed)


def test_evaluations_depend_on_nothing_but_positions_and_cell() -> None:
    atoms, moved = to_atoms(crystal((2, 1, 1))), to_atoms(crystal((2, 1, 1)))
    moved.positions[0] += 0.1
    structure = crystal((2, 1, 1))
    for forget in (True, False):
        atoms.calc = IndependentCalculator(Springs(structure, habit=1e-6), forget=forget)
        forces = []
        for _ in range(2):
            atoms.positions[0] += 0.05
            forces.append(atoms.get_forces())
            atoms.positions[0] -= 0.05
            atoms.get_forces()
        assert np.array_equal(*forces) is forget


def test_every_change_of_the_last_bit_is_evaluated() -> None:
    atoms = to_atoms(crystal())
    atoms.calc = IndependentCalculator(Springs())
    atoms.positions[0, 0] = 0.125
    before = atoms.get_forces()[0, 0]
    atoms.positions[0, 0] += 1e-15
    assert atoms.get_forces()[0, 0] != before


def test_checkpoint_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(5, 3)), "_thermostat._eta": rng.normal(size=3), "file": np.array(1 / 3)}
    values = {"step": 7, "random": rng.bit_generator.state}
    write_checkpoint(Checkpoint(arrays, values), tmp_path / "c.npz")
    back = read_checkpoint(tmp_path / "c.npz")
    assert back is not None
    assert {name: array.tobytes() for name, array in back.arrays.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }
    assert back.values["random"] == values["random"]
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


def test_no_part_of_a_checkpoint_is_taken_for_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    write_checkpoint(Checkpoint({"a": np.arange(9.0)}, {"step": 1}), path)
    whole = path.read_bytes()
    for cut in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:cut])
        assert read_checkpoint(path) is None
    spoilt = bytearray(whole)
    spoilt[60] ^= 1
    path.write_bytes(bytes(spoilt))
    assert read_checkpoint(path) is None
    path.unlink()
    assert read_checkpoint(path) is None


def test_run_whose_frames_were_lost_begins_anew(tmp_path: Path) -> None:
    """A failure of power may take frames that the checkpoint counts on."""
    alone, lost = tmp_path / "alone", tmp_path / "lost"
    alone.mkdir()
    lost.mkdir()
    structure = crystal((2, 1, 1))
    for folder in (alone, lost):
        simulate(structure, Springs(structure), settings("npt"), folder)
    whole = (lost / PRODUCTION).read_bytes()
    (lost / PRODUCTION).write_bytes(whole[: len(whole) // 2])
    simulate(structure, Springs(structure), settings("npt"), lost)
    assert_same(alone, lost)


def test_finished_run_answers_at_once(tmp_path: Path) -> None:
    structure = crystal((2, 1, 1))
    first = simulate(structure, Springs(structure), settings("nvt"), tmp_path)
    calculator = Springs(structure)
    again = simulate(structure, calculator, settings("nvt"), tmp_path)
    assert calculator._asked == 0
    assert (again.steps, again.frames, again.drift) == (first.steps, first.frames, first.drift)
    assert np.array_equal(again.structure.cart_coords, first.structure.cart_coords)
