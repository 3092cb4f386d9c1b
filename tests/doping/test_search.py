"""Annealing on the interaction matrix: true energies, the known minimum, lower than random draws."""

import numpy as np
import pytest

from ionscape.doping.configurations import all_configurations, layout, random_configurations
from ionscape.doping.ewald import energies, interaction_matrix
from ionscape.doping.search import Landscape, anneal
from ionscape.doping.settings import DopingRoute
from ionscape.doping.sites import placements, site_lattice
from ionscape.doping.symmetry import site_permutations, unique_configurations

CHARGES = {"Li": 1.0, "Zr": 4.0, "O": -2.0, "N": -3.0}
ROUTES = {
    "N on O": DopingRoute(name="N on O", replace={"O": "N"}, insert={"Li": 1}),
    "N interstitial": DopingRoute(name="N interstitial", insert={"N": 1, "Li": 3}),
    "vacancies": DopingRoute(name="F on O", replace={"O": "F"}, remove={"Li": 1}),
}


def landscape(host, supercell, route, count):
    sites = site_lattice(host.crystal, host.empty, supercell, 1.5)
    placed = placements(sites, route, count, CHARGES | {"F": -1.0})
    return Landscape(
        interaction_matrix(sites.lattice, sites.fractional),
        sites.charges(CHARGES),
        layout(sites, placed),
        site_permutations(sites),
    )


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("seed", [0, 1])
def test_annealing_goes_below_500_random_draws(lzo, route, seed):
    system = landscape(lzo, (1, 2, 1), ROUTES[route], 3)
    rng = np.random.default_rng(seed)
    drawn = system.energies(random_configurations(system.arrangement, 500, rng))
    found = system.energies(anneal(system, 4, 5000, 5, rng))
    assert found.max() < drawn.min()


@pytest.mark.parametrize("route", ROUTES)
def test_annealing_finds_the_lowest_of_all_configurations(lzo, route):
    system = landscape(lzo, (1, 1, 1), ROUTES[route], 1)
    everything = unique_configurations(
        all_configurations(system.arrangement), system.arrangement.starts, system.permutations
    )
    expected = np.sort(system.energies(everything.sites))
    found = system.energies(anneal(system, 8, 5000, 4, np.random.default_rng(0)))
    assert abs(found - expected[:4]).max() < 1e-6


def test_pool_is_sorted_distinct_free_of_overlaps_and_true(lzo):
    system = landscape(lzo, (1, 2, 1), ROUTES["N interstitial"], 2)
    rows = anneal(system, 3, 3000, 40, np.random.default_rng(2))
    found = system.energies(rows)
    assert len(rows) == 40
    assert (np.diff(found) >= 0).all()
    unique = unique_configurations(rows, system.arrangement.starts, system.permutations)
    assert len(unique.sites) == 40
    assert not any(system.arrangement.conflicts[np.ix_(row, row)].any() for row in rows)
    assert all(len(set(row)) == len(row) for row in rows.tolist())
    full = np.tile(system.charges, (40, 1))
    for charges, row in zip(full, rows, strict=True):
        charges[row] += system.arrangement.changes
    assert abs(energies(system.matrix, full) - found).max() < 1e-6


def test_the_same_seed_finds_the_same(lzo):
    system = landscape(lzo, (1, 2, 1), ROUTES["N on O"], 2)
    first, again, other = (anneal(system, 2, 300, 10, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
