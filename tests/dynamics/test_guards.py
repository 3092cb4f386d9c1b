"""Guards stop a run and say why, where and by what numbers; they leave sound runs alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from spring_levels import Springs, crystal

from ionscape.dynamics.guards import DriftLine, Guards, Sample, closest_pair
from ionscape.dynamics.recording import complete_frames
from ionscape.dynamics.settings import DynamicsSettings, GuardSettings
from ionscape.dynamics.simulate import PRODUCTION, RunEnd, simulate
from ionscape.errors import CalculationError

CELL = crystal((2, 2, 1), shear=0.3)


def settings(**changes: Any) -> DynamicsSettings:
    values = {"ensemble": "nve", "timestep_fs": 4.0, "frame_interval_fs": 8.0, "equilibration_ps": 0.0}
    return DynamicsSettings(**values | {"production_ps": 0.8} | changes)


def run(folder: Path, calculator: Any, structure: Structure = CELL, **changes: Any) -> RunEnd:
    end = simulate(structure, calculator, settings(**changes), folder)
    assert complete_frames(folder / PRODUCTION) == end.frames
    return end


class Changing(Springs):
    """Springs whose forces are changed from the positions on, by a rule."""

    def __init__(self, rule: str, structure: Structure = CELL) -> None:
        super().__init__(structure)
        self._rule, self._start = rule, structure.cart_coords

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        moved = self.atoms.positions - self._start
        if self._rule == "heat":
            self.results["forces"] = self.results["forces"] + 8 * moved
        elif self._rule == "no number" and np.abs(moved).max() > 0.1:
            self.results["energy"] = float("nan")
        elif self._rule == "gives up" and np.abs(moved).max() > 0.1:
            raise CalculationError("atom without neighbours")
        elif self._rule == "leaks":  # a force that no energy belongs to: sideways of the displacement
            self.results["forces"] = self.results["forces"] + 0.8 * np.cross(moved, [0.0, 0.0, 1.0])
        elif self._rule == "free":
            self.results.update(energy=0.0, forces=np.zeros_like(moved), stress=np.zeros(6))


def test_sound_run_is_left_alone(tmp_path: Path) -> None:
    end = run(tmp_path, Springs(CELL), mobile=("Li",), structure=with_lithium(CELL))
    assert (end.stopped, end.steps, end.frames) == ("", 200, 100)


def with_lithium(structure: Structure) -> Structure:
    """Return `structure` with lithium in place of every fourth atom."""
    changed = structure.copy()
    for index in range(0, len(changed), 4):
        changed.replace(index, "Li")
    return changed


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("no number", r"energy not finite"),
        ("heat", r"temperature runaway: \d+ K, limit \d+ K"),
        ("gives up", r"the level gave up \(atom without neighbours\)"),
        ("leaks", r"the conserved energy drifts by -?[\d.]+ meV/atom/ps, limit 5"),
    ],
)
def test_broken_run_stops_and_says_why(rule: str, told: str, tmp_path: Path) -> None:
    end = run(tmp_path, Changing(rule))
    assert 0 < end.steps < 200
    assert end.stopped.startswith(f"step {end.steps} (")
    assert re.search(told, end.stopped), end.stopped
    assert end.frames == (end.steps - 1) // 2


def test_run_that_was_stopped_stays_stopped(tmp_path: Path) -> None:
    first = run(tmp_path, Changing("heat"))
    again = run(tmp_path, Changing("heat"))
    assert (again.stopped, again.steps, again.frames) == (first.stopped, first.steps, first.frames)


def test_free_atoms_meet(tmp_path: Path) -> None:
    end = run(tmp_path, Changing("free"), temperature_K=3000.0)
    assert "atoms too close: Cu" in end.stopped
    assert " Å, limit 1.32 Å" in end.stopped


def test_host_that_diffuses_is_molten(tmp_path: Path) -> None:
    structure = with_lithium(CELL)
    loose = GuardSettings(closest_approach=0.0)
    end = run(tmp_path, Changing("free", structure), structure, mobile=("Li",), temperature_K=1500.0, guards=loose)
    assert "host melted: mean-square displacement of its 12 atoms" in end.stopped
    end_of_no_host = run_in(tmp_path / "b", Changing("free", structure), structure, guards=loose)
    assert end_of_no_host.stopped == ""


def run_in(folder: Path, *arguments: Any, **options: Any) -> RunEnd:
    folder.mkdir()
    return run(folder, *arguments, **options)


def guards(structure: Structure = CELL, **changes: Any) -> Guards:
    symbols = tuple(site.specie.symbol for site in structure)
    return Guards(settings(**changes), symbols, structure.cart_coords, structure.lattice.matrix)


def sample(structure: Structure = CELL, **changes: Any) -> Sample:
    values = {"time": 100.0, "positions": structure.cart_coords, "cell": structure.lattice.matrix}
    return Sample(**values | {"energy": 0.0, "temperature": 300.0} | changes)


def test_motion_of_lithium_the_drift_and_the_cell_do_not_melt_the_host() -> None:
    structure = with_lithium(CELL)
    lithium = np.array([site.specie.symbol == "Li" for site in structure])
    watch = guards(structure, mobile=("Li",))
    stretched = structure.lattice.matrix * 1.1
    positions = structure.frac_coords @ stretched + np.array([3.0, -2.0, 1.0])
    positions[lithium] += np.array([0.5, 0.5, 0.5]) @ structure.lattice.matrix
    found = watch.look(sample(structure, positions=positions, cell=stretched))
    assert "melted" not in found
    positions[~lithium] += 3 * np.random.default_rng(0).normal(size=(12, 3))
    assert "melted" in Guards.look(
        guards(structure, mobile=("Li",), guards=GuardSettings(closest_approach=0.0)),
        sample(structure, positions=positions, cell=stretched),
    )


def test_exploding_cell_is_told() -> None:
    cell = CELL.lattice.matrix * 1.3
    found = guards().look(sample(cell=cell, positions=CELL.frac_coords @ cell))
    assert found == "the volume changed by a factor of 2.20, limit 2"


def test_thermal_motion_of_few_atoms_is_no_runaway() -> None:
    two = Structure(Lattice.cubic(4), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    temperatures = 300 * np.random.default_rng(1).chisquare(3, size=100_000) / 3
    watch = guards(two, ensemble="nvt")
    assert not any(watch.glance(0.0, value) for value in temperatures[::50])
    assert "runaway" in watch.glance(0.0, 10_000.0)


@given(
    seed=st.integers(0, 2**32 - 1),
    shear=st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(-0.9, 0.9)),
)
@hypothesis_settings(deadline=None, max_examples=60)
def test_closest_pair_is_that_of_all_images(seed: int, shear: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(seed)
    cell = 6 * np.array([[1, 0, 0], [shear[0], 1, 0], [shear[1], shear[2], 1.0]])
    fractional, radii = rng.uniform(-2, 2, (12, 3)), rng.uniform(0.5, 1.5, 12)
    i, j, part = closest_pair(fractional, cell, radii)
    shifts = np.array(np.meshgrid(*[range(-6, 7)] * 3)).reshape(3, -1).T
    best = np.inf
    for a in range(12):
        for b in range(a):
            vectors = (fractional[a] - fractional[b] - np.floor(fractional[a] - fractional[b]) + shifts) @ cell
            best = min(best, np.sqrt((vectors**2).sum(axis=1).min()) / (radii[a] + radii[b]))
    half = 0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()
    if best * (radii[i] + radii[j]) < half and best * 3 < half:
        assert part == pytest.approx(best)
    assert part >= best - 1e-12


def test_drift_line_is_the_least_squares_line() -> None:
    rng = np.random.default_rng(2)
    times, energies = np.arange(200) * 8.0, -1e4 + 1e-4 * np.arange(200) * 8.0 + 0.01 * rng.normal(size=200)
    line = DriftLine()
    for time, energy in zip(times, energies, strict=True):
        line.add(time, energy)
    slope, offset = np.polyfit(times, energies, 1)
    assert line.slope() == pytest.approx(slope, rel=1e-6)
    assert line.scatter() == pytest.approx(np.std(energies - slope * times - offset), rel=1e-6)
