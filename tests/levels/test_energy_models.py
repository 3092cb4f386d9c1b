"""What every energy model must be, whatever it is: CHGNet, a learned potential, an analytic reference.

Forces and stress are derivatives of the energy and not zero; nothing depends on origin, orientation or numbering;
energy is extensive; it has no jumps; cells may be sheared, and smaller than the reach of the interactions.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from ionscape.errors import CalculationError
from ionscape.levels.chgnet import FrozenCHGNet
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator

sys.path.insert(0, str(Path(__file__).parents[1] / "potential"))
from made_frames import alloy, model

SHEAR = np.array([[1.0, 0.12, -0.07], [0.03, 1.02, 0.09], [0.0, -0.05, 0.97]])


@dataclass(frozen=True)
class EnergyModel:
    """A calculator and structures within its domain.

    Attributes
    ----------
    name
        Of the level.
    calculator
        Makes the calculator.
    crystal
        A rattled, triclinic crystal.
    tiny
        A sheared crystal whose cell is smaller than the reach of the interactions.
    accuracy
        To which energies (eV) are reproducible, and forces relative to their size.
    isolated
        Whether it takes structures without a cell.
    step
        Displacement (Å) of finite differences: large where energies carry the rounding of single precision, whose
        share in the slope is rounding / step.
    """

    name: str
    calculator: Callable[[], Any]
    crystal: Callable[[], Atoms]
    tiny: Callable[[], Atoms]
    accuracy: tuple[float, float] = (1e-8, 1e-6)
    isolated: bool = True
    step: float = 2e-3


def oxide() -> Atoms:
    fractional = [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    cell = 4.62 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) @ SHEAR
    atoms = Atoms("OLi2", scaled_positions=fractional, cell=cell, pbc=True)
    return rattled(make_supercell(atoms, [[1, 0, 0], [1, 2, 0], [0, 0, 1]]))


def small_alloy() -> Atoms:
    cell = 3.9 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [2, 2, 0]]) @ SHEAR
    return rattled(Atoms("CuAu", scaled_positions=[[0, 0, 0], [0, 0, 0.5]], cell=cell, pbc=True))


def small_oxide() -> Atoms:
    cell = 4.62 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) @ SHEAR
    fractional = [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    return rattled(Atoms("OLi2", scaled_positions=fractional, cell=cell, pbc=True))


def rattled(atoms: Atoms) -> Atoms:
    atoms.positions += np.random.default_rng(3).normal(0, 0.07, (len(atoms), 3))
    return atoms


def learned(powers: tuple[float, ...], precision: str) -> Callable[[], Any]:
    return lambda: PotentialCalculator(model(powers), CalculatorSettings(precision=precision))  # type: ignore[arg-type]


MODELS = (
    EnergyModel("chgnet", FrozenCHGNet, oxide, small_oxide, (5e-5, 4e-3), isolated=False),
    EnergyModel("sgpr", learned((0.3, 0.7), "double"), functools.partial(alloy, 11), small_alloy),
    EnergyModel(
        "sgpr-single",
        learned((0.3, 0.7), "single"),
        functools.partial(alloy, 11),
        small_alloy,
        (5e-5, 2e-3),
        step=1.6e-2,
    ),
    EnergyModel(
        "sgpr-power-4", learned((0.0, 0.4, 0.0, 0.6), "double"), functools.partial(alloy, 11), small_alloy
    ),
    EnergyModel("emt", EMT, functools.partial(alloy, 11), small_alloy),
)


@functools.cache
def calculator_of(name: str) -> Any:
    return next(one for one in MODELS if one.name == name).calculator()


@pytest.fixture(params=MODELS, ids=lambda one: one.name)
def level(request) -> EnergyModel:
    return request.param


def evaluated(level: EnergyModel, atoms: Atoms) -> tuple[float, Any, Any]:
    atoms = atoms.copy()
    atoms.calc = calculator_of(level.name)
    return float(atoms.get_potential_energy()), atoms.get_forces(), atoms.get_stress(voigt=False)


def energy(level: EnergyModel, atoms: Atoms) -> float:
    atoms = atoms.copy()
    atoms.calc = calculator_of(level.name)
    return float(atoms.get_potential_energy())


def slope(function: Callable[[float], float], step: float) -> float:
    """Return the derivative at 0 by the five-point formula."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


@pytest.mark.parametrize("kind", ["crystal", "tiny"])
def test_forces_are_minus_the_derivatives_of_the_energy(level, kind):
    atoms = getattr(level, kind)()
    _, forces, _ = evaluated(level, atoms)
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=forces.shape) + 3 * forces / np.linalg.norm(forces)

        def moved(h, along=direction):
            other = atoms.copy()
            other.positions += h * along
            return energy(level, other)

        found = slope(moved, level.step)
        assert abs(found) > 0.05
        assert -(forces * direction).sum() == pytest.approx(
            found, rel=level.accuracy[1], abs=30 * level.accuracy[0]
        )


@pytest.mark.parametrize("kind", ["crystal", "tiny"])
def test_stress_is_the_derivative_by_strain(level, kind):
    atoms = getattr(level, kind)()
    _, _, stress = evaluated(level, atoms)
    assert np.abs(stress).max() > 0.002
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = 1.0 if i == j else 0.5

        def strained(h, e=strain):
            other = atoms.copy()
            other.set_cell(atoms.cell.array @ (np.eye(3) + h * e), scale_atoms=True)
            return energy(level, other)

        found = slope(strained, 2e-3) / atoms.get_volume()
        tolerance = 1e-7 + 2e3 * level.accuracy[0] / atoms.get_volume()
        assert stress[i, j] == pytest.approx(found, rel=level.accuracy[1], abs=tolerance)


