"""Decomposition energies: against pymatgen on the packaged energies, and by what a hull must do."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from ionscape.errors import MissingReferenceError
from ionscape.levels.registry import Level
from ionscape.phases.competing import phase_energies
from ionscape.stability.decomposition import decomposition_energy

# On the hull of Li–Zr–O–N in the Materials Project (2018–2023 releases) and, where measured, stable.
ON_THE_HULL = ("Li2O", "Li3N", "ZrO2", "ZrN", "Li2ZrO3", "Li6Zr2O7", "Li2ZrN2", "Zr3N4", "Zr2ON2", "Li2O2")
MEV = 1e-3


@pytest.fixture(scope="module")
def phases():
    return phase_energies(Level.of("chgnet"), ["Li", "Zr", "O", "N"])


def entries(phases):
    return [
        PDEntry(Composition(formula), energy * Composition(formula).num_atoms)
        for formula, energy in zip(phases.formulas, phases.energies, strict=True)
    ]


def test_every_packaged_phase_agrees_with_pymatgen(phases):
    peer = PhaseDiagram(entries(phases))
    for entry, label in zip(entries(phases), phases.labels, strict=True):
        products, height = peer.get_decomp_and_e_above_hull(entry)
        ours = decomposition_energy(label, phases)
        assert ours.decomposition_energy == pytest.approx(height, abs=1e-9)
        theirs = {product.composition.reduced_formula: amount for product, amount in products.items()}
        found = {Composition(product).reduced_formula: share for product, share in ours.products.items()}
        assert found == pytest.approx(theirs, abs=1e-8)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_compositions_agree_with_pymatgen(phases, seed):
    target = dict(zip(phases.elements, np.random.default_rng(seed).dirichlet(np.ones(4)), strict=True))
    expected = PhaseDiagram(entries(phases)).get_hull_energy_per_atom(Composition(target))
    ours = decomposition_energy(target, phases, energy=-7.0)
    assert ours.decomposition_energy == pytest.approx(-7.0 - expected, abs=1e-9)


def test_host_of_the_source_study_is_on_the_hull(phases):
    """Source study: E_d(Li6Zr2O7) = 0."""
    host = decomposition_energy("Li6Zr2O7", phases)
    assert host.decomposition_energy <= 2 * MEV
    assert host.products == pytest.approx({"Li6Zr2O7": 1.0})
    assert host.reaction == "Li6Zr2O7 → Li6Zr2O7"


@pytest.mark.parametrize("formula", ON_THE_HULL)
def test_stable_compounds_are_within_the_error_of_the_level(phases, formula):
    assert decomposition_energy(formula, phases).decomposition_energy <= 10 * MEV


def test_nitrogen_on_oxygen_decomposes_as_in_the_source_study(phases):
    """Source study: Li6Zr2O7 + Li2ZrN2 + Li2O. At this level Li8ZrO6, which is known, stands in for Li2O."""
    doped = "Li25Zr8O27N"
    ours = decomposition_energy(doped, phases, energy=-7.0)
    assert set(ours.products) == {"Li6Zr2O7", "Li2ZrN2", "Li8ZrO6"}
    assert sum(ours.products.values()) == pytest.approx(1.0)
    study = decomposition_energy(doped, phases.without("Li8ZrO6"), energy=-7.0)
    assert set(study.products) == {"Li6Zr2O7", "Li2ZrN2", "Li2O"}
    assert study.reaction == "Li25Zr8NO27 → 3/4 Li2O + 1/2 Li2ZrN2 + 15/4 Li6Zr2O7"
    assert ours.decomposition_energy - study.decomposition_energy == pytest.approx(0.0, abs=2 * MEV)


def test_reaction_and_potentials_balance(phases):
    target = Composition("Li25Zr8O27N")
    ours = decomposition_energy(target, phases, energy=-7.0)
    mixed = dict.fromkeys(phases.elements, 0.0)
    for label, share in ours.products.items():
        for element, x in Composition(label).fractional_composition.get_el_amt_dict().items():
            mixed[element] += share * x
    fractions = target.fractional_composition.get_el_amt_dict()
    assert mixed == pytest.approx(fractions)
    hull = sum(fractions[element] * mu for element, mu in ours.potentials.items())
    assert ours.energy - ours.decomposition_energy == pytest.approx(hull, abs=1e-9)


def test_a_phase_below_all_others_has_a_negative_energy_and_competes_when_it_is_there(phases):
    own = phases.energy_of("Li6Zr2O7")
    others = phases.without("Li6Zr2O7")
    alone = decomposition_energy("Li6Zr2O7", others, energy=own)
    assert alone.decomposition_energy < 0
    assert alone.reaction == "Li6Zr2O7 → 5/3 Li2ZrO3 + 1/3 Li8ZrO6"
    above = decomposition_energy("Li6Zr2O7", phases, energy=own + 0.05)
    assert above.decomposition_energy == pytest.approx(0.05, abs=1e-12)


def test_scale_and_shift_of_element_references_change_nothing(phases):
    """E_d is invariant under e_i → e_i + Σ_X x_iX δ_X: no choice of zero of energy matters in a closed system."""
    shift = np.random.default_rng(1).normal(size=4)
    moved = dataclasses.replace(phases, energies=phases.energies + phases.fractions @ shift)
    for formula in ("Li4ZrO4", "Zr7N4O8", "LiNO2"):
        before = decomposition_energy(formula, phases).decomposition_energy
        assert decomposition_energy(formula, moved).decomposition_energy == pytest.approx(before, abs=1e-9)


def test_foreign_elements_are_named(phases):
    with pytest.raises(MissingReferenceError, match="Co"):
        decomposition_energy("LiCoO2", phases, energy=-5.0)


def test_missing_elements_are_named(phases):
    kept = [i for i, label in enumerate(phases.labels) if "N" not in label]
    fewer = dataclasses.replace(
        phases,
        labels=tuple(phases.labels[i] for i in kept),
        formulas=tuple(phases.formulas[i] for i in kept),
        fractions=phases.fractions[kept],
        energies=phases.energies[kept],
    )
    with pytest.raises(MissingReferenceError, match="pure N lacking"):
        decomposition_energy("ZrN", fewer, energy=-10.0)


def test_a_formula_that_is_no_phase_needs_an_energy(phases):
    with pytest.raises(MissingReferenceError, match="Li7Zr2O7"):
        decomposition_energy("Li7Zr2O7", phases)
