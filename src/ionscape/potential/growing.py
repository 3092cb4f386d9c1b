"""A tall matrix to which blocks of rows and columns are added, without a copy of all of it."""

from __future__ import annotations

import errno
import math
import os
import tempfile

import numpy as np

from ionscape.errors import CalculationError
from ionscape.units import Array, Count

_GROWTH = 1.3
#: Blocks are in memory up to this size, bytes; the others are in files without a name, in the folder for those.
IN_MEMORY = 2 * 10**9


class GrowingMatrix:
    """A matrix in blocks of rows, as they were added; each block has room for more columns.

    Growing copies one block at a time, so that no more than one is ever there twice. Columns lie one behind the
    other: room that is not used yet takes no memory.

    Parameters
    ----------
    columns
        How many there are at first.
    in_memory
        Size of all blocks, bytes, beyond which they go to files.
    """

    def __init__(self, columns: Count, in_memory: Count = IN_MEMORY) -> None:
        self._blocks: list[Array] = []
        self._columns, self._in_memory = columns, in_memory

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
        """Add rows, (new, columns).

        Raises
        ------
        CalculationError
            If they are to go to a file for which there is no space.
        """
        block = self._empty(len(rows), self._columns)
        block[:, : self._columns] = rows
        self._blocks.append(block)

    def add_columns(self, columns: Array) -> None:
        """Add columns, (rows, new); errors as those of `add_rows`."""
        there, begin = self._columns, 0
        wanted = there + columns.shape[1]
        for number, block in enumerate(self._blocks):
            if wanted > block.shape[1]:
                self._blocks[number] = self._empty(len(block), wanted)
                self._blocks[number][:, :there] = block[:, :there]
            self._blocks[number][:, there:wanted] = columns[begin : begin + len(block)]
            begin += len(block)
        self._columns = wanted

    def _parts(self, first: Count) -> list[Array]:
        return [np.asarray(block[:, first : self._columns]) for block in self._blocks]

    def _empty(self, rows: Count, columns: Count) -> Array:
        """Return a new block with room for more columns; what of it is not used yet takes no memory."""
        shape = rows, int(_GROWTH * columns) + 1
        held = sum(block.nbytes for block in self._blocks if not isinstance(block, np.memmap))
        if not rows or held + 8 * math.prod(shape) <= self._in_memory:
            return np.empty(shape, order="F")
        return _in_a_file(shape)


def _in_a_file(shape: tuple[int, int]) -> Array:
    size = 8 * math.prod(shape)
    try:
        with tempfile.TemporaryFile() as file:
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype=float, mode="r+", shape=shape, order="F")
    except OSError as error:
        message = (
            f"the rows of the frames no longer fit into memory, and {size / 1e6:.0f} MB more of them not into the "
            f"folder {tempfile.gettempdir()} ({error.strerror}): choose another (TMPDIR), or fewer inducing "
            "environments"
        )
        raise CalculationError(message) from None


def _reserve(file: int, size: int) -> None:
    """Take the space of a file, so that a full disk is told here and not at a write into the map."""
    try:
        os.posix_fallocate(file, 0, size)
    except (AttributeError, OSError) as error:  # neither every system nor every file system can
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.truncate(file, size)
