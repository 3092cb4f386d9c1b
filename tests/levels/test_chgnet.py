"""Our calculator of CHGNet beside CHGNet's own, and beside the derivatives of its energy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from ionscape.errors import CalculationError
from ionscape.levels.chgnet import MODELS, FrozenCHGNet
from ionscape.structures.exchange import to_atoms


@pytest.fixture(scope="module")
def calculator() -> FrozenCHGNet:
    return FrozenCHGNet("0.3.0", threads=1)


@pytest.mark.parametrize("model", MODELS)
def test_equals_the_calculator_of_chgnet(model: str, lithia: Structure, chgnet_peer) -> None:
    ours, theirs = to_atoms(lithia), to_atoms(lithia)
    ours.calc, theirs.calc = FrozenCHGNet(model, threads=1), chgnet_peer(model)
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), rel=1e-6)
    assert np.abs(theirs.get_forces()).max() > 0.1
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), rtol=1e-4, atol=2e-5)
    assert np.abs(theirs.get_stress()).max() > 0.01
    np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), rtol=1e-4, atol=2e-6)


def test_equals_the_calculator_of_chgnet_in_the_host(calculator, li6zr2o7: Structure, chgnet_peer) -> None:
    cell = li6zr2o7.get_primitive_structure()
    cell.perturb(0.1)
    cell.apply_strain([0.02, -0.01, 0.03])
    ours, theirs = to_atoms(cell), to_atoms(cell)
    ours.calc, theirs.calc = calculator, chgnet_peer()
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), rel=1e-6)
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), rtol=1e-4, atol=5e-5)
    np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), rtol=1e-4, atol=5e-6)


def test_forces_are_minus_the_gradient_of_the_energy(calculator, lithia: Structure) -> None:
    atoms = to_atoms(lithia)
    atoms.calc = calculator
    forces, start = atoms.get_forces(), atoms.get_positions()
    for seed in range(3):
        # along a random direction plus the force itself, so that the derivative is not near zero
        direction = np.random.default_rng(seed).normal(size=forces.shape) + forces / np.linalg.norm(forces) * 5
        slope = slope_at_zero(lambda h, d=direction: displaced(atoms, start + h * d), step=0.001)
        assert abs(slope) > 1.0
        assert -np.sum(forces * direction) == pytest.approx(slope, rel=4e-3)


def test_stress_is_the_strain_derivative_of_the_energy_per_volume(calculator, lithia: Structure) -> None:
    atoms = to_atoms(lithia)
    atoms.calc = calculator
    stress, cell, volume = atoms.get_stress(voigt=False), atoms.cell.array.copy(), atoms.get_volume()
    for i in range(3):
        for j in range(i, 3):
            strain = np.zeros((3, 3))
            strain[i, j] = strain[j, i] = 1.0 if i == j else 0.5
            slope = slope_at_zero(lambda h, e=strain: strained(atoms, cell @ (np.eye(3) + h * e)), step=0.004)
            atoms.set_cell(cell, scale_atoms=True)
            assert stress[i, j] == pytest.approx(slope / volume, rel=5e-3, abs=2e-4)


def displaced(atoms, positions) -> float:
    atoms.set_positions(positions)
    return atoms.get_potential_energy()


def strained(atoms, cell) -> float:
    atoms.set_cell(cell, scale_atoms=True)
    return atoms.get_potential_energy()


def slope_at_zero(energy, step: float) -> float:
    """Return dE/dh at 0 by the five-point formula (error of order step⁴)."""
    return (8 * (energy(step) - energy(-step)) - (energy(2 * step) - energy(-2 * step))) / (12 * step)


def test_energy_is_extensive_and_invariant_under_permutation(calculator, lithia: Structure) -> None:
    double = lithia.make_supercell([1, 2, 1], in_place=False)
    shuffled = Structure.from_sites([double[i] for i in np.random.default_rng(1).permutation(len(double))])
    energies = []
    for cell in (lithia, double, shuffled):
        atoms = to_atoms(cell)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy() / len(cell))
    assert energies[1:] == pytest.approx([energies[0]] * 2, abs=2e-5)


def test_uses_the_threads_it_is_given() -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            FrozenCHGNet(threads=threads)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_atom_without_neighbours_is_outside_the_domain(calculator) -> None:
    atoms = to_atoms(Structure(Lattice.cubic(20.0), ["Li"], [[0, 0, 0]]))
    atoms.calc = calculator
    with pytest.raises(CalculationError, match="isolated"):
        atoms.get_potential_energy()
