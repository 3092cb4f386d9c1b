"""Simulated annealing of the Ewald energy over configurations, on the site-interaction matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.random import Generator

from ionscape.doping.configurations import Layout, random_configurations
from ionscape.doping.ewald import changed_energies
from ionscape.doping.sites import Mask
from ionscape.doping.symmetry import canonical_row
from ionscape.units import Array, ChargeArray, Indices, InteractionArray

#: Last temperature over the first.
COOLING = 1e-3
#: Energies this close may belong to symmetry copies; eV.
DEGENERACY = 1e-6


@dataclass(frozen=True)
class Landscape:
    """The Ewald energy of every configuration: E(q + Δ), Δ set by where the columns of a layout sit.

    Attributes
    ----------
    matrix
        Interaction of the n sites, (n, n), eV/e².
    charges
        Charges of the undoped supercell, (n,), e.
    arrangement
        Columns, pools and conflicts of the configurations.
    permutations
        Symmetry of the sites, (n_ops, n).
    """

    matrix: InteractionArray
    charges: ChargeArray
    arrangement: Layout
    permutations: Indices

    def energies(self, rows: Indices) -> Array:
        """Return the Ewald energies of configurations, (m,), eV."""
        return changed_energies(self.matrix, self.charges, rows, self.arrangement.changes)


def anneal(landscape: Landscape, chains: int, steps: int, pool: int, rng: Generator) -> Indices:
    """Return the distinct configurations of lowest Ewald energy met by annealing runs, (≤ pool, k), lowest first.

    A trial move takes one changed ion to another site of its pool, or exchanges it with an ion of another kind
    there. With V = M q, moving a charge d from site o to site n costs ``d (V_n − V_o) + ½ d² (M_nn + M_oo −
    2 M_no)``; accepted moves update V by two columns of M. Metropolis at temperatures that fall geometrically
    from the spread of the energies of random draws to a thousandth of it.

    Parameters
    ----------
    landscape
        The energies.
    chains
        Independent runs, each from a random configuration.
    steps
        Trial moves per run.
    pool
        Number of configurations returned at most.
    rng
        Source of randomness.

    References
    ----------
    S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Science 220, 671 (1983), doi:10.1126/science.220.4598.671.
    """
    arrangement = landscape.arrangement
    hot = max(float(np.std(landscape.energies(random_configurations(arrangement, 200, rng)))), 1e-3)
    starts = random_configurations(arrangement, chains, rng)
    rows = np.empty((pool, starts.shape[1]), dtype=np.int64)
    lowest = np.full(pool, math.inf)
    for start in starts:
        charges = landscape.charges.copy()
        np.add.at(charges, start, arrangement.changes)
        _run(
            (start, landscape.matrix @ charges, float(landscape.energies(start[None])[0])),
            (landscape.matrix, arrangement.changes, arrangement.conflicts, landscape.permutations),
            (arrangement.starts, arrangement.pool_columns, arrangement.pool_starts, arrangement.pool_sites),
            (lowest, rows),
            (steps, hot),
            rng,
        )
    rows = rows[np.isfinite(lowest)]
    return rows[np.argsort(landscape.energies(rows), kind="stable")]


@njit(cache=True, nogil=True)
def _run(
    state: tuple[Indices, Array, float],
    system: tuple[Array, ChargeArray, Mask, Indices],
    columns: tuple[Indices, Indices, Indices, Indices],
    best: tuple[Array, Indices],
    schedule: tuple[int, float],
    rng: Generator,
) -> None:
    row, potential, energy = state
    matrix, changes, conflicts, permutations = system
    starts, pool_columns, pool_starts, pool_sites = columns
    steps, temperature = schedule
    factor = COOLING ** (1.0 / steps)
    canonical = np.empty_like(row)
    for _ in range(steps):
        temperature *= factor
        column = rng.integers(0, len(row))
        j = np.searchsorted(pool_columns, column, side="right") - 1
        site = pool_sites[rng.integers(pool_starts[j], pool_starts[j + 1])]
        partner = _occupant(row, pool_columns[j], pool_columns[j + 1], site)
        if partner < 0 and _overlaps(row, pool_columns[j], pool_columns[j + 1], column, site, conflicts):
            continue
        charge = changes[column] - (changes[partner] if partner >= 0 else 0.0)
        old = row[column]
        cost = charge * (potential[site] - potential[old])
        cost += 0.5 * charge**2 * (matrix[site, site] + matrix[old, old] - 2 * matrix[site, old])
        if partner == column or (cost > 0 and rng.random() >= math.exp(-cost / temperature)):
            continue
        row[column] = site
        if partner >= 0:
            row[partner] = old
        potential += charge * (matrix[site] - matrix[old])
        energy += cost
        if energy < best[0][-1] - DEGENERACY:
            canonical_row(row, starts, permutations, canonical)
            _remember(energy, canonical, best[0], best[1])


@njit(cache=True, nogil=True)
def _occupant(row: Indices, first: int, last: int, site: int) -> int:
    for column in range(first, last):
        if row[column] == site:
            return column
    return -1


@njit(cache=True, nogil=True)
def _overlaps(row: Indices, first: int, last: int, moving: int, site: int, conflicts: Mask) -> bool:
    found = False
    for column in range(first, last):
        found |= column != moving and conflicts[row[column], site]
    return found


@njit(cache=True, nogil=True)
def _remember(energy: float, canonical: Indices, lowest: Array, rows: Indices) -> None:
    """Insert a configuration into the sorted pool of the lowest, unless it is there."""
    place = np.searchsorted(lowest, energy - DEGENERACY)
    while place < len(lowest) and lowest[place] < energy + DEGENERACY:
        if (rows[place] == canonical).all():
            return
        place += 1
    lowest[place + 1 :] = lowest[place:-1].copy()
    rows[place + 1 :] = rows[place:-1].copy()
    lowest[place] = energy
    rows[place] = canonical
