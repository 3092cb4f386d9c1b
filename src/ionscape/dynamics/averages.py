"""Averages over a run: means of temperature, pressure, volume and energy, with errors that know correlation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionscape.dynamics.recording import record_blocks
from ionscape.units import Array, Count, Energy, Number, Stress, Temperature, Volume


@dataclass(frozen=True)
class RunAverages:
    """Means over the frames of a run and their standard errors.

    Attributes
    ----------
    frames
        Number of frames.
    temperature, temperature_error
        K.
    pressure, pressure_error
        eV/Å³, positive under compression.
    volume, volume_error
        Å³; the error is 0 in a fixed cell.
    energy, energy_error
        Potential energy, eV.
    """

    frames: Count
    temperature: Temperature
    temperature_error: Temperature
    pressure: Stress
    pressure_error: Stress
    volume: Volume
    volume_error: Volume
    energy: Energy
    energy_error: Energy


def run_averages(path: Path) -> RunAverages | None:
    """Return the averages over a trajectory of ionscape; None with fewer than two frames.

    Raises
    ------
    InputError
        If the file is no trajectory of ionscape or is damaged.
    """
    series: dict[str, list[Array]] = {"temperature": [], "pressure": [], "volume": [], "energy": []}
    for block in record_blocks(path):
        for name in ("temperature", "pressure", "energy"):
            series[name].append(block[name].astype(float))
        series["volume"].append(np.abs(np.linalg.det(block["cell"])))
    frames = sum(len(part) for part in series["energy"])
    if frames < 2:
        return None
    numbers = {}
    for name, parts in series.items():
        values = np.concatenate(parts)
        numbers[name], numbers[f"{name}_error"] = float(values.mean()), standard_error(values)
    return RunAverages(frames=frames, **numbers)


def standard_error(values: Array) -> Number:
    """Return the standard error of the mean of a correlated series, in the unit of its values.

    s √(g / n), s the standard deviation and g the `statistical_inefficiency`; 0 for a constant.

    Parameters
    ----------
    values
        At least two values, (n,).
    """
    if np.abs(values - values.mean()).max() <= 1e-12 * np.abs(values).max():
        return 0.0
    return float(np.std(values, ddof=1) * np.sqrt(statistical_inefficiency(values) / len(values)))


def statistical_inefficiency(values: Array) -> Number:
    """Return how many values of a correlated series, (n,), count as one independent value; between 1 and n.

    g = 1 + 2 Σ ρ_k with ρ_k the autocorrelation; the sum ends where two successive values together turn negative
    (initial positive sequence), so that noise does not enter.

    References
    ----------
    C. J. Geyer, Statist. Sci. 7, 473 (1992), doi:10.1214/ss/1177011137.
    """
    n = len(values)
    centred = values - values.mean()
    if not centred.any():
        return 1.0
    spectrum = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    rho = np.fft.irfft(spectrum)[:n]
    pairs = (rho / rho[0])[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    last = int(negative[0]) if len(negative) else len(pairs)
    return float(np.clip(2 * pairs[:last].sum() - 1, 1.0, n))
