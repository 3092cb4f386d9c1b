"""Neighbour lists of the compiled core against a plain reference and ASE, in any cell, and while atoms move."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.errors import InputError
from ionscape.potential.library import unavailable
from ionscape.potential.neighbours import NeighbourList
from ionscape.units import Array

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

Pair = tuple[int, int, int, int, int]
PERIODIC = list(itertools.product([True, False], repeat=3))


def reference(positions: Array, cell: Array, periodic: tuple[bool, ...], cutoff: float) -> set[Pair]:
    """Return all pairs within the cutoff, image by image, as far as the heights of the cell and the places ask."""
    heights = 1 / np.linalg.norm(np.linalg.pinv(cell), axis=0) if any(periodic) else np.ones(3)
    fractional = positions @ np.linalg.pinv(cell)
    spread = np.ptp(fractional, axis=0)
    most = [int(np.ceil(cutoff / heights[k] + spread[k])) if periodic[k] else 0 for k in range(3)]
    pairs = set()
    for image in itertools.product(*(range(-m, m + 1) for m in most)):
        vectors = positions[None, :] - positions[:, None] + np.array(image) @ cell
        i, j = np.nonzero((vectors**2).sum(axis=2) < cutoff**2)
        pairs |= {(int(a), int(b), *image) for a, b in zip(i, j, strict=True) if a != b or any(image)}
    return pairs


def listed(found: NeighbourList, atoms: int, species: int) -> list[Pair]:
    owner = np.repeat(np.arange(atoms), np.diff(found.start[::species]))
    return [(int(i), int(j), *map(int, n)) for i, j, n in zip(owner, found.index, found.image, strict=True)]


def within(pairs: list[Pair], positions: Array, cell: Array, cutoff: float) -> set[Pair]:
    """Return those pairs that are within the cutoff now."""
    table = np.array(pairs, dtype=int).reshape(-1, 5)
    vectors = positions[table[:, 1]] - positions[table[:, 0]] + table[:, 2:] @ cell
    return {pair for pair, near in zip(pairs, (vectors**2).sum(axis=1) < cutoff**2, strict=True) if near}


@st.composite
def systems(draw: st.DrawFn) -> tuple[Array, Array, tuple[bool, ...], float]:
    """Return positions far outside a strongly sheared or tiny cell, the cell, its periodicity and a cutoff."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = np.array(draw(st.tuples(*[st.floats(1.2, 9.0)] * 3)))
    cell = np.diag(edges) + np.tril(rng.uniform(-1, 1, (3, 3)) * draw(st.sampled_from([0.0, 1.0, 8.0])), -1)
    cell = cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    atoms = draw(st.integers(1, 7))
    periodic = draw(st.sampled_from(PERIODIC))
    fractional = rng.uniform(0, 1, (atoms, 3)) + rng.integers(-2, 3, (atoms, 3)) * draw(st.booleans())
    return fractional @ cell, cell, periodic, rng.uniform(0.8, 5.0)  # no distance is exactly this


@given(systems(), st.integers(1, 3))
@settings(deadline=None, max_examples=150)
def test_pairs_are_those_of_the_reference(
    system: tuple[Array, Array, tuple[bool, ...], float], n_species: int
) -> None:
    positions, cell, periodic, cutoff = system
    species = np.arange(len(positions)) % n_species
    found = NeighbourList(species, n_species, cutoff, 0.0, periodic)
    found.build(positions, cell)
    pairs = listed(found, len(positions), n_species)
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == reference(positions, cell, periodic, cutoff)
    for slot in range(len(positions) * n_species):
        assert (species[found.index[found.start[slot] : found.start[slot + 1]]] == slot % n_species).all()


@given(systems())
@settings(deadline=None, max_examples=60)
def test_lattice_vectors_that_are_not_periodic_mean_nothing(
    system: tuple[Array, Array, tuple[bool, ...], float],
) -> None:
    positions, cell, periodic, cutoff = system
    blank = np.where(np.array(periodic)[:, None], cell, 0.0)
    lists = []
    for each in (cell, blank):
        found = NeighbourList(np.zeros(len(positions), int), 1, cutoff, 0.3, periodic)
        found.build(positions, each)
        lists.append(set(listed(found, len(positions), 1)))
    assert lists[0] == lists[1]


@pytest.mark.parametrize(
    "cell", [np.eye(3) * 11.0, [[8, 0, 0], [7, 6, 0], [-9, 5, 7]], [[3, 0, 0], [0, 40, 0], [1, 2, 9]]]
)
def test_pairs_are_those_of_ase(cell: Array) -> None:
    rng, cell = np.random.default_rng(2), np.array(cell, dtype=float)
    atoms = Atoms("Li60", scaled_positions=rng.uniform(0, 1, (60, 3)), cell=cell, pbc=True)
    i, j, images = neighbor_list("ijS", atoms, 5.3)
    found = NeighbourList(rng.integers(0, 4, 60), 4, 5.0, 0.3)
    found.build(atoms.positions, cell)
    truth = {(int(a), int(b), *map(int, n)) for a, b, n in zip(i, j, images, strict=True)}
    assert set(listed(found, 60, 4)) == truth


