"""Statements of another study are borne out only where numbers order so, and intervals decide only apart."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ionscape.study.claims import Claim, judge
from ionscape.study.comparison import ReferenceValue, compare, rounding_of


def number(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit}


def estimate(low: float, value: float, high: float, unit: str) -> dict[str, Any]:
    return {"value": number(value, unit), "low95": number(low, unit), "high95": number(high, unit)}


def runs(*rows: tuple[str, float, dict[str, Any]]) -> dict[str, Any]:
    return {
        "transport": {
            "runs": [{"material": name, "temperature": number(T, "K"), **values} for name, T, values in rows]
        }
    }


def claim(**changes: Any) -> Claim:
    told = {"says": "so", "source": "Fig. 1", "quantity": "xi", "kind": "falls", "targets": ("A", "B")}
    return Claim(**{**told, "temperatures_K": (300.0,), **changes})


def outcome(one: Claim, stages: dict[str, Any]) -> str:
    (found,) = judge([one], stages)
    return found.outcome


energies = st.lists(st.floats(-1, 1), min_size=2, max_size=5, unique=True)


def test_unknown_quantities_are_told_by_their_key() -> None:
    with pytest.raises(ValidationError) as caught:
        claim(quantity="barrier")
    assert [problem["loc"] for problem in caught.value.errors()] == [("quantity",)]


@given(energies)
def test_order_of_plain_numbers(values: list[float]) -> None:
    names = tuple("ABCDE"[: len(values)])
    stages = {
        "stability": {
            "targets": [{"name": n, "e_d": number(v, "eV/atom")} for n, v in zip(names, values, strict=True)]
        }
    }
    told: dict[str, Any] = {"quantity": "decomposition_energy", "targets": names, "temperatures_K": ()}
    expected = {
        "rises": all(one < other for one, other in itertools.pairwise(values)),
        "falls": all(one > other for one, other in itertools.pairwise(values)),
        "is lowest": values[0] == min(values),
        "is highest": values[0] == max(values),
    }
    for kind, holds in expected.items():
        assert outcome(claim(kind=kind, **told), stages) == ("agrees" if holds else "differs"), kind
    middle = 500 * (min(values) + max(values))  # in meV/atom
    assert outcome(claim(kind="is below", limit=1001.0, **told), stages) == "agrees"
    assert outcome(claim(kind="is above", limit=middle, **told), stages) == "differs"


@pytest.mark.parametrize(
    ("second", "expected"), [((1, 2, 3), "agrees"), ((1, 4, 7), "undecided"), ((8, 9, 10), "differs")]
)
def test_intervals_decide_only_apart(second: tuple[float, float, float], expected: str) -> None:
    stages = runs(
        ("A", 300.0, {"xi": estimate(5, 6, 7, "Å")}), ("B", 300.0, {"xi": estimate(*map(float, second), "Å")})
    )
    assert outcome(claim(), stages) == expected


def test_missing_number_is_unknown_and_told() -> None:
    stages = runs(("A", 300.0, {"xi": estimate(5, 6, 7, "Å")}), ("B", 300.0, {"xi": {"unavailable": "no peaks"}}))
    (found,) = judge([claim()], stages)
    assert found.outcome == "unknown"
    assert found.numbers[1]["unavailable"] == "no peaks"
    assert outcome(claim(targets=("A", "C")), stages) == "unknown"
    assert judge([claim()], {"stability": {}}) == []  # the stage was left out


def test_flags_at_all_temperatures() -> None:
    stages = runs(("A", 800.0, {"is_diffusive": False}), ("A", 1000.0, {"is_diffusive": True}))
    told: dict[str, Any] = {"quantity": "is_diffusive", "targets": ("A",)}
    assert outcome(claim(kind="does not hold", **(told | {"temperatures_K": (800.0,)})), stages) == "agrees"
    assert (
        outcome(claim(kind="does not hold", **(told | {"temperatures_K": (800.0, 1000.0)})), stages) == "differs"
    )
    assert outcome(claim(kind="holds", **(told | {"temperatures_K": (1000.0, 1200.0)})), stages) == "unknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "holds"},
        {"kind": "is below"},
        {"limit": 3.0},
        {"temperatures_K": ()},
        {"targets": ("A",)},
        {"quantity": "decomposition_energy"},
        {"quantity": "is_diffusive"},
    ],
)
def test_claims_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="expected"):
        claim(**changes)


def test_reactions_by_pair_and_voltage() -> None:
    def reaction(energy: float) -> dict[str, Any]:
        return {"cathode": "X", "phase": "Y", "strongest": {"energy": number(energy, "eV/atom")}}

    stages = {
        "contact": {
            "matrices": [
                {"reactions": [reaction(-0.02)], "mobile": ""},
                {"reactions": [reaction(-0.05)], "mobile": "Li", "voltage": number(4.0, "V")},
            ]
        }
    }
    told: dict[str, Any] = {"quantity": "reaction_energy", "target": "X | Y", "value": -20.0, "source": "Fig. 2b"}
    (closed,) = compare([ReferenceValue(**told)], stages)
    (charged,) = compare([ReferenceValue(**told, voltage_V=4.0)], stages)
    assert closed.ours["value"] == pytest.approx(-20.0)
    assert closed.verdict == "within"
    assert charged.ours["value"] == pytest.approx(-50.0)
    assert charged.verdict == "differs"


@pytest.mark.parametrize(
    ("value", "open_digits"), [(15.3, 0.05), (40.0, 0.5), (1.67, 0.005), (4.2e-5, 0.05e-5), (0.0, 0.5)]
)
def test_what_the_digits_of_a_number_leave_open(value: float, open_digits: float) -> None:
    assert rounding_of(value) == pytest.approx(open_digits)


@pytest.mark.parametrize(("tolerance", "verdict"), [(None, "differs"), (0.2, "within")])
def test_tolerance_of_a_reference(tolerance: float | None, verdict: str) -> None:
    stages = {
        "host": {"host": {"name": "H", "cell": {"a": number(10.55, "Å")}}, "cathode": {"name": "C", "cell": {}}}
    }
    reference = ReferenceValue(quantity="a", target="H", value=10.445, tolerance=tolerance, source="experiment")
    (found,) = compare([reference], stages)
    assert found.verdict == verdict
