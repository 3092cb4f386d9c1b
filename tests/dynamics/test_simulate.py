"""Runs of molecular dynamics: what they record, what they average, what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure
from spring_levels import Springs, crystal

from ionscape.dynamics.averages import run_averages, standard_error
from ionscape.dynamics.recording import read_header, record_blocks
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import EQUILIBRATION, PRODUCTION, RunEnd, simulate
from ionscape.errors import InputError
from ionscape.units import BOLTZMANN_EV_PER_K

CELL = crystal((2, 1, 1), shear=0.3)


def settings(**changes: Any) -> DynamicsSettings:
    values = {"ensemble": "nvt", "timestep_fs": 2.0, "frame_interval_fs": 6.0, "seed": 1}
    return DynamicsSettings(**values | {"equilibration_ps": 0.06, "production_ps": 0.12} | changes)


def run(folder: Path, structure: Structure = CELL, **changes: Any) -> RunEnd:
    return simulate(structure, Springs(structure), settings(**changes), folder, level="springs")


def test_frames_and_steps_are_those_asked_for(tmp_path: Path) -> None:
    end = run(tmp_path)
    assert (end.steps, end.equilibration_frames, end.frames, end.stopped) == (90, 10, 20, "")
    header = read_header(tmp_path / PRODUCTION)
    assert (header.frame_interval, header.temperature, header.ensemble, header.level) == (
        6.0,
        300.0,
        "nvt",
        "springs",
    )
    assert header.details["phase"] == "production"
    assert read_header(tmp_path / EQUILIBRATION).details["phase"] == "equilibration"
    assert len(np.concatenate(list(record_blocks(tmp_path / PRODUCTION)))) == 20


def test_nve_names_no_thermostat(tmp_path: Path) -> None:
    run(tmp_path, ensemble="nve")
    assert read_header(tmp_path / PRODUCTION).temperature is None


def test_frames_are_the_states_of_the_integrator(tmp_path: Path) -> None:
    """Energy and pressure recorded are those of the recorded positions; the last frame is the last state."""
    end = run(tmp_path, ensemble="npt", precision="double")
    atoms = CELL.to_ase_atoms()
    atoms.calc = Springs(CELL)
    records = np.concatenate(list(record_blocks(tmp_path / PRODUCTION)))
    for record in records:
        atoms.set_cell(record["cell"])
        atoms.set_positions(record["shift"] + CELL.cart_coords)
        assert atoms.get_potential_energy() == pytest.approx(record["energy"], abs=1e-9)
        kinetic = 2 / 3 * 0.5 * (3 * len(atoms) - 3) * BOLTZMANN_EV_PER_K * record["temperature"]
        pressure = kinetic / atoms.get_volume() - np.trace(atoms.get_stress(voigt=False)) / 3
        assert pressure == pytest.approx(record["pressure"], abs=1e-9)
    assert np.allclose(end.structure.cart_coords, records[-1]["shift"] + CELL.cart_coords, atol=1e-9)


def test_same_request_same_run_another_seed_another(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        run(tmp_path / name, seed=seed)
        files.append(b"".join(block["shift"].tobytes() for block in record_blocks(tmp_path / name / PRODUCTION)))
    assert files[0] == files[1] != files[2]


def test_without_equilibration_all_is_production(tmp_path: Path) -> None:
    end = run(tmp_path, equilibration_ps=0.0)
    assert (end.steps, end.equilibration_frames, end.frames) == (60, 0, 20)


def test_averages_are_those_of_the_frames(tmp_path: Path) -> None:
    run(tmp_path, ensemble="npt-isotropic", equilibration_ps=0.0)
    records = np.concatenate(list(record_blocks(tmp_path / PRODUCTION)))
    averages = run_averages(tmp_path / PRODUCTION)
    assert averages is not None
    assert averages.frames == 20
    assert averages.temperature == pytest.approx(records["temperature"].mean())
    assert averages.volume == pytest.approx(np.linalg.det(records["cell"]).mean())
    assert averages.volume_error > 0
    assert run_averages(tmp_path / EQUILIBRATION) is None


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_standard_error_knows_the_correlation(correlation: float) -> None:
    """Mean of a first-order autoregression: variance σ²/n (1 + ρ)/(1 − ρ), known exactly."""
    rng, n, runs = np.random.default_rng(5), 4000, 200
    noise = rng.normal(size=(runs, n)) * np.sqrt(1 - correlation**2)
    series = np.empty((runs, n))
    series[:, 0] = rng.normal(size=runs)
    for i in range(1, n):
        series[:, i] = correlation * series[:, i - 1] + noise[:, i]
    truth = np.sqrt((1 + correlation) / (1 - correlation) / n)
    errors = np.array([standard_error(values) for values in series])
    assert errors.mean() == pytest.approx(truth, rel=0.1)
    covered = np.abs(series.mean(axis=1)) < 1.96 * errors
    assert covered.mean() > 0.9


def test_standard_error_of_a_constant_is_zero() -> None:
    assert standard_error(np.full(50, 123.456)) == 0.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frame_interval_fs": 5.0}, "multiple of the time step"),
        ({"production_ps": 0.006}, "two frame intervals"),
        ({"temperature_K": 0.0}, "greater than 0"),
        ({"timestep_fs": -1.0}, "greater than 0"),
        ({"ensemble": "nph"}, "nve"),
    ],
)
def test_settings_that_make_no_run_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(**change)


def test_structures_that_cannot_move_are_refused(tmp_path: Path) -> None:
    single = Structure(Lattice.cubic(3.0), ["Cu"], [[0, 0, 0]])
    with pytest.raises(InputError, match="at least two atoms"):
        run(tmp_path, single)
    with pytest.raises(InputError, match="no atom of the mobile element Li"):
        run(tmp_path, mobile=("Li",))


def test_level_without_stress_is_refused(tmp_path: Path) -> None:
    class Stressless(Springs):
        implemented_properties = ("energy", "forces")  # type: ignore[assignment]

    with pytest.raises(InputError, match="no stress"):
        simulate(CELL, Stressless(CELL), settings(), tmp_path)
