"""Moments to start from: the spins of ions in octahedra, as textbooks have them."""

from __future__ import annotations

import pytest
from pymatgen.core import Composition

from ionscape.levels.moments import starting_moments


def moments_of(formula: str, given: dict[str, float] | None = None) -> dict[str, float]:
    symbols = [symbol for symbol, count in Composition(formula).items() for symbol in [symbol.symbol] * int(count)]
    found = starting_moments(symbols, given or {})
    return dict(zip(symbols, found.tolist(), strict=True))


@pytest.mark.parametrize(
    ("formula", "element", "moment"),
    [
        ("LiCoO2", "Co", 0.0),  # Co(III), low spin
        ("CoO", "Co", 3.0),  # Co(II), high spin
        ("CoO2", "Co", 1.0),
        ("NiO", "Ni", 2.0),
        ("LiNiO2", "Ni", 1.0),
        ("LiMnO2", "Mn", 4.0),
        ("Li2MnO3", "Mn", 3.0),
        ("MnO", "Mn", 5.0),
        ("LiFePO4", "Fe", 4.0),
        ("FePO4", "Fe", 5.0),
        ("Fe2O3", "Fe", 5.0),
        ("Li3V2P3O12", "V", 2.0),
        ("Cr2O3", "Cr", 3.0),
        ("Li6Zr2O7", "Zr", 0.0),
        ("Gd2O3", "Gd", 7.0),
    ],
)
def test_ions(formula, element, moment):
    assert moments_of(formula)[element] == pytest.approx(moment)


def test_mixed_valence_lies_between():
    assert moments_of("Li2Co4O8")["Co"] == pytest.approx(0.5)  # Co 3.5+
    assert moments_of("Li2Mn4O8")["Mn"] == pytest.approx(3.5)


def test_several_transition_metals_are_balanced():
    found = moments_of("Li3NiMnCoO6")
    assert found["Co"] < 1.5
    assert found["Mn"] >= 3.0
    assert found["Ni"] >= 1.0


def test_other_ions_do_not_move_the_state():
    assert moments_of("Li36Zr8Co16O58")["Co"] == pytest.approx(0.0)


def test_metals_and_closed_shells():
    assert moments_of("Fe")["Fe"] > 2
    assert set(moments_of("Li2O").values()) == {0.0}


def test_given_moments_win():
    assert moments_of("LiCoO2", {"Co": 4.0}) == {"Li": 0.0, "Co": 4.0, "O": 0.0}
