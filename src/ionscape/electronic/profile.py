"""Averages over planes along the normal: of a potential, and of it within each layer."""

from __future__ import annotations

import numpy as np

from ionscape.electronic.layers import Layers
from ionscape.units import Array, Count, EnergyArray


def planar_average(values: Array, axis: Count = 2) -> Array:
    """Return the mean over each plane of the grid across `axis`: those of the other two lattice vectors, (n,)."""
    average: Array = values.mean(axis=tuple(k for k in range(3) if k != axis))
    return average


def layer_average(values: Array, layers: Layers, axis: Count = 2) -> EnergyArray:
    """Return the mean of `values` within each layer, up to half-way to the next ones, (layers,).

    Of an electrostatic potential it is the reference that band edges of two materials are compared on.

    Parameters
    ----------
    values
        Grid over the cell, of any unit, (n1, n2, n3); averages have the same unit.
    """
    profile = planar_average(values, axis)
    heights = (np.arange(len(profile)) + 0.5) * layers.period / len(profile)
    middles = (layers.heights + np.append(layers.heights[1:], layers.heights[0] + layers.period)) / 2
    lower = np.roll(middles, 1)
    lower[0] -= layers.period
    averages = []
    for low, high in zip(lower, middles, strict=True):
        inside = (heights - low) % layers.period < high - low
        nearest = np.argmin(
            np.abs((heights - (low + high) / 2 + layers.period / 2) % layers.period - layers.period / 2)
        )
        averages.append(profile[inside].mean() if inside.any() else profile[nearest])
    return np.array(averages)
