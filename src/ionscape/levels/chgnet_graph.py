"""The graph of bonds and angles that CHGNet sees, made with arrays.

As in CHGNet (doi:10.1038/s42256-023-00716-3) two atoms within 6 Å are a bond, which is one undirected and two
directed ones, and two directed bonds of up to 3 Å from one atom are an angle, in both orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ionscape.errors import CalculationError, InputError
from ionscape.structures.exchange import check_periodic

#: Distance below which an atom is its own neighbour, Å.
SAME = 1e-8
#: Atomic number of the heaviest element that CHGNet has features of.
HEAVIEST = 94


@dataclass(frozen=True)
class Owners:
    """Which row belongs to which owner, and the rows in order of their owners."""

    of_row: Tensor
    order: Tensor
    starts: Tensor

    @classmethod
    def of(cls, of_row: NDArray[np.integer], count: int, device: str) -> Owners:
        """Return the owners `of_row`, (rows,), numbers below `count`."""
        starts = np.zeros(count, dtype=np.int64)
        np.cumsum(np.bincount(of_row, minlength=count)[:-1], out=starts[1:])
        arrays = (of_row.astype(np.int64), np.argsort(of_row, kind="stable"), starts)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def sums(self, rows: Tensor) -> Tensor:
        """Return the sums of the rows of each owner, (owners, features)."""
        if rows.device.type == "cpu":
            return functional.embedding_bag(self.order, rows.contiguous(), self.starts, mode="sum")
        return rows.new_zeros(len(self.starts), rows.shape[1]).index_add_(0, self.of_row, rows)


@dataclass(frozen=True)
class CrystalGraph:
    """Atoms, bonds and angles of a crystal; single precision, on one device.

    Attributes
    ----------
    numbers
        Atomic numbers, (n,).
    vectors
        From the neighbour to the centre of every directed bond, Å, (bonds, 3).
    centre, neighbour, pair
        Of every directed bond: its atoms and the undirected bond.
    one_way
        A directed bond of every undirected one.
    corner, first, second
        Of every angle: its atom and its two directed bonds.
    short
        The undirected bonds that make angles.
    first_pair, second_pair
        Of every angle: its two undirected bonds, numbered as in `short`.
    """

    numbers: Tensor
    vectors: Tensor
    centre: Owners
    neighbour: Owners
    pair: Owners
    one_way: Tensor
    corner: Owners
    first: Owners
    second: Owners
    short: Tensor
    first_pair: Owners
    second_pair: Owners


def crystal_graph(atoms: Atoms, bond_cutoff: float, angle_cutoff: float, device: str) -> CrystalGraph:
    """Return the graph of `atoms`; cutoffs in Å.

    Raises
    ------
    InputError
        If the atoms are not periodic in three directions, or one is of no element that CHGNet knows.
    CalculationError
        If an atom is isolated: nothing of the kind was in the training set.
    """
    check_periodic(atoms)
    _check_elements(atoms)
    count = len(atoms)
    places, lattice = atoms.get_scaled_positions(wrap=False), atoms.cell.array
    places = (places - np.floor(places)) @ lattice  # far from the cell digits would be lost
    centre, neighbour, images, lengths = _neighbours(places, lattice, bond_cutoff)
    lonely = np.flatnonzero(np.bincount(centre, minlength=count) == 0)
    if len(lonely):
        raise CalculationError(
            f"{len(lonely)} isolated atom(s), the first number {lonely[0]} ({atoms.symbols[lonely[0]]}): nothing "
            f"within {bond_cutoff:g} Å, which CHGNet was not trained on"
        )
    pair, one_way = _pairs(centre, neighbour, images)
    first, second = _angles(centre, lengths, angle_cutoff)
    short, first_pair = np.unique(pair[first], return_inverse=True)
    vectors = places[centre] - places[neighbour] - images @ lattice

    def owners(of_row: NDArray[np.integer], number: int) -> Owners:
        return Owners.of(of_row, number, device)

    return CrystalGraph(
        numbers=torch.from_numpy(atoms.numbers.astype(np.int64)).to(device),
        vectors=torch.from_numpy(vectors.astype(np.float32)).to(device),
        centre=owners(centre, count),
        neighbour=owners(neighbour, count),
        pair=owners(pair, len(one_way)),
        one_way=torch.from_numpy(one_way).to(device),
        corner=owners(centre[first], count),
        first=owners(first, len(centre)),
        second=owners(second, len(centre)),
        short=torch.from_numpy(short).to(device),
        first_pair=owners(first_pair, len(short)),
        second_pair=owners(np.searchsorted(short, pair[second]), len(short)),
    )


def _check_elements(atoms: Atoms) -> None:
    unknown = [
        symbol for symbol, number in zip(atoms.symbols, atoms.numbers, strict=True) if not 0 < number <= HEAVIEST
    ]
    if unknown:
        raise InputError(
            f"the element {unknown[0]}",
            where=str(atoms.info.get("filename", atoms.get_chemical_formula())),
            expected="elements that CHGNet knows, H to Pu",
            remedy="Take another level for this structure (see `ionscape levels`).",
        )


def _neighbours(
    places: NDArray[np.float64], lattice: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[Any], ...]:
    """Return atom, neighbour, cell of the neighbour (pairs, 3) and distance of all pairs, in order of the atom."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    places, lattice = np.ascontiguousarray(places), np.ascontiguousarray(lattice)
    found = find_points_in_spheres(places, places, cutoff, np.ones(3, dtype=np.int64), lattice, SAME)
    kept = ~((found[0] == found[1]) & (found[3] <= SAME))
    return tuple(array[kept] for array in found)


def _pairs(
    centre: NDArray[np.int64], neighbour: NDArray[np.int64], images: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the undirected bond of every directed one, and one directed bond of every undirected one."""
    cells = np.rint(images).astype(np.int64)
    wide = 2 * int(np.abs(cells).max(initial=0)) + 1
    place = (cells[:, 0] * wide + cells[:, 1]) * wide + cells[:, 2]  # of the way back it is −place
    turned = (centre > neighbour) | ((centre == neighbour) & (place < 0))
    low, high = np.where(turned, neighbour, centre), np.where(turned, centre, neighbour)
    bonds = np.stack([low, high, np.where(turned, -place, place)])
    order = np.lexsort((turned, *bonds[::-1]))
    there, back = order[::2], order[1::2]
    if len(there) != len(back) or (bonds[:, there] != bonds[:, back]).any() or turned[there].any():
        message = "a bond was found one way only: two atoms are at the cutoff of CHGNet to the last digit"
        raise CalculationError(message)
    pair = np.empty(len(order), dtype=np.int64)
    pair[order] = np.arange(len(order)) // 2
    return pair, there.copy()


def _angles(
    centre: NDArray[np.int64], lengths: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two directed bonds of every angle: all ordered pairs of short bonds of one atom."""
    short = np.flatnonzero(lengths < cutoff)
    short = short[np.argsort(centre[short], kind="stable")]
    atoms, starts, numbers = np.unique(centre[short], return_index=True, return_counts=True)
    at = np.repeat(np.arange(len(atoms)), numbers)
    first = np.repeat(np.arange(len(short)), numbers[at])
    begun = np.repeat(np.cumsum(numbers[at]) - numbers[at], numbers[at])
    second = np.arange(len(first)) - begun + starts[at][first]
    other = first != second
    return short[first[other]], short[second[other]]