def test_rotations_turn_forces_and_stress_and_leave_the_energy(level):
    atoms = level.crystal()
    first, forces, stress = evaluated(level, atoms)
    turn = Rotation.from_euler("zyx", [31, -47, 110], degrees=True).as_matrix()
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ turn.T)
    other.positions = atoms.positions @ turn.T
    second, turned, stress_turned = evaluated(level, other)
    assert second == pytest.approx(first, abs=level.accuracy[0] * len(atoms))
    assert np.allclose(turned, forces @ turn.T, atol=level.accuracy[1] * np.abs(forces).max())
    assert np.allclose(stress_turned, turn @ stress @ turn.T, atol=level.accuracy[1] * np.abs(stress).max())


def test_origin_images_and_numbering_mean_nothing(level):
    atoms = level.crystal()
    first, forces, _ = evaluated(level, atoms)
    rng = np.random.default_rng(1)
    order = rng.permutation(len(atoms))
    other = atoms[order]
    other.positions += rng.integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array + [0.3, -1.7, 12.0]
    second, same, _ = evaluated(level, other)
    assert second == pytest.approx(first, abs=level.accuracy[0] * len(atoms))
    assert np.allclose(same, forces[order], atol=level.accuracy[1] * np.abs(forces).max())


@pytest.mark.parametrize("kind", ["crystal", "tiny"])
def test_a_supercell_is_as_many_cells(level, kind):
    """For a cell smaller than the reach of the interactions this is the test of its images."""
    atoms = getattr(level, kind)()
    repeats = [[2, 0, 0], [1, 1, 0], [0, 0, 1]] if kind == "crystal" else [[3, 0, 0], [0, 2, 1], [1, 0, 2]]
    large = make_supercell(atoms, repeats, order="cell-major")
    first, forces, stress = evaluated(level, atoms)
    second, many, stress_large = evaluated(level, large)
    count = len(large) // len(atoms)
    assert second == pytest.approx(count * first, abs=level.accuracy[0] * len(large))
    assert np.allclose(many, np.tile(forces, (count, 1)), atol=level.accuracy[1] * np.abs(forces).max())
    assert np.allclose(stress_large, stress, atol=level.accuracy[1] * np.abs(stress).max())


def test_a_cell_of_other_vectors_is_the_same_crystal(level):
    atoms = level.tiny()
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 2, 0], [0, 1, 0], [0, -3, 1]]) @ atoms.cell.array)
    first, forces, _ = evaluated(level, atoms)
    second, same, _ = evaluated(level, skewed)
    assert second == pytest.approx(first, abs=level.accuracy[0] * len(atoms))
    assert np.allclose(same, forces, atol=level.accuracy[1] * np.abs(forces).max())


def test_the_energy_has_no_jumps_when_shells_pass_the_cutoff(level):
    """Over an expansion of 12 % whole shells leave; slopes change from step to step as little as in the middle."""
    atoms = level.tiny()

    def expanded(factor):
        other = atoms.copy()
        other.set_cell(factor * atoms.cell.array, scale_atoms=True)
        return energy(level, other)

    values = np.array([expanded(factor) for factor in np.linspace(0.97, 1.09, 61)])
    assert np.ptp(values) > 0.01
    steps = np.abs(np.diff(values, 3))
    assert steps.max() < 0.02 * np.abs(np.diff(values)).max() + 8 * level.accuracy[0]


def test_single_atoms_and_pairs_are_finite_or_refused(level):
    symbols = level.crystal().get_chemical_symbols()
    for positions in ([[0, 0, 0]], [[0, 0, 0], [2.4, 0.3, 0.1]], [[0, 0, 0], [0.8, 0.0, 0.1]]):
        atoms = Atoms(symbols[: len(positions)], positions=positions, cell=30 * np.eye(3), pbc=True)
        if not level.isolated:
            if len(positions) == 1:
                with pytest.raises(CalculationError, match="isolated"):
                    energy(level, atoms)
            continue
        value, forces, _ = evaluated(level, atoms)
        assert np.isfinite(value)
        assert np.isfinite(forces).all()
        assert np.abs(forces.sum(axis=0)).max() < 1e-6


@pytest.mark.parametrize("name", ["sgpr", "sgpr-power-4"])
def test_learned_pair_ends_smoothly_at_the_cutoff(name):
    """Value, slope and curvature vanish there; close atoms repel, since no frame taught it otherwise."""
    cutoff = model().descriptor.settings.cutoff_A

    def pair(r):
        atoms = Atoms("CuAu", positions=[[0, 0, 0], [r, 0, 0]])
        atoms.calc = calculator_of(name)
        return atoms.get_potential_energy(), atoms.get_forces()[1, 0]

    apart, none = pair(cutoff + 0.1)
    assert none == 0.0
    just_inside = [pair(cutoff - d) for d in (1e-3, 1e-2)]
    for value, force in just_inside:
        assert value == pytest.approx(apart, abs=1e-3)
        assert abs(force) < 1e-1
    assert pair(0.7)[1] > 10
    assert pair(0.5)[1] > pair(0.9)[1]
