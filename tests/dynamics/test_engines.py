"""Compiled engine and ASE's: the same runs for the same forces, stopped by the same guards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_levels import PairLevel
from pymatgen.core import Structure
from spring_levels import crystal

from ionscape.dynamics import engines
from ionscape.dynamics.recording import record_blocks
from ionscape.dynamics.settings import DynamicsSettings, GuardSettings
from ionscape.dynamics.simulate import PRODUCTION, RunEnd, simulate
from ionscape.potential.library import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

CELL = crystal((2, 1, 1), shear=0.3)


class PlainLevel(PairLevel):
    """The same forces without the compiled way."""

    compiled_forces = None  # type: ignore[assignment]


def run(folder: Path, level: Any = None, structure: Structure = CELL, **changes: Any) -> RunEnd:
    folder.mkdir()
    values = {"ensemble": "nvt", "timestep_fs": 2.0, "frame_interval_fs": 6.0, "seed": 1, "precision": "double"}
    times = {"equilibration_ps": 0.0, "production_ps": 0.12}
    return simulate(structure, level or PairLevel(), DynamicsSettings(**values | times | changes), folder)


def frames(folder: Path) -> Any:
    return np.concatenate(list(record_blocks(folder / PRODUCTION)))


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "npt", "npt-isotropic"])
def test_both_engines_record_the_same_run(ensemble: str, tmp_path: Path) -> None:
    ends = [
        run(tmp_path / name, level, ensemble=ensemble, pressure_GPa=1.0)
        for name, level in (("compiled", PairLevel()), ("plain", PlainLevel()))
    ]
    one, two = frames(tmp_path / "compiled"), frames(tmp_path / "plain")
    assert len(one) == len(two) == 20
    for name, tolerance in (("shift", 1e-9), ("cell", 1e-9), ("energy", 1e-9), ("pressure", 1e-9)):
        assert np.abs(one[name] - two[name]).max() < tolerance, name
    assert np.allclose(one["temperature"], two["temperature"], rtol=1e-9)
    assert ends[0].drift == pytest.approx(ends[1].drift, abs=1e-9)
    assert np.allclose(ends[0].structure.cart_coords, ends[1].structure.cart_coords, atol=1e-9)
    assert np.allclose(ends[0].structure.lattice.matrix, ends[1].structure.lattice.matrix, atol=1e-9)


def test_how_many_steps_are_made_at_a_time_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"ensemble": "npt", "equilibration_ps": 0.05, "frame_interval_fs": 60.0}
    run(tmp_path / "many", temperature_K=1500.0, **changes)
    monkeypatch.setattr(engines.CompiledEngine, "longest", 7)
    run(tmp_path / "few", temperature_K=1500.0, **changes)
    assert (tmp_path / "many" / PRODUCTION).read_bytes() == (tmp_path / "few" / PRODUCTION).read_bytes()


def test_phases_end_where_they_should(tmp_path: Path) -> None:
    """Neither the end of the thermalisation nor that of the equilibration need fall on a frame."""
    end = run(tmp_path / "a", equilibration_ps=0.05, frame_interval_fs=8.0)
    assert (end.steps, end.equilibration_frames, end.frames) == (85, 6, 15)


def colliding() -> Structure:
    """Return a crystal with an atom pushed against others."""
    structure = CELL.copy()
    structure.translate_sites([0], [0.5, 0.5, 0.0], frac_coords=False)
    return structure


@pytest.mark.parametrize("level", [PairLevel, PlainLevel])
def test_close_atoms_stop_a_run(level: Any, tmp_path: Path) -> None:
    end = run(tmp_path / "a", level(), guards=GuardSettings(closest_approach=0.9), temperature_K=1500.0)
    assert "atoms too close: Cu" in end.stopped
    assert "limit 2.38 Å" in end.stopped


def test_close_atoms_are_seen_at_every_step(tmp_path: Path) -> None:
    """ASE's engine looks at distances when a frame is due, here at each step; the compiled one always does."""
    changes: dict[str, Any] = {"guards": GuardSettings(closest_approach=0.9), "temperature_K": 1500.0}
    often = run(tmp_path / "plain", PlainLevel(), frame_interval_fs=2.0, **changes)
    seldom = run(tmp_path / "compiled", PairLevel(), frame_interval_fs=60.0, **changes)
    assert "too close" in often.stopped
    assert (seldom.steps, seldom.frames) == (often.steps, 0)


@pytest.mark.parametrize("level", [PairLevel, PlainLevel])
def test_runaway_heat_stops_a_run(level: Any, tmp_path: Path) -> None:
    limits = GuardSettings(closest_approach=0.0)
    end = run(tmp_path / "a", level(), colliding(), guards=limits, ensemble="nve", temperature_K=1.0)
    assert "temperature runaway" in end.stopped


def test_both_engines_stop_at_the_same_step(tmp_path: Path) -> None:
    limits = GuardSettings(closest_approach=0.0)
    told = [
        run(tmp_path / name, level, colliding(), guards=limits, ensemble="nve", temperature_K=1.0).stopped
        for name, level in (("compiled", PairLevel()), ("plain", PlainLevel()))
    ]
    assert told[0] == told[1]


def test_energy_that_is_no_number_stops_a_run(tmp_path: Path) -> None:
    end = run(tmp_path / "a", PairLevel(explosion=21))
    assert "step 20 " in end.stopped
    assert "energy not finite" in end.stopped
    assert end.frames == 6
