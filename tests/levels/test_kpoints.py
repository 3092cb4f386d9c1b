"""Grids of k-points: dense enough in any cell, and no denser than needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.levels.kpoints import grid_of_density, wants_gamma

entries = st.floats(-3.0, 3.0)


@given(st.lists(entries, min_size=9, max_size=9), st.integers(1, 300), st.floats(1.0, 5000.0))
@settings(deadline=None)
def test_the_grid_reaches_the_density_and_a_coarser_spacing_would_not(numbers, atoms, density):
    cell = np.array(numbers).reshape(3, 3) + 8.0 * np.eye(3)
    grid = np.array(grid_of_density(cell, atoms, density))
    assert grid.prod() * atoms >= density
    lengths = np.linalg.norm(np.linalg.inv(cell), axis=0)
    if (
        grid.max() > 1
    ):  # the densest direction decides: one point less there is too few, or makes another longest spacing
        spacing = (lengths / grid).max()
        coarser = np.ceil(lengths / (spacing * 1.0005) * (1 - 1e-4))
        assert (coarser <= grid).all()
        finer = lengths / grid
        assert finer.max() / finer.min() < 2 * grid.max()


def test_spacings_are_alike_in_all_directions():
    cell = np.array([[3.0, 0, 0], [1.0, 6.0, 0], [0.5, -2.0, 12.0]])
    grid = np.array(grid_of_density(cell, 4, 1000))
    spacing = np.linalg.norm(np.linalg.inv(cell), axis=0) / grid
    assert spacing.max() / spacing.min() < 1.3
    assert grid[0] > grid[1] > grid[2]


def test_equal_lattice_vectors_get_equal_numbers():
    cell = 2.31 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) * (1 + 1e-7 * np.arange(9).reshape(3, 3))
    grid = grid_of_density(cell, 3, 1000)
    assert len(set(grid)) == 1


def test_a_supercell_needs_as_many_points_less():
    cell = np.diag([4.0, 4.0, 4.0])
    assert grid_of_density(cell, 8, 1000) == (5, 5, 5)
    assert grid_of_density(np.diag([8.0, 4.0, 4.0]), 16, 1000) == (3, 5, 5)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (np.diag([3.0, 4.0, 5.0]), False),
        (np.array([[3.0, 0, 0], [-1.5, 1.5 * 3**0.5, 0], [0, 0, 9.0]]), True),
        (np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]), True),
        (np.array([[3.0, 0, 0], [0.9, 4.0, 0], [0, 0.3, 5.0]]), False),
    ],
)
def test_hexagonal_and_face_centred_lattices_want_gamma(cell, expected):
    assert wants_gamma(cell) is expected
