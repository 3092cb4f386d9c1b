"""Gas references: what the fit must do, and what it gives with the packaged data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from ionscape.errors import MissingReferenceError
from ionscape.phases.enthalpies import formation_enthalpies
from ionscape.phases.references import (
    _weighted_median,
    calibrating_compounds,
    calibrating_formulas,
    fitted_reference,
)
from ionscape.phases.table import phase_table
from ionscape.units import KJ_PER_MOL_PER_EV


def exact_level(element, mu, solid):
    """Energies of a level that reproduces every measured enthalpy if the gas has energy `mu`."""
    energies = {}
    for row in calibrating_compounds(element):
        composition = Composition(row.formula)
        for other in composition.chemical_system_set - {element}:
            energies[other] = solid + ord(other[0]) / 50
        elements = {e.symbol: composition.get_atomic_fraction(e) for e in composition}
        energies[row.formula] = row.enthalpy + sum(
            x * (mu if e == element else energies[e]) for e, x in elements.items()
        )
    return energies


@settings(deadline=None, max_examples=20)
@given(element=st.sampled_from(["O", "N", "Br"]), mu=st.floats(-20, 20), solid=st.floats(-20, 20))
def test_finds_the_reference_of_an_exact_level(element, mu, solid):
    found = fitted_reference(element, exact_level(element, mu, solid))
    assert found.energy == pytest.approx(mu, abs=1e-9)
    assert found.leave_one_out == pytest.approx(0.0, abs=1e-9)
    assert found.uncertainty == pytest.approx(0.0, abs=1e-9)


def test_one_bad_compound_does_not_shift_it():
    energies = exact_level("O", -4.9, -2.0)
    energies["MgO"] -= 1.0
    found = fitted_reference("O", energies)
    assert found.energy == pytest.approx(-4.9, abs=1e-9)
    assert found.residuals["MgO"] == pytest.approx(-1.0, abs=1e-9)
    assert found.leave_one_out == pytest.approx(1.0 / len(found.residuals), abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 1)), min_size=1, max_size=12))
def test_weighted_median_minimises_absolute_deviations(pairs):
    values, weights = (np.array(column) for column in zip(*pairs, strict=True))
    middle = _weighted_median(values, weights)
    cost = lambda m: float(np.sum(weights * np.abs(values - m)))  # noqa: E731
    assert cost(middle) <= min(cost(v) for v in values) + 1e-9


def test_calibrating_compounds_are_of_the_s_and_p_block_and_not_self_bonded():
    for element in ("O", "N", "Br"):
        names = {row.phase for row in calibrating_compounds(element)}
        assert len(names) >= 4
        assert not names & {"Li2O2", "LiN3", "ZrO2", "ZrN", "CoO", "LiNO3"}
        assert calibrating_formulas([element]) >= names
    assert calibrating_formulas(["Li", "Zr"]) == set()


def test_self_bonded_is_what_the_structures_say():
    """O–O bonds of peroxides are near 1.5 Å, N–N of azides near 1.2 Å; ions of oxides and nitrides keep > 2 Å."""
    for row in formation_enthalpies().values():
        crystal = phase_table()[row.phase].structure()
        first, second, _, _ = crystal.get_neighbor_list(1.8)
        symbols = [site.specie.symbol for site in crystal]
        bonded = any(symbols[i] == symbols[j] in {"O", "N"} for i, j in zip(first, second, strict=True))
        assert bonded == row.self_bonded, row.phase


def test_enthalpies_are_per_atom():
    """Li2O: −597.9 kJ/mol (CRC Handbook), three atoms."""
    assert formation_enthalpies()["Li2O"].enthalpy == pytest.approx(-597.9 / 3 / KJ_PER_MOL_PER_EV)
    assert all(-5 < row.enthalpy < 0.2 for row in formation_enthalpies().values())


def test_phosphorus_counts_from_the_packaged_black_form():
    """White to black −21.2 kJ/mol (O'Hare, Lewis & Shirotani 1988): compounds become less exothermic."""
    phosphate, oxide = formation_enthalpies()["LiFePO4"], formation_enthalpies()["Li2O"]
    assert phosphate.enthalpy - phosphate.tabulated == pytest.approx(21.2 / 7 / KJ_PER_MOL_PER_EV)
    assert phosphate.tabulated == pytest.approx(-1616.0 / 7 / KJ_PER_MOL_PER_EV)
    assert formation_enthalpies()["FeP2"].enthalpy - formation_enthalpies()["FeP2"].tabulated == pytest.approx(
        2 * 21.2 / 3 / KJ_PER_MOL_PER_EV
    )
    assert oxide.enthalpy == oxide.tabulated
    assert phase_table()["P"].space_group == "Cmce"


def test_a_gas_without_calibration_is_refused():
    with pytest.raises(MissingReferenceError, match="reference energy of O"):
        fitted_reference("O", {"Li": -1.9, "Li2O": -4.9})


def test_a_gas_without_measured_enthalpies_is_told_so():
    """No relaxation could calibrate chlorine: the remedy must not ask for one."""
    with pytest.raises(
        MissingReferenceError, match="no measured enthalpies to fit the reference energy of Cl"
    ) as told:
        fitted_reference("Cl", {"Li": -1.9, "Zr": -8.5})
    assert "N, O, Br" in str(told.value)
    assert "relax_missing" not in str(told.value)
