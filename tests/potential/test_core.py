"""The compiled evaluation of collapsed potentials and the one in Numba, against the potential as it is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    atom_energies,
    forces_by_differences,
    normalised,
    virial_by_differences,
)
from scipy.spatial.transform import Rotation

from ionscape.errors import InputError
from ionscape.potential.core import CompiledPotential, design_rows, instructions
from ionscape.potential.evaluation import evaluator
from ionscape.potential.fallback import FallbackPotential
from ionscape.potential.form import CollapsedForm
from ionscape.potential.library import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason="the compiled core was not built")

AMPLITUDES = (0.3, 0.5, -0.2, 0.7)
VOIGT = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]


def radial_functions(n, cutoff, nodes=300):
    """Return smooth functions that vanish at the cutoff with two derivatives, and their slopes."""
    r, w = np.linspace(0, cutoff, nodes)[:, None], np.pi * np.arange(1, n + 1) / cutoff
    fade, slope = (1 - r / cutoff) ** 3, -3 / cutoff * (1 - r / cutoff) ** 2
    return fade * (np.cos(w * r) + 0.3), slope * (np.cos(w * r) + 0.3) - fade * w * np.sin(w * r)


def random_form(rng, **sizes):
    """Return a potential of random weights."""
    size = {"species": 2, "radial": 3, "l_max": 3, "mixed": None, "rank": 4, "pair": True, "cutoff": 4.0, **sizes}
    s, n, cutoff = size["species"], size["radial"], size["cutoff"]
    values, slopes = radial_functions(n, cutoff)
    mixed = size["mixed"]
    mixing = None if mixed is None else rng.normal(size=(s, size["l_max"] + 1, mixed, s * n)) / np.sqrt(s * n)
    form = CollapsedForm(
        cutoff, size["l_max"], values, slopes, rng.normal(size=s), epsilon=1e-3, mixing=mixing
    )  # fmt: skip
    features = form.n_features
    form = dataclasses.replace(form, linear=rng.normal(size=(s, features)))
    if size["rank"]:
        vectors = rng.normal(size=(s, features, size["rank"]))
        form = dataclasses.replace(form, quadratic=vectors, weights=rng.normal(size=(s, size["rank"])))
    elif size["rank"] == 0:
        whole = rng.normal(size=(s, features, features))
        form = dataclasses.replace(form, quadratic=whole + whole.swapaxes(1, 2))
    return with_pairs(rng, form) if size["pair"] else form


def with_pairs(rng, form):
    reach = 0.6 * form.cutoff
    r = np.linspace(0, reach, 200)
    strength = rng.uniform(1, 3, (form.n_species, form.n_species))
    strength = (strength + strength.T)[:, :, None]
    fade = (1 - r / reach) ** 3, -3 / reach * (1 - r / reach) ** 2
    return dataclasses.replace(form, pair_cutoff=reach, pair=strength * fade[0], pair_slopes=strength * fade[1])


def random_structure(rng, form, atoms, length, periodic=(True, True, True)):
    """Return a structure in a sheared cell, atoms in any of its images, none closer than 1 Å to another."""
    cell = length * (np.eye(3) + 0.3 * rng.uniform(-1, 1, (3, 3)))
    positions = []
    while len(positions) < atoms:
        place = rng.uniform(0, 1, 3) @ cell
        shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
        if all(np.linalg.norm(place - other + shifts @ cell, axis=1).min() > 1 for other in positions):
            positions.append(place)
    image = rng.integers(-2, 3, (atoms, 3)) * np.array(periodic)
    return np.array(positions) + image @ cell, cell, rng.integers(0, form.n_species, atoms), periodic


def energy_of(potential, *structure):
    return potential.evaluate(*structure).atom_energies.sum()


@pytest.fixture(params=[CompiledPotential, FallbackPotential])
def kind(request):
    return request.param


CASES = [
    ({}, 6, 5.0, (True, True, True)),
    ({"species": 1, "radial": 2, "l_max": 2, "rank": 0}, 1, 2.6, (True, True, True)),
    ({"species": 3, "l_max": 4, "mixed": 5, "rank": 3}, 5, 4.0, (True, True, False)),
    ({"species": 6, "radial": 4, "l_max": 1, "mixed": 17, "pair": False}, 8, 6.0, (False, False, False)),
    ({"species": 4, "radial": 4, "l_max": 3, "rank": None}, 6, 4.5, (True, False, True)),
    ({"species": 2, "radial": 9, "l_max": 6, "mixed": 7}, 4, 4.0, (True, True, True)),
    ({"species": 5, "radial": 1, "l_max": 0, "rank": 0}, 6, 5.0, (True, True, True)),
    ({"species": 2, "radial": 12, "l_max": 5, "rank": 20}, 3, 4.5, (True, True, True)),
]


@pytest.mark.parametrize("case", CASES)
def test_energies_and_features_are_those_of_the_reference(kind, case):
    rng = np.random.default_rng(1)
    form = random_form(rng, **case[0])
    structure = random_structure(rng, form, *case[1:])
    potential = kind(form, "double")
    features, norms = normalised(form, *structure)
    found = potential.descriptors(*structure)
    np.testing.assert_allclose(found.features, features, atol=1e-12)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-12)
    np.testing.assert_allclose(
        potential.evaluate(*structure).atom_energies, atom_energies(form, *structure), atol=1e-10
    )


@pytest.mark.parametrize("case", CASES)
def test_forces_and_virials_are_derivatives(kind, case):
    rng = np.random.default_rng(2)
    form = random_form(rng, **case[0])
    x, cell, species, periodic = random_structure(rng, form, *case[1:])
    potential = kind(form, "double")
    found = potential.evaluate(x, cell, species, periodic)
    forces = forces_by_differences(lambda y: energy_of(potential, y, cell, species, periodic), x)
    virial = virial_by_differences(lambda y, h: energy_of(potential, y, h, species, periodic), x, cell)
    assert np.abs(forces).max() > 0.01 or len(x) == 1
    assert np.abs(virial).max() > 0.01
    np.testing.assert_allclose(found.forces, forces, atol=2e-5 * np.abs(virial).max())
    np.testing.assert_allclose(found.virial, virial, atol=2e-5 * np.abs(virial).max())


def test_forces_are_minus_the_derivatives_of_the_reference():
    rng = np.random.default_rng(3)
    form = random_form(rng, l_max=2, mixed=4, cutoff=3.0)
    x, cell, species, periodic = random_structure(rng, form, 3, 4.0)
    forces = forces_by_differences(lambda y: atom_energies(form, y, cell, species, periodic).sum(), x)
    found = CompiledPotential(form, "double").evaluate(x, cell, species, periodic).forces
    np.testing.assert_allclose(found, forces, atol=1e-5)


@given(
    seed=st.integers(0, 10**6),
    atoms=st.integers(1, 12),
    length=st.floats(3.5, 9),
    periodic=st.tuples(*3 * [st.booleans()]),
)
@settings(deadline=None, max_examples=30)
def test_energy_does_not_change_with_rotation_permutation_or_image(seed, atoms, length, periodic):
    rng = np.random.default_rng(seed)
    form = random_form(rng, mixed=6, species=3)
    x, cell, species, _ = random_structure(rng, form, atoms, max(length, 1.9 * atoms ** (1 / 3)), periodic)
    potential = CompiledPotential(form, "double")
    one = potential.evaluate(x, cell, species, periodic)
    turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(atoms)
    image = rng.integers(-3, 4, (atoms, 3)) * np.array(periodic)
    moved = (x + image @ cell) @ turn.T + rng.normal(size=3)
    other = potential.evaluate(moved[order], cell @ turn.T, species[order], periodic)
    np.testing.assert_allclose(other.atom_energies, one.atom_energies[order], atol=1e-9)
    np.testing.assert_allclose(other.forces, (one.forces @ turn.T)[order], atol=1e-9)
    np.testing.assert_allclose(other.virial, turn @ one.virial @ turn.T, atol=1e-9)
    np.testing.assert_allclose(one.forces.sum(axis=0), 0, atol=1e-10)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_supercell_has_a_multiple_of_the_energy(precision):
    rng = np.random.default_rng(4)
    form = random_form(rng)
    x, cell, species, periodic = random_structure(rng, form, 3, 3.5)
    potential = CompiledPotential(form, precision)
    one = potential.evaluate(x, cell, species, periodic)
    large = np.concatenate([x, x + cell[0]]), cell * np.array([[2], [1], [1]]), np.tile(species, 2), periodic
    two = potential.evaluate(*large)
    scale = 1e-9 if precision == "double" else 1e-3
    np.testing.assert_allclose(two.atom_energies, np.tile(one.atom_energies, 2), atol=scale)
    np.testing.assert_allclose(two.virial, 2 * one.virial, atol=10 * scale)


def test_atoms_alone_have_their_own_energy_and_no_forces(kind):
    form = random_form(np.random.default_rng(5))
    apart = np.array([[0, 0, 0], [0, 0, 50.0]])
    for precision in ("single", "double"):
        found = kind(form, precision).evaluate(apart, np.zeros((3, 3)), np.array([1, 0]), (False, False, False))
        np.testing.assert_allclose(found.atom_energies, form.offsets[[1, 0]], rtol=1e-6)
        assert not found.forces.any()
        assert not found.virial.any()


def test_energy_and_forces_are_smooth_at_the_cutoff():
    form = random_form(np.random.default_rng(6), pair=False)
    potential = CompiledPotential(form, "double")

    def force(distance):
        positions = np.array([[0, 0, 0], [1.5, 0, 0], [0.3, 0, distance]])
        return potential.evaluate(positions, np.zeros((3, 3)), np.array([0, 1, 0]), (False, False, False)).forces[
            2
        ]

    beyond = np.sqrt(form.cutoff**2 - 0.3**2)
    inside, near = force(beyond - 0.5), force(beyond - 1e-3)
    assert np.abs(inside).max() > 1e3 * np.abs(near).max() > 0


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_single_precision_agrees_with_double(seed):
    rng = np.random.default_rng(seed)
    form = random_form(rng, mixed=8, rank=16, cutoff=5.0)
    structure = random_structure(rng, form, 20, 6.5)
    exact, found = (CompiledPotential(form, one).evaluate(*structure) for one in ("double", "single"))
    scale = np.abs(exact.forces).max()
    np.testing.assert_allclose(found.forces, exact.forces, atol=1e-5 * scale)
    np.testing.assert_allclose(found.atom_energies, exact.atom_energies, atol=1e-5 * scale)
    np.testing.assert_allclose(found.virial, exact.virial, atol=1e-4 * scale)


@pytest.mark.parametrize("wanted", ["sse4", "avx2", "avx512", "generic"])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_instruction_sets_agree(wanted, precision, monkeypatch):
    rng = np.random.default_rng(7)
    form = random_form(rng, mixed=9, radial=5, l_max=4, species=3)
    structure = random_structure(rng, form, 12, 6.0)
    exact = FallbackPotential(form, "double").evaluate(*structure)
    monkeypatch.setenv("IONSCAPE_INSTRUCTIONS", wanted)
    if instructions() != wanted:
        pytest.skip(f"this machine has no {wanted}")
    found = CompiledPotential(form, precision).evaluate(*structure)
    scale = {"double": 1e-12, "single": 1e-5}[precision] * np.abs(exact.virial).max()
    np.testing.assert_allclose(found.atom_energies, exact.atom_energies, atol=scale)
    np.testing.assert_allclose(found.forces, exact.forces, atol=scale)
    np.testing.assert_allclose(found.virial, exact.virial, atol=scale)


def test_threads_change_no_more_than_rounding_and_repeat_themselves():
    rng = np.random.default_rng(8)
    form = random_form(rng, species=3)
    structure = random_structure(rng, form, 30, 8.0)
    one = CompiledPotential(form, "double").evaluate(*structure)
    for threads in (2, 3):
        potential = CompiledPotential(form, "double", threads=threads)
        first, second = potential.evaluate(*structure), potential.evaluate(*structure)
        np.testing.assert_array_equal(first.forces, second.forces)
        np.testing.assert_allclose(first.forces, one.forces, atol=1e-10)
        np.testing.assert_allclose(first.virial, one.virial, atol=1e-9)


def test_results_do_not_depend_on_what_was_evaluated_before():
    rng = np.random.default_rng(9)
    form = random_form(rng)
    structures = [random_structure(rng, form, n, 6.0) for n in (5, 9, 5)]
    potential = CompiledPotential(form)
    first = [potential.evaluate(*one).forces for one in structures]
    for structure, forces in reversed(list(zip(structures, first, strict=True))):
        np.testing.assert_array_equal(potential.evaluate(*structure).forces, forces)


def test_a_list_with_a_skin_gives_the_same_as_a_new_one(kind):
    rng = np.random.default_rng(10)
    form = random_form(rng)
    x, cell, species, periodic = random_structure(rng, form, 8, 5.0)
    kept, fresh = kind(form, "double", skin=0.5), kind(form, "double")
    for _ in range(12):
        x = x + rng.normal(scale=0.06, size=x.shape)
        cell = cell @ (np.eye(3) + rng.normal(scale=0.003, size=(3, 3)))
        expected = fresh.evaluate(x, cell, species, periodic).forces
        np.testing.assert_allclose(kept.evaluate(x, cell, species, periodic).forces, expected, atol=1e-10)


def inducing_of(rng, form):
    environments = [rng.normal(size=(count, form.n_features)) for count in (3, 45, 0, 130)[: form.n_species]]
    return [one / np.linalg.norm(one, axis=1, keepdims=True) for one in environments]


def kernel_sums(potential, form, inducing, structure):
    features, species = potential.descriptors(*structure).features, structure[2]
    products = [features[species == z] @ q.T for z, q in enumerate(inducing)]
    powers = [sum(a * s ** (k + 1) for k, a in enumerate(AMPLITUDES)) for s in products]
    return np.concatenate([one.sum(axis=0) for one in powers])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "sizes", [{"mixed": 5, "l_max": 4}, {"radial": 2}, {"species": 4, "radial": 9, "mixed": 3}]
)
def test_design_rows_are_kernel_sums_and_their_derivatives(sizes, threads):
    rng = np.random.default_rng(11)
    form = random_form(rng, **sizes)
    x, cell, species, periodic = random_structure(rng, form, 6, 4.5)
    inducing = inducing_of(rng, form)
    potential = CompiledPotential(form, "double", threads=threads)
    rows = design_rows(potential, (x, cell, species, periodic), inducing, AMPLITUDES)
    sums = kernel_sums(potential, form, inducing, (x, cell, species, periodic))
    np.testing.assert_allclose(rows.energy, sums, atol=1e-12)
    step = 1e-4
    for row, (i, k) in enumerate(np.ndindex(*x.shape)):
        ends = []
        for sign in (1, -1):
            y = x.copy()
            y[i, k] += sign * step
            ends.append(kernel_sums(potential, form, inducing, (y, cell, species, periodic)))
        np.testing.assert_allclose(rows.forces[row], -(ends[0] - ends[1]) / (2 * step), atol=1e-6)
    for row, (a, b) in enumerate(zip(*VOIGT, strict=True)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            ends.append(kernel_sums(potential, form, inducing, (x @ strain.T, cell @ strain.T, species, periodic)))
        np.testing.assert_allclose(rows.virial[row], -(ends[0] - ends[1]) / (2 * step), atol=1e-5)
    assert np.abs(rows.forces).max() > 1e-3


def test_the_adjoint_of_kernel_gradients_gives_design_rows(kind):
    rng = np.random.default_rng(12)
    form = random_form(rng, species=3, mixed=4)
    structure = random_structure(rng, form, 6, 4.5)
    potential, inducing = kind(form, "double"), inducing_of(rng, form)
    rows = design_rows(potential, structure, inducing, AMPLITUDES)
    features, species = potential.descriptors(*structure).features, structure[2]
    q = inducing[1][17]
    steepness = sum((k + 1) * a * (features @ q) ** k for k, a in enumerate(AMPLITUDES)) * (species == 1)
    forces, virial = potential.adjoint(steepness[:, None] * q, *structure)
    column = len(inducing[0]) + 17
    np.testing.assert_allclose(rows.forces[:, column], forces.ravel(), atol=1e-12)
    np.testing.assert_allclose(rows.virial[:, column], virial[VOIGT], atol=1e-12)


def test_mixing_that_only_weights_degrees_is_what_it_says():
    rng = np.random.default_rng(13)
    plain = random_form(rng, rank=None, pair=False)
    weights = rng.uniform(0.2, 2, plain.l_max + 1)
    mixing = np.broadcast_to(
        weights[:, None, None] * np.eye(plain.n_channels),
        (plain.n_species, plain.l_max + 1, plain.n_channels, plain.n_channels),
    )
    form = dataclasses.replace(plain, mixing=mixing)
    structure = random_structure(rng, form, 4, 4.0)
    found = CompiledPotential(form, "double").evaluate(*structure).atom_energies
    np.testing.assert_allclose(found, atom_energies(form, *structure), atol=1e-12)
    assert np.abs(found - CompiledPotential(plain, "double").evaluate(*structure).atom_energies).max() > 1e-3
    inducing = inducing_of(rng, form)
    rows, others = (
        design_rows(k(form, "double"), structure, inducing, (1.0,)) for k in (CompiledPotential, FallbackPotential)
    )
    np.testing.assert_allclose(rows.forces, others.forces, atol=1e-12)


def test_the_evaluator_is_the_compiled_one_where_there_is_one(monkeypatch):
    form = random_form(np.random.default_rng(14))
    assert isinstance(evaluator(form), CompiledPotential)
    monkeypatch.setattr("ionscape.potential.evaluation.unavailable", lambda: "it was not built")
    assert isinstance(evaluator(form), FallbackPotential)


def test_input_that_does_not_fit_is_refused():
    rng = np.random.default_rng(15)
    form = random_form(rng)
    x, cell, species, periodic = random_structure(rng, form, 4, 5.0)
    potential = CompiledPotential(form, "double")
    broken = x.copy()
    broken[2, 1] = np.nan
    for arguments in (
        (x, cell, species + 5, periodic),
        (x, cell, species[:2], periodic),
        (x, np.ones((3, 3)), species, periodic),
        (broken, cell, species, periodic),
    ):
        with pytest.raises(InputError):
            potential.evaluate(*arguments)
    with pytest.raises(InputError):
        potential.adjoint(np.zeros((4, 3)), x, cell, species, periodic)
    with pytest.raises(InputError):
        design_rows(
            CompiledPotential(form, "single"), (x, cell, species, periodic), inducing_of(rng, form), (1.0,)
        )
    with pytest.raises(InputError):
        design_rows(potential, (x, cell, species, periodic), [np.zeros((2, 3))] * 2, (1.0,))
    with pytest.raises(InputError):
        CompiledPotential(form, threads=0)


@pytest.mark.parametrize(
    "change",
    [
        {"l_max": 7},
        {"cutoff": -1.0},
        {"linear": np.zeros((2, 3))},
        {"offsets": np.array([0.0, np.nan])},
        {"weights": np.zeros((2, 9))},
        {"quadratic": None},
        {"pair": None},
        {"pair_cutoff": 9.0},
    ],
)
def test_a_form_whose_parts_do_not_fit_is_refused(change):
    with pytest.raises(InputError):
        dataclasses.replace(random_form(np.random.default_rng(16)), **change)
