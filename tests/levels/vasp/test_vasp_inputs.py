"""Inputs of VASP beside pymatgen's set of the Materials Project, whose differences are all told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar
from pymatgen.io.vasp.sets import MPRelaxSet

from ionscape.errors import InputError
from ionscape.levels.vasp.inputs import differences, inputs_of
from ionscape.levels.vasp.settings import vasp_settings
from ionscape.structures.exchange import to_structure


@pytest.fixture
def cathode() -> Structure:
    lattice = Lattice([[2.9, 0.1, -0.2], [0.4, 5.0, 0.3], [0.2, -0.5, 14.2]])
    species = ["Li", "O", "Co", "O", "Co", "O", "Li", "O"]
    rng = np.random.default_rng(1)
    return Structure(lattice, species, rng.random((8, 3)))


def public(structure: Structure):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = MPRelaxSet(structure, sort_structure=False)
        return made.incar, made.kpoints, made.potcar_symbols


def test_the_study_has_its_numbers(cathode):
    inputs = inputs_of(cathode, vasp_settings({}))
    incar = inputs.incar
    assert (incar["ENCUT"], incar["ISPIN"], incar["NSW"], incar["IBRION"]) == (520.0, 2, 0, -1)
    assert (incar["LDAUTYPE"], incar["LDAUU"], incar["LDAUL"]) == (2, [0.0, 0.0, 3.32], [-1, -1, 2])
    assert inputs.potcars == ("Li_sv", "O", "Co")
    assert np.prod(inputs.kpoints.kpts[0]) * len(cathode) >= 1000
    assert inputs.kpoints.style.name == "Monkhorst"


def test_the_zirconate_takes_the_potentials_of_the_study(li6zr2o7):
    inputs = inputs_of(li6zr2o7, vasp_settings({}))
    assert dict(zip(["Li", "Zr", "O"], inputs.potcars, strict=True)) == {"Li": "Li_sv", "Zr": "Zr_sv", "O": "O"}
    assert "LDAU" not in inputs.incar


def test_the_public_set_differs_in_what_a_single_point_is_only(cathode):
    found = differences(cathode, vasp_settings({"preset": "materials-project"}))
    assert set(found) == {"IBRION", "NSW", "ISIF", "LCHARG"}
    inputs = inputs_of(cathode, vasp_settings({"preset": "materials-project"}))
    incar, kpoints, titles = public(inputs.structure)
    assert inputs.incar["LDAUU"] == incar["LDAUU"]
    assert inputs.incar["MAGMOM"] == incar["MAGMOM"]
    assert inputs.kpoints.kpts == kpoints.kpts
    assert inputs.potcars == tuple(titles)


def test_what_the_study_changes_is_listed(cathode):
    found = differences(cathode, vasp_settings({"cutoff_eV": 600.0}))
    assert found["ENCUT"] == (600.0, 520.0)
    assert {"EDIFF", "ISMEAR", "NSW", "KPOINTS"} <= set(found)
    assert "ISPIN" not in found
    assert "POTCAR" not in found


def test_files_are_read_back_by_pymatgen_and_atoms_are_grouped(cathode, tmp_path):
    inputs = inputs_of(cathode, vasp_settings({"incar": {"nelm": 77, "LREAL": "Auto"}}))
    inputs.write(tmp_path)
    read = Poscar.from_file(tmp_path / "POSCAR").structure
    assert [site.specie.symbol for site in read] == ["Li"] * 2 + ["O"] * 4 + ["Co"] * 2
    for number, index in enumerate(inputs.order):
        assert np.allclose(read[number].coords, cathode[int(index)].coords, atol=1e-9)
    incar = Incar.from_file(tmp_path / "INCAR")
    assert (incar["NELM"], incar["LREAL"], incar["ENCUT"]) == (77, "Auto", 520.0)
    assert incar["MAGMOM"] == pytest.approx(inputs.incar["MAGMOM"])
    assert Kpoints.from_file(tmp_path / "KPOINTS").kpts == inputs.kpoints.kpts
    assert (tmp_path / "POTCAR.spec").read_text().split() == ["Li_sv", "O", "Co"]


def test_moments_and_shells(cathode):
    cathode.replace_species({"Co": "Fe"})
    inputs = inputs_of(cathode, vasp_settings({"hubbard_U_eV": {"Fe": 5.3}}))
    assert inputs.incar["MAGMOM"] == [0.6] * 6 + [5.0] * 2
    assert inputs.incar["LDAUU"] == [0.0, 0.0, 5.3]
    lanthanide = Structure(Lattice.cubic(5.4), ["Ce", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    found = inputs_of(lanthanide, vasp_settings({"hubbard_U_eV": {"Ce": 5.0}}))
    assert (found.incar["LDAUL"], found.incar["LMAXMIX"]) == ([3, -1], 6)


def test_u_acts_in_oxides_and_fluorides_only(cathode):
    cathode.replace_species({"O": "S"})
    assert "LDAU" not in inputs_of(cathode, vasp_settings({})).incar


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"incar": {"ENCUT": 400}}, "ENCUT, which the level sets itself"),
        ({"hubbard_U_eV": {"Co": 40.0}}, "less than or equal to 12"),
        ({"hubbard_U_eV": {"O": 4.0}}, "not 'O'"),
        ({"presets": "study"}, "Did you mean 'preset'"),
    ],
)
def test_wrong_settings_are_refused(given, told):
    with pytest.raises(InputError) as error:
        vasp_settings(given)
    assert told in str(error.value)


def test_elements_without_potcar_are_named(cathode):
    cathode.replace_species({"Co": "Po"})
    with pytest.raises(InputError, match="no POTCAR is known for Po"):
        inputs_of(to_structure(cathode.to_ase_atoms()), vasp_settings({"hubbard_U_eV": {}}))
