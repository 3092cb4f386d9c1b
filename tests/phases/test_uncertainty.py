"""Errors of energies: covariance against its definition, fit against known truth, coverage of what is measured."""

import itertools
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition
from scipy import stats

from ionscape.errors import InputError, MissingReferenceError
from ionscape.levels.registry import Level
from ionscape.phases.coverage import covered, reaction_checks
from ionscape.phases.energies import packaged_energies
from ionscape.phases.enthalpies import formation_enthalpies
from ionscape.phases.formation import FormationCheck, packaged_checks
from ionscape.phases.uncertainty import NON_METALS, EnergyErrors, energy_errors, fitted_errors

ERRORS = EnergyErrors("level", 100, 0.1, 0.28, 0.4, 0.05, MappingProxyType({"O": 0.03, "N": 0.11}), 4.0, 0.95)
ELEMENTS = ("Co", "Li", "N", "O", "P", "Zr")


def fractions(*formulas, elements=ELEMENTS):
    return np.array([[Composition(f).get_atomic_fraction(e) for e in elements] for f in formulas])


def correlation(*formulas):
    covariance = ERRORS.covariance(fractions(*formulas), ELEMENTS)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def slow_covariance(rows, elements, errors):
    """The definition, term by term."""
    pure = [max(row) > 1 - 1e-9 for row in rows]
    n, m = len(rows), len(elements)
    bell = lambda a, b: np.exp(-sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / 2 / errors.length**2)  # noqa: E731
    corners = np.eye(m)
    inverse = np.linalg.inv([[bell(a, b) for b in corners] for a in corners])
    result = np.zeros((n, n))
    for i, j in itertools.product(range(n), range(n)):
        if pure[i] or pure[j]:
            continue
        to_i, to_j = ([bell(rows[k], corner) for corner in corners] for k in (i, j))
        near = bell(rows[i], rows[j]) - np.array(to_i) @ inverse @ np.array(to_j)
        bonds = 0.0
        for a, b in itertools.combinations(range(m), 2):
            if elements[a] in NON_METALS and elements[b] in NON_METALS:
                bonds += 16 * rows[i][a] * rows[i][b] * rows[j][a] * rows[j][b]
        result[i, j] = errors.sigma**2 * near + errors.bonds**2 * bonds
    for i in range(n):
        gas = sum(x * errors.gases.get(e, 0.0) for x, e in zip(rows[i], elements, strict=True))
        result[i, i] += gas**2 if pure[i] else errors.nugget**2
    return result


compositions = st.lists(
    st.lists(st.integers(0, 8), min_size=6, max_size=6).filter(lambda row: sum(row) > 0), min_size=1, max_size=9
).map(lambda rows: np.array([np.array(row) / sum(row) for row in rows]))


@settings(deadline=None, max_examples=40)
@given(rows=compositions, length=st.floats(0.05, 0.5))
def test_covariance_is_its_definition_and_positive_semidefinite(rows, length):
    errors = EnergyErrors("level", 100, 0.1, length, 0.4, 0.05, ERRORS.gases, 4.0, 0.95)
    covariance = errors.covariance(rows, ELEMENTS)
    assert covariance == pytest.approx(slow_covariance(rows, ELEMENTS, errors), abs=1e-9)
    assert covariance == pytest.approx(covariance.T, abs=0)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12


def test_elements_carry_only_the_errors_of_their_references():
    covariance = ERRORS.covariance(fractions("Li", "O2", "N2", "Li2O"), ELEMENTS)
    assert np.diag(covariance)[:3] == pytest.approx([0.0, 0.03**2, 0.11**2])
    assert covariance[:3, 3] == pytest.approx(0.0)


def test_alike_phases_are_correlated_and_unlike_ones_are_not():
    assert correlation("Li2ZrO3", "Li6Zr2O7") > 0.7
    assert correlation("Li6Zr2O7", "Li8ZrO6") > correlation("Li6Zr2O7", "Li2ZrN2")
    assert abs(correlation("Li2O", "ZrN")) < 0.05
    assert abs(correlation("Li3P", "CoO")) < 0.05


@settings(deadline=None, max_examples=20)
@given(rows=compositions, seed=st.integers(0, 99))
def test_order_and_absent_elements_do_not_matter(rows, seed):
    order = np.random.default_rng(seed).permutation(6)
    shuffled = ERRORS.covariance(rows[:, order], [ELEMENTS[i] for i in order])
    wider = ERRORS.covariance(np.hstack([rows, np.zeros((len(rows), 1))]), [*ELEMENTS, "Y"])
    assert shuffled == pytest.approx(ERRORS.covariance(rows, ELEMENTS), abs=1e-12)
    assert wider == pytest.approx(ERRORS.covariance(rows, ELEMENTS), abs=1e-6)


