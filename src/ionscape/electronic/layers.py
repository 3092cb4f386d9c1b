"""Atomic layers along the normal of an interface, in cells of any shape.

The normal is that of the plane of the other two lattice vectors, so layers are right in sheared and tilted
cells, where heights are not the third fractional coordinate times its vector's length. Heights are periodic with
the spacing of the lattice planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionscape.errors import InputError
from ionscape.units import Array, CellArray, Count, Indices, Length, LengthArray

#: Planes closer than this, Å, belong to one layer where no distance is given.
DEFAULT_GAP = 0.8


@dataclass(frozen=True)
class Layers:
    """Layers of a cell, counted along the normal from the widest gap upwards.

    Attributes
    ----------
    of_atom
        Layer of each atom, (atoms,).
    heights
        Mean height of each layer above the plane of the other two lattice vectors, Å, (layers,), rising; it may
        pass the spacing of the planes where a layer lies across the boundary.
    period
        Spacing of the lattice planes: the heights repeat.
    gaps
        Distance from each layer's topmost atom to the next layer's lowest, the last to the first image, Å,
        (layers,).
    """

    of_atom: Indices
    heights: LengthArray
    period: Length
    gaps: LengthArray

    def __len__(self) -> Count:
        """Return the number of layers."""
        return len(self.heights)


def normal_heights(cell: CellArray, positions: LengthArray, axis: Count = 2) -> tuple[LengthArray, Length]:
    """Return heights along the normal, h = n · r modulo the period, Å, (atoms,), and the period d = n · a_axis.

    Parameters
    ----------
    cell
        Lattice vectors as rows, Å.
    positions
        Cartesian, Å, (atoms, 3).
    axis
        Lattice vector that leads out of the interface: 0, 1 or 2.
    """
    first, second = (cell[(axis + shift) % 3] for shift in (1, 2))
    normal = np.cross(first, second)
    normal /= np.linalg.norm(normal)
    period = float(normal @ cell[axis])
    if period < 0:
        normal, period = -normal, -period
    return np.mod(positions @ normal, period), period


def find_layers(cell: CellArray, positions: LengthArray, axis: Count = 2, gap: Length = DEFAULT_GAP) -> Layers:
    """Return the layers: atoms belong to one if no gap of `gap` along the normal divides them.

    Raises
    ------
    InputError
        If there are no atoms, or no gap divides them: they are one block, and layers mean nothing at this
        distance.
    """
    if not len(positions):
        raise _refused("no atoms", "atoms")
    heights, period = normal_heights(cell, positions, axis)
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order], append=heights[order[0]] + period)
    if steps.max() <= gap:
        raise _refused(
            f"no gap of {gap:g} Å along the normal (the widest is {steps.max():.2f} Å)", "a smaller gap"
        )
    start = int(np.argmax(steps)) + 1
    order, steps = np.roll(order, -start), np.roll(steps, -start)
    ends = steps > gap
    number = np.concatenate([[0], np.cumsum(ends[:-1])]).astype(np.int64)
    unrolled = heights[order]
    unrolled[unrolled < unrolled[0]] += period
    of_atom = np.empty(len(positions), dtype=np.int64)
    of_atom[order] = number
    means = np.bincount(number, unrolled) / np.bincount(number)
    return Layers(of_atom, means, period, steps[ends])


def layers_about(layers: Layers, height: Length, count: Count) -> Indices:
    """Return the `count` layers nearest to `height`, in rising order: those about an interface."""
    distance = _periodic(layers.heights - height, layers.period)
    return np.sort(np.argsort(np.abs(distance), kind="stable")[:count])


def _periodic(distance: Array, period: Length) -> Array:
    wrapped: Array = distance - period * np.round(distance / period)
    return wrapped


def _refused(found: str, expected: str) -> InputError:
    return InputError(
        found,
        where="layers along the normal",
        expected=expected,
        remedy="Choose another axis or gap, or relax the slab less strained.",
    )
