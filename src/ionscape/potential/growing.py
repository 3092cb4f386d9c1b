"""A matrix to which rows and columns are added, without copying it each time."""

from __future__ import annotations

import numpy as np

from ionscape.units import Array, Count

_GROWTH = 1.3


class GrowingMatrix:
    """A matrix with room for more rows and columns than it has."""

    def __init__(self, columns: Count) -> None:
        self._store = np.empty((0, columns))
        self._rows, self._columns = 0, columns

    @property
    def values(self) -> Array:
        """The matrix, (rows, columns)."""
        return self._store[: self._rows, : self._columns]

    def add_rows(self, rows: Array) -> None:
        """Add rows, (new, columns)."""
        self._make_room(self._rows + len(rows), self._columns)
        self._store[self._rows : self._rows + len(rows), : self._columns] = rows
        self._rows += len(rows)

    def add_column(self, column: Array) -> None:
        """Add a column, (rows,)."""
        self._make_room(self._rows, self._columns + 1)
        self._store[: self._rows, self._columns] = column
        self._columns += 1

    def _make_room(self, rows: Count, columns: Count) -> None:
        room = self._store.shape
        if rows <= room[0] and columns <= room[1]:
            return
        wanted = (
            room[0] if rows <= room[0] else int(_GROWTH * rows) + 1,
            room[1] if columns <= room[1] else int(_GROWTH * columns) + 1,
        )
        larger = np.empty(wanted)
        larger[: self._rows, : self._columns] = self.values
        self._store = larger
