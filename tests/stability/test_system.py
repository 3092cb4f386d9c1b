"""Closed and open systems of phases, and the reactants in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_tables import SYMBOLS, competing, random_phases
from pymatgen.analysis.phase_diagram import GrandPotPDEntry, PDEntry
from pymatgen.core import Composition, Element

from ionscape.errors import InputError, MissingReferenceError
from ionscape.stability.equilibrium import NoMixtureError
from ionscape.stability.system import Reactant, chemical_system, formula_atoms, reactant


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n_elements=st.integers(2, 8), n_open=st.integers(1, 2))
def test_grand_potentials_are_those_of_pymatgen(seed, n_elements, n_open):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 30)
    reservoirs = {e: float(rng.normal(-3, 1)) for e in SYMBOLS[: min(n_open, n_elements - 1)]}
    system = chemical_system(phases, reservoirs)
    assert set(system.elements) | set(reservoirs) == set(phases.elements)
    np.testing.assert_allclose(system.fractions.sum(axis=1), 1.0)
    np.testing.assert_allclose(system.grand_potentials(phases.energies), system.energies)
    for label, row, energy, unit in zip(
        system.labels, system.rows, system.energies, system.formula_units, strict=True
    ):
        composition = Composition(phases.formulas[row])
        entry = PDEntry(composition, phases.energies[row] * composition.num_atoms)
        peer = GrandPotPDEntry(entry, {Element(e): mu for e, mu in reservoirs.items()})
        assert energy == pytest.approx(peer.energy_per_atom, abs=1e-9)
        assert unit == pytest.approx(sum(n for e, n in composition.items() if e.symbol not in reservoirs))
        one = reactant(label, phases)
        assert system.potential(one, one.energy) == pytest.approx(energy, abs=1e-9)
    assert len(system.labels) == sum(
        1 for f in phases.fractions if f @ [e not in reservoirs for e in phases.elements]
    )


def test_a_closed_system_is_the_phases_themselves(packaged):
    system = chemical_system(packaged)
    assert system.labels == packaged.labels
    np.testing.assert_array_equal(system.energies, packaged.energies)
    np.testing.assert_allclose(system.fractions, packaged.fractions)
    np.testing.assert_allclose(system.formula_units, [Composition(label).num_atoms for label in system.labels])


def test_subsystems_hold_what_their_elements_make(packaged):
    system = chemical_system(packaged)
    present = np.array([element in {"Li", "O"} for element in system.elements])
    part = system.subsystem(present)
    assert {packaged.labels[row] for row in part.rows} == {
        label for label in packaged.labels if {e.symbol for e in Composition(label).elements} <= {"Li", "O"}
    }
    assert system.subsystem(present.copy()) is part
    levelled = part.energies + part.fractions @ part.references
    np.testing.assert_allclose(levelled, packaged.energies[part.rows])
    np.testing.assert_allclose(part.levelled(packaged.energies), part.energies)
    with pytest.raises(NoMixtureError):
        system.subsystem(np.zeros(len(system.elements), dtype=bool))


def test_reactants_are_known_in_any_notation(packaged):
    oxide = reactant("CoLiO2", packaged)
    assert oxide.label == "LiCoO2"
    assert oxide.energy == packaged.energy_of("LiCoO2")
    assert reactant("Li2Co2O4", packaged) == oxide
    half = reactant("Li0.5CoO2", packaged)
    assert (half.label, half.composition) == ("Li0.5CoO2", {"Li": 0.5, "Co": 1.0, "O": 2.0})
    assert reactant("Li0.37CoO2", packaged).energy is None
    assert (formula_atoms("Li0.5CoO2"), formula_atoms("NCM333")) == (3.5, 12.0)


def test_points_count_per_closed_atom():
    phases = competing([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 1, 0]], [-1.9, -4.9, -7.0, -4.7], ("Li", "O", "Co"))
    system = chemical_system(phases, {"Li": -3.0})
    closed, exchanged, atoms = system.point({"Li": 1, "Co": 1, "O": 2})
    assert dict(zip(system.elements, closed.tolist(), strict=True)) == {"Co": 1 / 3, "O": 2 / 3}
    assert exchanged.tolist() == [1 / 3]
    assert atoms == 3.0


def test_what_the_phases_do_not_cover_is_refused(packaged):
    system = chemical_system(packaged, {"Li": -2.0})
    with pytest.raises(InputError, match="nothing but Li"):
        system.point({"Li": 2.0})
    with pytest.raises(MissingReferenceError, match="Fe"):
        system.point({"Fe": 1.0, "O": 1.0})
    assert system.point({"Fe": 0.0, "O": 1.0})[2] == 1.0
    with pytest.raises(MissingReferenceError, match="Na"):
        chemical_system(packaged, {"Na": -1.0})
    with pytest.raises(MissingReferenceError):
        reactant("not a formula", packaged)
    assert Reactant("X", {"O": 1.0}, None).energy is None
