r"""Ionic conductivity from diffusion coefficients, and the Haven ratio.

    σ = q D / (k_B T),    q = Σ z_i² e² / V        (Nernst–Einstein with the self D; exact with the collective D)
    H_R = D_self / D_collective

q is n z² e² for n equal ions per volume; V is the mean volume of the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import constants

from ionscape.errors import InputError
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.units import Array, Conductivity, Diffusivity, Number

#: 1 Å²/fs in cm²/s.
CM2_PER_S_PER_A2_PER_FS = 1e-16 / 1e-15
#: e² Å⁻³ Å²/fs over 1 J, in S/cm.
_S_PER_CM = constants.e**2 * 1e30 * 1e-5 / 100


class Coefficient(Protocol):
    """A diffusion coefficient with its 95 % interval, from a run or extrapolated."""

    @property
    def value(self) -> Diffusivity:
        """D, Å²/fs."""
        ...

    @property
    def low95(self) -> Diffusivity:
        """Lower end of its interval, Å²/fs."""
        ...

    @property
    def high95(self) -> Diffusivity:
        """Upper end of its interval, Å²/fs."""
        ...


@dataclass(frozen=True)
class IonicConductivity:
    """Ionic conductivity with the 95 % interval of the diffusion coefficient it comes from."""

    value: Conductivity
    low95: Conductivity
    high95: Conductivity


@dataclass(frozen=True)
class ConductivityBound:
    """Conductivity of a run that is not diffusive: smaller than this with 95 % probability."""

    upper_bound: Conductivity


@dataclass(frozen=True)
class HavenRatio:
    """Self over collective diffusion coefficient with its 95 % interval; below 1 where ions move together."""

    value: Number
    low95: Number
    high95: Number


def squared_charge_density(charges: Array, volumes: Array) -> float:
    """Return Σ z_i² / V, e²/Å³, of `charges` (ions,) in e and the mean of `volumes` (frames,) in Å³."""
    z, v = np.asarray(charges, dtype=float), np.asarray(volumes, dtype=float)
    if not (np.isfinite(v).all() and v.min(initial=1.0) > 0 and v.size and z.size):
        raise InputError(
            f"volumes from {v.min(initial=0.0)} to {v.max(initial=0.0)} Å³ and {z.size} charges",
            where="conductivity",
            expected="positive volumes of the cell, and charges of the mobile ions",
            remedy="Give a trajectory with a cell.",
        )
    return float((z**2).sum() / v.mean())


def conductivity(diffusion: Coefficient, density: float, temperature: float) -> IonicConductivity:
    """Return σ = q D/(k_B T) in S/cm.

    Parameters
    ----------
    diffusion
        Self (Nernst–Einstein) or collective diffusion coefficient.
    density
        q = Σ z_i²/V, e²/Å³ (`squared_charge_density`).
    temperature
        K.
    """
    factor = _factor(density, temperature)
    return IonicConductivity(factor * diffusion.value, factor * diffusion.low95, factor * diffusion.high95)


def conductivity_bound(run: NotDiffusive, density: float, temperature: float) -> ConductivityBound:
    """Return the bound of σ, S/cm, that the bound of D implies; arguments as `conductivity`."""
    return ConductivityBound(_factor(density, temperature) * run.upper_bound)


def haven_ratio(alone: Diffusion, together: Diffusion) -> HavenRatio:
    """Return H_R = D_self/D_collective.

    The intervals are combined in the logarithm as if independent; both come from the same run and err to the same
    side, so that the interval is rather too wide.
    """
    value = alone.value / together.value
    down = math.hypot(math.log(alone.value / alone.low95), math.log(together.high95 / together.value))
    up = math.hypot(math.log(alone.high95 / alone.value), math.log(together.value / together.low95))
    return HavenRatio(value, value * math.exp(-down), value * math.exp(up))


def _factor(density: float, temperature: float) -> float:
    """Return σ/D in S/cm per Å²/fs."""
    if not (math.isfinite(temperature) and temperature > 0 and math.isfinite(density) and density > 0):
        raise InputError(
            f"temperature {temperature} K, density of squared charges {density} e²/Å³",
            where="conductivity",
            expected="positive numbers",
            remedy="Give the temperature of the run in K.",
        )
    return density * _S_PER_CM / (constants.k * temperature)
