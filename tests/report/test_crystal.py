"""What a drawing shows: complete polyhedra, boundary copies, bonds that are known, any crystal and any cell."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.errors import InputError
from ionscape.report.crystal import coordination_shells, polyhedron_centres, polyhedron_faces, scene
from ionscape.report.structure_figure import Camera, structure_figure


def rock_salt() -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0, 0]])


def test_coordination_of_li6zr2o7_is_that_of_the_study(li6zr2o7):
    # ZrO6 octahedra and LiO5 (Czekalla & Jeitschko 1993).
    shells = coordination_shells(li6zr2o7)
    sizes = {e: {len(shells[i]) for i in shells if li6zr2o7[i].specie.symbol == e} for e in ("Li", "Zr")}
    assert sizes == {"Li": {5}, "Zr": {6}}


def test_polyhedra_are_complete_octahedra_around_zr(li6zr2o7):
    drawn = scene(li6zr2o7)
    assert {solid.label for solid in drawn.polyhedra} == {"ZrO6"}
    assert len(drawn.polyhedra) == sum(a.element == "Zr" and a.inside for a in drawn.atoms) == 8
    for solid in drawn.polyhedra:
        assert len(solid.faces) == 8
        assert all(len(face) == 3 for face in solid.faces)


def test_atoms_on_the_faces_of_the_cell_are_repeated():
    inside = [atom for atom in scene(rock_salt()).atoms if atom.inside]
    # 8 corners and 6 faces; 12 edges and the centre.
    assert [sum(a.element == e for a in inside) for e in ("Mg", "O")] == [14, 13]


@pytest.mark.parametrize("shift", [(0, 0, 0), (0.3, -2.7, 5.1)])
def test_polyhedra_do_not_depend_on_the_choice_of_cell_or_origin(li6zr2o7, shift):
    moved = li6zr2o7.copy()
    moved.translate_sites(range(len(moved)), shift, to_unit_cell=False)
    sheared = Structure.from_sites(moved).make_supercell([[1, 0, 0], [1, 1, 0], [0, -1, 1]], in_place=False)
    drawn = scene(sheared)
    assert {solid.label for solid in drawn.polyhedra} == {"ZrO6"}
    assert len(drawn.polyhedra) >= 8


def test_bonds_are_as_long_as_they_are_drawn():
    drawn = scene(rock_salt())
    positions = np.array([atom.position for atom in drawn.atoms])
    lengths = np.linalg.norm(positions[drawn.bonds[:, 0]] - positions[drawn.bonds[:, 1]], axis=1)
    assert lengths == pytest.approx(4.21 / 2)


def test_centres_are_the_framework_not_the_mobile_ion(li6zr2o7, lithia, copper):
    assert polyhedron_centres(li6zr2o7) == ("Zr",)
    assert polyhedron_centres(lithia) == ("Li",)
    assert polyhedron_centres(copper) == ()


def test_faces_of_a_cube_are_squares_and_a_triangle_is_one_face():
    cube = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T.astype(float)
    faces = polyhedron_faces(cube)
    assert sorted(len(face) for face in faces) == [4] * 6
    for face in faces:  # in order: every side has length 1
        assert np.linalg.norm(face - np.roll(face, 1, axis=0), axis=1) == pytest.approx(1.0)
    assert [len(face) for face in polyhedron_faces(cube[:3])] == [3]
    assert polyhedron_faces(cube[:2]) == ()


def test_absent_centres_are_refused(li6zr2o7):
    with pytest.raises(InputError, match="polyhedra around Co"):
        structure_figure(li6zr2o7, ("Co",))


@pytest.mark.parametrize("along", [0, 1, 2])
def test_any_crystal_is_drawn_from_any_side(copper, lithia, along):
    for structure in (copper, lithia):
        figure = structure_figure(structure, camera=Camera(along), title=structure.composition.formula)
        (painted,) = figure.axes[0].collections
        assert len(painted.get_paths()) > 50


def test_far_pieces_are_painted_before_near_ones():
    figure = structure_figure(rock_salt(), (), camera=Camera(along=2, turn=0, tilt=0, distance=3))
    paths = figure.axes[0].collections[0].get_paths()
    discs = [np.ptp(path.vertices[:, 0]) for path in paths if len(path.vertices) > 20]
    # In perspective the nearest ball of an element is its largest; it comes after the farthest.
    assert discs.index(max(discs)) > discs.index(max(discs[: len(discs) // 4]))
