"""Electrochemical windows: against pymatgen's element profile, and by what any window must do."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_tables import SYMBOLS, competing, highs, imbalance, pymatgen_entries, random_phases, terms
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Element

from ionscape.errors import InputError, MissingReferenceError
from ionscape.results import Failure
from ionscape.stability.mobile import ion_charge
from ionscape.stability.system import Reactant, reactant
from ionscape.stability.window import electrochemical_window

SEEDS = st.integers(0, 2**32 - 1)
MOBILE = st.sampled_from(["Li", "Na", "Mg"])


def drawn(seed, n_elements, mobile, n_phases=30):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, n_phases, (mobile, *[e for e in SYMBOLS if e != mobile]))
    known = rng.choice([f for f in phases.formulas if f != Composition(mobile).reduced_formula])
    made_up = "".join(f"{e}{rng.integers(1, 6)}" for e in rng.permutation(phases.elements)[: rng.integers(2, 5)])
    name = str(known) if rng.random() < 0.7 else made_up
    return phases, reactant(name if reactant(name, phases).composition.keys() != {mobile} else str(known), phases)


def cuts(text, mobile):
    """Mobile ions written on the left less those on the right, per formula unit of the first reactant."""
    left, right = terms(text)
    return (left.get(mobile, 0.0) - right.get(mobile, 0.0)) / next(iter(left.values()))


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, n_elements=st.integers(2, 6), mobile=MOBILE)
def test_the_profile_is_that_of_pymatgen(seed, n_elements, mobile):
    phases, phase = drawn(seed, n_elements, mobile)
    window = electrochemical_window(phase, mobile, phases)
    composition = Composition(dict(phase.composition))
    elements = {e.symbol for e in composition.elements} | {mobile}
    diagram = PhaseDiagram(pymatgen_entries(phases, elements))
    profile = diagram.get_element_profile(Element(mobile), composition)
    metal, charge = phases.energy_of(mobile), ion_charge(mobile)
    volts = sorted({round(-(step["chempot"] - metal) / charge, 7) for step in profile}, reverse=True)
    assert [p.voltage for p in window.profile] == pytest.approx([v for v in volts if v > 1e-6], abs=1e-6)
    # What pymatgen calls evolution: mobile ions taken up by the phase at the end of each step.
    held = composition[Element(mobile)]
    taken = sorted(step["evolution"] + held for step in profile)
    assert [p.mobile_from for p in window.profile] == pytest.approx(taken[: len(window.profile)], abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(seed=SEEDS, n_elements=st.integers(2, 9), mobile=MOBILE)
def test_what_any_window_does(seed, n_elements, mobile):
    phases, phase = drawn(seed, n_elements, mobile, 60)
    window = electrochemical_window(phase, mobile, phases)
    held = phase.composition.get(mobile, 0.0)
    volts = [p.voltage for p in window.profile]
    assert all(v > 0 for v in volts)
    assert all(high > low for high, low in itertools.pairwise(volts))
    assert all(a.mobile_to == b.mobile_from for a, b in itertools.pairwise(window.profile))
    assert not window.profile or window.profile[0].mobile_from == 0.0
    for plateau in window.profile:
        assert plateau.mobile_to > plateau.mobile_from
        assert imbalance(plateau.reaction) < 1e-3
        assert cuts(plateau.reaction, mobile) > 0
    assert isinstance(window.oxidation, Failure) == (held == 0)
    if held and not isinstance(window.oxidation, Failure):
        assert window.reduction.voltage <= window.oxidation.voltage
        assert imbalance(window.oxidation.reaction) < 1e-3
        assert cuts(window.oxidation.reaction, mobile) < 0
    if window.reduction.voltage > 0:
        assert imbalance(window.reduction.reaction) < 1e-3
        assert cuts(window.reduction.reaction, mobile) > 0
    else:
        assert "stable against" in window.reduction.reaction
    if not isinstance(window.decomposition_energy, Failure):
        assert window.decomposition_energy >= 0


@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, n_elements=st.integers(2, 9), mobile=MOBILE)
def test_the_area_under_the_profile_is_the_energy_of_full_insertion(seed, n_elements, mobile):
    """Σ z V Δn = E(without M) + n μ_metal − E(with n M), by HiGHS."""
    phases, phase = drawn(seed, n_elements, mobile, 60)
    window = electrochemical_window(phase, mobile, phases)
    if not window.profile:
        return
    work = sum(p.voltage * (p.mobile_to - p.mobile_from) for p in window.profile) * ion_charge(mobile)
    column = phases.elements.index(mobile)
    rest = np.array([phase.composition.get(e, 0.0) for e in phases.elements])
    rest[column] = 0.0
    full = rest.copy()
    full[column] = window.profile[-1].mobile_to
    metal = phases.energy_of(mobile)
    ends = [highs(atoms, phases.fractions, phases.energies) for atoms in (rest, full)]
    assert work == pytest.approx(ends[0] + full[column] * metal - ends[1], abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, n_elements=st.integers(2, 7), mobile=MOBILE)
def test_a_phase_is_stable_inside_its_window_and_nowhere_else(seed, n_elements, mobile):
    """Grand potentials at voltages in and out of the window, by HiGHS: only inside is the phase on the hull."""
    phases, phase = drawn(seed, n_elements, mobile)
    window = electrochemical_window(phase, mobile, phases)
    if window.decomposition_energy != 0.0 or isinstance(window.oxidation, Failure):
        return
    column = phases.elements.index(mobile)
    others = np.arange(len(phases.elements)) != column
    closed = phases.fractions[:, others]
    atoms = np.array([phase.composition.get(e, 0.0) for e in phases.elements])
    low, high = window.reduction.voltage, window.oxidation.voltage
    trials = [((low + high) / 2, True), (high + 0.01, False)]
    if low > 0.01:
        trials.append((low - 0.01, False))
    for voltage, stable in trials if high - low > 1e-3 else trials[1:]:
        potential = phases.energy_of(mobile) - ion_charge(mobile) * voltage
        grand = phases.energies - potential * phases.fractions[:, column]
        hull = highs(atoms[others], closed, grand)
        own = phase.energy * atoms.sum() - potential * atoms[column]
        assert (own - hull < 1e-7) == stable


def test_a_divalent_ion_has_half_the_voltage():
    """The same energies, once with Li and once with Mg: μ is the same, V half."""
    rng = np.random.default_rng(2)
    found = []
    for mobile in ("Li", "Mg"):
        state = np.random.default_rng(rng.bit_generator.seed_seq.entropy)
        names = (mobile, "O", "Co")
        phases = random_phases(state, 3, 20, names)
        found.append(electrochemical_window(reactant(f"{mobile}2CoO3", phases), mobile, phases))
    assert [p.voltage / 2 for p in found[0].profile] == pytest.approx([p.voltage for p in found[1].profile])
    assert len(found[0].profile) > 2


def test_measured_voltages_of_simple_couples(packaged):
    """Li2O is formed from Li2O2 or O2 at 2.9–3.1 V, Li3N from N2 at 0.4–0.5 V (formation enthalpies, JANAF)."""
    oxide = electrochemical_window(reactant("Li2O", packaged), "Li", packaged)
    assert oxide.reduction.voltage == 0.0
    assert oxide.oxidation.voltage == pytest.approx(2.9, abs=0.3)
    nitride = electrochemical_window(reactant("Li3N", packaged), "Li", packaged)
    assert nitride.oxidation.voltage == pytest.approx(0.45, abs=0.35)
    assert nitride.reduction.voltage == 0.0


def test_what_holds_more_than_its_products_take_up_gives_off_metal():
    """No lithium cobaltide here is stable: LiCo falls apart into the metals, at 0 V."""
    phases = competing([[1, 0], [0, 1], [1, 1]], [-1.9, -7.0, -4.0], ("Li", "Co"))
    window = electrochemical_window(reactant("LiCo", phases), "Li", phases)
    assert window.profile == ()
    assert window.oxidation.voltage == window.reduction.voltage == 0.0
    assert window.oxidation.reaction == "LiCo → Co + Li"
    rich = random_phases(np.random.default_rng(4), 3, 30, ("Li", "O", "Co"))
    window = electrochemical_window(reactant("Li90CoO", rich), "Li", rich)
    assert len(window.profile) > 1
    assert window.oxidation.voltage == 0.0
    assert imbalance(window.oxidation.reaction) < 1e-3


def test_without_mobile_ions_there_is_no_oxidation(packaged):
    window = electrochemical_window(reactant("ZrO2", packaged), "Li", packaged)
    assert isinstance(window.oxidation, Failure)
    assert "no Li" in window.oxidation.reason
    assert window.profile[0].mobile_from == 0.0


def test_what_has_no_window_is_refused(packaged):
    with pytest.raises(InputError, match="nothing but Li"):
        electrochemical_window(reactant("Li", packaged), "Li", packaged)
    with pytest.raises(InputError, match="no mobile ion"):
        electrochemical_window(reactant("Li2O", packaged), "O", packaged)
    with pytest.raises(MissingReferenceError, match="Na"):
        electrochemical_window(reactant("Li2O", packaged), "Na", packaged)
    with pytest.raises(MissingReferenceError, match="Fe"):
        electrochemical_window(Reactant("LiFeO2", {"Li": 1, "Fe": 1, "O": 2}, -5.0), "Li", packaged)
    fewer = packaged
    for formula in [f for f in packaged.formulas if "Co" in f and f != "LiCoO2"]:
        fewer = fewer.without(formula)
    with pytest.raises(MissingReferenceError, match="Co"):
        electrochemical_window(reactant("LiCoO2", fewer), "Li", fewer)
