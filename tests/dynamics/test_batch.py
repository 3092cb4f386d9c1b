"""Batches: every run is what it would be alone, whatever happens to the others; killed, they continue exactly."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from spring_levels import Springs, crystal
from test_checkpoints import in_child

from ionscape.dynamics.batch import BatchMember, simulate_batch
from ionscape.dynamics.checkpoints import read_checkpoint
from ionscape.dynamics.recording import record_blocks
from ionscape.dynamics.settings import DynamicsSettings, Ensemble, GuardSettings
from ionscape.dynamics.simulate import EQUILIBRATION, PRODUCTION, STEPS, RunEnd, simulate
from ionscape.errors import CalculationError, InputError
from ionscape.levels import allocation
from ionscape.levels.allocation import AllocationEnd

ENSEMBLES = get_args(Ensemble)
KELVIN = (300.0, 500.0, 700.0)
#: Cells of different numbers of atoms, by which the springs know them.
SIZES = (crystal((2, 1, 1), shear=0.3), crystal((1, 1, 1), shear=0.1), crystal((1, 1, 3)))


class SpringsOfAll:
    """Springs of several cells; what it says of one depends, in the last bits, on how many are asked about."""

    known_elements = ("Cu",)

    def __init__(self, wobble: float = 0.0) -> None:
        self._springs = {len(cell): Springs(cell) for cell in SIZES}
        self._wobble = wobble
        self.asked: list[int] = []
        self.broken: dict[int, int] = {}

    def evaluate(self, cells: Sequence[Any]) -> list[dict[str, Any] | CalculationError]:
        self.asked.append(len(cells))
        return [self._of(cell, len(cells)) for cell in cells]

    def _of(self, cell: Any, count: int) -> dict[str, Any] | CalculationError:
        if self.broken.get(len(cell), 10**9) < len(self.asked):
            return CalculationError("out of its domain")
        cell.calc = self._springs[len(cell)]
        found = {name: cell.calc.get_property(name, cell) for name in ("energy", "forces", "stress")}
        found["forces"] = found["forces"] * (1 + self._wobble * count)
        return found | {"free_energy": found["energy"]}


def settings(ensemble: str, kelvin: float, **changes: Any) -> DynamicsSettings:
    values = {
        "ensemble": ensemble,
        "temperature_K": kelvin,
        "pressure_GPa": 1.0,
        "timestep_fs": 4.0,
        "frame_interval_fs": 20.0,
        "equilibration_ps": 0.2,
        "production_ps": 0.4,
        "precision": "double",
        "seed": int(kelvin),
    }
    return DynamicsSettings(**values | changes)


def members(home: Path, ensemble: str, **changes: Any) -> list[BatchMember]:
    found = []
    for cell, kelvin in zip(SIZES, KELVIN, strict=True):
        folder = home / f"{kelvin:g}"
        folder.mkdir(parents=True, exist_ok=True)
        found.append(BatchMember(cell, settings(ensemble, kelvin, **changes), folder))
    return found


def run(asked: Sequence[BatchMember], forces: Any = None, **how: Any) -> dict[int, RunEnd]:
    ends: dict[int, RunEnd] = {}
    simulate_batch(asked, forces or SpringsOfAll(), ends.__setitem__, **how)
    return ends


def frames(folder: Path, name: str = PRODUCTION) -> np.ndarray:
    return np.concatenate(list(record_blocks(folder / name)))


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_every_run_of_a_batch_is_the_run_alone(ensemble: str, tmp_path: Path) -> None:
    """The same bits in every frame: integrators, thermostats and random forces are those of single runs."""
    forces = SpringsOfAll()
    ends = run(members(tmp_path / "batch", ensemble), forces)
    assert set(forces.asked) == {3}
    for place, (cell, kelvin) in enumerate(zip(SIZES, KELVIN, strict=True)):
        alone = tmp_path / f"{kelvin:g}"
        alone.mkdir()
        end = simulate(cell, Springs(cell), settings(ensemble, kelvin), alone)
        together = tmp_path / "batch" / f"{kelvin:g}"
        for name in (EQUILIBRATION, PRODUCTION, STEPS):
            assert (together / name).read_bytes() == (alone / name).read_bytes()
        assert (ends[place].steps, ends[place].frames, ends[place].stopped) == (150, 20, "")
        assert ends[place].drift == end.drift
        assert np.array_equal(ends[place].structure.cart_coords, end.structure.cart_coords)


def test_a_step_asks_once_for_all_cells(tmp_path: Path) -> None:
    forces = SpringsOfAll()
    run(members(tmp_path, "npt"), forces)
    assert forces.asked == [3] * 151


def test_runs_of_other_lengths_and_ensembles_step_together(tmp_path: Path) -> None:
    asked = members(tmp_path, "nvt")
    changed = [
        BatchMember(one.structure, one.settings.model_copy(update=change), one.folder)
        for one, change in zip(
            asked,
            ({"production_ps": 0.1}, {"ensemble": "npt"}, {"ensemble": "nvt-langevin", "production_ps": 0.2}),
            strict=True,
        )
    ]
    forces = SpringsOfAll()
    ends = run(changed, forces)
    assert [ends[place].steps for place in range(3)] == [75, 150, 100]
    assert forces.asked == [3] * 76 + [2] * 25 + [1] * 50
    assert list(ends) == [0, 2, 1]


def test_a_cell_that_a_guard_stops_does_not_stop_the_others(tmp_path: Path) -> None:
    asked = members(tmp_path, "nve")
    guards = GuardSettings(closest_approach=0.85)
    hot = asked[1].settings.model_copy(update={"temperature_K": 4000.0, "guards": guards})
    asked[1] = BatchMember(asked[1].structure, hot, asked[1].folder)
    ends = run(asked)
    assert "atoms too close" in ends[1].stopped
    assert ends[1].steps < 150
    alone = tmp_path / "alone"
    alone.mkdir()
    assert simulate(asked[1].structure, Springs(asked[1].structure), hot, alone).stopped == ends[1].stopped
    assert [(ends[place].steps, ends[place].stopped) for place in (0, 2)] == [(150, ""), (150, "")]


def test_a_cell_that_the_level_gives_up_does_not_stop_the_others(tmp_path: Path) -> None:
    forces = SpringsOfAll()
    forces.broken[len(SIZES[2])] = 60
    ends = run(members(tmp_path, "npt-isotropic"), forces)
    assert "step 60" in ends[2].stopped
    assert "the level gave up (out of its domain)" in ends[2].stopped
    assert [(ends[place].steps, ends[place].stopped) for place in (0, 1)] == [(150, ""), (150, "")]


@pytest.mark.parametrize("ensemble", ["nvt", "nvt-langevin", "npt"])
def test_a_killed_batch_equals_the_one_left_alone(ensemble: str, tmp_path: Path) -> None:
    """To the last bit, although the numbers of a cell depend on how many are evaluated together."""
    changes = {"equilibration_ps": 0.2, "production_ps": 0.5}
    run(members(tmp_path / "alone", ensemble, **changes), SpringsOfAll(1e-9))
    home = tmp_path / "killed"
    asked = members(home, ensemble, **changes)

    def work() -> None:
        simulate_batch(asked, SpringsOfAll(1e-9), lambda *_: None, checkpoint_s=0.05)

    watched = asked[0].folder
    hits = kill_and_continue(work, watched)
    assert hits >= 2
    for one in asked:
        alone = tmp_path / "alone" / one.folder.name
        for name in (EQUILIBRATION, PRODUCTION, STEPS):
            assert (one.folder / name).read_bytes() == (alone / name).read_bytes(), name


def kill_and_continue(work: Any, folder: Path) -> int:
    """Kill `work` whenever it has made some checkpoints more; return how often it was hit."""
    import os
    import signal
    import time

    hits = 0
    for goal in (20, 70, 120):
        child = in_child(work)
        end = time.monotonic() + 30
        while steps_saved(folder) < goal and time.monotonic() < end and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        hits += os.waitpid(child, 0)[1] == signal.SIGKILL
    work()
    return hits


def steps_saved(folder: Path) -> int:
    newest = max(folder.glob("checkpoint-*.npz"), key=lambda path: int(path.stem[11:]), default=None)
    found = None if newest is None else read_checkpoint(newest)
    return 0 if found is None else int(found.values["step"])


def test_continued_runs_have_the_same_company(tmp_path: Path) -> None:
    """One run has ended when the batch is killed: the others go on without it, from the step at which it left."""

    def killed_at_the_end(place: int, _: RunEnd) -> None:
        ended.append(place)
        raise InterruptedError

    def asked(home: Path) -> list[BatchMember]:
        made = members(home, "nvt-langevin")
        short = made[1].settings.model_copy(update={"production_ps": 0.1})
        return [made[0], BatchMember(made[1].structure, short, made[1].folder), made[2]]

    run(asked(tmp_path / "alone"), SpringsOfAll(1e-6))
    ended: list[int] = []
    killed = asked(tmp_path / "killed")
    with pytest.raises(InterruptedError):
        simulate_batch(killed, SpringsOfAll(1e-6), killed_at_the_end)
    assert ended == [1]
    run([killed[0], killed[2]], SpringsOfAll(1e-6))
    for one in (killed[0], killed[2]):
        assert (one.folder / PRODUCTION).read_bytes() == (
            tmp_path / "alone" / one.folder.name / PRODUCTION
        ).read_bytes()


def test_a_round_that_was_not_saved_whole_is_not_taken(tmp_path: Path) -> None:
    """One run's checkpoint is newer than the other's: both go on from the round that both have."""
    run(members(tmp_path / "alone", "nvt"))
    asked = members(tmp_path / "torn", "nvt")
    with pytest.raises(InterruptedError):
        simulate_batch(asked, Interrupted(40), lambda *_: None, checkpoint_s=0.0)
    first = asked[0].folder
    (newest,) = first.glob("checkpoint-*.npz")
    older = {one.folder: next(one.folder.glob("checkpoint-*.npz")) for one in asked}
    kept = {folder: shutil.copy(path, tmp_path / f"{folder.name}-old.npz") for folder, path in older.items()}
    with pytest.raises(InterruptedError):
        simulate_batch(asked, Interrupted(5), lambda *_: None, checkpoint_s=0.0)
    for one in asked:
        shutil.copy(kept[one.folder], one.folder / newest.name)
    for path in asked[2].folder.glob("checkpoint-*.npz"):
        if path.name != newest.name:
            path.unlink()
    run(asked)
    for one in asked:
        alone = tmp_path / "alone" / one.folder.name
        assert (one.folder / PRODUCTION).read_bytes() == (alone / PRODUCTION).read_bytes()


class Interrupted(SpringsOfAll):
    """Breaks after some evaluations."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def evaluate(self, cells: Sequence[Any]) -> list[dict[str, Any] | CalculationError]:
        if len(self.asked) == self._after:
            raise InterruptedError
        return super().evaluate(cells)


