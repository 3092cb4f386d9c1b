"""The mobile ion's reservoir."""

import pytest
from phase_tables import competing

from ionscape.errors import InputError, MissingReferenceError
from ionscape.stability.mobile import ion_charge, reservoir_at

PHASES = competing([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 1]], [-1.9, -1.5, -4.9, -4.7], ("Li", "Mg", "O"))


def test_a_volt_lowers_the_potential_by_the_charge():
    assert reservoir_at("Li", 0.0, PHASES) == {"Li": -1.9}
    assert reservoir_at("Li", 3.0, PHASES)["Li"] == pytest.approx(-4.9)
    assert reservoir_at("Mg", 3.0, PHASES)["Mg"] == pytest.approx(-7.5)


def test_without_a_voltage_there_is_no_reservoir():
    assert reservoir_at("Li", None, PHASES) == {}
    assert reservoir_at("", None, PHASES) == {}


def test_charges_are_those_of_the_ions():
    assert [ion_charge(ion) for ion in ("Li", "Na", "K", "Ag", "Mg", "Ca", "Zn", "Al")] == [1, 1, 1, 1, 2, 2, 2, 3]


def test_what_is_no_reservoir_is_refused():
    with pytest.raises(InputError, match="'O' is no mobile ion"):
        reservoir_at("O", 1.0, PHASES)
    with pytest.raises(InputError, match="plated"):
        reservoir_at("Li", -0.1, PHASES)
    with pytest.raises(MissingReferenceError, match="Na"):
        reservoir_at("Na", 1.0, PHASES)
