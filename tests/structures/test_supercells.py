import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ionscape.errors import InputError
from ionscape.structures.supercells import (
    Surroundings,
    covering_radius_bound,
    images_within,
    plane_spacings,
    supercell_positions,
)


@st.composite
def sheared_lattices(draw):
    lattice = Lattice.from_parameters(*[draw(st.floats(3, 7)) for _ in range(3)], *[draw(st.floats(65, 115))] * 3)
    i, j, k = (draw(st.integers(-3, 3)) for _ in range(3))
    return np.array([[1, i, j], [0, 1, k], [0, 0, 1]]) @ lattice.matrix


def all_images(matrix, fractional, reach):
    """Plain reference: every image in a box that surely contains the sphere about the cell."""
    n = np.ceil(reach / plane_spacings(matrix)).astype(int) + 2
    shifts = np.array(list(itertools.product(*[range(-m, m + 1) for m in n])))
    return ((fractional % 1)[None] + shifts[:, None]).reshape(-1, 3) @ matrix


@given(sheared_lattices(), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_images_hold_every_atom_within_the_padding(matrix, seed):
    rng = np.random.default_rng(seed)
    fractional = rng.random((3, 3)) * 4 - 2
    images, index = images_within(matrix, fractional, 3.0)
    assert len(np.unique(np.round(images, 6), axis=0)) == len(images)
    origin = (fractional % 1)[index]
    shift = images @ np.linalg.inv(matrix) - origin
    assert np.allclose(shift, np.rint(shift), atol=1e-9)
    probe = rng.random((20, 3)) @ matrix
    everything = all_images(matrix, fractional, 3.0)
    for point in probe:
        near = everything[np.linalg.norm(everything - point, axis=1) < 3.0]
        found = images[np.linalg.norm(images - point, axis=1) < 3.0]
        assert len(near) == len(found)


@given(sheared_lattices(), st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_covering_radius_bound_holds(matrix, seed):
    points = np.random.default_rng(seed).random((50, 3)) @ matrix
    bound = covering_radius_bound(matrix)
    lattice_points = all_images(matrix, np.zeros((1, 3)), bound)
    assert np.linalg.norm(points[:, None] - lattice_points[None], axis=2).min(axis=1).max() <= bound + 1e-9


def test_covering_radius_bound_is_reached_in_a_cuboid():
    assert covering_radius_bound(np.diag([3.0, 4.0, 12.0])) == pytest.approx(6.5)


@given(sheared_lattices(), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_neighbours_agree_with_the_plain_search(matrix, seed):
    rng = np.random.default_rng(seed)
    structure = Structure(matrix, ["Li", "O", "O"], rng.random((3, 3)))
    points = rng.normal(scale=20, size=(10, 3))
    radius = rng.uniform(1, 4, 10)
    surroundings = Surroundings(structure, 4.0)
    nearest, count = surroundings.nearest(points), surroundings.count(points, radius)
    home = (points @ np.linalg.inv(matrix) % 1) @ matrix
    for symbol, chosen in (("Li", [0]), ("O", [1, 2])):
        everything = all_images(matrix, structure.frac_coords[chosen], 8.0)
        distance = np.linalg.norm(home[:, None] - everything[None], axis=2)
        assert np.allclose(nearest[symbol], distance.min(axis=1), atol=1e-9)
        assert np.array_equal(count[symbol], (distance < radius[:, None]).sum(axis=1))


@pytest.mark.parametrize(
    "matrix", [np.diag([1, 2, 1]), [[1, 1, 0], [-1, 1, 0], [0, 0, 2]], [[0, 1, 0], [1, 0, 0], [0, 0, 1]]]
)
def test_supercell_positions_are_those_of_make_supercell(matrix, lzo):
    copies = supercell_positions(lzo.frac_coords, np.array(matrix))
    supercell = lzo.make_supercell(matrix, in_place=False)
    assert len(copies) == len(supercell)
    gaps = supercell.lattice.get_all_distances(copies, supercell.frac_coords)
    assert np.array_equal(np.sort(gaps.argmin(axis=1)), np.arange(len(copies)))
    assert gaps.min(axis=1).max() < 1e-6


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.diag([1.5, 1, 1])])
def test_impossible_supercells_are_refused(matrix):
    with pytest.raises(InputError, match="supercell matrix"):
        supercell_positions(np.zeros((1, 3)), matrix)
