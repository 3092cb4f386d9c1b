"""Neighbour lists of the compiled core: every pair within a cutoff plus a skin, in any cell."""

from __future__ import annotations

import ctypes
import weakref

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.potential.library import load, made
from ionscape.units import CellArray, Count, Indices, Length, LengthArray

#: Skin of lists that are kept while atoms move, Å.
SKIN = 0.6
_TROUBLE = {
    -1: ("the lattice vectors of the periodic directions are not independent", "three independent vectors"),
    -2: ("a position or the cell is not finite, or an atom is absurdly far away", "finite numbers"),
    -3: ("there are too many neighbours to store", "a cell and a cutoff of atomic size"),
}


class NeighbourList:
    r"""Neighbours of every atom, kept while no pair within the cutoff can be missing.

    Pair p of atom i is the vector :math:`r_{j} + n\,h - r_i` with j = `index` [p], n = `image` [p] and the cell h.
    Every pair stands twice; an atom is a neighbour of its images, never of itself. Pairs are sorted by atom and by
    species of the neighbour: those of atom i and species s are ``start[i, s] : start[i, s + 1]``.

    Parameters
    ----------
    species
        Species of every atom, 0 … `n_species` − 1, (atoms,).
    n_species
        Number of species.
    periodic
        Whether each lattice direction is periodic; other lattice vectors mean nothing and may be zero.
    cutoff
        Å.
    skin
        How far beyond the cutoff pairs are listed, Å.
    """

    def __init__(
        self,
        species: NDArray[np.integer],
        n_species: Count,
        cutoff: Length,
        skin: Length = SKIN,
        periodic: tuple[bool, bool, bool] = (True, True, True),
    ) -> None:
        self._library = _declared()
        self._shape = (len(species), int(n_species))
        kinds = np.ascontiguousarray(species, dtype=np.int32)
        if len(kinds) and not 0 <= kinds.min() <= kinds.max() < n_species:
            raise InputError(
                f"species {kinds.min()} to {kinds.max()}",
                where="neighbour list",
                expected=f"0 to {n_species - 1}",
                remedy="Give the index of each atom's species.",
            )
        flags = np.array(periodic, dtype=np.uint8)
        self.address = made(
            self._library.ionscape_neighbours_new(
                *self._shape, kinds.ctypes.data, flags.ctypes.data, cutoff, skin
            ),
            f"a list of the neighbours of {len(kinds)} atoms",
        )
        self._finalizer = weakref.finalize(self, self._library.ionscape_neighbours_free, self.address)

    def update(self, positions: LengthArray, cell: CellArray) -> bool:
        """Build the list again if a pair within the cutoff could be missing; return whether it was built.

        Raises
        ------
        InputError
            If the cell is flat, a number is not finite, or there are too many pairs.
        """
        return self._told(self._library.ionscape_neighbours_update, positions, cell)

    def build(self, positions: LengthArray, cell: CellArray) -> None:
        """Build the list from positions (Å, (atoms, 3), any image) and cell (Å, (3, 3)).

        Raises
        ------
        InputError
            If the cell is flat, a number is not finite, or there are too many pairs.
        """
        self._told(self._library.ionscape_neighbours_build, positions, cell)

    def _told(self, call: ctypes._NamedFuncPointer, positions: LengthArray, cell: CellArray) -> bool:
        x, h = np.ascontiguousarray(positions, dtype=float), np.ascontiguousarray(cell, dtype=float)
        status = call(self.address, x.ctypes.data, h.ctypes.data)
        if status < 0:
            found, expected = _TROUBLE[status]
            raise InputError(found, where="structure", expected=expected, remedy="Check positions and cell.")
        return bool(status)

    @property
    def start(self) -> Indices:
        """First pair of each atom and species, and behind them all the number of pairs, (atoms · species + 1,)."""
        return self._array("start", self._shape[0] * self._shape[1] + 1)

    @property
    def index(self) -> Indices:
        """Neighbour of each pair, (pairs,)."""
        return self._array("index", self.pairs)

    @property
    def image(self) -> Indices:
        """Lattice vectors of the neighbour's image of each pair, (pairs, 3)."""
        return self._array("image", 3 * self.pairs).reshape(-1, 3)

    @property
    def pairs(self) -> Count:
        """Number of pairs, each counted from either side."""
        return int(self._library.ionscape_neighbours_pairs(self.address))

    def _array(self, name: str, size: Count) -> Indices:
        if not size:
            return np.zeros(0, dtype=np.int64)
        pointer = getattr(self._library, f"ionscape_neighbours_{name}")(self.address)
        return np.ctypeslib.as_array(pointer, (size,)).astype(np.int64)


def _declared() -> ctypes.CDLL:
    library = load()
    pointer, integers = ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)
    library.ionscape_neighbours_new.argtypes = [
        ctypes.c_int, ctypes.c_int, pointer, pointer, ctypes.c_double, ctypes.c_double
    ]  # fmt: skip
    library.ionscape_neighbours_new.restype = pointer
    library.ionscape_neighbours_free.argtypes = [pointer]
    library.ionscape_neighbours_free.restype = None
    for name in ("update", "build"):
        getattr(library, f"ionscape_neighbours_{name}").argtypes = [pointer, pointer, pointer]
    for name, result in (("pairs", ctypes.c_int), ("start", integers), ("index", integers), ("image", integers)):
        getattr(library, f"ionscape_neighbours_{name}").argtypes = [pointer]
        getattr(library, f"ionscape_neighbours_{name}").restype = result
    return library
