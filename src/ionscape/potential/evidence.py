r"""Noise and signal of the regression by marginal likelihood.

The labels are :math:`y = A w + \epsilon` with whitened weights :math:`w \sim N(0, s^2)` and noise of one standard
deviation for each kind of label. The marginal likelihood (type-II, "evidence") is climbed by MacKay's fixed point:
with :math:`\Sigma^{-1} = s^{-2} + \sum_k G_k / \sigma_k^2`, :math:`G_k = A_k^T A_k` and
:math:`\gamma_k = \mathrm{tr}(\Sigma G_k) / \sigma_k^2` well-determined parameters,

.. math::

    \sigma_k^2 = \frac{|y_k - A_k w|^2}{n_k - \gamma_k}, \qquad s^2 = \frac{|w|^2}{\sum_k \gamma_k}.

Source: MacKay, Neural Comput. 4 (1992) 415, doi:10.1162/neco.1992.4.3.415.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ionscape.potential.labels import ENERGY, FORCE, STRESS
from ionscape.units import Array, Count, Energy, EnergyPerAtom, Force, Indices, Number, NumberArray, Stress

KINDS = (ENERGY, FORCE, STRESS)
_ROUNDS, _ENOUGH = 40, 0.01
#: Noise is not taken for less than this part of where the search began: few labels can be fitted exactly.
_LEAST = 0.01
#: The same of the signal: energies of single atoms may explain all labels, and leave none.
_LEAST_SIGNAL = 1e-6


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the labels about the model, and of the model about its mean.

    Attributes
    ----------
    energy, force, stress
        Of each kind of label.
    signal
        Of the energy of an atom, in units of the kernel.
    """

    energy: EnergyPerAtom
    force: Force
    stress: Stress
    signal: Energy

    def of_rows(self, kinds: Indices) -> Array:
        """Return the standard deviation of every row."""
        return np.array([self.energy, self.force, self.stress])[kinds]


class Sums:
    """Products of all rows with each other, by kind of label: what the marginal likelihood needs of the data."""

    def __init__(self, columns: Count) -> None:
        self.products = [np.zeros((columns, columns)) for _ in KINDS]
        self.projections = [np.zeros(columns) for _ in KINDS]
        self.squares = [0.0 for _ in KINDS]
        self.counts = [0 for _ in KINDS]

    def add(self, kinds: Indices, labels: Array, columns: NumberArray) -> None:
        """Add rows of some `kinds`, (rows,), with `labels`, (rows,), and whitened `columns`, (rows, columns)."""
        for kind in KINDS:
            here = kinds == kind
            if here.any():
                part, values = columns[here], labels[here]
                self.products[kind] += part.T @ part
                self.projections[kind] += part.T @ values
                self.squares[kind] += float(values @ values)
                self.counts[kind] += int(here.sum())


def most_likely_noise(white: Sums, start: Noise, fixed: Sequence[bool]) -> Noise:
    """Return the noise and signal of largest marginal likelihood.

    Parameters
    ----------
    white
        Sums over the data for whitened weights.
    start
        Where to begin.
    fixed
        Which of the noises of energy, force and stress stay as they are.
    """
    noise = start
    for _ in range(_ROUNDS):
        new = _floored(_next(white, noise, fixed), start)
        change = np.log(np.array(_numbers(new)) / np.array(_numbers(noise)))
        noise = new
        if np.abs(change).max() < _ENOUGH:
            break
    return noise


def _floored(noise: Noise, start: Noise) -> Noise:
    energy, force, stress = (
        max(now, _LEAST * before) for now, before in zip(_numbers(noise)[:3], _numbers(start)[:3], strict=True)
    )
    return Noise(energy, force, stress, max(noise.signal, _LEAST_SIGNAL * start.signal))


def _numbers(noise: Noise) -> tuple[float, float, float, float]:
    return noise.energy, noise.force, noise.stress, noise.signal


def _next(white: Sums, noise: Noise, fixed: Sequence[bool]) -> Noise:
    sigma = _numbers(noise)[:3]
    precision = np.eye(len(white.projections[0])) / noise.signal**2
    for kind in KINDS:
        precision += white.products[kind] / sigma[kind] ** 2
    factor = cho_factor(precision, lower=True, overwrite_a=True)
    weights = cho_solve(factor, sum(white.projections[kind] / sigma[kind] ** 2 for kind in KINDS))
    covariance = cho_solve(factor, np.eye(len(weights)))
    new, determined = list(sigma), 0.0
    for kind in KINDS:
        if not white.counts[kind]:
            continue
        gamma = float(np.einsum("ij,ij->", covariance, white.products[kind])) / sigma[kind] ** 2
        determined += gamma
        if not fixed[kind]:
            new[kind] = _scatter(white, kind, weights, gamma)
    return Noise(new[ENERGY], new[FORCE], new[STRESS], float(np.sqrt(weights @ weights / determined)))


def _scatter(white: Sums, kind: int, weights: Array, determined: Number) -> float:
    fit = weights @ white.products[kind] @ weights - 2 * weights @ white.projections[kind]
    residual = max(white.squares[kind] + float(fit), 1e-12 * white.squares[kind])
    return float(np.sqrt(residual / max(white.counts[kind] - determined, 1.0)))
