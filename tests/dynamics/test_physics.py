"""Integrators against statistical mechanics, on springs: conservation, and the distributions of the ensembles.

The tests of distributions follow Merz & Shirts, doi:10.1371/journal.pone.0202764: the kinetic energy of N_f
degrees of freedom is a gamma distribution, and the ratio of the volumes' at two pressures is exp(−β ΔP V).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase.md.nose_hoover_chain import MTKNPT
from scipy.optimize import minimize
from spring_levels import Springs, crystal

from ionscape.dynamics.averages import standard_error
from ionscape.dynamics.independence import IndependentCalculator
from ionscape.dynamics.integrators import (
    Integrator,
    degrees_of_freedom,
    draw_velocities,
    integrator,
    pressure,
    temperature,
)
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.structures.exchange import to_atoms
from ionscape.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_A3, Array


def prepared(ensemble: str, repeats: tuple[int, int, int] = (1, 1, 1), **changes: Any) -> Integrator:
    structure = crystal(repeats, shear=0.2)
    atoms, rng = to_atoms(structure), np.random.default_rng(7)
    atoms.calc = IndependentCalculator(Springs(structure))
    values = {"timestep_fs": 4.0, "frame_interval_fs": 4.0, "barostat_time_fs": 600.0, "temperature_K": 300.0}
    settings = DynamicsSettings(**values | {"ensemble": ensemble} | changes)
    draw_velocities(atoms, settings.temperature_K, rng)
    if ensemble != "nve":  # atoms at their lattice sites are far from equilibrium, as in `simulate`
        thermaliser = integrator(atoms, settings.model_copy(update={"ensemble": "nvt-langevin"}), rng)
        for _ in range(300):
            thermaliser.step()
        atoms.set_constraint()
    return integrator(atoms, settings, rng)


def sampled(moves: Integrator, steps: int, *quantities: Any, before: int = 300) -> list[Array]:
    """Return the quantities, functions of the atoms, after each of `steps` steps, once `before` steps are made."""
    for _ in range(before):
        moves.step()
    values = []
    for _ in range(steps):
        moves.step()
        values.append([quantity(moves.dynamics.atoms) for quantity in quantities])
    return list(np.array(values).T)


def test_first_velocities_are_maxwell_boltzmann_and_the_crystal_rests() -> None:
    atoms, rng = to_atoms(crystal()), np.random.default_rng(0)
    temperatures = []
    for _ in range(400):
        draw_velocities(atoms, 500.0, rng)
        assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-12
        temperatures.append(temperature(atoms))
    degrees = degrees_of_freedom(len(atoms))
    assert np.mean(temperatures) == pytest.approx(500, abs=4 * 500 * np.sqrt(2 / degrees / 400))
    assert np.std(temperatures) == pytest.approx(500 * np.sqrt(2 / degrees), rel=0.15)


def test_energy_of_nve_stays() -> None:
    """The error of velocity Verlet is bounded, and falls with the square of the time step."""
    scatter = []
    for step, count in ((2.0, 1500), (4.0, 750)):
        moves = prepared("nve", (2, 1, 1), timestep_fs=step, frame_interval_fs=step)
        (energies,) = sampled(moves, count, lambda atoms: atoms.get_total_energy(), before=0)
        times = np.arange(count) * step / 1000
        assert abs(np.polyfit(times, energies, 1)[0]) / 8 < 1e-5  # eV/atom/ps
        scatter.append(np.std(energies))
    assert scatter[1] / scatter[0] == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "nvt-langevin", "npt", "npt-isotropic"])
def test_crystal_neither_drifts_nor_gains_momentum(ensemble: str) -> None:
    moves = prepared(ensemble)
    momenta = sampled(
        moves, 200, *(lambda atoms, c=c: atoms.get_momenta()[:, c].sum() for c in range(3)), before=0
    )
    assert np.abs(momenta).max() < 1e-9


@pytest.mark.parametrize("ensemble", ["nvt", "npt", "npt-isotropic"])
def test_conserved_energy_of_extended_systems_stays(ensemble: str) -> None:
    """The energy of the atoms changes much; with thermostat, barostat and P V it stays."""
    moves = prepared(ensemble, (2, 1, 1), pressure_GPa=2.0, timestep_fs=2.0, frame_interval_fs=2.0)
    own, conserved = [], []
    for _ in range(500):
        moves.step()
        own.append(moves.dynamics.atoms.get_total_energy())
        conserved.append(moves.conserved_energy())
    assert np.std(conserved) < 0.02 * np.std(own)


@pytest.mark.parametrize("ensemble", ["nvt", "nvt-langevin"])
def test_kinetic_energies_are_those_of_the_temperature(ensemble: str) -> None:
    """Mean N_f kT / 2, variance N_f (kT)² / 2; 3N degrees instead of 3N − 3 would be 1/15 off."""
    degrees = degrees_of_freedom(16)
    for kelvin in (300.0, 600.0):
        moves = prepared(ensemble, (2, 2, 1), temperature_K=kelvin)
        (energies,) = sampled(moves, 4000, lambda atoms: atoms.get_kinetic_energy())
        kT = BOLTZMANN_EV_PER_K * kelvin
        error = standard_error(energies)
        assert error < 0.03 * degrees * kT / 2
        assert energies.mean() == pytest.approx(degrees * kT / 2, abs=4 * error)
        squares = (energies - degrees * kT / 2) ** 2
        assert squares.mean() == pytest.approx(degrees * kT**2 / 2, abs=4 * standard_error(squares))


@pytest.mark.parametrize("ensemble", ["npt", "npt-isotropic"])
def test_volumes_at_two_pressures_have_the_ratio_of_boltzmann(ensemble: str) -> None:
    """ln P(V | p2) / P(V | p1) = const − β (p2 − p1) V; the slope by maximum likelihood.

    Velocities, of the cell too, are drawn anew every 40 steps, which leaves the distribution as it is and makes
    few atoms ergodic.
    """
    pressures, volumes = (0.0, 4.0), []
    for value in pressures:
        moves = prepared(ensemble, (2, 1, 1), pressure_GPa=value)
        volume, inside, kelvin = with_new_velocities(
            moves, 160, lambda atoms: atoms.get_volume(), pressure, temperature
        )
        assert inside.mean() * GPA_PER_EV_PER_A3 == pytest.approx(
            value, abs=4 * standard_error(inside) * GPA_PER_EV_PER_A3
        )
        assert kelvin.mean() == pytest.approx(300, abs=4 * standard_error(kelvin))
        spread = (volume - volume.mean()) ** 2  # a volume that swings has a sure mean before it has a sure spread
        independent = (spread.std() / standard_error(spread)) ** 2
        volumes.append(volume[:: int(np.ceil(len(volume) / independent))])
    slope, error = log_ratio_slope(*volumes)
    truth = -(pressures[1] - pressures[0]) / GPA_PER_EV_PER_A3 / (BOLTZMANN_EV_PER_K * 300)
    # a barostat or thermostat that is off by a third is noticed
    assert error < 0.12 * abs(truth)
    assert slope == pytest.approx(truth, abs=3 * error)


def with_new_velocities(moves: Integrator, times: int, *quantities: Any) -> list[Array]:
    """Return the quantities after each step of `times` stretches of 40 steps that begin with new velocities."""
    rng, stretches = np.random.default_rng(11), []
    for _ in range(times):
        draw_velocities(moves.dynamics.atoms, 300.0, rng)
        moves.dynamics._p = moves.dynamics.atoms.get_momenta()
        width = np.sqrt(moves.dynamics._barostat.W * BOLTZMANN_EV_PER_K * 300)
        if isinstance(moves.dynamics, MTKNPT):
            momentum = width * rng.standard_normal((3, 3))  # of symmetric ones the off-diagonal parts count twice
            moves.dynamics._p_g = np.diag(np.diag(momentum)) + (
                np.triu(momentum, 1) + np.triu(momentum, 1).T
            ) / np.sqrt(2)
        else:
            moves.dynamics._p_eps = width * rng.standard_normal()
        stretches.append(sampled(moves, 40, *quantities, before=0))
    return list(np.concatenate(stretches[10:], axis=1))


def log_ratio_slope(one: Array, two: Array) -> tuple[float, float]:
    """Return the slope of ln(P2/P1) against the value, by logistic regression, and its standard error."""
    values, label = np.concatenate([one, two]), np.repeat([0.0, 1.0], [len(one), len(two)])
    middle, width = values.mean(), values.std()
    x = (values - middle) / width

    def loss(parameters: Array) -> float:
        score = parameters[0] + parameters[1] * x
        return float((np.logaddexp(0, score) - label * score).sum())

    best = minimize(loss, np.zeros(2)).x
    p = 1 / (1 + np.exp(-(best[0] + best[1] * x)))
    design = np.stack([np.ones_like(x), x], axis=1)
    covariance = np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design)
    return float(best[1] / width), float(np.sqrt(covariance[1, 1]) / width)


def test_full_cell_is_at_the_temperature_and_its_momentum_symmetric() -> None:
    """Six degrees of freedom of the cell hold 6 kT / 2; nine, as ASE counts, would hold half as much again."""
    moves = prepared("npt")
    kT, twice_kinetic = BOLTZMANN_EV_PER_K * 300, []
    for step in range(4000):
        moves.step()
        momentum = moves.dynamics._p_g
        assert np.array_equal(momentum, momentum.T)
        if step >= 500:
            twice_kinetic.append((momentum**2).sum() / moves.dynamics._barostat.W)
    values = np.array(twice_kinetic)
    assert standard_error(values) < 0.5 * kT
    assert values.mean() == pytest.approx(6 * kT, abs=4 * standard_error(values))


def test_isotropic_cell_keeps_its_shape() -> None:
    moves = prepared("npt-isotropic")
    start = moves.dynamics.atoms.cell.array.copy()
    for _ in range(300):
        moves.step()
    ratio = np.cbrt(moves.dynamics.atoms.get_volume() / np.linalg.det(start))
    assert ratio != pytest.approx(1, abs=1e-4)
    assert np.allclose(moves.dynamics.atoms.cell.array, ratio * start)
