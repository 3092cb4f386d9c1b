"""Intervals from the errors of the energies: what they hold, what cancels, that draws are what they stand for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_tables import SYMBOLS, random_phases

from ionscape.results import Failure
from ionscape.stability.contact import ContactConditions, contact_matrix, mutual_reaction
from ionscape.stability.sampling import SampledEnergies, sampled_energies
from ionscape.stability.system import Reactant, chemical_system, reactant
from ionscape.stability.window import electrochemical_window

SEEDS = st.integers(0, 2**32 - 1)


class Independent:
    """Errors of the same size that no two phases share; none in the elements."""

    def __init__(self, size):
        self.size = size

    def samples(self, fractions, elements, count, rng):
        compounds = fractions.max(axis=1) < 1
        return self.size * rng.standard_normal((count, len(fractions))) * compounds


class OfElements:
    """Errors that belong to the elements alone."""

    def samples(self, fractions, elements, count, rng):
        return rng.standard_normal((count, len(elements))) @ fractions.T


def pair(rng, phases):
    first, second = rng.choice(
        [f for f, x in zip(phases.formulas, phases.fractions, strict=True) if x.max() < 1], 2
    )
    return reactant(str(first), phases), reactant(str(second), phases)


def reaction(phases, sides, errors, *, seed=0, ends="hull", count=60):
    """The mutual reaction of two sides with its interval."""
    sampled = sampled_energies(phases, sides, errors, count, np.random.default_rng(seed))
    conditions = ContactConditions(ends=ends)
    return contact_matrix(sides[:1], sides[1:], phases, conditions, sampled).reactions[0]


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, n_elements=st.integers(2, 7), ends=st.sampled_from(["hull", "own"]), opened=st.booleans())
def test_every_draw_is_the_reaction_with_those_energies(seed, n_elements, ends, opened):
    """The fast path against mutual reactions with the drawn energies, one by one."""
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 25)
    one, other = pair(rng, phases)
    reservoirs = {"Li": phases.energy_of("Li") - 1.0} if opened and n_elements > 2 else {}
    if {*one.composition} == {"Li"} or {*other.composition} == {"Li"}:
        return
    sampled = sampled_energies(phases, (one, other), Independent(0.2), 5, rng)
    found = mutual_reaction(one, other, chemical_system(phases, reservoirs), ends, sampled)
    lowest = []
    for draw, energies in enumerate(sampled.phases):
        table = dataclasses.replace(phases, energies=energies)
        sides = [dataclasses.replace(side, energy=sampled.reactants[side.label][draw]) for side in (one, other)]
        system = chemical_system(table, reservoirs)
        lowest.append(mutual_reaction(*sides, system, ends).strongest.energy)
    low, high = np.percentile(lowest, (2.5, 97.5))
    assert found.interval.low95 == pytest.approx(low, abs=1e-8)
    assert found.interval.high95 == pytest.approx(high, abs=1e-8)
    assert found.strongest == mutual_reaction(one, other, chemical_system(phases, reservoirs), ends).strongest


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, n_elements=st.integers(2, 6), mobile=st.sampled_from(["Li", "Mg"]))
def test_every_draw_is_the_window_with_those_energies(seed, n_elements, mobile):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 25, (mobile, *[e for e in SYMBOLS if e != mobile]))
    one, _ = pair(rng, phases)
    sampled = sampled_energies(phases, (one,), Independent(0.2), 5, rng)
    found = electrochemical_window(one, mobile, phases, sampled)
    tables = [dataclasses.replace(phases, energies=energies) for energies in sampled.phases]
    windows = [electrochemical_window(one, mobile, table) for table in tables]
    for side in ("reduction", "oxidation"):
        limit, drawn = getattr(found, side), [getattr(window, side) for window in windows]
        if isinstance(limit, Failure):
            assert all(isinstance(each, Failure) for each in drawn)
            continue
        low, high = np.percentile([each.voltage for each in drawn], (2.5, 97.5))
        assert (limit.low95, limit.high95) == pytest.approx((low, high), abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, n_elements=st.integers(2, 7), ends=st.sampled_from(["hull", "own"]))
def test_without_errors_the_interval_has_no_width(seed, n_elements, ends):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 25)
    one, other = pair(rng, phases)
    found = reaction(phases, (one, other), Independent(0.0), seed=seed, ends=ends)
    assert found.interval.low95 == pytest.approx(found.strongest.energy, abs=1e-9)
    assert found.interval.high95 == pytest.approx(found.strongest.energy, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, n_elements=st.integers(2, 7), ends=st.sampled_from(["hull", "own"]))
def test_errors_of_the_elements_cancel(seed, n_elements, ends):
    """A reaction conserves elements: an error of 1 eV/atom in each of them changes nothing."""
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 25)
    one, other = pair(rng, phases)
    found = reaction(phases, (one, other), OfElements(), seed=seed, ends=ends)
    assert found.interval.high95 - found.interval.low95 < 1e-8
    window = electrochemical_window(
        one, "Li", phases, sampled_energies(phases, (one,), OfElements(), 40, np.random.default_rng(seed))
    )
    for limit in (window.reduction, window.oxidation):
        if not isinstance(limit, Failure):
            assert limit.high95 - limit.low95 < 1e-6


def test_small_errors_leave_the_nominal_value_inside():
    held = total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        phases = random_phases(rng, 4, 25)
        one, other = pair(rng, phases)
        found = reaction(phases, (one, other), Independent(0.005), seed=seed, count=100)
        if found.strongest.energy < -0.02:
            total += 1
            held += found.interval.low95 <= found.strongest.energy <= found.interval.high95
        assert found.interval.low95 <= found.interval.high95 <= 0
    assert total > 20
    assert held > 0.9 * total


def test_wider_errors_make_wider_intervals(packaged):
    one, other = reactant("LiCoO2", packaged), reactant("Li2ZrN2", packaged)
    widths = []
    for size in (0.01, 0.02, 0.04):
        interval = reaction(packaged, (one, other), Independent(size), count=300).interval
        widths.append(interval.high95 - interval.low95)
    assert widths[0] < widths[1] < widths[2]


def test_draws_are_the_same_for_the_same_stream(packaged):
    one, other = reactant("LiCoO2", packaged), reactant("Li2ZrN2", packaged)
    first, again = (reaction(packaged, (one, other), Independent(0.05), seed=3) for _ in range(2))
    assert first == again
    assert first != reaction(packaged, (one, other), Independent(0.05), seed=4)


def test_reactants_vary_with_the_phase_that_they_are(packaged):
    """A reactant that is among the phases shares its error, around its own energy; another has its own error."""
    known = reactant("LiCoO2", packaged)
    higher = dataclasses.replace(known, energy=known.energy + 0.1)
    foreign = Reactant("Li3Co3O6 (relaxed)", {"Li": 3.0, "Co": 3.0, "O": 6.0}, -5.0)
    rng = np.random.default_rng(0)
    sampled = sampled_energies(packaged, (higher, foreign), Independent(0.05), 200, rng)
    row = packaged.labels.index("LiCoO2")
    np.testing.assert_allclose(sampled.reactants["LiCoO2"], sampled.phases[:, row] + 0.1)
    drawn = sampled.reactants[foreign.label]
    assert drawn.mean() == pytest.approx(-5.0, abs=0.02)
    assert abs(np.corrcoef(drawn, sampled.phases[:, row])[0, 1]) < 0.3
    assert sampled.phases.shape == (200, len(packaged.labels))
    assert isinstance(sampled, SampledEnergies)
    assert not sampled.phases.flags.writeable
    assert "Li2O" not in sampled.reactants
