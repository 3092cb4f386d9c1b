"""The packaged phase table: every entry is rebuilt and held against itself, and against measured densities."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from ionscape.errors import MissingReferenceError
from ionscape.phases.table import phase_table, phases_within, polymorphs, reduced_formula
from ionscape.structures.exchange import check_structure

# Measured densities in g/cm³, CRC Handbook of Chemistry and Physics; DFT cells agree within some percent.
MEASURED_DENSITY = {
    "Li": 0.534, "Zr": 6.52, "Co": 8.86, "Fe": 7.87, "La": 6.15, "Nb": 8.57, "Ta": 16.4, "Y": 4.47,
    "Li2O": 2.013, "Li2O2": 2.31, "ZrO2": 5.68, "ZrN": 7.09, "Li3N": 1.27, "LiNO3": 2.38, "CoO": 6.44,
}  # fmt: skip
LI_ZR_O_N = (
    "Li", "Zr", "O2", "N2", "Li2O", "Li2O2", "Li3N", "ZrO2", "ZrN", "Zr2ON2", "Zr3N4", "Li2ZrO3", "Li6Zr2O7",
    "Li8ZrO6", "Li2ZrN2", "LiNO3",
)  # fmt: skip

ABBREVIATIONS = {"NCM333": "Li3MnCoNiO6", "NCM811": "Li10MnCoNi8O20"}
BUILT: dict = {}


def built(phase):
    if phase.name not in BUILT:
        BUILT[phase.name] = phase.structure()
    return BUILT[phase.name]


def test_every_entry_rebuilds_to_what_it_says():
    wrong = []
    for phase in phase_table().values():
        crystal = built(phase)
        if crystal.composition.reduced_formula != phase.formula:
            wrong.append((phase.name, "composition", crystal.composition.formula))
        if Composition(ABBREVIATIONS.get(phase.label, phase.label)).reduced_formula != phase.formula:
            wrong.append((phase.name, "name", phase.formula))
        if len(crystal) != phase.atoms:
            wrong.append((phase.name, "atoms", len(crystal)))
        if abs(crystal.density - phase.density) > 0.01:
            wrong.append((phase.name, "density", crystal.density))
    assert not wrong


def test_no_atoms_overlap():
    for phase in phase_table().values():
        check_structure(built(phase), where=phase.name)
        shortest = built(phase).get_neighbor_list(1.0)[3]
        assert len(shortest) == 0, phase.name


def space_group(crystal):
    cell = (crystal.lattice.matrix, crystal.frac_coords, crystal.atomic_numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return spglib.get_symmetry_dataset(cell, symprec=0.01).international


def test_no_entry_falls_into_a_larger_space_group():
    wrong = []
    for phase in phase_table().values():
        if phase.role != "reference" and phase.atoms <= 120:
            found = space_group(built(phase))
            if found != phase.space_group:
                wrong.append((phase.name, phase.space_group, found))
    assert not wrong


@pytest.mark.parametrize("formula", sorted(MEASURED_DENSITY))
def test_density_is_that_of_the_substance(formula):
    assert phase_table()[formula].density == pytest.approx(MEASURED_DENSITY[formula], rel=0.08)


def test_one_primary_per_formula_and_no_polymorph_twice():
    primaries = [phase.formula for phase in phase_table().values() if phase.role == "primary"]
    assert len(primaries) == len(set(primaries))
    digests = [phase.digest for phase in phase_table().values()]
    assert len(digests) == len(set(digests))


def test_system_of_the_source_study_is_there():
    names = {phase.label for phase in phases_within({"Li", "Zr", "O", "N"})}
    assert set(LI_ZR_O_N) <= names
    assert not any("Co" in phase.elements for phase in phases_within({"Li", "Zr", "O", "N"}))


@pytest.mark.parametrize(("formula", "density"), [("Li6Zr2O7", 3.56), ("LiCoO2", 5.05)])
def test_measured_cells(formula, density):
    """Measured densities: Czekalla & Jeitschko 1993; Orman & Wiseman 1984."""
    crystal = polymorphs(formula)[0].structure(measured=True)
    assert crystal.density == pytest.approx(density, rel=0.01)
    with pytest.raises(MissingReferenceError, match="no measured cell"):
        polymorphs("Li2O")[0].structure(measured=True)


@pytest.mark.parametrize("name", ["Li6Zr2O7", "LiCoO2", "Li2O", "ZrO2"])
def test_primitive_cell_is_the_same_crystal(name):
    phase = phase_table()[name]
    whole, primitive = built(phase), phase.structure(primitive=True)
    assert primitive.density == pytest.approx(whole.density, rel=1e-6)
    assert len(whole) % len(primitive) == 0
    near = sorted(np.round(whole.get_neighbor_list(2.6)[3], 4))
    same = sorted(np.round(primitive.get_neighbor_list(2.6)[3], 4))
    assert near == pytest.approx(sorted(same * (len(whole) // len(primitive))), abs=2e-4)


@pytest.mark.parametrize("name", ["Li6Zr2O7", "LiCoO2", "ZrO2 P4_2/nmc", "Co3O4", "Li3N", "Zr2ON2", "Fe2P2O7 P-1"])
def test_unit_cell_agrees_with_pymatgen(name):
    phase = phase_table()[name]
    coordinates = [[float(Fraction(x)) for x in site.split()[1:]] for site in phase.sites]
    species = [site.split()[0] for site in phase.sites]
    lattice = Lattice.from_parameters(*phase.lengths, *phase.angles)
    peer = Structure.from_spacegroup(phase.space_group, lattice, species, coordinates)
    assert StructureMatcher(primitive_cell=False, scale=False).get_rms_dist(peer, built(phase))[0] < 1e-4


def test_digest_follows_the_facts():
    import dataclasses

    phase = phase_table()["Li2O"]
    assert dataclasses.replace(phase, note="x").digest == phase.digest
    assert dataclasses.replace(phase, lengths=(4.6, 4.6, 4.7)).digest != phase.digest


def test_formulas_in_any_notation():
    assert reduced_formula("O7Zr2Li6") == reduced_formula("Li12Zr4O14") == "Li6Zr2O7"
    assert reduced_formula("Zr2ON2") == "Zr2N2O"
    assert [phase.name for phase in polymorphs("ZrO2")] == ["ZrO2", "ZrO2 P4_2/nmc"]


@pytest.mark.parametrize("formula", ["", "xx", "Zr0", "Li6Zr2O7X", "NaCl"])
def test_unknown_formulas_are_refused(formula):
    with pytest.raises(MissingReferenceError, match="expected"):
        polymorphs(formula)


def test_what_only_calibrates_is_neither_offered_nor_suggested():
    with pytest.raises(MissingReferenceError, match="MgO only to calibrate"):
        polymorphs("MgO")
    with pytest.raises(MissingReferenceError) as caught:
        polymorphs("Mg0")
    assert "'MgO'" not in str(caught.value)
