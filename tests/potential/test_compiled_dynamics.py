"""Compiled molecular dynamics against ASE's integrators, with the same forces; its state; what ends it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from ase import units

from ionscape.dynamics.averages import standard_error
from ionscape.dynamics.independence import IndependentCalculator
from ionscape.dynamics.integrators import Integrator, draw_velocities, integrator, pressure, temperature
from ionscape.dynamics.settings import DynamicsSettings, Ensemble
from ionscape.potential.compiled_dynamics import CompiledDynamics, Conditions, MovingAtoms, OffersCompiledForces
from ionscape.potential.library import unavailable
from ionscape.structures.exchange import to_atoms
from ionscape.units import GPA_PER_EV_PER_A3

sys.path.insert(0, str(Path(__file__).parents[1] / "dynamics"))

from pair_levels import PairLevel
from spring_levels import crystal

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

ENSEMBLES = get_args(Ensemble)
FEW = (2, 1, 1)


def asked(ensemble: str, **changes: Any) -> DynamicsSettings:
    values = {"timestep_fs": 2.0, "frame_interval_fs": 40.0, "temperature_K": 300.0, "pressure_GPa": 2.0}
    return DynamicsSettings(**values | {"ensemble": ensemble, "barostat_time_fs": 200.0} | changes)


def atoms_with_velocities(repeats: tuple[int, int, int] = FEW, kelvin: float = 300.0) -> Any:
    """Return a sheared crystal with velocities, atoms displaced and one of them some cells away."""
    atoms, rng = to_atoms(crystal(repeats, shear=0.3)), np.random.default_rng(5)
    draw_velocities(atoms, kelvin, rng)
    atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
    atoms.positions[1] += 3 * atoms.cell.array[0] - 2 * atoms.cell.array[2]
    return atoms


def compiled(atoms: Any, settings: DynamicsSettings, seed: int = 1, **changes: Any) -> CompiledDynamics:
    closest = np.full((1, 1), changes.pop("closest", 0.5))
    hottest = changes.pop("hottest", 1e5)
    conditions = Conditions(
        settings.ensemble,
        settings.timestep_fs,
        settings.temperature_K,
        settings.pressure_GPa / GPA_PER_EV_PER_A3,
        settings.thermostat_time_fs,
        settings.barostat_time_fs,
        closest,
        hottest,
    )
    forces = changes.pop("level", PairLevel()).compiled_forces(tuple(atoms.get_chemical_symbols()))
    start = MovingAtoms(atoms.positions, atoms.get_momenta(), atoms.cell.array, atoms.get_masses())
    return CompiledDynamics(forces, start, conditions, np.random.default_rng(seed), **changes)


class SameNoise:
    """Random numbers of the compiled dynamics for ASE's Langevin."""

    def __init__(self, source: CompiledDynamics) -> None:
        self._source, self._calls = source, 0

    def standard_normal(self, size: Any) -> Any:
        numbers = self._source.normals(self._calls // 2)[self._calls % 2]
        self._calls += 1
        return numbers.reshape(size)


def of_ase(atoms: Any, settings: DynamicsSettings, source: CompiledDynamics, seed: int = 1) -> Integrator:
    atoms = atoms.copy()
    atoms.calc = IndependentCalculator(PairLevel())
    rng: Any = SameNoise(source) if settings.ensemble == "nvt-langevin" else np.random.default_rng(seed)
    return integrator(atoms, settings, rng)


def test_level_of_these_tests_offers_compiled_forces() -> None:
    assert isinstance(PairLevel(), OffersCompiledForces)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_trajectories_are_those_of_ase(ensemble: str) -> None:
    settings, atoms = asked(ensemble), atoms_with_velocities()
    ours = compiled(atoms, settings)
    theirs = of_ase(atoms, settings, ours)
    for _ in range(20):
        assert ours.advance(5) == 5
        for _ in range(5):
            theirs.step()
        moved = theirs.dynamics.atoms
        assert np.abs(ours.positions - moved.positions).max() < 1e-10
        assert np.abs(ours.momenta - moved.get_momenta()).max() < 1e-10
        assert np.abs(ours.cell - moved.cell.array).max() < 1e-10
        assert ours.energy == pytest.approx(moved.get_potential_energy(), abs=1e-10)
        assert ours.temperature == pytest.approx(temperature(moved), abs=1e-6)
        assert ours.pressure == pytest.approx(pressure(moved), abs=1e-11)
        if ours.conserves:
            assert ours.conserved_energy() == pytest.approx(theirs.conserved_energy(), abs=1e-9)
    assert np.abs(ours.positions - atoms.positions).max() > 0.1
    assert ours.conserves == theirs.conserves
    if ensemble.startswith("npt"):
        assert np.abs(ours.cell - atoms.cell.array).max() > 1e-3


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_state_put_back_goes_on_bit_for_bit(ensemble: str) -> None:
    """At any step, in a new object, and however many steps are asked for at a time."""
    settings, atoms = asked(ensemble, temperature_K=1500.0), atoms_with_velocities(kelvin=2500.0)
    whole = compiled(atoms, settings)
    whole.advance(200)
    assert not np.array_equal(whole.state()["list_positions"], atoms.positions)  # the list was built again
    parts, rng = compiled(atoms, settings), np.random.default_rng(3)
    made = 0
    while made < 200:
        made += parts.advance(int(rng.integers(1, 30)) if made < 170 else 200 - made)
        state = parts.state()
        parts = compiled(atoms, settings, seed=99)  # another seed: all of it is in the state
        parts.restore(state)
    for name, array in whole.state().items():
        assert array.tobytes() == parts.state()[name].tobytes(), name
    assert whole.forces.tobytes() == parts.forces.tobytes()
    assert whole.energy == parts.energy


def test_langevin_forces_are_normal_and_new_at_every_step() -> None:
    run = compiled(atoms_with_velocities((3, 3, 3)), asked("nvt-langevin"))
    numbers = np.array([run.normals(step) for step in range(200)])
    flat = numbers.reshape(200, -1)
    assert abs(flat.mean()) < 4 / np.sqrt(flat.size)
    assert flat.var() == pytest.approx(1, abs=4 * np.sqrt(2 / flat.size))
    assert (flat**4).mean() == pytest.approx(3, abs=4 * np.sqrt(96 / flat.size))
    correlation = np.corrcoef(flat[:, :300])[np.triu_indices(200, 1)]
    assert np.abs(correlation).max() < 6 / np.sqrt(300)
    assert np.abs(np.corrcoef(flat[:, :40].T)[np.triu_indices(40, 1)]).max() < 6 / np.sqrt(200)
    other = compiled(atoms_with_velocities((3, 3, 3)), asked("nvt-langevin"), seed=2)
    assert not np.array_equal(other.normals(0), run.normals(0))


@pytest.mark.parametrize("ensemble", ["nvt", "nvt-langevin"])
def test_temperature_is_that_of_the_thermostat(ensemble: str) -> None:
    run = compiled(atoms_with_velocities(kelvin=400.0), asked(ensemble, temperature_K=400.0, timestep_fs=4.0))
    run.advance(500)
    kelvin = np.array([run.temperature for _ in range(8000) if run.advance(1)])
    error = standard_error(kelvin)
    assert error < 12
    assert kelvin.mean() == pytest.approx(400, abs=4 * error)
    spread = (kelvin - 400) ** 2
    assert spread.mean() == pytest.approx(400**2 * 2 / 21, abs=4 * standard_error(spread))


def test_momentum_stays_zero_and_the_centre_of_mass_rests() -> None:
    for ensemble in ENSEMBLES:
        atoms = atoms_with_velocities()
        run = compiled(atoms, asked(ensemble, pressure_GPa=0.0))
        run.advance(100)
        assert np.abs(run.momenta.sum(axis=0)).max() < 1e-11
        if not ensemble.startswith("npt"):
            assert np.abs(run.positions.mean(axis=0) - atoms.positions.mean(axis=0)).max() < 1e-11


def test_atoms_that_come_too_close_end_the_run_at_that_step() -> None:
    atoms = atoms_with_velocities()
    free = compiled(atoms, asked("nve", temperature_K=600.0))
    nearest = []
    for _ in range(100):
        free.advance(1)
        probe = to_atoms(crystal(FEW, shear=0.3))
        probe.set_cell(free.cell)
        probe.set_positions(free.positions)
        distances = probe.get_all_distances(mic=True)
        nearest.append(distances[np.triu_indices(len(probe), 1)].min())
    limit = (np.min(nearest) + nearest[0]) / 2
    first = int(np.argmax(np.array(nearest) < limit))
    run = compiled(atoms, asked("nve", temperature_K=600.0), closest=limit)
    assert run.advance(100) == first + 1
    assert run.halt is not None
    assert run.halt.kind == "too close"
    assert run.halt.distance == pytest.approx(nearest[first], abs=1e-9)
    assert run.halt.pair[0] < run.halt.pair[1]


def test_energy_that_is_no_number_ends_the_run_at_that_step() -> None:
    run = compiled(atoms_with_velocities(), asked("npt"), level=PairLevel(explosion=8))
    assert run.advance(100) == 7
    assert run.halt is not None
    assert run.halt.kind == "not finite"


def test_heat_ends_the_run_at_that_step() -> None:
    atoms = atoms_with_velocities()
    free = compiled(atoms, asked("nve"))
    kelvin = np.array([free.temperature for _ in range(60) if free.advance(1)])
    limit = (kelvin.max() + kelvin[0]) / 2
    run = compiled(atoms, asked("nve"), hottest=limit)
    assert run.advance(60) == int(np.argmax(kelvin > limit)) + 1
    assert run.halt is not None
    assert run.halt.kind == "too hot"


def test_cell_that_falls_flat_ends_the_run() -> None:
    atoms = atoms_with_velocities()
    run = compiled(atoms, asked("npt", pressure_GPa=1000.0, barostat_time_fs=1.0, timestep_fs=20.0))
    assert run.advance(200) < 200
    assert run.halt is not None


def test_what_is_no_cell_is_refused() -> None:
    from ionscape.errors import CalculationError

    atoms = atoms_with_velocities()
    atoms.set_cell(np.diag([5.0, 5.0, 0.0]))
    with pytest.raises(CalculationError, match="flat"):
        compiled(atoms, asked("nve"))


def test_momenta_are_in_units_of_ase() -> None:
    run = compiled(atoms_with_velocities(), asked("nve"))
    kinetic = (run.momenta**2 / (2 * 63.546)).sum()
    assert run.temperature == pytest.approx(2 * kinetic / (21 * units.kB), rel=1e-6)
