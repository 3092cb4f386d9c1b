"""Kinetic Monte Carlo of a carrier on its network of hops: diffusivity with its interval.

Bortz, Kalos and Lebowitz, J. Comput. Phys. 17, 10 (1975), doi:10.1016/0021-9991(75)90060-1: of the hops from a
site one is drawn in proportion to its rate Γ, after a waiting time of mean 1/ΣΓ. Walkers are independent and
start in equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ionscape.errors import CalculationError
from ionscape.migration.network import HopNetwork
from ionscape.units import Count, Diffusivity, DiffusivityArray, Temperature, Time

#: Half width of a 95 % interval in standard errors.
_TWO_SIDED = 1.96


@dataclass(frozen=True)
class WalkedDiffusivity:
    """Diffusivity of a carrier by kinetic Monte Carlo.

    Attributes
    ----------
    value, low95, high95
        Mean over directions, ⟨r²⟩/6t, with the interval from the scatter of the walkers.
    along
        Diagonal of the tensor in the Cartesian frame, (3,).
    walkers, hops
        Independent walkers, and hops of all of them.
    time
        Length of each walk.
    temperature
        Of the walks.
    """

    value: Diffusivity
    low95: Diffusivity
    high95: Diffusivity
    along: DiffusivityArray
    walkers: Count
    hops: Count
    time: Time
    temperature: Temperature


def walked_diffusivity(
    network: HopNetwork,
    temperature: Temperature,
    attempt_THz: float,
    rng: np.random.Generator,
    walkers: int = 1000,
    hops: int = 2000,
) -> WalkedDiffusivity:
    """Return the diffusivity from `walkers` walks of about `hops` hops each.

    Raises
    ------
    CalculationError
        If no hop has a rate that a number can hold at this temperature.
    """
    rates = network.rates(temperature, attempt_THz)
    occupation = network.occupation(temperature)
    start = network.hops[:, 0]
    mean_rate = float(occupation[start] @ rates)
    if not mean_rate > 0:
        message = f"all rates vanish at {temperature:g} K"
        raise CalculationError(message)
    time = hops / mean_rate
    first = np.searchsorted(start, np.arange(len(network.places) + 1))
    begun = rng.choice(len(occupation), size=walkers, p=occupation)
    moved, count = _walks(rng, begun, first, network.hops[:, 1].copy(), rates * time, network.vectors)
    squares = moved**2
    each = squares.sum(axis=1) / (6 * time)
    error = _TWO_SIDED * float(each.std(ddof=1)) / np.sqrt(walkers)
    value = float(each.mean())
    return WalkedDiffusivity(
        value=value,
        low95=max(value - error, 0.0),
        high95=value + error,
        along=squares.mean(axis=0) / (2 * time),
        walkers=walkers,
        hops=int(count),
        time=time,
        temperature=temperature,
    )


@njit(cache=True)
def _walks(rng, begun, first, end, rates, vectors):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the displacements of all walkers in a unit of time, and the number of their hops."""
    moved = np.zeros((len(begun), 3))
    count = 0
    for walker in range(len(begun)):
        site, time = begun[walker], 0.0
        while True:
            total = 0.0
            for k in range(first[site], first[site + 1]):
                total += rates[k]
            if total <= 0.0:
                break
            time += -np.log(1.0 - rng.random()) / total
            if time > 1.0:
                break
            drawn, k = rng.random() * total, first[site]
            while k < first[site + 1] - 1 and drawn >= rates[k]:
                drawn -= rates[k]
                k += 1
            for axis in range(3):
                moved[walker, axis] += vectors[k, axis]
            site = end[k]
            count += 1
    return moved, count
