"""Conductivity from diffusion, Haven ratio."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.errors import InputError
from ionscape.transport.conductivity import (
    conductivity,
    conductivity_bound,
    haven_ratio,
    squared_charge_density,
)
from ionscape.transport.diffusion import Diffusion, NotDiffusive, collective_diffusion, diffusion


def coefficient(value: float, factor: float = 1.2) -> Diffusion:
    return Diffusion(value, value / factor, value * factor, 1.0, np.eye(3) * value, 1.0, 10.0, 10, 100, 99.0)


def test_conductivity_of_molten_sodium_chloride() -> None:
    """D(Na) 9.6e-5, D(Cl) 6.7e-5 cm²/s at 1121 K, 1.53 g/cm³: Nernst–Einstein 4.2 S/cm, measured 3.6 S/cm.

    Bockris & Hooper, Discuss. Faraday Soc. 32, 218 (1961), doi:10.1039/DF9613200218; Janz, Molten Salts Handbook.
    """
    per_volume = 1.53 / 58.443 * 6.02214076e23 * 1e-24
    total = sum(conductivity(coefficient(d * 10), per_volume, 1121.0).value for d in (9.6e-5, 6.7e-5))
    assert total == pytest.approx(4.25, rel=0.02)


def test_interval_and_bound_scale_with_the_coefficient() -> None:
    found = conductivity(coefficient(1e-4), 0.02, 500.0)
    assert found.high95 / found.value == pytest.approx(1.2)
    bound = conductivity_bound(NotDiffusive(1e-4, "", 1.0, 1.0), 0.02, 500.0)
    assert bound.upper_bound == pytest.approx(found.value)


def test_mean_volume_counts() -> None:
    assert squared_charge_density(np.array([1.0, 1.0, 2.0]), np.array([90.0, 110.0])) == pytest.approx(0.06)
    with pytest.raises(InputError, match="volume"):
        squared_charge_density(np.ones(3), np.array([0.0]))
    with pytest.raises(InputError, match="temperature"):
        conductivity(coefficient(1.0), 0.02, 0.0)


def test_haven_ratio_of_pairs_is_a_half() -> None:
    positions = np.repeat(np.cumsum(np.random.default_rng(1).standard_normal((4000, 8, 3)), axis=0), 2, axis=1)
    alone, together = diffusion(positions, 1.0), collective_diffusion(positions, np.ones(16), 1.0)
    assert isinstance(alone, Diffusion)
    assert isinstance(together, Diffusion)
    found = haven_ratio(alone, together)
    assert found.low95 < 0.5 < found.high95
    assert found.high95 < 0.6


def test_errors_of_the_haven_ratio_add_in_quadrature() -> None:
    found = haven_ratio(coefficient(1.0, 1.3), coefficient(2.0, 1.3))
    assert np.log(found.high95 / 0.5) == pytest.approx(np.sqrt(2) * np.log(1.3))
