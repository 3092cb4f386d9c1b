"""Layers in straight, sheared and tilted cells, of which it is known where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.electronic.layers import find_layers, layers_about, normal_heights
from ionscape.errors import InputError

#: Fractional heights of six layers, of which the first lies across the boundary of the cell.
HEIGHTS = np.array([0.0, 0.17, 0.33, 0.48, 0.66, 0.85])


def slab(tilt: float, seed: int = 3):
    """Return a cell of 18 Å between planes whose third vector leans by `tilt`, four atoms a layer, shuffled."""
    rng = np.random.default_rng(seed)
    cell = np.array([[4.0, 0.3, 0.0], [-0.7, 5.0, 0.0], [tilt * 9.0, tilt * 4.0, 18.0]])
    fractional = np.concatenate(
        [np.column_stack([rng.random((4, 2)), height + rng.uniform(-0.012, 0.012, 4)]) for height in HEIGHTS]
    )
    belongs = np.repeat(np.arange(6), 4)
    order = rng.permutation(24)
    return cell, fractional[order] @ cell + rng.integers(-2, 3, (24, 3)) @ cell, belongs[order]


def same_partition(one, other) -> bool:
    return (
        len(set(zip(one.tolist(), other.tolist(), strict=True)))
        == len(set(one.tolist()))
        == len(set(other.tolist()))
    )


@pytest.mark.parametrize("tilt", [0.0, 0.4, -1.3])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_layers_are_found_however_the_cell_leans_and_is_turned(tilt, axis):
    cell, positions, belongs = slab(tilt)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    layers = find_layers(np.roll(cell, axis - 2, axis=0) @ turn, positions @ turn, axis)
    assert len(layers) == 6
    assert layers.period == pytest.approx(18.0)
    assert same_partition(layers.of_atom, belongs)
    assert np.all(np.diff(layers.heights) > 0)
    assert layers.gaps.sum() == pytest.approx(
        18.0 - sum(np.ptp(_unwrapped(cell, positions[belongs == k])) for k in range(6)), abs=1e-9
    )


def _unwrapped(cell, positions):
    heights, period = normal_heights(cell, positions)
    return (heights - heights[0] + period / 2) % period


@given(st.integers(0, 1000), st.floats(-1.5, 1.5), st.floats(-30, 30))
@settings(deadline=None, max_examples=30)
def test_where_the_origin_is_does_not_matter(seed, tilt, shift):
    cell, positions, belongs = slab(tilt, seed)
    layers = find_layers(cell, positions + shift * np.array([0.2, -0.4, 1.0]))
    assert same_partition(layers.of_atom, belongs)


def test_the_third_coordinate_alone_would_be_wrong():
    """In the leaning cell layers mix along the third vector's direction; along the normal they do not."""
    _, positions, belongs = slab(1.2)
    wrong = find_layers(
        np.diag([4.0, 5.0, 18.0]) + 0.0, positions @ np.array([[1, 0, 0.2], [0, 1, 0], [0, 0, 1]]), gap=0.3
    )
    assert not same_partition(wrong.of_atom, belongs)


def test_layers_about_a_height_are_the_nearest_ones_across_the_boundary():
    cell, positions, _ = slab(0.3)
    layers = find_layers(cell, positions)
    chosen = layers_about(layers, 18.0 * 0.92, 2)
    distances = np.abs((layers.heights[chosen] - 18.0 * 0.92 + 9.0) % 18.0 - 9.0)
    assert sorted(distances.round(1)) == sorted(np.sort(distances).round(1))
    others = np.delete(layers.heights, chosen)
    assert np.abs((others - 18.0 * 0.92 + 9.0) % 18.0 - 9.0).min() > distances.max()


def test_one_block_and_no_atoms_are_refused():
    cell, positions, _ = slab(0.2)
    with pytest.raises(InputError, match="no gap of 5 Å"):
        find_layers(cell, positions, gap=5.0)
    with pytest.raises(InputError, match="no atoms"):
        find_layers(cell, positions[:0])
