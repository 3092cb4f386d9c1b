"""Configurations of a doped supercell: drawn uniformly at random, or all of them.

A configuration is one row of site indices: a column for every changed site, the columns of one placement side by
side and ascending, because ions of one kind are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.random import Generator
from numpy.typing import NDArray

from ionscape.doping.sites import Mask, Placement, SiteLattice
from ionscape.errors import InputError
from ionscape.units import ChargeArray, Indices

#: Draws rejected in a row for overlaps before the task is called impossible.
MAX_REJECTIONS = 1_000_000


@dataclass(frozen=True)
class Layout:
    """Which columns of a configuration belong together, and the sites each may hold.

    Attributes
    ----------
    starts
        First column of each placement, and the number of columns at the end, (p + 1,).
    pool_columns
        First column of each pool, and the number of columns at the end, (q + 1,); the placements of a pool stand
        side by side and share its sites.
    pool_starts, pool_sites
        Sites of pool j: ``pool_sites[pool_starts[j]:pool_starts[j + 1]]``.
    changes
        Change of charge in each column, (k,), e.
    conflicts
        Pairs of sites that must not both be occupied, (n, n).
    """

    starts: Indices
    pool_columns: Indices
    pool_starts: Indices
    pool_sites: Indices
    changes: ChargeArray
    conflicts: Mask


def layout(sites: SiteLattice, placed: list[Placement]) -> Layout:
    """Return the layout of the configurations of `placed` on `sites`; `placed` must be grouped by pool."""
    pools = list(dict.fromkeys(placement.pool for placement in placed))
    members = [sites.pool(pool) for pool in pools]
    columns = [sum(p.count for p in placed if p.pool == pool) for pool in pools]
    return Layout(
        starts=_bounds([placement.count for placement in placed]),
        pool_columns=_bounds(columns),
        pool_starts=_bounds([len(sites_of_pool) for sites_of_pool in members]),
        pool_sites=np.concatenate(members),
        changes=np.repeat([placement.change for placement in placed], [placement.count for placement in placed]),
        conflicts=np.ascontiguousarray(sites.conflicts),
    )


def _bounds(lengths: list[int]) -> Indices:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def count_configurations(sites: SiteLattice, placed: list[Placement]) -> int:
    """Return the number of configurations before overlaps are rejected: a product of multinomial coefficients."""
    total = 1
    for pool in dict.fromkeys(placement.pool for placement in placed):
        left = len(sites.pool(pool))
        for placement in placed:
            if placement.pool == pool:
                total *= math.comb(left, placement.count)
                left -= placement.count
    return total


def random_configurations(arrangement: Layout, number: int, rng: Generator) -> Indices:
    """Return configurations drawn uniformly from all that have no overlaps, (number, k), with repetition.

    Sites are drawn without replacement; a draw in which two occupied sites conflict is thrown away whole, which
    keeps the rest uniform.

    Raises
    ------
    InputError
        If overlaps leave practically no configuration.
    """
    drawn, complete = _draw(
        arrangement.starts,
        (arrangement.pool_columns, arrangement.pool_starts, arrangement.pool_sites.copy()),
        arrangement.conflicts,
        number,
        rng,
    )
    if not complete:
        _refuse_crowding()
    return drawn


def _refuse_crowding() -> None:
    raise InputError(
        "the interstitials do not fit: every arrangement on the empty sites has two of them too close",
        where="doping",
        expected="at least one arrangement without overlaps",
        remedy="Use fewer dopants, a larger supercell, more empty sites, or a smaller `min_distance_A`.",
    )


@njit(cache=True, nogil=True)
def _draw(
    starts: Indices, pools: tuple[Indices, Indices, Indices], conflicts: Mask, number: int, rng: Generator
) -> tuple[Indices, bool]:
    drawn = np.empty((number, starts[-1]), dtype=np.int64)
    for m in range(number):
        row = drawn[m]
        for attempt in range(MAX_REJECTIONS):
            if _deal(row, pools, conflicts, rng):
                break
            if attempt == MAX_REJECTIONS - 1:
                return drawn[:m], False
        for g in range(len(starts) - 1):
            row[starts[g] : starts[g + 1]].sort()
    return drawn, True


@njit(cache=True, nogil=True)
def _deal(row: Indices, pools: tuple[Indices, Indices, Indices], conflicts: Mask, rng: Generator) -> bool:
    """Fill one row by a partial Fisher–Yates shuffle of each pool; false at the first overlap."""
    pool_columns, pool_starts, deck = pools
    for j in range(len(pool_columns) - 1):
        place = pool_starts[j]
        for column in range(pool_columns[j], pool_columns[j + 1]):
            other = rng.integers(place, pool_starts[j + 1])
            deck[place], deck[other] = deck[other], deck[place]
            row[column] = deck[place]
            for before in range(pool_columns[j], column):
                if conflicts[row[before], row[column]]:
                    return False
            place += 1
    return True


def all_configurations(arrangement: Layout) -> Indices:
    """Return every configuration without overlaps, once, (m, k), in lexicographic order.

    Column after column is filled with every allowed site; use it only where `count_configurations` is small.

    Raises
    ------
    InputError
        If overlaps leave no configuration.
    """
    starts, pool_columns = arrangement.starts, arrangement.pool_columns
    rows = np.empty((1, 0), dtype=np.int64)
    for column in range(int(starts[-1])):
        placement = int(np.searchsorted(starts, column, side="right")) - 1
        pool = int(np.searchsorted(pool_columns, column, side="right")) - 1
        first, last = arrangement.pool_starts[pool : pool + 2]
        members = np.sort(arrangement.pool_sites[first:last])
        allowed = np.ones((len(rows), len(members)), dtype=bool)
        for before in range(int(pool_columns[pool]), column):
            taken = rows[:, before, None]
            allowed &= (taken != members) & ~arrangement.conflicts[taken, members]
        if column > starts[placement]:
            allowed &= members > rows[:, column - 1, None]
        allowed &= _room_left(rows, members, int(starts[placement + 1]) - column, int(pool_columns[pool]))
        parent, site = np.nonzero(allowed)
        rows = np.column_stack([rows[parent], members[site]])
    if not len(rows):
        _refuse_crowding()
    return rows


def _room_left(rows: Indices, members: Indices, wanted: int, first: int) -> NDArray[np.bool_]:
    """Where enough free higher sites remain for the columns still to be filled in ascending order."""
    free = np.ones((len(rows), len(members)), dtype=bool)
    for before in range(first, rows.shape[1]):
        free &= rows[:, before, None] != members
    return np.asarray(np.cumsum(free[:, ::-1], axis=1)[:, ::-1] >= wanted)
