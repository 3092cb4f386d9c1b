r"""Arrhenius law of diffusion coefficients with intervals, and its extrapolation.

    ln D(T) = ln D_0 − E_a/(k_B T)

ln D of every run is normal with the standard error of its interval. The line is found by generalised least
squares; the errors themselves are known to about 30 % only, so that their scale s² has a scaled inverse χ² prior
about 1 with ν_0 = 6 degrees of freedom, and line and extrapolation follow a bivariate Student t of ν_0 + n − 2
degrees of freedom with scale

    s² = max(1, (ν_0 + χ²)/(ν_0 + n − 2))

Runs that are not diffusive are censored data: lines that pass above the bound of such a run at its temperature
keep the weight 0.05 of 0.95. A quadratic term in 1/T is tested, not used: at a phase transition or with two
mechanisms the extrapolation has no meaning, and the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.transport.conductivity import IonicConductivity, conductivity
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.units import (
    BOLTZMANN_EV_PER_K,
    Array,
    Count,
    Diffusivity,
    Energy,
    Number,
    Temperature,
    TemperatureArray,
)

#: Degrees of freedom of the prior of the scale of the errors.
KNOWN_ERRORS = 6
#: Weight of a line above the bound of a run, relative to one below.
ABOVE_BOUND = 0.05 / 0.95
#: Probability below which the line counts as curved.
CURVED = 0.05
DRAWS = 4096


@dataclass(frozen=True)
class ExtrapolatedDiffusion:
    """Diffusion coefficient at a temperature, from an Arrhenius law, with its 95 % interval."""

    temperature: Temperature
    value: Diffusivity
    low95: Diffusivity
    high95: Diffusivity


@dataclass(frozen=True)
class Arrhenius:
    """Arrhenius law of diffusion.

    Attributes
    ----------
    activation_energy, activation_low95, activation_high95
        E_a and its 95 % interval.
    prefactor, prefactor_low95, prefactor_high95
        D_0 and its 95 % interval.
    temperatures
        Of the diffusive runs, K, (runs,).
    n_bounds
        Number of runs that entered as upper bounds.
    curvature_probability
        Probability of a quadratic term as large as found if there is none; 1 with two temperatures.
    curved
        Whether the line is curved: then E_a is no constant and extrapolation is not safe.
    notes
        What a reader must know, in sentences.
    lines
        Draws of ln D_0 (Å²/fs) and E_a (eV), (draws, 2), and their weights, (draws,).
    """

    activation_energy: Energy
    activation_low95: Energy
    activation_high95: Energy
    prefactor: Diffusivity
    prefactor_low95: Diffusivity
    prefactor_high95: Diffusivity
    temperatures: TemperatureArray
    n_bounds: Count
    curvature_probability: Number
    curved: bool
    notes: tuple[str, ...]
    lines: tuple[np.ndarray, np.ndarray] = field(repr=False, metadata={"internal": True})

    def diffusion(self, temperature: float) -> ExtrapolatedDiffusion:
        """Return D at `temperature` (K) with its interval."""
        draws, weights = self.lines
        logs = draws[:, 0] - draws[:, 1] / (BOLTZMANN_EV_PER_K * temperature)
        low, middle, high = (math.exp(v) for v in _quantiles(logs, weights))
        return ExtrapolatedDiffusion(temperature, middle, low, high)

    def conductivity(self, temperature: float, density: float) -> IonicConductivity:
        """Return σ at `temperature` (K), S/cm, with `density` Σ z²/V, e²/Å³, the same at all temperatures."""
        found = self.diffusion(temperature)
        return conductivity(found, density, temperature)


def arrhenius(runs: Sequence[tuple[float, Diffusion | NotDiffusive]]) -> Arrhenius:
    """Return the Arrhenius law of runs at several temperatures.

    Parameters
    ----------
    runs
        Temperature, K, and what the run told. Several runs may have the same temperature.

    Raises
    ------
    InputError
        If fewer than two different temperatures have a diffusion coefficient.
    """
    told = [(t, run) for t, run in runs if isinstance(run, Diffusion)]
    bounds = [(t, run.upper_bound) for t, run in runs if isinstance(run, NotDiffusive)]
    kelvin = np.array([t for t, _ in told])
    if len(np.unique(kelvin)) < 2 or kelvin.min() <= 0:
        raise InputError(
            f"{len(np.unique(kelvin))} temperatures with a diffusion coefficient, {len(bounds)} with a bound only",
            where="Arrhenius law",
            expected="at least two different positive temperatures at which the ions diffuse",
            remedy="Add runs at higher temperatures, or make those without a diffusion coefficient longer.",
        )
    inverse = 1 / (BOLTZMANN_EV_PER_K * kelvin)
    logs = np.array([math.log(run.value) for _, run in told])
    errors = np.array([run.log_error for _, run in told])
    draws, weights, excess = _lines(inverse, logs, errors)
    weights = weights * _below(draws, bounds)
    weights /= weights.sum()
    probability = _curvature(inverse, logs, errors)
    energy, prefactor = _quantiles(draws[:, 1], weights), np.exp(_quantiles(draws[:, 0], weights))
    return Arrhenius(
        activation_energy=float(energy[1]),
        activation_low95=float(energy[0]),
        activation_high95=float(energy[2]),
        prefactor=float(prefactor[1]),
        prefactor_low95=float(prefactor[0]),
        prefactor_high95=float(prefactor[2]),
        temperatures=frozen(kelvin),
        n_bounds=len(bounds),
        curvature_probability=probability,
        curved=probability < CURVED,
        notes=_notes(kelvin, bounds, probability, excess),
        lines=(frozen(draws), frozen(weights)),
    )


def _lines(inverse: Array, logs: Array, errors: Array) -> tuple[Array, Array, float]:
    """Return draws of (ln D_0, E_a), equal weights, and χ² over its degrees of freedom."""
    design = np.stack([np.ones_like(inverse), -inverse], axis=1) / errors[:, None]
    # centred at the mean of 1/T, the two unknowns are nearly independent and the inverse is well conditioned
    centre = np.average(inverse, weights=errors**-2)
    design[:, 1] = -(inverse - centre) / errors
    covariance = np.linalg.inv(design.T @ design)
    middle = covariance @ design.T @ (logs / errors)
    left = float(((logs / errors - design @ middle) ** 2).sum())
    freedom = len(logs) - 2
    scale = max(1.0, (KNOWN_ERRORS + left) / (KNOWN_ERRORS + freedom))
    uniform = stats.qmc.Sobol(3, scramble=True, rng=1).random(DRAWS)
    nu = KNOWN_ERRORS + freedom
    student = stats.norm.ppf(uniform[:, :2]) / np.sqrt(stats.chi2.ppf(uniform[:, 2:], nu) / nu)
    draws = middle + student @ np.linalg.cholesky(covariance * scale).T
    draws[:, 0] += draws[:, 1] * centre
    return np.asarray(draws), np.ones(DRAWS), left / freedom if freedom else 0.0


def _below(draws: Array, bounds: Sequence[tuple[float, float]]) -> Array:
    """Return the weight of every line by the bounds of runs that are not diffusive."""
    weight = np.ones(len(draws))
    for temperature, bound in bounds:
        logs = draws[:, 0] - draws[:, 1] / (BOLTZMANN_EV_PER_K * temperature)
        weight *= np.where(logs > math.log(bound), ABOVE_BOUND, 1.0)
    return weight


def _curvature(inverse: Array, logs: Array, errors: Array) -> float:
    """Return the probability of a quadratic term as large as found if there is none."""
    if len(np.unique(inverse)) < 3:
        return 1.0
    x = (inverse - inverse.mean()) / np.ptp(inverse)
    design = np.stack([np.ones_like(x), x, x**2], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    term = float((covariance @ design.T @ (logs / errors))[2])
    freedom = KNOWN_ERRORS + len(logs) - 3
    return float(2 * stats.t.sf(abs(term) / math.sqrt(covariance[2, 2]), freedom))


def _notes(
    kelvin: Array, bounds: Sequence[tuple[float, float]], probability: float, excess: float
) -> tuple[str, ...]:
    notes = []
    if bounds:
        at = ", ".join(f"{t:g} K" for t, _ in bounds)
        notes.append(f"The runs at {at} are not diffusive and entered as upper bounds.")
    if len(np.unique(kelvin)) == 2:
        notes.append("Two temperatures: a curvature could not be seen.")
    if probability < CURVED:
        notes.append(f"ln D over 1/T is curved (p = {probability:.2g}): do not extrapolate.")
    if excess > 4:
        notes.append(f"The points scatter {math.sqrt(excess):.1f} times more than their intervals allow.")
    return tuple(notes)


def _quantiles(values: Array, weights: Array) -> Array:
    """Return the 2.5, 50 and 97.5 % quantiles of weighted draws."""
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return np.asarray(np.interp([0.025, 0.5, 0.975], (summed - weights[order] / 2) / summed[-1], values[order]))
