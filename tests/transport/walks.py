"""Walks with known diffusion coefficients: Brownian, hopping, rattling. Lengths in Å, times in frames."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

HOP = 2.5


def brownian(rng: np.random.Generator, frames: int, ions: int, diffusivity: float = 1.0) -> np.ndarray:
    return np.cumsum(rng.standard_normal((frames, ions, 3)) * np.sqrt(2 * diffusivity), axis=0)


def rattling(
    rng: np.random.Generator, frames: int, ions: int, time: float = 5, amplitude: float = 0.2
) -> np.ndarray:
    """Return ions that stay: an Ornstein–Uhlenbeck process of relaxation `time` and rms `amplitude` per
    direction."""
    a = np.exp(-1 / time)
    kicks = rng.standard_normal((frames, ions, 3)) * amplitude * np.sqrt(1 - a * a)
    kicks[0] = amplitude * rng.standard_normal((ions, 3))
    return lfilter([1], [1, -a], kicks, axis=0)


def hopping(
    rng: np.random.Generator, frames: int, ions: int, rate: float, back: float = 0.0
) -> tuple[np.ndarray, float]:
    """Return hops on a simple cubic lattice, and D.

    A hop reverses the last one with probability `back` and is random otherwise: the correlation factor is
    (1 − back)/(1 + back) exactly, since the cosine of successive hops averages to −back (Compaan & Haven, 1956).
    """
    steps = np.vstack([np.eye(3), -np.eye(3)]) * HOP
    happens = rng.random((frames, ions)) < rate
    found = np.zeros((frames, ions, 3))
    for i in range(ions):
        times = np.flatnonzero(happens[:, i])
        kind = rng.integers(0, 6, times.size)
        for j in np.flatnonzero(rng.random(times.size) < back):
            if j > 0:
                kind[j] = (kind[j - 1] + 3) % 6
        found[times, i] = steps[kind]
    return np.cumsum(found, axis=0), (1 - back) / (1 + back) * rate * HOP**2 / 6
