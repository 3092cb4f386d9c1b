"""Formal charges and the balance of charge."""

import pytest
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from ionscape.doping.charges import host_charges, refuse_imbalance, route_charges
from ionscape.doping.settings import DopingRoute
from ionscape.errors import InputError

HOST = {"Li": 1.0, "Zr": 4.0, "O": -2.0}


def route(**fields: dict):
    return DopingRoute(name="test", **fields)


def test_charges_of_the_hosts_are_those_of_the_textbook(lzo, rocksalt):
    assert host_charges(lzo.crystal, {}) == HOST
    assert host_charges(rocksalt.crystal, {}) == {"Mg": 2.0, "O": -2.0}


def test_layered_oxide_has_trivalent_cobalt():
    crystal = Structure.from_spacegroup(
        "R-3m",
        Lattice.hexagonal(2.816, 14.05),
        ["Li", "Co", "O"],
        [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.24]],
    )
    assert host_charges(crystal, {}) == {"Li": 1.0, "Co": 3.0, "O": -2.0}


def test_an_element_of_the_host_with_several_states_keeps_its_charge_as_a_dopant():
    host = {"Li": 1.0, "Co": 3.0, "O": -2.0}
    assert route_charges(route(replace={"Li": "Co"}, remove={"Li": 2}), host, {}) == host


@pytest.mark.parametrize(
    ("replace", "message"),
    [({"Li": "Li"}, "changes nothing"), ({"Li": "Zr", "Zr": "Nb"}, "itself replaced by Nb")],
)
def test_routes_that_undo_themselves_are_refused(replace, message):
    with pytest.raises(ValidationError, match=message):
        route(replace=replace)


def test_stated_charges_go_before_guesses_and_must_balance(rocksalt):
    assert host_charges(rocksalt.crystal, {"Mg": 1.0, "O": -1.0, "N": -3.0}) == {"Mg": 1.0, "O": -1.0}
    with pytest.raises(InputError, match=r"net charge of -4 e with Mg \+1, O -2"):
        host_charges(rocksalt.crystal, {"Mg": 1.0, "O": -2.0})


def test_a_host_without_oxidation_states_asks_for_them():
    with pytest.raises(InputError, match=r"charges = \{ Cu = …, Zn = … \}"):
        host_charges(Structure(Lattice.cubic(2.95), ["Cu", "Zn"], [[0, 0, 0], [0.5] * 3]), {})


@pytest.mark.parametrize(
    ("fields", "element", "charge"),
    [
        ({"replace": {"O": "N"}}, "N", -3),
        ({"replace": {"O": "F"}}, "F", -1),
        ({"replace": {"O": "Cl"}}, "Cl", -1),
        ({"replace": {"O": "S"}}, "S", -2),
        ({"replace": {"Zr": "Nb"}}, "Nb", 5),
        ({"replace": {"Zr": "Al"}}, "Al", 3),
        ({"insert": {"N": 1}}, "N", -3),
        ({"insert": {"Mg": 1}}, "Mg", 2),
        ({"insert": {"Li": 1}}, "Li", 1),
        ({"insert": {"Br": 1}}, "Br", -1),
    ],
)
def test_dopants_take_their_one_common_charge(fields, element, charge):
    assert route_charges(route(**fields), HOST, {})[element] == charge


def test_ambiguous_and_unknown_dopants_are_refused():
    with pytest.raises(InputError, match=r"W is ambiguous .*\+4, \+6"):
        route_charges(route(replace={"Zr": "W"}), HOST, {})
    assert route_charges(route(replace={"Zr": "W"}), HOST, {"W": 6.0})["W"] == 6
    with pytest.raises(InputError, match="unknown element 'Xx'"):
        route_charges(route(replace={"O": "Xx"}), HOST, {})
    with pytest.raises(InputError, match="'S' is to be replaced or removed but is not in the host"):
        route_charges(route(replace={"S": "N"}), HOST, {})
    with pytest.raises(InputError, match="none with the sign"):
        route_charges(route(replace={"O": "Mg"}), HOST, {})


@pytest.mark.parametrize(
    ("fields", "balanced"),
    [
        ({"replace": {"O": "N"}, "insert": {"Li": 1}}, True),
        ({"insert": {"N": 1, "Li": 3}}, True),
        ({"replace": {"O": "F"}, "remove": {"Li": 1}}, True),
        ({"replace": {"Zr": "Nb"}, "remove": {"Li": 1}}, True),
        ({"replace": {"Zr": "Nb", "O": "N"}}, True),
        ({"replace": {"O": "N"}, "remove": {"O": 0.5}}, True),
        ({"replace": {"O": "N"}}, False),
        ({"replace": {"O": "N"}, "insert": {"Li": 2}}, False),
        ({"insert": {"N": 1, "Li": 2}}, False),
    ],
)
def test_only_neutral_cells_pass(fields, balanced):
    doping = route(**fields)
    charges = route_charges(doping, HOST, {})
    if balanced:
        refuse_imbalance(doping, 2, charges)
    else:
        with pytest.raises(InputError, match="a charged cell"):
            refuse_imbalance(doping, 2, charges)


def test_refusal_states_the_imbalance_and_the_compensation():
    doping = route(replace={"O": "N"})
    with pytest.raises(InputError) as refusal:
        refuse_imbalance(doping, 2, route_charges(doping, HOST, {}))
    message = str(refusal.value)
    assert "-2 e in the supercell" in message
    assert "replacing 2 O(-2) by N(-3): -2" in message
    assert "insert Li=1 per dopant" in message


def test_suggested_compensation_balances():
    doping = route(insert={"N": 1, "Li": 1})
    with pytest.raises(InputError, match="insert Li=3 per dopant"):
        refuse_imbalance(doping, 1, route_charges(doping, HOST, {}))
    doping = route(replace={"O": "F"})
    with pytest.raises(InputError, match=r"remove Li=1 per dopant"):
        refuse_imbalance(doping, 1, route_charges(doping, HOST, {}))
