"""The ASE calculator of a potential: precision, kernels of any power, watching, compiled forces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from made_frames import alloy, frames, model

from ionscape.dynamics.independence import IndependentCalculator
from ionscape.errors import CalculationError, InputError
from ionscape.potential.calculator import DEVIATIONS, CalculatorSettings, PotentialCalculator
from ionscape.potential.calibration import calibration
from ionscape.potential.compiled_dynamics import OffersCompiledForces
from ionscape.potential.errors_of_model import predictions
from ionscape.potential.library import unavailable
from ionscape.potential.uncertainty import atomic_standard_deviations, covariance_loss
from ionscape.potential.uncollapsed import UncollapsedPotential, potential_of


def with_calculator(atoms, made=None, **settings):
    atoms.calc = PotentialCalculator(made or model(), CalculatorSettings(**settings))
    return atoms


def test_results_belong_together():
    atoms = with_calculator(alloy(5), precision="double")
    energy = atoms.get_potential_energy()
    assert atoms.get_potential_energies().sum() == pytest.approx(energy, abs=1e-10)
    assert atoms.get_potential_energy(force_consistent=True) == energy
    assert np.abs(atoms.get_forces().sum(axis=0)).max() < 1e-10
    assert np.allclose(atoms.get_stress(voigt=False), atoms.get_stress(voigt=False).T)


def test_predicts_unseen_frames():
    """An effective-medium potential is smooth: twelve frames teach most of it."""
    errors = model(taught=12).provenance.errors
    assert errors["force_r2"] > 0.95
    assert errors["energy_r2"] > 0.9
    assert (
        model(taught=12).provenance.errors["force_mae_eV_per_A"]
        < 0.8 * (model(taught=3).provenance.errors["force_mae_eV_per_A"])
    )


def test_single_precision_agrees_with_double():
    one, other = with_calculator(alloy(5), precision="single"), with_calculator(alloy(5), precision="double")
    assert np.abs(one.get_forces() - other.get_forces()).max() < 1e-4
    assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-4)
    assert np.abs(one.get_forces() - other.get_forces()).max() > 0


def test_uncollapsed_sum_equals_the_collapsed_form():
    made = model()
    place = (alloy(5).positions, alloy(5).cell.array, made.descriptor.indices(list(alloy(5).symbols), ""))
    one, other = (
        potential_of(made, "double").evaluate(*place),
        UncollapsedPotential(made, "double").evaluate(*place),
    )
    for name in ("atom_energies", "forces", "virial"):
        assert np.allclose(getattr(one, name), getattr(other, name), atol=1e-7), name
    assert np.abs(one.forces).max() > 0.1


def test_kernel_of_high_power_has_forces_and_no_quadratic_form():
    made = model((0.0, 0.4, 0.0, 0.6))
    assert not made.collapses
    atoms = with_calculator(alloy(5), made, precision="double")
    forces, start, h = atoms.get_forces(), atoms.positions.copy(), 1e-4
    for atom, axis in ((0, 0), (2, 1), (7, 2)):
        ends = []
        for sign in (1, -1):
            atoms.positions = start
            atoms.positions[atom, axis] += sign * h
            ends.append(atoms.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * h), abs=1e-5)
    assert np.abs(forces).max() > 0.1
    assert atoms.calc.compiled_forces(tuple(atoms.symbols)) is None


@pytest.mark.parametrize("pbc", [(True, True, False), (False, False, False), (True, False, True)])
def test_any_periodicity_has_forces_but_only_a_crystal_has_a_stress(pbc):
    atoms = with_calculator(alloy(5))
    atoms.pbc = pbc
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


def test_molecule_needs_no_cell():
    dimer = with_calculator(Atoms("CuAu", positions=[[0, 0, 0], [2.6, 0, 0]]), precision="double")
    assert dimer.get_forces()[0] == pytest.approx(-dimer.get_forces()[1], abs=1e-10)


def test_unknown_element_is_refused():
    atoms = with_calculator(Atoms("CuNi", positions=[[0, 0, 0], [2.5, 0, 0]]))
    with pytest.raises(InputError, match="atoms of Ni"):
        atoms.get_potential_energy()
    with pytest.raises(InputError, match="atoms of Ni"):
        atoms.calc.compiled_forces(("Cu", "Ni"))


def test_standard_deviations_are_calibrated():
    """On frames like those on which it was calibrated, errors are about as large as predicted."""
    found = predictions(model(), frames(6, 200))
    atoms = with_calculator(alloy(200), precision="double")
    deviations = atoms.calc.get_property(DEVIATIONS, atoms)
    assert np.allclose(deviations, np.array(model().spread)[found.species[:8]] * np.sqrt(found.losses[:8]))
    every = np.array(model().spread)[found.species] * np.sqrt(found.losses)
    quality = calibration(every, found.force_errors)
    assert 0.5 < quality.coverage_one < 0.95
    assert quality.rank_correlation > 0


def test_standard_deviations_are_given_only_on_request():
    atoms = with_calculator(alloy(5))
    atoms.get_forces()
    assert DEVIATIONS not in atoms.calc.results


def test_posterior_variance_is_positive_and_shrinks_with_data():
    few, many = model(taught=4), model(taught=16)
    atoms = alloy(300)
    sizes = []
    for made in (few, many):
        features = potential_of(made, "double").descriptors(
            atoms.positions, atoms.cell.array, made.descriptor.indices(list(atoms.symbols), "")
        )
        species = made.descriptor.indices(list(atoms.symbols), "")
        deviations = atomic_standard_deviations(made, features.features, species)
        losses = covariance_loss(made, features.features, species)
        assert (deviations >= 0).all()
        assert ((losses >= 0) & (losses <= 1)).all()
        sizes.append((deviations / made.noise.signal).mean())
    assert sizes[1] < sizes[0]


def far_away():
    atoms = alloy(5)
    atoms.set_cell(0.72 * atoms.cell.array, scale_atoms=True)
    return atoms


def test_watched_potential_refuses_to_extrapolate_and_tells_how_far():
    limit = 3 * max(model().spread) * 0.05
    near = with_calculator(alloy(5), watch_every=1, largest_deviation_eV_per_A=max(limit, 0.5))
    assert np.isfinite(near.get_potential_energy())
    far = with_calculator(far_away(), watch_every=1, largest_deviation_eV_per_A=1e-3)
    with pytest.raises(CalculationError, match=r"standard deviation of \d+\.\d+ eV/Å, the limit is 0\.001"):
        far.get_potential_energy()
    assert np.isfinite(with_calculator(far_away()).get_potential_energy())


def test_deviation_grows_away_from_the_data():
    near, far = with_calculator(alloy(5)), with_calculator(far_away())
    assert far.calc.get_property(DEVIATIONS, far).mean() > 2 * near.calc.get_property(DEVIATIONS, near).mean()


def test_watch_counts_evaluations_even_where_attributes_are_put_back():
    looked = []

    class Counting(PotentialCalculator):
        def _deviations(self):
            looked.append(1)
            return super()._deviations()

    inner = Counting(model(), CalculatorSettings(watch_every=3, largest_deviation_eV_per_A=1e3))
    atoms = alloy(5)
    atoms.calc = IndependentCalculator(inner)
    for _ in range(7):
        atoms.rattle(0.01, rng=np.random.default_rng(len(looked)))
        atoms.get_forces()
    assert len(looked) == 3


def test_model_that_was_not_calibrated_is_not_watched():
    blind = dataclasses.replace(model(), spread=())
    with pytest.raises(InputError, match="not calibrated"):
        PotentialCalculator(blind, CalculatorSettings(watch_every=1))
    atoms = with_calculator(alloy(5), blind)
    with pytest.raises(InputError, match="not calibrated"):
        atoms.calc.get_property(DEVIATIONS, atoms)


@pytest.mark.skipif(bool(unavailable()), reason="the compiled core was not built")
def test_compiled_forces_are_offered_unless_it_is_watched():
    calculator = PotentialCalculator(model())
    assert isinstance(calculator, OffersCompiledForces)
    found = calculator.compiled_forces(("Cu", "Au", "Au"))
    assert found is not None
    assert found.species.tolist() == [0, 1, 1]
    assert found.cutoff == model().descriptor.settings.cutoff_A
    watched = PotentialCalculator(model(), CalculatorSettings(watch_every=10))
    assert watched.compiled_forces(("Cu",)) is None


def test_same_structure_has_the_same_bits_whatever_came_before():
    calculator = PotentialCalculator(model())
    first, other = alloy(5), alloy(6)
    energies = []
    for atoms in (first, other, first):
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[2] != energies[1]
