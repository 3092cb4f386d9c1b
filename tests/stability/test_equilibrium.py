"""The equilibrium of phases: against pymatgen's convex hull, and by what any lower convex hull must do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from ionscape.errors import MissingReferenceError
from ionscape.stability.equilibrium import equilibrium

ELEMENTS = ("Li", "Zr", "O", "N", "Co", "P")


def random_phases(rng, n_elements, n_phases):
    """Pure elements and random compounds with small integer formulas."""
    counts = rng.integers(0, 5, size=(n_phases, n_elements))
    counts = np.vstack([np.eye(n_elements, dtype=int), counts[counts.sum(axis=1) > 0]])
    return counts, rng.normal(-1.0, 1.0, size=len(counts))


def peer(counts, energies, target):
    """Hull energy and decomposition at `target` by pymatgen."""
    names = ELEMENTS[: counts.shape[1]]
    entries = [
        PDEntry(Composition(dict(zip(names, map(int, row), strict=True))), e * row.sum())
        for row, e in zip(counts, energies, strict=True)
    ]
    diagram = PhaseDiagram(entries)
    composition = Composition(dict(zip(names, map(float, target), strict=True)))
    return diagram.get_hull_energy_per_atom(composition)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n_elements=st.integers(2, 6), n_phases=st.integers(1, 25))
def test_agrees_with_convex_hull(seed, n_elements, n_phases):
    rng = np.random.default_rng(seed)
    counts, energies = random_phases(rng, n_elements, n_phases)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    target = rng.dirichlet(np.ones(n_elements))
    ours = equilibrium(target, fractions, energies)
    assert ours.energy == pytest.approx(peer(counts, energies, target), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n_elements=st.integers(1, 6), n_phases=st.integers(1, 40))
def test_balances_and_is_dual_feasible(seed, n_elements, n_phases):
    rng = np.random.default_rng(seed)
    counts, energies = random_phases(rng, n_elements, n_phases)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    target = fractions[rng.integers(len(fractions))] if rng.random() < 0.5 else rng.dirichlet(np.ones(n_elements))
    ours = equilibrium(target, fractions, energies)
    held, phases = list(ours.elements), list(ours.phases)
    np.testing.assert_allclose(ours.shares @ fractions[phases], target, atol=1e-12)
    assert (ours.shares >= 0).all()
    assert ours.shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert target[held] @ ours.potentials == pytest.approx(ours.energy, abs=1e-9)
    usable = fractions[:, held].sum(axis=1) > 1 - 1e-12
    assert (energies[usable] - fractions[usable][:, held] @ ours.potentials > -1e-9).all()
    np.testing.assert_allclose(energies[phases], fractions[phases][:, held] @ ours.potentials, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n_elements=st.integers(2, 5))
def test_hull_vertices_are_their_own_equilibrium(seed, n_elements):
    rng = np.random.default_rng(seed)
    counts, energies = random_phases(rng, n_elements, 12)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    deep = len(energies) - 1
    energies[deep] = energies.min() - 5.0
    ours = equilibrium(fractions[deep], fractions, energies)
    assert ours.phases == (deep,)
    assert ours.energy == pytest.approx(energies[deep], abs=1e-12)


def test_is_the_same_twice_and_under_permutation():
    rng = np.random.default_rng(3)
    counts, energies = random_phases(rng, 5, 60)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    target = rng.dirichlet(np.ones(5))
    order = rng.permutation(len(energies))
    first, again = equilibrium(target, fractions, energies), equilibrium(target, fractions, energies)
    shuffled = equilibrium(target, fractions[order], energies[order])
    assert first.phases == again.phases
    np.testing.assert_array_equal(first.shares, again.shares)
    assert sorted(order[list(shuffled.phases)]) == sorted(first.phases)
    assert shuffled.energy == pytest.approx(first.energy, abs=1e-12)


def test_names_the_elements_that_cannot_be_reached():
    fractions, energies = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]), np.array([0.0, -1.0])
    with pytest.raises(MissingReferenceError) as caught:
        equilibrium(np.array([0.2, 0.5, 0.3]), fractions, energies)
    assert caught.value.columns == [2]
    with pytest.raises(MissingReferenceError) as caught:
        equilibrium(np.array([0.2, 0.8, 0.0]), fractions, energies)
    assert caught.value.columns == [1]
    with pytest.raises(MissingReferenceError) as caught:
        equilibrium(np.array([0.0, 0.0, 1.0]), fractions, energies)
    assert caught.value.columns == [2]


def test_errors_can_name_the_elements():
    fractions, energies = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]), np.array([0.0, -1.0])
    with pytest.raises(MissingReferenceError) as caught:
        equilibrium(np.array([0.2, 0.3, 0.5]), fractions, energies)
    assert "pure O lacking" in str(caught.value.named(("Li", "Zr", "O")))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n_elements=st.integers(1, 8), size=st.sampled_from([0.0, 1.0, 1e5]))
def test_no_zero_of_energy_matters(seed, n_elements, size):
    rng = np.random.default_rng(seed)
    counts, energies = random_phases(rng, n_elements, 60)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    target, shift = rng.dirichlet(np.ones(n_elements)), rng.normal(size=n_elements) * size
    first = equilibrium(target, fractions, energies)
    moved = equilibrium(target, fractions, energies + fractions @ shift)
    assert moved.phases == first.phases
    assert moved.energy - target @ shift == pytest.approx(first.energy, abs=1e-9)
    np.testing.assert_allclose(moved.potentials - shift, first.potentials, atol=1e-7)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n_elements=st.integers(1, 12))
def test_one_more_phase_never_raises_the_energy(seed, n_elements):
    rng = np.random.default_rng(seed)
    counts, energies = random_phases(rng, n_elements, 60)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    target = rng.dirichlet(np.ones(n_elements))
    few = equilibrium(target, fractions[:-5], energies[:-5])
    assert equilibrium(target, fractions, energies).energy <= few.energy + 1e-10


@pytest.mark.parametrize("trace", [1e-3, 1e-5, 1e-6])
def test_a_trace_of_an_element_is_held_by_some_phase(trace):
    rng = np.random.default_rng(7)
    counts, energies = random_phases(rng, 5, 60)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    target = np.append(rng.dirichlet(np.ones(4)) * (1 - trace), trace)
    ours = equilibrium(target, fractions, energies)
    assert ours.elements == (0, 1, 2, 3, 4)
    np.testing.assert_allclose(ours.shares @ fractions[list(ours.phases)], target, atol=2e-8)


def test_phases_with_other_elements_take_no_part():
    fractions = np.array([[1.0, 0.0], [0.5, 0.5]])
    ours = equilibrium(np.array([1.0, 0.0]), fractions, np.array([0.0, -9.0]))
    assert ours.phases == (0,)
    assert ours.elements == (0,)