@given(systems(), st.integers(0, 2**32 - 1), st.floats(0.0, 0.04), st.floats(0.0, 0.2))
@settings(deadline=None, max_examples=60)
def test_no_pair_is_missing_while_atoms_and_cell_move(
    system: tuple[Array, Array, tuple[bool, ...], float], seed: int, strain: float, step: float
) -> None:
    positions, cell, periodic, cutoff = system
    rng, skin = np.random.default_rng(seed), 0.6
    found = NeighbourList(np.zeros(len(positions), int), 1, cutoff, skin, periodic)
    for _ in range(12):
        found.update(positions, cell)
        now = within(listed(found, len(positions), 1), positions, cell, cutoff)
        assert now == reference(positions, cell, periodic, cutoff)
        deformation = np.eye(3) + strain * rng.normal(size=(3, 3))
        cell, positions = cell @ deformation, positions @ deformation
        positions = positions + step * rng.normal(size=positions.shape)


def test_list_is_kept_in_a_skin_and_under_a_strain_that_cannot_matter() -> None:
    rng, cell = np.random.default_rng(0), np.diag([9.0, 10.0, 11.0])
    positions = rng.uniform(0, 9, (40, 3))
    found = NeighbourList(np.zeros(40, int), 1, 4.0, 0.6)
    assert found.update(positions, cell)
    assert not found.update(positions + rng.uniform(-0.15, 0.15, positions.shape), cell)
    assert not found.update(positions * 1.02, cell * 1.02)  # 0.2 Å, but all together
    assert found.update(positions * 0.9, cell * 0.9)
    moved = positions * 0.9
    moved[3, 0] += 0.61
    assert found.update(moved, cell * 0.9)


def test_list_depends_on_nothing_but_where_it_was_built() -> None:
    rng, cell = np.random.default_rng(1), np.array([[7.0, 0, 0], [2, 8, 0], [-3, 1, 6]])
    old, fresh = (NeighbourList(np.arange(30) % 3, 3, 5.0) for _ in range(2))
    for _ in range(5):
        positions = rng.uniform(-20, 20, (30, 3))
        old.update(positions, cell)
    fresh.build(positions, cell)
    assert np.array_equal(old.index, fresh.index)
    assert np.array_equal(old.image, fresh.image)


def test_every_pair_stands_twice() -> None:
    rng = np.random.default_rng(4)
    found = NeighbourList(np.arange(20) % 2, 2, 6.0)
    found.build(rng.uniform(-9, 9, (20, 3)), np.array([[4.0, 0, 0], [3.0, 4, 0], [-2, 1, 5]]))
    pairs = set(listed(found, 20, 2))
    assert pairs == {(j, i, -a, -b, -c) for i, j, a, b, c in pairs}
    assert len(pairs) == found.pairs > 20 * 20


@pytest.mark.parametrize(
    ("positions", "cell", "told"),
    [
        ([[0.0, 0, 0]], np.diag([3.0, 3, 0]), "not independent"),
        ([[np.nan, 0, 0]], np.eye(3), "not finite"),
        ([[0, 1e300, 0]], np.eye(3), "absurdly far"),
        ([[0.0, 0, 0]], [[np.inf, 0, 0], [0, 1, 0], [0, 0, 1]], "not finite"),
        ([[0.0, 0, 0]], np.eye(3) * 1e-4, "too many"),
    ],
)
def test_what_cannot_be_listed_is_refused(positions: list[list[float]], cell: Array, told: str) -> None:
    found = NeighbourList(np.zeros(1, int), 1, 5.0)
    with pytest.raises(InputError, match=told):
        found.update(np.array(positions), np.array(cell))


def test_unknown_species_are_refused() -> None:
    with pytest.raises(InputError, match="species 0 to 2"):
        NeighbourList(np.array([0, 2]), 2, 5.0)


def test_cost_is_linear() -> None:
    """Sixteen times the atoms take sixteen times as long, not 256; wide margin, for the machine may be busy."""
    rng, seconds = np.random.default_rng(0), []
    for atoms in (2000, 32000):
        edge = (atoms / 0.1) ** (1 / 3)
        found = NeighbourList(np.zeros(atoms, int), 1, 4.0)
        positions = rng.uniform(0, edge, (atoms, 3))
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            found.build(positions, np.eye(3) * edge)
            times.append(time.perf_counter() - begin)
        seconds.append(min(times))
    assert seconds[1] / seconds[0] < 60
