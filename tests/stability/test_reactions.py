"""Reactions as text: balanced, in small whole numbers where there are any, nothing written twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_tables import imbalance, is_whole, terms

from ionscape.stability.reactions import LARGEST_COEFFICIENT, balanced_reaction


def test_whole_numbers_are_the_smallest():
    assert balanced_reaction({"LiFePO4": 0.5, "Li2O": 0.25}, {"Li3PO4": 0.5}) == "2 LiFePO4 + Li2O → 2 Li3PO4"
    assert balanced_reaction({"Li": 1 / 3}, {"X": 1 / 6, "Y": 1 / 7}) == "14 Li → 7 X + 6 Y"


def test_what_is_on_both_sides_cancels():
    assert balanced_reaction({"A": 2.0, "B": 1.0}, {"A": 0.5, "C": 3.0}) == "3 A + 2 B → 6 C"
    assert balanced_reaction({"A": 1.0, "B": 1.0}, {"A": 2.0, "C": 1.0}) == "B → A + C"


def test_a_reaction_of_nothing_is_still_written():
    assert balanced_reaction({"A": 1.0, "B": 0.0}, {"A": 1.0}) == "A → A"
    assert balanced_reaction({"A": 1.0, "B": 1.0}, {"A": 1.0, "B": 1.0}) == "A + B → A + B"


def test_traces_are_not_written():
    assert balanced_reaction({"A": 1.0, "B": 1e-12}, {"C": 1.0, "D": 1e-12}) == "A → C"


def test_other_numbers_count_per_formula_unit_of_the_first_reactant():
    assert balanced_reaction({"A": 2.0, "B": np.pi}, {"C": 1.0}) == "A + 1.571 B → 0.5 C"


def test_no_coefficient_is_rounded_away():
    """3e-7 of a formula unit is more than a trace of a reaction that is small itself, and is no whole number."""
    text = balanced_reaction({"A": 1.0}, {"B": 1.0, "C": 3e-7})
    assert "0 C" not in text.split(" + ")
    assert terms(text)[1].get("C", 1.0) > 0


@settings(deadline=None, max_examples=200)
@given(
    coefficients=st.lists(st.integers(1, 60), min_size=2, max_size=7),
    scale=st.floats(1e-4, 1e4),
    n_left=st.integers(1, 6),
)
def test_whole_reactions_are_found_at_any_scale(coefficients, scale, n_left):
    n_left = min(n_left, len(coefficients) - 1)
    names = "ABCDEFG"[: len(coefficients)]
    amounts = {name: scale * n for name, n in zip(names, coefficients, strict=True)}
    sides = [{n: amounts[n] for n in part} for part in (names[:n_left], names[n_left:])]
    found = {**terms(balanced_reaction(*sides))[0], **terms(balanced_reaction(*sides))[1]}
    divisor = np.gcd.reduce(coefficients)
    assert list(found) == list(names)
    assert [*found.values()] == [n // divisor for n in coefficients]
    assert max(found.values()) < LARGEST_COEFFICIENT


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_written_is_what_was_given(seed):
    rng = np.random.default_rng(seed)
    names = "ABCDEF"
    left = {
        name: float(n) for name, n in zip(names[:4], rng.integers(0, 9, 4) / rng.integers(1, 9, 4), strict=True)
    }
    right = {name: float(n) for name, n in zip(names[2:], rng.random(4) * 9, strict=True)}
    left["A"] += 1.0
    change = {name: right.get(name, 0.0) - left.get(name, 0.0) for name in names}
    text = balanced_reaction(left, right)
    written = [{n: s * c for n, c in side.items()} for s, side in zip((-1, 1), terms(text), strict=True)]
    found = {**written[0], **written[1]}
    first = next(iter(found))
    factor = found[first] / change[first]
    assert factor > 0
    for name, n in change.items():
        assert found.get(name, 0.0) == pytest.approx(factor * n, rel=1e-3, abs=1e-3 * factor)


def test_imbalance_sees_what_is_wrong():
    assert imbalance("2 Li + Li2O → 4 Li + O") == 0.0
    assert imbalance("Li2O → Li + O") > 0.1
    assert is_whole("2 Li + Li2O → 4 Li + O")
    assert not is_whole("2 Li + 0.5 Li2O → 3 Li + 0.5 O")
