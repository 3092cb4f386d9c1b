"""Facets of a crystal: planes up to an index that its symmetry does not make equal, and all that it does.

A plane and its back count as one facet (the Laue group): what is cut along it has both faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import InputError
from ionscape.interfaces.orientation import checked_miller, indices_in
from ionscape.interfaces.settings import Miller
from ionscape.results import frozen
from ionscape.structures.exchange import check_structure
from ionscape.structures.orbits import primitive_crystal
from ionscape.units import Array, Indices, Length, NumberArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Indices above this are no facets of a crystal, and their number grows with the cube.
HIGHEST_INDEX = 9


@dataclass(frozen=True)
class Facets:
    """The planes of a crystal and its symmetry.

    Attributes
    ----------
    given, primitive
        Lattice vectors of the cell that was given and of the primitive one, rows, (3, 3), Å.
    rotations
        Rotations of the Laue group on columns of indices of the primitive cell, (n, 3, 3).
    """

    given: NumberArray
    primitive: NumberArray
    rotations: Indices

    @classmethod
    def of(cls, bulk: Structure, precision: Length = 0.05) -> Facets:
        """Return the facets of `bulk`, atoms within `precision` (Å) counting as equivalent.

        Raises
        ------
        InputError
            If the crystal is not ordered.
        """
        check_structure(bulk, where=f"crystal to cut ({bulk.composition.reduced_formula})")
        primitive, group = primitive_crystal(bulk, precision)
        turns = group.rotations.transpose(0, 2, 1)
        rotations = np.unique(np.concatenate([turns, -turns]), axis=0)
        return cls(frozen(bulk.lattice.matrix), frozen(primitive.lattice.matrix), rotations)

    def family(self, miller: Miller) -> list[Indices]:
        """Return all planes equal to `miller`, as indices of the primitive cell."""
        m = indices_in(self.given, self.primitive, checked_miller(miller))
        return list(np.unique(self.rotations @ m, axis=0))

    def normals(self, miller: Miller) -> Array:
        """Return the unit normals of all planes equal to `miller`, Cartesian, (n, 3)."""
        vectors = np.array(self.family(miller)) @ np.linalg.inv(self.primitive).T
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1)[:, None])

    def distinct(self, max_index: int) -> list[Miller]:
        """Return one plane of every family with indices up to `max_index`, low indices first.

        Of a family the one with the fewest minus signs is taken, then with the larger leading indices.

        Raises
        ------
        InputError
            If `max_index` is not 1 to 9.
        """
        if not 1 <= max_index <= HIGHEST_INDEX:
            raise InputError(
                f"a largest Miller index of {max_index}",
                where="surfaces",
                expected=f"1 to {HIGHEST_INDEX}",
                remedy="Facets of crystals have low indices; 1 to 3 are usual.",
            )
        span = range(-max_index, max_index + 1)
        planes: list[Miller] = [(h, k, m) for h in span for k in span for m in span if math.gcd(h, k, m) == 1]
        planes.sort(key=_plainness)
        found: list[Miller] = []
        known: set[tuple[int, ...]] = set()
        for miller in planes:
            own = tuple(indices_in(self.given, self.primitive, miller).tolist())
            if own not in known:
                known |= {tuple(other.tolist()) for other in self.family(miller)}
                found.append(miller)
        return found


def _plainness(miller: Miller) -> tuple[int, ...]:
    return (sum(x * x for x in miller), sum(x < 0 for x in miller), *(-x for x in miller))


def miller_text(miller: Miller) -> str:
    """Return indices as they are written in messages: ``(1 0 -4)``."""
    return f"({' '.join(str(index) for index in miller)})"
