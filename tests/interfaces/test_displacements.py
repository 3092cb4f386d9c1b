"""The displacement lattice: its size and symmetry, whatever the cell in which the slabs are given."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscapes import HEXAGONAL, OBLIQUE, plain_cell, slab
from pymatgen.core import Structure

from ionscape.errors import InputError
from ionscape.interfaces.displacements import (
    DisplacementCell,
    displacement_cell,
    hermite_basis,
    lattice_sum,
    reduced,
)
from ionscape.interfaces.planar_symmetry import planar_group
from ionscape.interfaces.shifts import overlapping, reduced_grid, shortest_distances, study_grid

LOW = [("Cu", (0.1, 0.2, 2.0)), ("O", (0.45, 0.83, 3.1)), ("Li", (0.71, 0.37, 4.3))]
IDENTITY = ((1, 0), (0, 1))


def group_of(vectors, atoms, repeat):
    return planar_group(slab(vectors, atoms, repeat))


def contact_energy(film: Structure, substrate: Structure, lateral: np.ndarray) -> float:
    """Return a sum of pair energies across a contact: the plain truth of which displacements are the same."""
    cell = film.lattice.matrix[:2, :2]
    images = np.array(list(itertools.product(range(-5, 6), repeat=2))) @ cell
    one, other = film.cart_coords.copy(), substrate.cart_coords
    one[:, :2] += lateral
    one[:, 2] += 3.0
    difference = one[:, None] - other[None]
    charge = np.outer([s.specie.Z for s in film], [s.specie.Z for s in substrate])
    total = 0.0
    for image in images:
        moved = difference + np.append(image, 0.0)
        total += (np.sqrt(charge) * np.exp(-(moved**2).sum(axis=-1) / 0.4)).sum()
    return float(total)


def test_a_coincidence_cell_has_a_finer_displacement_lattice() -> None:
    # 3 film cells and 2 substrate cells share one common cell whose lattice is their intersection
    common = np.array([[6.0, 0.0], [1.1, 4.0]])
    film, substrate = common / [[3], [1]], common / [[2], [1]]
    cell = displacement_cell(group_of(film, LOW, ((3, 0), (0, 1))), group_of(substrate, LOW[:2], ((2, 0), (0, 1))))
    assert cell.area == pytest.approx(abs(np.linalg.det(common)) / 6)


@pytest.mark.parametrize("repeats", [((2, 0), (0, 1)), ((2, 1), (0, 3)), ((1, 1), (-1, 2))])
def test_the_cell_does_not_depend_on_how_the_common_cell_is_chosen(repeats) -> None:
    common = np.array([[6.0, 0.0], [1.1, 8.0]])
    film, substrate = common / [[3], [1]], common / [[1], [2]]
    here = displacement_cell(group_of(film, LOW, ((3, 0), (0, 1))), group_of(substrate, LOW, ((1, 0), (0, 2))))
    larger = np.array(repeats)
    there = displacement_cell(
        group_of(film, LOW, larger @ np.diag([3, 1])), group_of(substrate, LOW, larger @ np.diag([1, 2]))
    )
    assert there.area == pytest.approx(here.area)
    for vector in there.vectors:  # in a frame along the first vector of its own common cell
        lengths = np.linalg.norm(here.vectors, axis=1)
        assert np.linalg.norm(vector) == pytest.approx(lengths[np.argmin(abs(lengths - np.linalg.norm(vector)))])


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.floats(0, 1), st.floats(0, 1)), st.integers(-3, 3), st.integers(-3, 3))
def test_displacements_that_the_cell_calls_the_same_have_the_same_energy(start, i, j) -> None:
    common = np.array([[6.0, 0.0], [1.1, 4.0]])
    film = slab(common / [[3], [1]], LOW, ((3, 0), (0, 1)))
    substrate = slab(common / [[2], [1]], LOW[:2], ((2, 0), (0, 1)))
    cell = displacement_cell(planar_group(film), planar_group(substrate))
    lateral = np.array(start) @ cell.vectors
    first = contact_energy(film, substrate, lateral)
    assert contact_energy(film, substrate, lateral + np.array([i, j]) @ cell.vectors) == pytest.approx(
        first, rel=1e-8
    )
    half = contact_energy(film, substrate, lateral + 0.5 * cell.vectors[0])
    assert abs(half - first) > 1e-9 * abs(first)


def symmetric_pair():
    """Return two hexagonal slabs with threefold axes and mirrors that lie at different places."""
    film = slab(HEXAGONAL, [("Cu", (0.2, 0.1, 2.0)), ("Cu", (0.2 + 1 / 3, 0.1 + 2 / 3, 4.0))])
    substrate = slab(HEXAGONAL, [("Al", (0.55, 0.3, 2.0)), ("Al", (0.55 + 2 / 3, 0.3 + 1 / 3, 4.0))])
    return film, substrate


def test_operations_of_both_slabs_leave_the_energy_as_it_is() -> None:
    rng = np.random.default_rng(5)
    film, substrate = symmetric_pair()
    cell = displacement_cell(planar_group(film), planar_group(substrate))
    assert len(cell.rotations) == 6
    for lateral in rng.uniform(-3, 3, (4, 2)):
        energies = [contact_energy(film, substrate, image[0]) for image in cell.images(lateral)]
        assert np.allclose(energies, energies[0], rtol=1e-6)


def test_every_displacement_is_equivalent_to_a_point_of_the_reduced_grid() -> None:
    rng = np.random.default_rng(6)
    cell = displacement_cell(*map(planar_group, symmetric_pair()))
    grid = reduced_grid(cell, (0.0,), 0.25)[:, :2]
    full = reduced_grid(plain_cell(cell.vectors), (0.0,), 0.25)
    assert len(grid) < len(full) / 3
    distances = cell.distances(rng.uniform(-5, 5, (50, 2)), grid).min(axis=1)
    assert distances.max() < 0.25


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=5))
def test_a_hermite_basis_generates_what_its_generators_do(rows) -> None:
    generators = np.array([*rows, (12, 0), (0, 12)])
    basis = hermite_basis(generators)
    coefficients = generators @ np.linalg.inv(basis)
    assert np.allclose(coefficients, np.rint(coefficients))
    minors = [abs(round(np.linalg.det(np.array(pair)))) for pair in itertools.combinations(generators, 2)]
    assert abs(round(np.linalg.det(basis))) == np.gcd.reduce(minors)


def test_generators_in_one_direction_are_refused() -> None:
    with pytest.raises(InputError, match="two directions"):
        hermite_basis(np.array([[2, 2], [4, 4]]))


def test_translations_that_form_no_lattice_are_refused() -> None:
    with pytest.raises(InputError, match="form a lattice"):
        lattice_sum(np.array([[0.0, 0.0], [0.3, 0.0]]))


def test_slabs_in_different_cells_are_refused() -> None:
    with pytest.raises(InputError, match="same in-plane cell"):
        displacement_cell(group_of(OBLIQUE, LOW, IDENTITY), group_of(1.1 * OBLIQUE, LOW, IDENTITY))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=4, max_size=4))
def test_reduction_keeps_the_lattice_and_finds_the_shortest(values) -> None:
    vectors = np.array(values).reshape(2, 2)
    if abs(np.linalg.det(vectors)) < 0.3:
        return
    found = reduced(vectors)
    whole = vectors @ np.linalg.inv(found)
    assert np.allclose(whole, np.rint(whole), atol=1e-6)
    assert np.linalg.det(found) == pytest.approx(abs(np.linalg.det(vectors)))
    every = np.array([p for p in itertools.product(range(-12, 13), repeat=2) if any(p)]) @ found
    assert np.linalg.norm(every, axis=1).min() >= np.linalg.norm(found[0]) - 1e-9


def test_the_grid_of_the_study_has_676_points() -> None:
    grid = study_grid()
    assert grid.shape == (676, 3)
    assert grid.min(axis=0).tolist() == [0, 0, 0]
    assert grid.max(axis=0).tolist() == [3, 3, 0.75]


def test_overlaps_are_found_over_all_images() -> None:
    rng = np.random.default_rng(8)
    atoms = [*LOW, *[(symbol, (y, x, z + 4.0)) for symbol, (x, y, z) in LOW]]
    structure = slab(OBLIQUE, atoms)
    film = np.array([False] * 3 + [True] * 3)
    shifts = np.column_stack([rng.uniform(-6, 6, (40, 2)), rng.uniform(-2.5, 0.5, 40)])
    shortest = shortest_distances(structure)
    found = overlapping(structure, film, shifts, shortest)
    assert 0 < found.sum() < len(found)
    for shift, clash in zip(shifts, found, strict=True):
        moved = structure.copy()
        moved.translate_sites(np.flatnonzero(film).tolist(), shift, frac_coords=False)
        closest = [
            moved.get_distance(i, j) / shortest[frozenset((moved[i].specie.symbol, moved[j].specie.symbol))]
            for i in range(3)
            for j in range(3, 6)
        ]
        assert (min(closest) < 0.7) == clash


def test_distances_look_at_every_equivalent() -> None:
    cell = DisplacementCell(np.eye(2) * 3, np.array([np.eye(2), -np.eye(2)]), np.array([[0, 0], [0.4, 0.0]]))
    assert cell.distances([[2.9, 0.1]], [[0.5, 2.9]])[0, 0] == pytest.approx(0.0, abs=1e-9)
