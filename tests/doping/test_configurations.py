"""Configurations: uniform draws, complete enumeration, no overlaps, symmetry copies."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy import stats

from ionscape.doping.configurations import (
    all_configurations,
    count_configurations,
    layout,
    random_configurations,
)
from ionscape.doping.ewald import changed_energies, interaction_matrix
from ionscape.doping.settings import DopingRoute
from ionscape.doping.sites import Placement, SiteLattice, contacts, doped_structure, placements, site_lattice
from ionscape.doping.symmetry import canonical_forms, site_permutations, unique_configurations
from ionscape.errors import InputError

seeds = st.integers(0, 2**32 - 1)


def toy_sites(n_host: int, n_empty: int, clashes: list[tuple[int, int]]) -> SiteLattice:
    """Sites without a crystal: only pools and conflicts matter."""
    conflicts = np.zeros((n_host + n_empty,) * 2, dtype=bool)
    for i, j in clashes:
        conflicts[n_host + i, n_host + j] = conflicts[n_host + j, n_host + i] = True
    return SiteLattice(
        np.eye(3), np.zeros((n_host + n_empty, 3)), ("O",) * n_host + ("",) * n_empty, conflicts, n_discarded=0
    )


def plain_configurations(sites: SiteLattice, placed: list[Placement]) -> set[tuple[int, ...]]:
    """All configurations, by trying every combination."""
    choices = [itertools.combinations(sites.pool(p.pool).tolist(), p.count) for p in placed]
    rows = {sum(parts, ()) for parts in itertools.product(*choices)}
    return {
        row
        for row in rows
        if len(set(row)) == len(row) and not any(sites.conflicts[i, j] for i, j in itertools.combinations(row, 2))
    }


TOYS = [
    (toy_sites(5, 0, []), [Placement("N", "O", 2, -1.0)]),
    (toy_sites(4, 4, [(0, 1), (2, 3)]), [Placement("Li", "", 2, 1.0), Placement("N", "O", 2, -1.0)]),
    (toy_sites(4, 4, [(0, 1), (1, 2)]), [Placement("N", "", 1, -3.0), Placement("Li", "", 2, 1.0)]),
    (toy_sites(4, 0, []), [Placement("", "O", 1, 2.0), Placement("N", "O", 2, -1.0)]),
    (toy_sites(3, 0, []), [Placement("F", "O", 3, 1.0)]),
]


@pytest.mark.parametrize(("sites", "placed"), TOYS)
def test_enumeration_is_complete_and_without_repeats(sites, placed):
    rows = [tuple(row) for row in all_configurations(layout(sites, placed)).tolist()]
    assert rows == sorted(rows)
    assert len(set(rows)) == len(rows)
    assert set(rows) == plain_configurations(sites, placed)
    if not sites.conflicts.any():
        assert len(rows) == count_configurations(sites, placed)


@pytest.mark.parametrize(("sites", "placed"), TOYS[:4])
def test_draws_are_uniform_over_all_configurations(sites, placed):
    expected = plain_configurations(sites, placed)
    drawn = random_configurations(layout(sites, placed), 300 * len(expected), np.random.default_rng(3))
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == expected
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_the_same_seed_draws_the_same_and_another_seed_does_not():
    arrangement = layout(*TOYS[1])
    first, again, other = (random_configurations(arrangement, 50, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_interstitials_that_cannot_fit_are_refused():
    sites = toy_sites(1, 3, [(0, 1), (1, 2), (0, 2)])
    placed = [Placement("Li", "", 2, 1.0)]
    with pytest.raises(InputError, match="do not fit"):
        all_configurations(layout(sites, placed))
    with pytest.raises(InputError, match="do not fit"):
        random_configurations(layout(sites, placed), 1, np.random.default_rng(0))


@settings(deadline=None, max_examples=25)
@given(seeds, st.floats(0.5, 4.0))
def test_contacts_are_those_of_all_images_in_sheared_cells(seed, cutoff):
    rng = np.random.default_rng(seed)
    lattice = np.diag(rng.uniform(2.0, 5.0, 3)) + np.tril(rng.uniform(-8.0, 8.0, (3, 3)), -1)
    first, second = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    expected = Lattice(lattice).get_all_distances(first, second) < cutoff
    assert (contacts(lattice, first, second, cutoff) == expected).all()


@pytest.mark.parametrize("supercell", [(1, 1, 1), (1, 2, 1), (2, 1, 1)])
def test_doped_structures_have_no_overlaps_and_the_right_composition(lzo, supercell):
    charges = {"Li": 1.0, "Zr": 4.0, "O": -2.0, "N": -3.0}
    crowded = np.vstack([lzo.empty, lzo.empty + 0.02, lzo.crystal.frac_coords[:4] + 0.01])
    sites = site_lattice(lzo.crystal, crowded, supercell, 1.5)
    route = DopingRoute(name="N on O", replace={"O": "N"}, insert={"Li": 1})
    placed = placements(sites, route, 3, charges)
    assert sites.n_discarded == 4 * math.prod(supercell) + int(
        contacts(lzo.crystal.lattice.matrix, lzo.empty + 0.02, lzo.crystal.frac_coords, 1.5).any(axis=1).sum()
    ) * math.prod(supercell)
    for row in random_configurations(layout(sites, placed), 20, np.random.default_rng(0)):
        doped = doped_structure(sites, placed, row)
        assert doped.distance_matrix[np.triu_indices(len(doped), 1)].min() > 1.49
        n = 4 * math.prod(supercell)
        assert doped.composition.as_dict() == {"Li": 6 * n + 3, "Zr": 2 * n, "O": 7 * n - 3, "N": 3}


def test_too_few_sites_and_broken_numbers_are_refused(rocksalt):
    charges = {"Mg": 2.0, "O": -2.0, "Li": 1.0}
    sites = site_lattice(rocksalt.crystal, rocksalt.empty, (1, 1, 1), 1.5)
    with pytest.raises(InputError, match="10 empty sites are needed but the supercell has 8"):
        placements(sites, DopingRoute(name="r", insert={"Li": 5}), 2, charges)
    with pytest.raises(InputError, match=r"0\.5 Li for 1 dopants"):
        placements(sites, DopingRoute(name="r", insert={"Li": 0.5}), 1, charges)
    with pytest.raises(InputError, match="nothing to replace"):
        placements(sites, DopingRoute(name="r"), 1, charges)
    crowded = site_lattice(rocksalt.crystal, rocksalt.empty, (1, 1, 1), 2.5)
    with pytest.raises(InputError, match="are too close to host atoms"):
        placements(crowded, DopingRoute(name="r", insert={"Li": 1}), 1, charges)


@pytest.mark.parametrize("supercell", [(1, 1, 1), (1, 2, 1)])
def test_permutations_form_a_group_that_keeps_elements_distances_and_energies(lzo, supercell):
    sites = site_lattice(lzo.crystal, lzo.empty, supercell, 1.0)
    permutations = site_permutations(sites)
    assert len(permutations) == 8 * math.prod(supercell)
    assert (permutations[0] == np.arange(len(sites.elements))).all()
    rows = {row.tobytes() for row in permutations}
    assert all(a[b].tobytes() in rows for a in permutations for b in permutations)
    distances = Lattice(sites.lattice).get_all_distances(sites.fractional, sites.fractional)
    matrix = interaction_matrix(sites.lattice, sites.fractional)
    elements = np.array(sites.elements)
    for p in permutations:
        assert (elements[p] == elements).all()
        assert abs(distances[np.ix_(p, p)] - distances).max() < 1e-6
        assert abs(matrix[np.ix_(p, p)] - matrix).max() < 1e-6


def test_operations_that_miss_an_empty_site_are_left_out(rocksalt):
    full = site_permutations(site_lattice(rocksalt.crystal, rocksalt.empty, (1, 1, 1), 1.0))
    one = site_permutations(site_lattice(rocksalt.crystal, rocksalt.empty[:1], (1, 1, 1), 1.0))
    none = site_permutations(site_lattice(rocksalt.crystal, np.empty((0, 3)), (1, 1, 1), 1.0))
    assert len(full) == 192  # 48 rotations, 4 centrings
    assert len(one) == 192 / 8  # the eight holes are equivalent
    assert len(none) < 192  # some operations differ only in how they move the holes


def plain_canonical(row, starts, permutations):
    images = []
    for p in permutations:
        image = p[row]
        images.append(tuple(x for a, b in itertools.pairwise(starts) for x in sorted(image[a:b].tolist())))
    return min(images), images.count(images[0])


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_canonical_form_is_the_smallest_copy_and_the_same_for_every_copy(rocksalt, seed, n_sites, n_empty):
    rng = np.random.default_rng(seed)
    sites = site_lattice(rocksalt.crystal, rocksalt.empty, (1, 1, 1), 1.0)
    permutations = site_permutations(sites)
    arrangement = layout(sites, [Placement("Li", "", n_empty, 1.0), Placement("N", "O", n_sites, -1.0)])
    row = random_configurations(arrangement, 1, rng)
    images = permutations[:, row[0]]
    canonical, stabilisers = canonical_forms(images, arrangement.starts, permutations)
    expected, order = plain_canonical(row[0], arrangement.starts, permutations)
    assert (canonical == expected).all()
    assert (stabilisers == order).all()


@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (1, 3), (2, 2), (4, 2)])
def test_orbits_sum_to_the_number_of_configurations(rocksalt, counts):
    sites = site_lattice(rocksalt.crystal, rocksalt.empty, (1, 1, 1), 1.0)
    arrangement = layout(sites, [Placement("Li", "", counts[0], 1.0), Placement("N", "O", counts[1], -1.0)])
    rows = all_configurations(arrangement)
    unique = unique_configurations(rows, arrangement.starts, site_permutations(sites))
    assert unique.multiplicities.sum() == len(rows) == math.comb(8, counts[0]) * math.comb(4, counts[1])
    assert (unique.occurrences == unique.multiplicities).all()
    assert len(unique.sites) < len(rows)


def test_symmetry_copies_share_their_ewald_energy(lzo):
    sites = site_lattice(lzo.crystal, lzo.empty, (1, 1, 1), 1.5)
    permutations = site_permutations(sites)
    arrangement = layout(sites, [Placement("Li", "", 2, 1.0), Placement("N", "O", 2, -1.0)])
    rows = random_configurations(arrangement, 40, np.random.default_rng(5))
    matrix = interaction_matrix(sites.lattice, sites.fractional)
    charges = sites.charges({"Li": 1.0, "Zr": 4.0, "O": -2.0})
    canonical, _ = canonical_forms(rows, arrangement.starts, permutations)
    assert (canonical != rows).any()
    energies = [changed_energies(matrix, charges, x, arrangement.changes) for x in (rows, canonical)]
    assert abs(energies[0] - energies[1]).max() < 1e-6
    assert np.ptp(energies[0]) > 1


def test_doped_structure_places_species_on_their_sites():
    crystal = Structure(np.eye(3) * 4, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    sites = site_lattice(crystal, np.array([[0.5, 0, 0]]), (1, 1, 1), 1.0)
    placed = [Placement("Li", "", 1, 1.0), Placement("", "Na", 1, -1.0), Placement("Br", "Cl", 1, 0.0)]
    doped = doped_structure(sites, placed, np.array([2, 0, 1]))
    assert {(s.specie.symbol, tuple(s.frac_coords)) for s in doped} == {
        ("Li", (0.5, 0, 0)),
        ("Br", (0.5, 0.5, 0.5)),
    }
