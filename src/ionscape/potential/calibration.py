r"""Calibration of a model's uncertainty: from the covariance loss of atoms to errors of the forces on them.

For Gaussian errors :math:`\Delta F_i \sim N(0, f_z^2 \lambda_i)` with the covariance loss :math:`\lambda_i` of
atom i the most likely factor of its species is

.. math:: f_z^2 = \langle |\Delta F_i|^2 / 3 \lambda_i \rangle_{i \in z} .

Ranks tell whether the larger uncertainty has the larger error; coverage, how often an error lies within one and
two standard deviations. Source: Musil et al., J. Chem. Theory Comput. 15 (2019) 906, doi:10.1021/acs.jctc.8b00959.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ionscape.results import Failure
from ionscape.units import Array, Count, Force, ForceArray, Indices, Number, NumberArray

#: Losses below this part of the mean of their species count as so large: no atom is certain.
_LEAST = 1e-2
#: Atoms of a species fewer than this have the factor of all atoms.
_FEWEST = 10
#: Two atoms always rank alike, or against each other.
_FEWEST_RANKS = 3


@dataclass(frozen=True)
class Calibration:
    """How predicted standard deviations of forces compare with the errors found.

    Attributes
    ----------
    rank_correlation
        Spearman's, of the predicted standard deviation of an atom with the length of the error of its force; a
        failure where all of either are alike, or of fewer than three atoms.
    coverage_one
        Part of the force components whose error is within one predicted standard deviation; 0.683 if Gaussian.
    coverage_two
        The same within two; 0.954 if Gaussian.
    atoms
        Number of atoms that were looked at.
    """

    rank_correlation: Number | Failure
    coverage_one: Number
    coverage_two: Number
    atoms: Count


def spread_of(loss: NumberArray, errors: ForceArray, species: Indices, n_species: Count) -> tuple[Force, ...]:
    """Return the factor of every species from √loss to the standard deviation of a force component, eV/Å.

    Parameters
    ----------
    loss
        Covariance loss of atoms, (atoms,).
    errors
        Predicted less found forces, eV/Å, (atoms, 3).
    species
        Species of the atoms, 0 … `n_species` − 1, (atoms,); those with few atoms get the factor of all.
    """
    factors = []
    for kind in range(n_species):
        here = species == kind
        if here.sum() < _FEWEST:
            here = np.ones(len(species), dtype=bool)
        least = max(_LEAST * float(loss[here].mean()), 1e-12)
        ratio = (errors[here] ** 2).mean(axis=1) / np.maximum(loss[here], least)
        factors.append(float(np.sqrt(ratio.mean())))
    return tuple(factors)


def calibration(deviations: ForceArray, errors: ForceArray) -> Calibration:
    """Return how predicted standard deviations of forces compare with their errors.

    Parameters
    ----------
    deviations
        Predicted standard deviation of a component of the force on each atom, eV/Å, (atoms,).
    errors
        Predicted less found forces, eV/Å, (atoms, 3).
    """
    within = np.abs(errors) / np.maximum(deviations, 1e-300)[:, None]
    return Calibration(
        rank_correlation=_rank_correlation(deviations, (errors**2).sum(axis=1)),
        coverage_one=float((within <= 1).mean()),
        coverage_two=float((within <= 2).mean()),
        atoms=len(deviations),
    )


def _rank_correlation(one: Array, other: Array) -> Number | Failure:
    if len(one) < _FEWEST_RANKS:
        return Failure(f"ranks need {_FEWEST_RANKS} atoms or more, there are {len(one)}")
    ranks = np.stack([rankdata(one), rankdata(other)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt((ranks**2).sum(axis=1).prod()))
    if not scale > 0:
        return Failure("all predicted deviations or all errors are alike")
    return float(ranks[0] @ ranks[1]) / scale
