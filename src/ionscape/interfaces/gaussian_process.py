r"""Gaussian-process regression with several sets of hyper-parameters at once, and the expected improvement.

With covariance K of the observed points, k of these with all points, values y and noise s²,

.. math:: μ = kᵀ(K + s²)^{-1} y, \quad v = k_{xx} - kᵀ(K + s²)^{-1}k, \quad
          \ln p(y) = -½ yᵀ(K + s²)^{-1}y - ½ \ln|K + s²| + \text{const}.

Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), doi:10.7551/mitpress/3206.001.0001.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from scipy.special import log_ndtr, ndtr
from torch import Tensor

from ionscape.units import Array, Indices, NumberArray, Unit


@dataclass(frozen=True)
class Posterior:
    """What is believed of every point under each of h sets of hyper-parameters, in the units of the values.

    Attributes
    ----------
    mean, deviation
        (h, n).
    weights
        Posterior weight of each set, (h,); they add up to 1.
    """

    mean: Annotated[Array, Unit("of the values")]
    deviation: Annotated[Array, Unit("of the values")]
    weights: NumberArray

    def expected_improvement(self, best: float) -> Array:
        """Return E[max(best − f, 0)] of every point, (n,), averaged over the hyper-parameters."""
        return np.asarray(self.weights @ expected_improvement(self.mean, self.deviation, best))

    def overall_mean(self) -> Array:
        """Return the mean of every point averaged over the hyper-parameters, (n,)."""
        return np.asarray(self.weights @ self.mean)


def posterior(columns: Tensor, diagonal: Tensor, observed: Indices, values: Array, noise: Tensor) -> Posterior:
    """Return the posterior of n points after m observations, for h sets of hyper-parameters.

    Parameters
    ----------
    columns
        Covariance of all points with the observed ones, (h, n, m).
    diagonal
        Variance of all points, (h, n).
    observed
        Which points were observed, (m,).
    values
        What was observed, (m,), from a process of mean 0.
    noise
        Variance of the noise, (h,).
    """
    y = torch.as_tensor(np.array(values), dtype=columns.dtype)
    among = columns[:, torch.as_tensor(np.array(observed))] + torch.diag_embed(noise[:, None].expand(-1, len(y)))
    factor = torch.linalg.cholesky(among)
    white = torch.linalg.solve_triangular(factor, columns.transpose(1, 2), upper=False)
    target = torch.linalg.solve_triangular(factor, y[None, :, None].expand(len(factor), -1, 1), upper=False)
    mean = (white * target).sum(dim=1)
    variance = (diagonal - (white**2).sum(dim=1)).clamp_min(1e-12)
    evidence = -0.5 * (target**2).sum(dim=(1, 2)) - factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return Posterior(mean.numpy(), variance.sqrt().numpy(), torch.softmax(evidence, dim=0).numpy())


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return E[max(best − f, 0)] for f ~ N(mean, deviation²), of the shape of `mean`.

    Jones, Schonlau & Welch, J. Glob. Optim. 13, 455 (1998), doi:10.1023/A:1008306431147.
    """
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    tail = np.where(z > -6, z * ndtr(z) + density, np.exp(log_ndtr(z)) / np.maximum(np.abs(z), 1.0))
    result: Array = deviation * np.maximum(tail, 0.0)
    return result
