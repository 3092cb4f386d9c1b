"""The collapsed form in PyTorch against the compiled core: energies, forces, virials, batches, TorchScript."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_frames import alloy, model
from reference import atom_energies, real_harmonics
from test_core import CASES, random_form, random_structure

from ionscape.errors import CalculationError, InputError
from ionscape.potential import torch_calculator as calculators
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.evaluation import evaluator
from ionscape.potential.neighbour_sums import harmonic_factors
from ionscape.potential.torch_calculator import batch_of, torch_calculator
from ionscape.potential.torch_module import TorchPotential, forces_of
from ionscape.potential.torch_module import real_harmonics as harmonics_in_torch


def assert_same(found, exact, energy, force):
    """Compare the forces of a batch with those of single structures."""
    np.testing.assert_allclose(found.atom_energies, np.concatenate([e.atom_energies for e in exact]), atol=energy)
    np.testing.assert_allclose(found.forces, np.concatenate([e.forces for e in exact]), atol=force)
    np.testing.assert_allclose(found.virials, [e.virial for e in exact], atol=10 * force)


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_the_compiled_core_and_of_the_reference(case):
    rng = np.random.default_rng(1)
    form = random_form(rng, **case[0])
    structure = random_structure(rng, form, *case[1:])
    potential = TorchPotential(form, "double")
    found = forces_of(potential, batch_of([structure], potential))
    assert_same(found, [evaluator(form, "double").evaluate(*structure)], 1e-10, 1e-10)
    np.testing.assert_allclose(found.atom_energies, atom_energies(form, *structure), atol=1e-10)
    assert found.virials.abs().max() > 0.01


@given(seed=st.integers(0, 10**6), counts=st.lists(st.integers(1, 9), min_size=1, max_size=4))
@settings(deadline=None, max_examples=15)
def test_a_batch_gives_what_its_structures_give(seed, counts):
    rng = np.random.default_rng(seed)
    form = random_form(rng, species=3, mixed=5)
    potential = TorchPotential(form, "double")
    structures = [
        random_structure(rng, form, n, 2.2 * n ** (1 / 3) + 1, tuple(rng.random(3) < 0.6)) for n in counts
    ]
    batch = batch_of(structures, potential)
    exact = [evaluator(form, "double").evaluate(*one) for one in structures]
    assert_same(forces_of(potential, batch), exact, 1e-9, 1e-9)
    assert_same(forces_of(potential, batch, pairs_at_once=30), exact, 1e-9, 1e-9)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_and_autograd_of_strain_agree_with_the_forces():
    rng = np.random.default_rng(2)
    form = random_form(rng, species=3, mixed=4)
    potential = TorchPotential(form, "double")
    batch = batch_of([random_structure(rng, form, n, 4.5) for n in (4, 6)], potential)
    expected = forces_of(potential, batch)
    strain = torch.zeros_like(batch.cells).requires_grad_()
    positions = batch.positions.clone().requires_grad_()
    stretch = torch.eye(3, dtype=torch.float64) + strain
    energies = torch.jit.script(potential)(
        torch.einsum("ia,iab->ib", positions, stretch[batch.structure]), batch.cells @ stretch, *batch[2:]
    )
    slopes = torch.autograd.grad(energies.sum(), (positions, strain))
    torch.testing.assert_close(energies.detach(), expected.atom_energies, atol=1e-12, rtol=0)
    torch.testing.assert_close(-slopes[0], expected.forces, atol=1e-10, rtol=0)
    torch.testing.assert_close(-slopes[1], expected.virials, atol=1e-9, rtol=0)


def test_autograd_gives_second_derivatives():
    rng = np.random.default_rng(3)
    form = random_form(rng, mixed=3)
    potential = TorchPotential(form, "double")
    batch = batch_of([random_structure(rng, form, 4, 4.5)], potential)

    def energy(positions):
        return potential(positions, *batch[1:]).sum()

    hessian = torch.autograd.functional.hessian(energy, batch.positions)
    moved = batch.positions.clone()
    moved[1, 2] += 1e-5
    ends = [forces_of(potential, batch._replace(positions=x)).forces for x in (moved, 2 * batch.positions - moved)]
    assert hessian.abs().max() > 0.1
    torch.testing.assert_close(hessian[:, :, 1, 2], (ends[1] - ends[0]) / 2e-5, atol=1e-4, rtol=1e-5)


def test_harmonics_are_those_of_the_reference():
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(5, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    up, down, _ = harmonic_factors(6)
    found = harmonics_in_torch(torch.from_numpy(vectors), 6, up.tolist(), down.tolist()).numpy()
    for row, vector in zip(found, vectors, strict=True):
        for degree, expected in enumerate(real_harmonics(6, vector)):
            # The reference has m = 0, then cosine and sine of each m, with the phase of Condon and Shortley.
            phases = (-1.0) ** np.arange(1, degree + 1)
            here = np.concatenate([(phases * expected[2::2])[::-1], expected[:1], phases * expected[1::2]])
            np.testing.assert_allclose(row[degree**2 : (degree + 1) ** 2], here, atol=1e-12)


def test_atoms_alone_and_pairs_beyond_the_cutoff_have_no_forces():
    form = random_form(np.random.default_rng(5))
    potential = TorchPotential(form, "double")
    apart = np.array([[0, 0, 0], [0, 0, 50.0]])
    alone = (apart, np.zeros((3, 3)), np.array([1, 0]), (False, False, False))
    batch = batch_of([alone], potential)
    listed = batch._replace(pairs=torch.tensor([[0, 1], [1, 0]]), images=torch.zeros((2, 3), dtype=torch.float64))
    for one in (batch, listed):
        found = forces_of(potential, one)
        np.testing.assert_array_equal(found.atom_energies, form.offsets[[1, 0]])
        assert not found.forces.any()


@pytest.mark.parametrize("precision", ["single", "double"])
def test_the_calculator_agrees_with_the_compiled_one(precision):
    ours, theirs = alloy(7), alloy(7)
    ours.calc = PotentialCalculator(model(), CalculatorSettings(precision="double"))
    theirs.calc = torch_calculator(model(), "cpu", precision)
    energy, force = (1e-10, 1e-10) if precision == "double" else (1e-4, 1e-4)
    assert theirs.get_potential_energy() == pytest.approx(ours.get_potential_energy(), abs=8 * energy)
    np.testing.assert_allclose(theirs.get_potential_energies(), ours.get_potential_energies(), atol=energy)
    np.testing.assert_allclose(theirs.get_forces(), ours.get_forces(), atol=force)
    np.testing.assert_allclose(theirs.get_stress(), ours.get_stress(), atol=force)
    assert np.abs(ours.get_forces()).max() > 0.1


def test_neighbours_without_the_compiled_core_are_the_same(monkeypatch):
    atoms = alloy(8)
    atoms.calc = torch_calculator(model(), precision="double")
    with_core = atoms.get_forces()
    monkeypatch.setattr(calculators, "unavailable", lambda: "it was not built")
    atoms.calc.reset()
    np.testing.assert_allclose(atoms.get_forces(), with_core, atol=1e-10)


def test_what_cannot_be_evaluated_is_refused():
    with pytest.raises(InputError, match="powers above two"):
        torch_calculator(model(powers=(0.3, 0.5, 0.2)))
    with pytest.raises(InputError, match="device 'abacus'"):
        torch_calculator(model(), "abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device 'cuda'"):
            torch_calculator(model(), "cuda")
    with pytest.raises(InputError, match="no structures"):
        batch_of([], TorchPotential(model().collapsed()))
    atoms = alloy(9)
    atoms.symbols[0] = "Fe"
    atoms.calc = torch_calculator(model())
    with pytest.raises(InputError, match="Fe"):
        atoms.get_forces()


def test_a_force_that_is_no_number_is_an_error():
    atoms = alloy(10)
    atoms.calc = torch_calculator(model(), precision="double")
    atoms.calc.potential.weights[:] = np.nan
    with pytest.raises(CalculationError, match="finite"):
        atoms.get_forces()
