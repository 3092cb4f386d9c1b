"""Radial functions, the repulsion and the choice of environments, each beside what it is by definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.potential.baseline import screened_nuclei
from ionscape.potential.inducing import PivotedCholesky, shared_choice
from ionscape.potential.kernel import DotProductKernel
from ionscape.potential.radial import CLOSEST, radial_table
from ionscape.potential.settings import DescriptorSettings
from ionscape.units import COULOMB_EV_ANGSTROM

KERNEL = DotProductKernel((0.2, 0.8))


def descriptor(**changes):
    return DescriptorSettings(**{"cutoff_A": 5.0, "n_max": 5, **changes})


def test_radial_functions_are_orthonormal_before_they_are_scaled():
    table = radial_table(descriptor(radial_scale_A=1e6, radial_damping=0.0), nodes=20001)
    r = np.linspace(0, 5.0, 20001)
    inside = r >= CLOSEST
    weights = np.gradient(r[inside])
    weights[[0, -1]] /= 1.0
    overlap = (table.values[inside] * weights[:, None]).T @ table.values[inside]
    assert np.allclose(overlap, np.eye(5), atol=2e-3)


@given(st.floats(0, 8), st.floats(0.5, 5), st.floats(0, 2), st.integers(1, 8), st.floats(3, 8))
@settings(deadline=None, max_examples=25)
def test_slopes_are_derivatives_and_all_vanish_at_the_cutoff(power, scale, damping, n, cutoff):
    asked = DescriptorSettings(
        cutoff_A=cutoff, n_max=n, radial_power=power, radial_scale_A=scale, radial_damping=damping
    )
    table = radial_table(asked, nodes=8001)
    assert np.isfinite(table.values).all()
    assert np.isfinite(table.slopes).all()
    step = cutoff / 8000
    far = slice(1000, None)  # a power below one has no derivative at the origin, where no atom comes
    found = (table.values[2:] - table.values[:-2]) / (2 * step)
    assert np.allclose(found[far], table.slopes[1:-1][far], atol=1e-4 * np.abs(table.slopes[far]).max())
    for array in (table.values, table.slopes, np.gradient(table.slopes, step, axis=0)):
        assert np.abs(array[-1]).max() <= 2e-3 * np.abs(array[far]).max()


def test_functions_of_higher_order_weigh_less():
    plain, damped = (radial_table(descriptor(radial_damping=g)).values for g in (0.0, 0.5))
    assert np.allclose(damped, plain * np.exp(-0.5 * np.arange(5) ** 2))


def test_repulsion_is_positive_falls_and_ends_at_the_bond():
    table = screened_nuclei(("Li", "O", "Zr"))
    r = np.linspace(0, table.cutoff, table.values.shape[-1])
    for a, b in itertools.product(range(3), repeat=2):
        values, slopes = table.values[a, b], table.slopes[a, b]
        assert np.allclose(values, table.values[b, a], rtol=1e-12)
        assert (values >= 0).all()
        assert (slopes <= 0).all()
        found = np.gradient(values, r)[1:-1]
        inside = r[1:-1] > 0.4
        assert np.allclose(found[inside], slopes[1:-1][inside], atol=2e-2 * np.abs(slopes[1:-1][inside]).max())
        assert values[-1] == slopes[-1] == 0
    assert table.values[0, 0][r > 2 * 1.28].max() == 0  # Li–Li: twice the covalent radius, doi:10.1039/b801115j


def test_repulsion_of_close_nuclei_is_that_of_screened_charges():
    """At 0.3 Å two Zr repel less than bare nuclei, more than a hundredth of it."""
    table = screened_nuclei(("Zr",), nodes=5001)
    r = np.linspace(0, table.cutoff, 5001)
    value = np.interp(0.3, r, table.values[0, 0])
    bare = COULOMB_EV_ANGSTROM * 40**2 / 0.3
    assert 0.01 * bare < value < 0.5 * bare


def random_features(seed, count, size=6):
    features = np.random.default_rng(seed).normal(size=(count, size)) + 1.0
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def plain_pivots(matrix, most, least):
    """Return rows by the largest variance that is left, each time from the inverse of the chosen block."""
    chosen = []
    while len(chosen) < most:
        left = np.diag(matrix).copy()
        if chosen:
            block = matrix[np.ix_(chosen, chosen)]
            across = matrix[chosen]
            left = left - np.einsum("ij,ij->j", across, np.linalg.solve(block, across))
            left[chosen] = 0
        if left.max() <= least:
            break
        chosen.append(int(left.argmax()))
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_pivots_are_those_of_a_plain_search(seed):
    features = random_features(seed, 40)
    search, variances = PivotedCholesky(features, KERNEL, 12), []
    for _ in range(12):
        variances.append(search.largest)
        search.take()
    matrix = KERNEL(features @ features.T)
    np.fill_diagonal(matrix, KERNEL.variance())
    assert search.chosen == plain_pivots(matrix, 12, 0.0)
    assert (np.diff(variances) <= 1e-12).all()
    assert shared_choice([features], KERNEL, 12)[0].tolist() == search.chosen


def test_pivots_end_when_nothing_is_left_to_tell():
    features = np.repeat(random_features(0, 5), 4, axis=0)
    assert len(shared_choice([features], KERNEL, 20)[0]) == 5


def test_a_species_of_few_but_various_environments_is_not_crowded_out():
    alike = random_features(1, 1, 30) + 1e-3 * np.random.default_rng(2).normal(size=(200, 30))
    alike /= np.linalg.norm(alike, axis=1, keepdims=True)
    various = random_features(3, 15, 30)
    chosen = shared_choice([alike, various], KERNEL, 20)
    assert len(chosen[1]) == 15
    assert len(chosen[0]) == 5


def test_kernel_is_its_sum_of_powers():
    x = np.linspace(-1, 1, 7)
    assert np.allclose(DotProductKernel((0.1, 0.2, 0.0, 0.4))(x), 0.1 * x + 0.2 * x**2 + 0.4 * x**4)
    assert DotProductKernel((0.1, 0.2, 0.0, 0.4)).variance() == pytest.approx(0.7)