def test_the_end_of_the_job_is_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(members(tmp_path / "alone", "npt"))
    asked = members(tmp_path / "paused", "npt")
    monkeypatch.setenv(allocation.END, "0")
    with pytest.raises(AllocationEnd):
        run(asked)
    monkeypatch.delenv(allocation.END)
    forces = SpringsOfAll()
    looks = iter([False] * 70 + [True])
    monkeypatch.setattr("ionscape.dynamics.batch.over", lambda: next(looks))
    with pytest.raises(AllocationEnd):
        run(asked, forces)
    monkeypatch.undo()
    run(asked)
    for one in asked:
        alone = tmp_path / "alone" / one.folder.name
        assert (one.folder / PRODUCTION).read_bytes() == (alone / PRODUCTION).read_bytes()


def test_a_run_that_joins_later_begins_while_the_others_go_on(tmp_path: Path) -> None:
    asked = members(tmp_path, "nvt")
    with pytest.raises(InterruptedError):
        simulate_batch(asked[:2], Interrupted(60), lambda *_: None, checkpoint_s=0.0)
    assert steps_saved(asked[0].folder) > 50
    forces = SpringsOfAll()
    ends = run(asked, forces)
    assert [ends[place].steps for place in range(3)] == [150] * 3
    assert forces.asked.count(1) > 50


def test_an_element_that_is_not_known_is_refused(tmp_path: Path) -> None:
    asked = members(tmp_path, "nvt")
    strange = asked[0].structure.copy()
    strange.replace_species({"Cu": "Ag"})
    asked[0] = BatchMember(strange, asked[0].settings, asked[0].folder)
    with pytest.raises(InputError, match="Ag"):
        run(asked)


def test_an_integrator_that_does_not_repeat_itself_is_told(tmp_path: Path) -> None:
    class Drifting(SpringsOfAll):
        """Answers about other positions than it was asked for."""

        def evaluate(self, cells: Sequence[Any]) -> list[dict[str, Any] | CalculationError]:
            found = super().evaluate(cells)
            for cell in cells:
                cell.positions += 1e-9
            return found

    with pytest.raises(RuntimeError, match="did not repeat its step"):
        run(members(tmp_path, "nve"), Drifting())
