import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Lattice, Structure

from ionscape.errors import InputError
from ionscape.structures.exchange import (
    check_structure,
    check_writable,
    read_structure,
    to_atoms,
    to_structure,
    write_cif,
)

LATTICES = st.builds(
    Lattice.from_parameters,
    *[st.floats(4, 9)] * 3,
    *[st.floats(65, 115)] * 3,
)


def crystal(lattice):
    return Structure(lattice, ["Li", "Zr", "O"], [[0.01, 0.02, 0.03], [0.45, 0.5, 0.55], [0.5, 0.03, 0.47]])


def same(a, b, tolerance):
    """Same cell and same atoms in the same order, compared by distance (never by wrapped coordinates)."""
    gaps = np.diag(a.lattice.get_all_distances(a.frac_coords, b.frac_coords))
    return (
        [x.specie.symbol for x in a] == [x.specie.symbol for x in b]
        and np.allclose(a.lattice.parameters, b.lattice.parameters, atol=tolerance)
        and gaps.max() < tolerance
    )


@given(LATTICES)
@settings(deadline=None, max_examples=30)
def test_to_ase_and_back_keeps_everything(lattice):
    structure = crystal(lattice)
    atoms = to_atoms(structure)
    assert np.allclose(atoms.positions, structure.cart_coords, atol=1e-12)
    assert all(atoms.pbc)
    back = to_structure(atoms)
    assert np.allclose(back.lattice.matrix, lattice.matrix, atol=1e-12)
    assert same(structure, back, 1e-8)


@given(lattice=LATTICES)
@settings(deadline=None, max_examples=15)
def test_cif_round_trip_keeps_order_and_positions(tmp_path_factory, lattice):
    structure = crystal(lattice)
    path = write_cif(structure, tmp_path_factory.mktemp("cif") / "new" / "a.cif")
    assert same(structure, read_structure(path), 1e-6)


@pytest.mark.parametrize("name", ["POSCAR", "a.vasp", "a.extxyz", "a.cif", "a.json"])
def test_formats_are_read(tmp_path, lzo, name):
    path = tmp_path / name
    if name.endswith("extxyz"):
        to_atoms(lzo).write(path)
    elif name.endswith((".vasp", "POSCAR")):
        lzo.to(filename=str(path), fmt="poscar")
    else:
        lzo.to(filename=str(path))
    found = read_structure(path)
    assert found.composition == lzo.composition
    assert found.volume == pytest.approx(lzo.volume, rel=1e-5)
    nearest = lzo.lattice.get_all_distances(lzo.frac_coords, found.frac_coords).min(axis=0)
    assert nearest.max() < 1e-4


def test_oxidation_states_are_left_behind(tmp_path, lzo):
    charged = lzo.copy().add_oxidation_state_by_element({"Li": 1, "Zr": 4, "O": -2})
    path = write_cif(charged, tmp_path / "a.cif")
    assert {site.specie.symbol for site in read_structure(path)} == {"Li", "Zr", "O"}
    assert hasattr(charged[0].specie, "oxi_state"), "the argument must not be changed"
    assert to_atoms(charged).get_chemical_formula() == to_atoms(lzo).get_chemical_formula()


def refusal(action):
    with pytest.raises(InputError) as caught:
        action()
    assert caught.value.exit_code == 2
    assert caught.value.where
    assert caught.value.remedy
    return str(caught.value)


def test_missing_file_and_folder_are_refused(tmp_path):
    assert "no such file" in refusal(lambda: read_structure(tmp_path / "none.cif"))
    assert "not a file" in refusal(lambda: read_structure(tmp_path))


@pytest.mark.parametrize("name", ["a.cif", "POSCAR", "a.extxyz", "a.unknown"])
@pytest.mark.parametrize("text", ["", "nonsense\n1 2 3\n", "data_x\n_cell_length_a 4.0\n"])
def test_broken_files_are_refused_in_one_message(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    message = refusal(lambda: read_structure(path))
    assert str(path) in message
    assert "\n" not in message


def test_partial_occupancy_is_refused(tmp_path):
    mixed = Structure(Lattice.cubic(4), [{"Li": 0.5, "Na": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    mixed.to(filename=str(tmp_path / "a.cif"))
    assert "partial occupancy" in refusal(lambda: read_structure(tmp_path / "a.cif"))


def test_vacancies_are_refused():
    vacant = Structure(Lattice.cubic(4), [{"Li": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert "partial occupancy" in refusal(lambda: check_structure(vacant, where="test"))


def test_unknown_elements_are_refused():
    dummy = Structure(Lattice.cubic(4), [DummySpecies("X"), "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert "unknown element" in refusal(lambda: check_structure(dummy, where="test"))


@pytest.mark.parametrize("gap", [0.0, 0.3, 0.59])
def test_overlaps_are_refused_across_the_cell_boundary(gap):
    lattice = Lattice.from_parameters(5, 6, 7, 70, 80, 100)
    shift = lattice.get_fractional_coords([0, 0, gap])
    near = Structure(lattice, ["Li", "O"], [[0.999, 0.999, 0.999], np.array([0.999] * 3) + shift])
    assert "apart" in refusal(lambda: check_structure(near, where="test"))


def test_an_atom_too_close_to_its_own_image_is_refused():
    flat = Structure(Lattice.orthorhombic(0.5, 5, 5), ["Li"], [[0, 0, 0]])
    assert "apart" in refusal(lambda: check_structure(flat, where="test"))


def test_a_sound_structure_passes(lzo):
    check_structure(lzo, where="test")


@pytest.mark.parametrize("pbc", [(True, True, False), False])
def test_non_periodic_atoms_are_refused(pbc):
    refusal(lambda: to_structure(Atoms("LiO", [[0, 0, 0], [0, 0, 2]], cell=[5, 5, 5], pbc=pbc)))


def test_atoms_without_a_cell_are_refused():
    refusal(lambda: to_structure(Atoms("LiO", [[0, 0, 0], [0, 0, 2]], pbc=True)))


def test_an_xyz_file_without_cell_is_refused(tmp_path):
    path = tmp_path / "a.xyz"
    Atoms("LiO", [[0, 0, 0], [0, 0, 2]]).write(path, format="xyz")
    refusal(lambda: read_structure(path))


def test_a_format_that_only_ase_knows_is_read_at_its_last_frame(tmp_path):
    first, last = to_atoms(crystal(Lattice.cubic(6))), to_atoms(crystal(Lattice.cubic(7)))
    write(tmp_path / "a.pdb", [first, last])
    assert same(read_structure(tmp_path / "a.pdb"), crystal(Lattice.cubic(7)), 2e-3)


@pytest.mark.parametrize("name", ["file/a.cif", "folder"])
def test_a_path_that_cannot_be_written_is_refused_before_and_after(tmp_path, name):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    path = tmp_path / name
    assert "cannot be written" in refusal(lambda: check_writable(path))
    assert "cannot be written" in refusal(lambda: write_cif(crystal(Lattice.cubic(6)), path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


def test_a_path_in_a_folder_yet_to_be_made_can_be_written(tmp_path):
    path = tmp_path / "new" / "newer" / "a.cif"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    write_cif(crystal(Lattice.cubic(6)), path)
    assert [file.name for file in path.parent.iterdir()] == ["a.cif"]


def test_a_cif_that_fails_half_way_leaves_the_old_one(tmp_path, monkeypatch):
    path = write_cif(crystal(Lattice.cubic(6)), tmp_path / "a.cif")
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full)
    assert "No space left" in refusal(lambda: write_cif(crystal(Lattice.cubic(7)), path))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.cif"]
