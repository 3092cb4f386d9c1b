"""Correlation length: the envelope that went in comes out."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.correlation_length import CorrelationLength, CorrelationSettings, correlation_length
from ionscape.transport.van_hove import VanHove

EDGES = np.linspace(0, 12, 121)


def functions(g: np.ndarray, rng: np.random.Generator, samples: int = 200_000) -> VanHove:
    """Counts of `samples` separations distributed as `g`, in 8 blocks and 4 groups."""
    shells, per_volume = 4 * np.pi / 3 * np.diff(EDGES**3), 1 / 1000.0
    expected = g * samples * shells * per_volume
    counts = np.concatenate([rng.poisson(expected, (8, 4, 1, len(g))), np.full((8, 4, 1, 1), samples)], axis=-1)
    total = counts.sum(axis=(0, 1))
    ratio = total[:, :-1] / (total[:, -1:] * shells * per_volume)
    zero = np.zeros((8, 4, 1, len(EDGES)), np.int64)
    times, origins = np.zeros(1), np.ones(1, np.int64)
    counts = counts.astype(float)
    return VanHove(("Li", "Li"), times, EDGES, 0 * ratio, ratio, 0.05, (50, 50), origins, 1, 0.0, zero, counts)


def liquid(xi: float, wave: float = 2.6) -> np.ndarray:
    r = (EDGES[1:] + EDGES[:-1]) / 2
    return np.where(r < 1.8, 0.0, np.clip(1 + 1.8 * np.exp(-r / xi) * np.cos(2 * np.pi * (r - 3) / wave), 0, None))


@pytest.mark.parametrize("xi", [3.0, 6.0])
def test_known_envelope_is_found_within_the_interval(xi: float) -> None:
    rng = np.random.default_rng(3)
    settings = CorrelationSettings(2.7, 9.0, smoothing=0.05)
    found = correlation_length(functions(liquid(xi), rng), rng, settings)
    assert isinstance(found, CorrelationLength)
    assert found.value == pytest.approx(xi, rel=0.1)
    assert found.low < found.value < found.high
    assert len(found.peaks) == 5
    assert found.peaks == pytest.approx(3 + 1.3 * np.arange(5), abs=0.25)


def test_default_range_starts_at_the_foot_of_the_first_shell() -> None:
    rng = np.random.default_rng(4)
    found = correlation_length(functions(liquid(4.0), rng), rng)
    assert isinstance(found, CorrelationLength)
    assert found.range == pytest.approx((0.8 * 3.0, 2.3 * 3.0), rel=0.05)


def test_no_order_no_length() -> None:
    rng = np.random.default_rng(5)
    found = correlation_length(functions(np.ones(120), rng), rng, CorrelationSettings(2.0, 8.0))
    assert isinstance(found, Failure)
    assert "no correlation length" in found.reason


@pytest.mark.parametrize("span", [(5.0, 4.0), (2.0, 30.0), (-1.0, 5.0)])
def test_impossible_ranges_are_refused(span: tuple[float, float]) -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(InputError, match="range of the fit"):
        correlation_length(functions(liquid(3.0), rng), rng, CorrelationSettings(*span))
