"""Formal charges: which oxidation states that a structure carries are believed."""

from __future__ import annotations

import pytest
from pymatgen.core import Composition, Lattice, Structure

from ionscape.structures import charges
from ionscape.structures.charges import formal_charges

LITHIA = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.62), ["Li", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]
)  # fmt: skip


@pytest.mark.parametrize("carried", [{"Li": 0, "O": 0}, {"Li": 1, "O": -1}])
def test_carried_states_that_are_zero_or_charged_do_not_count(carried: dict[str, int]) -> None:
    written = LITHIA.copy().add_oxidation_state_by_element(carried)
    assert formal_charges(written) == {"Li": 1, "O": -2}


def test_carried_states_that_are_neutral_count() -> None:
    written = LITHIA.copy().add_oxidation_state_by_element({"Li": 0.5, "O": -1})
    assert formal_charges(written) == {"Li": 0.5, "O": -1}


@pytest.mark.parametrize("formula", ["Li4Zr2O6", "Li2Co2O4", "Fe6O8", "Li3Co4O8"])
def test_guess_from_one_formula_unit_is_that_of_the_cell(formula: str) -> None:
    composition = Composition(formula)
    whole = composition.oxi_state_guesses()[0]
    assert charges._most_frequent(composition) == pytest.approx(whole)


def test_guess_for_a_large_cell_looks_at_one_formula_unit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    guesses = Composition.oxi_state_guesses
    monkeypatch.setattr(Composition, "oxi_state_guesses", lambda self: asked.append(self) or guesses(self))
    found = charges._most_frequent(Composition("Li12Mn4Ni4Co4O24"))
    assert asked == [Composition("Li3MnNiCoO6")]
    assert found["Li"] == 1
    assert found["O"] == -2
    assert found["Mn"] + found["Ni"] + found["Co"] == 9
