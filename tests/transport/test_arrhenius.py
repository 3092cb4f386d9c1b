"""Arrhenius law: known activation energies, honest extrapolation, bounds, curvature."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ionscape.errors import InputError
from ionscape.results import to_json
from ionscape.transport.arrhenius import arrhenius
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.units import BOLTZMANN_EV_PER_K

ENERGY, PREFACTOR = 0.32, 0.01


def truth(temperature: float, energy: float = ENERGY) -> float:
    return float(PREFACTOR * np.exp(-energy / (BOLTZMANN_EV_PER_K * temperature)))


def coefficient(value: float, error: float) -> Diffusion:
    low, high = value * np.exp(-1.96 * error), value * np.exp(1.96 * error)
    return Diffusion(value, low, high, 1.0, np.eye(3) * value, 1.0, 10.0, 10, 100, 99.0)


def runs(rng: np.random.Generator, temperatures: tuple[float, ...], error: float) -> list[tuple[float, Diffusion]]:
    return [(t, coefficient(truth(t) * np.exp(error * rng.standard_normal()), error)) for t in temperatures]


def test_exact_points_give_the_exact_law() -> None:
    found = arrhenius([(t, coefficient(truth(t), 0.01)) for t in (600.0, 800.0, 1000.0, 1200.0)])
    assert found.activation_energy == pytest.approx(ENERGY, abs=2e-4)
    assert found.prefactor == pytest.approx(PREFACTOR, rel=5e-3)
    assert found.diffusion(300.0).value == pytest.approx(truth(300.0), rel=1e-2)
    assert not found.curved


@pytest.mark.parametrize(
    "temperatures", [(800.0, 1000.0), (600.0, 800.0, 1000.0), (500.0, 600.0, 700.0, 900.0, 1200.0)]
)
def test_intervals_hold_the_truth(temperatures: tuple[float, ...]) -> None:
    rng = np.random.default_rng(1)
    held = np.zeros(2)
    for _ in range(200):
        found = arrhenius(runs(rng, temperatures, 0.2))
        cold = found.diffusion(300.0)
        held += [
            found.activation_low95 <= ENERGY <= found.activation_high95,
            cold.low95 <= truth(300.0) <= cold.high95,
        ]
    assert np.all(held / 200 >= 0.93)
    assert np.all(held / 200 <= 0.995)


def test_scatter_beyond_the_intervals_widens() -> None:
    logs = (0.5, -0.5, 0.5, -0.5, 0.5)
    hot = (600.0, 700.0, 800.0, 900.0, 1000.0)
    calm = arrhenius([(t, coefficient(truth(t), 0.05)) for t in hot])
    wild = arrhenius([(t, coefficient(truth(t) * np.exp(x), 0.05)) for t, x in zip(hot, logs, strict=True)])
    width = wild.activation_high95 - wild.activation_low95
    assert width > 3 * (calm.activation_high95 - calm.activation_low95)
    assert any("scatter" in note for note in wild.notes)


def test_curvature_is_flagged_and_rarely_seen_where_there_is_none() -> None:
    temperatures = (500.0, 600.0, 700.0, 900.0, 1200.0)
    bent = [(t, coefficient(truth(t) + truth(t, 0.05) / 50, 0.05)) for t in temperatures]
    assert arrhenius(bent).curved
    rng = np.random.default_rng(2)
    assert np.mean([arrhenius(runs(rng, temperatures, 0.1)).curved for _ in range(200)]) < 0.1


def test_bounds_push_the_line_down() -> None:
    told = [(t, coefficient(truth(t), 0.3)) for t in (800.0, 1000.0)]
    cold = NotDiffusive(truth(600.0) / 2, "rattles", 1.0, 1.0)
    free, bound = arrhenius(told), arrhenius([*told, (600.0, cold)])
    assert bound.activation_energy > free.activation_energy
    assert bound.n_bounds == 1
    assert "600 K" in bound.notes[0]


def test_too_few_temperatures_are_refused() -> None:
    one = (800.0, coefficient(1.0, 0.1))
    with pytest.raises(InputError, match="1 temperatures"):
        arrhenius([one, one, (600.0, NotDiffusive(1.0, "", 1.0, 1.0))])
    with pytest.raises(InputError):
        arrhenius([])


def test_conductivity_and_json() -> None:
    found = arrhenius(runs(np.random.default_rng(3), (600.0, 800.0, 1000.0), 0.1))
    sigma = found.conductivity(300.0, 0.05)
    assert sigma.low95 < sigma.value < sigma.high95
    document = json.dumps(to_json(found))
    assert "lines" not in document
