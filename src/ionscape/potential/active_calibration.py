r"""Running calibration: what errors of forces are to be expected of an environment as unknown as this.

Errors have two parts: what no further frame removes (the potential is not the dear level), and what is not known
yet, in proportion to the covariance loss λ. So for every species

.. math:: \sigma_F^2 = a_z + b_z \lambda , \qquad a_z \ge 0, \quad b_z > 0,

fitted to the squared errors of the last forecasts by least squares with weights :math:`\sigma_F^{-4}`, the inverse
variance of a squared Gaussian error. A factor alone would take the first part for the second, and tell twice the
error where it matters, at large losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.optimize import nnls

from ionscape.units import Array, Count, ForceArray, Indices, NumberArray, Unit

#: Atoms of a species fewer than this are calibrated with all.
_FEWEST = 10
_ROUNDS = 6
#: The slope is at least this part of what it would be without a floor: what is unknown is never taken as known.
_LEAST_SLOPE = 0.1

Variances = Annotated[Array, Unit("eV²/Å²")]


@dataclass(frozen=True)
class RunningCalibration:
    """Expected variance of a force component: floor and slope against the covariance loss, of every species.

    Attributes
    ----------
    floors, slopes
        eV²/Å², (S,).
    """

    floors: Variances
    slopes: Variances

    def deviations(self, losses: NumberArray, species: Indices) -> ForceArray:
        """Return the standard deviation of a force component of atoms of some losses and species, eV/Å."""
        return np.asarray(np.sqrt(self.floors[species] + self.slopes[species] * losses))


def running_calibration(
    losses: NumberArray, errors: ForceArray, species: Indices, n_species: Count
) -> RunningCalibration:
    """Return the calibration by some forecasts.

    Parameters
    ----------
    losses
        Covariance losses of atoms, (atoms,).
    errors
        Predicted less found forces, eV/Å, (atoms, 3).
    species
        Species of the atoms, 0 … `n_species` − 1, (atoms,).
    """
    squares = (errors**2).mean(axis=1)
    fits = []
    for kind in range(n_species):
        here = species == kind
        if here.sum() < _FEWEST:
            here = np.ones(len(species), dtype=bool)
        fits.append(_floor_and_slope(np.maximum(losses[here], 1e-12), squares[here]))
    floors, slopes = np.array(fits).T
    return RunningCalibration(floors, slopes)


def _floor_and_slope(losses: NumberArray, squares: Variances) -> tuple[float, float]:
    smallest = 1e-8 * float(squares.mean()) + 1e-30
    least = _LEAST_SLOPE * float(squares.sum() / losses.sum())
    scale = float(losses.mean())  # both unknowns of one size
    floor, slope = 0.0, 10 * least
    for _ in range(_ROUNDS):
        weights = 1 / np.maximum(floor + slope * losses, smallest)
        rows = np.stack([weights, weights * losses / scale], axis=1)
        (floor, scaled), _ = nnls(rows, weights * squares)
        slope = max(scaled / scale, least)
    return max(floor, smallest), slope
