"""A tall matrix to which blocks of rows and columns are added, without a copy of all of it."""

from __future__ import annotations

import numpy as np

from ionscape.units import Array, Count

_GROWTH = 1.3


class GrowingMatrix:
    """A matrix in blocks of rows, as they were added; each block has room for more columns.

    Growing copies one block at a time, so that no more than one is ever there twice. Columns lie one behind the
    other: room that is not used yet takes no memory.
    """

    def __init__(self, columns: Count) -> None:
        self._blocks: list[Array] = []
        self._columns = columns

    @property
    def values(self) -> Array:
        """A copy of the matrix, (rows, columns)."""
        return np.concatenate([np.empty((0, self._columns)), *self._parts(0)])

    def times(self, other: Array, first: Count = 0) -> Array:
        """Return the product with `other`, (rows, n), of the columns from `first` on, as many as it has rows."""
        parts = [part[:, : len(other)] @ other for part in self._parts(first)]
        return np.concatenate([np.empty((0, other.shape[1])), *parts])

    def transposed_times(self, other: Array) -> Array:
        """Return the product of the transposed matrix with `other` (rows, n), (columns, n)."""
        product, begin = np.zeros((self._columns, other.shape[1])), 0
        for part in self._parts(0):
            product += part.T @ other[begin : begin + len(part)]
            begin += len(part)
        return product

    def add_rows(self, rows: Array) -> None:
        """Add rows, (new, columns)."""
        block = _empty(len(rows), self._columns)
        block[:, : self._columns] = rows
        self._blocks.append(block)

    def add_columns(self, columns: Array) -> None:
        """Add columns, (rows, new)."""
        there, begin = self._columns, 0
        wanted = there + columns.shape[1]
        for number, block in enumerate(self._blocks):
            if wanted > block.shape[1]:
                self._blocks[number] = _empty(len(block), wanted)
                self._blocks[number][:, :there] = block[:, :there]
            self._blocks[number][:, there:wanted] = columns[begin : begin + len(block)]
            begin += len(block)
        self._columns = wanted

    def _parts(self, first: Count) -> list[Array]:
        return [block[:, first : self._columns] for block in self._blocks]


def _empty(rows: Count, columns: Count) -> Array:
    return np.empty((rows, int(_GROWTH * columns) + 1), order="F")
