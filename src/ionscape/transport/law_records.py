"""What an Arrhenius law hands on as JSON: numbers with their units in the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ionscape.transport.arrhenius import Arrhenius
from ionscape.transport.conductivity import CM2_PER_S_PER_A2_PER_FS
from ionscape.transport.records import StoredRun
from ionscape.units import Array

#: Points of a law that is drawn.
POINTS = 60


def law_record(law: Arrhenius, runs: Sequence[StoredRun], at: float) -> dict[str, Any]:
    """Return a law through `runs` and its extrapolation to the temperature `at`, K, as plain JSON.

    σ takes the density of ions of the run whose temperature is nearest to `at`; where that is not known it is
    ``{"unavailable": reason}``.
    """
    nearest = min(runs, key=lambda run: abs(run.temperature - at))
    there = law.diffusion(at)
    sigma: dict[str, Any] = {"unavailable": getattr(nearest.squared_charge_density, "reason", "")}
    if isinstance(nearest.squared_charge_density, float):
        found = law.conductivity(at, nearest.squared_charge_density)
        sigma = _estimate(found.value, found.low95, found.high95)
    return {
        "Ea_eV": _estimate(law.activation_energy, law.activation_low95, law.activation_high95),
        "D0_cm2_per_s": _estimate(
            law.prefactor, law.prefactor_low95, law.prefactor_high95, CM2_PER_S_PER_A2_PER_FS
        ),
        f"sigma_{at:g}K_S_per_cm": sigma,
        f"D_{at:g}K_cm2_per_s": _estimate(there.value, there.low95, there.high95, CM2_PER_S_PER_A2_PER_FS),
        "at_K": at,
        "temperatures_K": sorted(law.temperatures.tolist()),
        "is_curved": law.curved,
        "curvature_probability": law.curvature_probability,
        "n_bounds": law.n_bounds,
        "warnings": list(law.notes),
    }


def law_line(law: Arrhenius, coldest: float, hottest: float) -> Array:
    """Return temperature, K, D and the ends of its 95 % interval, cm²/s, evenly spaced in 1/T, (points, 4)."""
    kelvin = 1 / np.linspace(1 / hottest, 1 / min(coldest, hottest), POINTS)
    points = [law.diffusion(float(t)) for t in kelvin]
    values = [(p.value, p.low95, p.high95) for p in points]
    return np.column_stack([kelvin, np.array(values) * CM2_PER_S_PER_A2_PER_FS])


def _estimate(value: float, low: float, high: float, factor: float = 1.0) -> dict[str, float]:
    return {"value": factor * value, "low95": factor * low, "high95": factor * high}