def test_samples_have_the_covariance_and_the_tails():
    rows = fractions("Li2ZrO3", "Li6Zr2O7", "Li2O", "O2", "Li", "Co(NO3)2")
    light = EnergyErrors("level", 100, 0.1, 0.28, 0.4, 0.05, ERRORS.gases, 9.0, 0.95)
    drawn = light.samples(rows, ELEMENTS, 40000, np.random.default_rng(5))
    assert drawn.shape == (40000, 6)
    assert np.all(drawn[:, 4] == 0)
    expected = light.covariance(rows, ELEMENTS)
    assert np.cov(drawn.T) == pytest.approx(expected, abs=0.05 * expected.max())
    scaled = drawn[:, 0] / np.sqrt(expected[0, 0] * 7 / 9)
    assert stats.kstest(scaled, stats.t(9).cdf).pvalue > 1e-3
    assert stats.kstest(scaled, stats.norm.cdf).pvalue < 1e-3


def test_reactions_among_alike_phases_are_surer_than_their_phases():
    """Li8ZrO6 + Li2ZrO3 → Li6Zr2O7 + 2 Li2O, per atom of the left side."""
    rows = fractions("Li8ZrO6", "Li2ZrO3", "Li6Zr2O7", "Li2O")
    change = np.array([-15, -6, 15, 6]) / 21
    deviation = np.sqrt(change @ ERRORS.covariance(rows, ELEMENTS) @ change)
    alone = np.sqrt(np.sum(change**2 * np.diag(ERRORS.covariance(rows, ELEMENTS))))
    assert deviation < 0.75 * alone
    low, high = ERRORS.interval(ERRORS.samples(rows, ELEMENTS, 4000, np.random.default_rng(0)) @ change)
    assert low == pytest.approx(-1.96 * deviation, rel=0.15)
    assert high == pytest.approx(1.96 * deviation, rel=0.15)


def synthetic_checks(truth, rng):
    formulas = list(formation_enthalpies())
    elements = sorted({e.symbol for f in formulas for e in Composition(f)})
    errors = truth.samples(fractions(*formulas, elements=elements), elements, 1, rng)[0]
    return [FormationCheck(f, float(r) - 1.0, -1.0, False, "drawn") for f, r in zip(formulas, errors, strict=True)]


def test_the_fit_finds_what_errors_were_drawn_from():
    truth = EnergyErrors("toy", 0, 0.12, 0.25, 0.4, 0.04, MappingProxyType({}), 1e6, 0.95)
    rng = np.random.default_rng(11)
    found = [fitted_errors("toy", synthetic_checks(truth, rng), {}) for _ in range(5)]
    assert np.mean([one.sigma for one in found]) == pytest.approx(truth.sigma, rel=0.25)
    assert np.mean([one.length for one in found]) == pytest.approx(truth.length, rel=0.3)
    assert np.mean([one.bonds for one in found]) == pytest.approx(truth.bonds, rel=0.5)
    assert np.mean([one.coverage for one in found]) == pytest.approx(0.95, abs=0.03)
    assert np.median([one.degrees_of_freedom for one in found]) > 6


def test_two_levels_that_err_twice_as_much_get_intervals_twice_as_wide():
    checks = synthetic_checks(ERRORS, np.random.default_rng(3))
    doubled = [FormationCheck(c.formula, -1.0 + 2 * c.error, -1.0, False, "") for c in checks]
    one, two = fitted_errors("a", checks, {}), fitted_errors("b", doubled, {})
    assert two.sigma == pytest.approx(2 * one.sigma, rel=0.02)
    assert two.length == pytest.approx(one.length, rel=0.02)
    assert two.coverage == one.coverage


def test_errors_of_the_packaged_level():
    level = Level.of("chgnet")
    errors = energy_errors(level)
    assert energy_errors(level) is errors
    assert 0.90 <= errors.coverage <= 1.0
    assert 0.03 < errors.sigma < 0.3
    assert {"O", "N"} <= set(errors.gases)
    file = packaged_energies(level)
    assert file is not None
    checks = packaged_checks(file)
    assert errors.n_compounds == len(checks)
    closed = [check for check in reaction_checks(checks, errors) if check.closed]
    assert covered(closed) >= 0.9
    assert all(check.products and check.deviation > 0 for check in closed)


def test_too_few_compounds_are_refused():
    checks = synthetic_checks(ERRORS, np.random.default_rng(1))[:14]
    with pytest.raises(MissingReferenceError, match=r"energies of 14 compounds.*at least 15"):
        fitted_errors("toy", checks, {})
    with pytest.raises(MissingReferenceError, match="energies of 0 compounds"):
        energy_errors(Level.of("ase.calculators.lj:LennardJones"))


@pytest.mark.parametrize("rows", [[[0.5, 0.4]], [[0.5, 0.5, 0.0]], [0.5, 0.5], [[1.5, -0.5]]])
def test_what_is_no_composition_is_refused(rows):
    with pytest.raises(InputError, match="sum to 1"):
        ERRORS.covariance(np.array(rows), ["Li", "O"])
