"""The sites of a doped supercell (host atoms and empty sites) and what may be placed on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from scipy.spatial import cKDTree

from ionscape.doping.settings import DopingRoute
from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.structures.supercells import images_within, supercell_positions
from ionscape.units import Charge, ChargeArray, FractionalArray, Indices, LengthArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SiteLattice:
    """The sites of a supercell, host atoms first, then empty sites.

    Attributes
    ----------
    lattice
        Lattice vectors of the supercell as rows, (3, 3), Å.
    fractional
        Fractional coordinates in the supercell, (n, 3).
    elements
        Element on each site of the undoped host; ``""`` at an empty site.
    conflicts
        (n, n); true where two empty sites are too close to be occupied together.
    n_discarded
        Empty sites left out because they are too close to a host atom.
    """

    lattice: LengthArray
    fractional: FractionalArray
    elements: tuple[str, ...]
    conflicts: Mask
    n_discarded: int

    def pool(self, element: str) -> Indices:
        """Return the indices of the sites of a host element (``""``: the empty sites)."""
        return np.flatnonzero(np.array(self.elements) == element)

    def charges(self, charges: Mapping[str, float]) -> ChargeArray:
        """Return the charges of the undoped host on the sites, (n,), e."""
        return np.array([charges.get(element, 0.0) if element else 0.0 for element in self.elements])


@dataclass(frozen=True)
class Placement:
    """One kind of change: `count` sites of a pool receive `species` (``""``: they become vacant).

    Attributes
    ----------
    species
        Element placed; ``""`` for a vacancy.
    pool
        The host element whose sites are used; ``""`` for the empty sites.
    count
        Number of sites changed.
    change
        Change of the charge of such a site, e.
    """

    species: str
    pool: str
    count: int
    change: Charge


def site_lattice(
    host: Structure, empty_sites: FractionalArray, supercell: tuple[int, int, int], min_distance: float
) -> SiteLattice:
    """Return the sites of a supercell: host atoms and the empty sites that are not too close to them.

    Parameters
    ----------
    host
        The undoped crystal.
    empty_sites
        Fractional coordinates of the empty sites in the host cell, (m, 3), all symmetry copies.
    supercell
        Repeats along the three axes.
    min_distance
        Shortest distance of an interstitial to a host atom or to another interstitial, Å.

    Raises
    ------
    InputError
        If empty sites are not (m, 3) finite fractional coordinates.
    """
    empty = np.asarray(empty_sites, dtype=float).reshape(-1, 3) if np.size(empty_sites) == 0 else empty_sites
    empty = np.asarray(empty, dtype=float)
    if empty.ndim != 2 or empty.shape[1] != 3 or not np.isfinite(empty).all():
        raise InputError(
            f"empty sites of shape {empty.shape}",
            where="doping",
            expected="finite fractional coordinates in the host cell, (m, 3)",
            remedy="Pass the fractional coordinates found by the voids stage.",
        )
    lattice = host.lattice.matrix * np.array(supercell)[:, None]
    atoms, empty = (supercell_positions(points, np.diag(supercell)) for points in (host.frac_coords, empty))
    free = ~contacts(lattice, empty, atoms, min_distance).any(axis=1)
    n_copies = math.prod(supercell)
    elements = [site.specie.symbol for site in host for _ in range(n_copies)] + [""] * int(free.sum())
    conflicts = np.zeros((len(elements), len(elements)), dtype=bool)
    conflicts[len(atoms) :, len(atoms) :] = contacts(lattice, empty[free], empty[free], min_distance)
    np.fill_diagonal(conflicts, val=False)
    conflicts.setflags(write=False)
    sites = np.vstack([atoms, empty[free]]) % 1.0
    return SiteLattice(frozen(lattice), frozen(sites), tuple(elements), conflicts, int((~free).sum()))


def placements(
    sites: SiteLattice, route: DopingRoute, count: int, charges: Mapping[str, float]
) -> list[Placement]:
    """Return what a route places in a supercell for `count` dopants, grouped by pool.

    Raises
    ------
    InputError
        If a number is not whole for this count, nothing is placed, or a pool has too few sites.
    """
    made = [Placement(new, old, count, charges[new] - charges[old]) for old, new in route.replace.items()]
    made += [Placement("", e, _whole(n * count, e, route, count), -charges[e]) for e, n in route.remove.items()]
    made += [Placement(e, "", _whole(n * count, e, route, count), charges[e]) for e, n in route.insert.items()]
    if not made:
        raise InputError(
            "nothing to replace, insert or remove",
            where=f"doping route '{route.name}'",
            expected="at least one of `replace`, `insert` and `remove`",
            remedy="Name what the dopant replaces, e.g. replace = { O = 'N' }.",
        )
    for pool in {placement.pool for placement in made}:
        wanted = sum(placement.count for placement in made if placement.pool == pool)
        _refuse_shortage(sites, pool, wanted, f"doping route '{route.name}', count {count}")
    return sorted(made, key=lambda p: (p.pool, p.count, p.species))


def _whole(number: float, element: str, route: DopingRoute, count: int) -> int:
    if abs(number - round(number)) > 1e-9:
        raise InputError(
            f"{number:g} {element} for {count} dopants",
            where=f"doping route '{route.name}'",
            expected="a whole number of ions in the supercell",
            remedy="Choose counts for which every number is whole.",
        )
    return round(number)


def _refuse_shortage(sites: SiteLattice, pool: str, wanted: int, where: str) -> None:
    present = len(sites.pool(pool))
    if wanted <= present:
        return
    kind = f"sites of {pool}" if pool else "empty sites"
    dropped = f" ({sites.n_discarded} more are too close to host atoms)" if not pool and sites.n_discarded else ""
    raise InputError(
        f"{wanted} {kind} are needed but the supercell has {present}{dropped}",
        where=where,
        expected=f"at most {present}",
        remedy="Use fewer dopants or a larger supercell"
        + ("." if pool else ", find more empty sites, or lower `min_distance_A`."),
    )


def doped_structure(sites: SiteLattice, placed: list[Placement], occupied: Indices) -> Structure:
    """Return the crystal structure of one configuration.

    Parameters
    ----------
    sites
        Sites of the supercell.
    placed
        What is placed.
    occupied
        The sites changed, (k,), in the order of `placed`.
    """
    elements = list(sites.elements)
    species = [placement.species for placement in placed for _ in range(placement.count)]
    for site, symbol in zip(occupied, species, strict=True):
        elements[site] = symbol
    kept = [i for i, symbol in enumerate(elements) if symbol]
    structure = Structure(Lattice(sites.lattice), [elements[i] for i in kept], sites.fractional[kept])
    return structure.get_sorted_structure()


def contacts(lattice: LengthArray, first: FractionalArray, second: FractionalArray, cutoff: float) -> Mask:
    """Return which sites come closer than a distance, over all periodic images, (n, m).

    Parameters
    ----------
    lattice
        Lattice vectors as rows, (3, 3), Å; any shape of cell.
    first, second
        Fractional coordinates, (n, 3) and (m, 3).
    cutoff
        The distance, Å.
    """
    close = np.zeros((len(first), len(second)), dtype=bool)
    if close.size:
        positions, index = images_within(lattice, second, cutoff)
        found = cKDTree(positions).query_ball_point(first % 1.0 @ lattice, cutoff)
        for row, neighbours in zip(close, found, strict=True):
            row[index[neighbours]] = True
    return close
