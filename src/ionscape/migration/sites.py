"""Where the mobile ion sits: its sites with their coordination, and the symmetry that relates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Element

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.structures.orbits import symmetry_dataset
from ionscape.units import Array, Count, FractionalArray, Indices, Length, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Elements at least this electronegative (Pauling) count as ligands: C, N, O, F, S, Cl, Se, Br, I.
LEAST_ELECTRONEGATIVITY = 2.5
#: A ligand is no farther than this times the sum of the covalent radii (Cordero et al., doi:10.1039/B801115J).
#: Li–O 2.62 Å, Li–N 2.69 Å, Li–S 3.15 Å, Na–O 3.13 Å.
LONGEST_BOND = 1.35
#: Positions equivalent by symmetry within this, Å.
PRECISION = 0.02


@dataclass(frozen=True)
class IonSite:
    """A place where the mobile ion sits, or could.

    Attributes
    ----------
    fractional
        Its position, (3,).
    label
        The ion and its ligands, such as ``LiO5``.
    coordination
        Number of ligands of each element.
    orbit
        Number of its class of symmetry-equivalent sites, from 0.
    occupied
        Whether an ion is there.
    """

    fractional: FractionalArray
    label: str
    coordination: Annotated[Mapping[str, int], Unit("1")]
    orbit: Count
    occupied: bool

    @property
    def n_ligands(self) -> Count:
        """Number of ligands of all elements."""
        return sum(self.coordination.values())


def is_ligand(symbol: str) -> bool:
    """Tell whether an element counts as a ligand: electronegative, no noble gas."""
    element = Element(symbol)
    return not element.is_noble_gas and float(element.X) >= LEAST_ELECTRONEGATIVITY


def bond_limit(ion: str, ligand: str) -> Length:
    """Return the longest distance that counts as a bond of two elements, Å."""
    return float(LONGEST_BOND * sum(covalent_radii[atomic_numbers[symbol]] for symbol in (ion, ligand)))


def coordination(structure: Structure, position: Array, ion: str) -> dict[str, int]:
    """Return the number of ligands of each element about a Cartesian `position` (3,), as those of `ion`."""
    ligands = [symbol for symbol in structure.symbol_set if symbol != ion and is_ligand(symbol)]
    reach = max((bond_limit(ion, symbol) for symbol in ligands), default=0.0)
    counts = dict.fromkeys(sorted(ligands), 0)
    for neighbour in structure.get_sites_in_sphere(position, reach) if ligands else ():
        symbol = neighbour.specie.symbol
        if symbol in counts and neighbour.nn_distance <= bond_limit(ion, symbol):
            counts[symbol] += 1
    return {symbol: count for symbol, count in counts.items() if count}


def label_of(ion: str, counts: Mapping[str, int]) -> str:
    """Return the ion with its ligands as written in the field: ``LiO5``, ``LiO3N``."""
    ligands = sorted(counts, key=lambda symbol: (-float(Element(symbol).X), symbol))
    return ion + "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in ligands)


def ion_sites(structure: Structure, ion: str, empty: FractionalArray | None = None) -> tuple[IonSite, ...]:
    """Return the sites of `ion` in the order of the structure, then those of `empty` (m, 3), with their classes.

    Raises
    ------
    InputError
        If the structure has no such ion, or its symmetry cannot be found.
    """
    occupied = [site.frac_coords for site in structure if site.specie.symbol == ion]
    if not occupied and (empty is None or not len(empty)):
        raise InputError(
            f"no {ion} in {structure.composition.reduced_formula}",
            where="mobile ion",
            expected=f"one of its elements: {', '.join(sorted(structure.symbol_set))}",
            remedy="Name the ion that moves.",
        )
    places = np.array([*occupied, *(() if empty is None else empty)])
    orbits = _orbits(SiteSymmetry.of(structure, places))
    sites = []
    for k, (place, orbit) in enumerate(zip(places, orbits, strict=True)):
        counts = coordination(structure, structure.lattice.get_cartesian_coords(place), ion)
        sites.append(IonSite(frozen(place), label_of(ion, counts), counts, int(orbit), k < len(occupied)))
    return tuple(sites)


@dataclass(frozen=True)
class SiteSymmetry:
    """How the space group of a crystal permutes places in its cell.

    Operation k takes place i to place ``target[k, i]`` displaced by ``shift[k, i]`` lattice vectors.

    Attributes
    ----------
    rotations
        (operations, 3, 3), fractional.
    target
        (operations, places).
    shift
        (operations, places, 3).
    """

    rotations: Indices
    target: Indices
    shift: Indices

    @classmethod
    def of(cls, structure: Structure, places: FractionalArray) -> SiteSymmetry:
        """Return the permutations of `places` (n, 3) by the operations that map them onto themselves."""
        cell = structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure]
        found = symmetry_dataset(cell, PRECISION)
        kept = []
        for rotation, translation in zip(found.rotations, found.translations, strict=True):
            images = places @ np.array(rotation).T + translation
            match = _matched(images, places, np.array(structure.lattice.matrix))
            if match is not None:
                kept.append((np.array(rotation, dtype=np.int64), *match))
        rotations, targets, shifts = zip(*kept, strict=True)
        return cls(np.array(rotations), np.array(targets), np.array(shifts))

    def images(self, start: int, end: int, translation: Sequence[int]) -> Indices:
        """Return the images (operations, 5) of a pair: start, end, relative translation of the end."""
        moved = np.einsum("kab,b->ka", self.rotations, np.asarray(translation))
        moved = moved + self.shift[:, end] - self.shift[:, start]
        rows: Indices = np.column_stack([self.target[:, start], self.target[:, end], moved])
        return rows


def _matched(images: Array, places: Array, matrix: Array) -> tuple[Indices, Indices] | None:
    apart = images[:, None] - places[None]
    whole = np.rint(apart)
    lengths = np.linalg.norm((apart - whole) @ matrix, axis=-1)
    target = lengths.argmin(axis=1)
    rows = np.arange(len(places))
    # empty sites come from a grid: their symmetry holds a little less exactly than that of the atoms
    if lengths[rows, target].max(initial=0.0) > 5 * PRECISION or len(set(target.tolist())) < len(places):
        return None
    return target.astype(np.int64), whole[rows, target].astype(np.int64)


def _orbits(symmetry: SiteSymmetry) -> Indices:
    first = symmetry.target.min(axis=0)
    names = {int(name): k for k, name in enumerate(sorted(set(first.tolist())))}
    return np.array([names[int(name)] for name in first], dtype=np.int64)
