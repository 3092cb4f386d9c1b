"""Averages over planes and layers of made-up fields in a leaning cell."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.electronic.layers import find_layers
from ionscape.electronic.profile import layer_average, planar_average

CELL = np.array([[4.0, 0.5, 0.0], [-0.4, 4.5, 0.0], [5.0, 2.0, 12.0]])


def test_planar_averages_are_those_of_each_plane():
    values = np.random.default_rng(1).random((3, 4, 5))
    for axis in range(3):
        expected = [np.take(values, k, axis).mean() for k in range(values.shape[axis])]
        assert planar_average(values, axis) == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.85])
def test_layers_take_the_value_that_was_put_about_them(shift):
    """Half of the cell is at 1, half at −2; two layers stand in their middles, wherever the origin is."""
    fractional = np.array([[0.1, 0.2, 0.25 + shift], [0.5, 0.4, 0.75 + shift]])
    layers = find_layers(CELL, fractional @ CELL)
    heights = (np.arange(240) + 0.5) / 240
    profile = np.where((heights - shift) % 1.0 < 0.5, 1.0, -2.0)
    values = np.broadcast_to(profile, (3, 3, 240))
    found = layer_average(values, layers)
    assert found[layers.of_atom[0]] == pytest.approx(1.0, abs=0.03)
    assert found[layers.of_atom[1]] == pytest.approx(-2.0, abs=0.03)
    assert found.mean() == pytest.approx(values.mean(), abs=0.03)
