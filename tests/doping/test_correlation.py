"""Rank correlation of Ewald and relaxed energies."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ionscape.doping.correlation import RankCorrelation, rank_correlation
from ionscape.results import Failure


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(4, 30))
def test_coefficient_is_spearmans(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, n).astype(float)
    y = x + rng.normal(scale=3, size=n)
    found = rank_correlation(x, y)
    if isinstance(found, Failure):
        assert np.ptp(x) == 0
        return
    expected = stats.spearmanr(x, y)
    assert found.rho == pytest.approx(expected.statistic)
    assert found.n == n
    if n > 8 and abs(found.rho) < 0.999:
        assert found.p_value == pytest.approx(expected.pvalue)


def test_p_value_of_few_points_counts_permutations():
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 5.0, 4.0]
    found = rank_correlation(x, y)
    assert isinstance(found, RankCorrelation)
    all_rho = [stats.spearmanr(x, z).statistic for z in itertools.permutations(y)]
    assert found.p_value == pytest.approx(np.mean(np.abs(all_rho) >= found.rho - 1e-9))
    assert rank_correlation([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).p_value == pytest.approx(1 / 3)


def test_too_few_or_equal_points_have_no_correlation():
    assert "there are 2" in rank_correlation([1.0, 2.0], [1.0, 2.0]).reason
    assert isinstance(rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), Failure)
