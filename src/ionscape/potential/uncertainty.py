r"""Uncertainty: of atomic energies as the Gaussian process gives it, and of forces as it was found to be.

The predictive variance of an atomic energy has two terms,

.. math::

    \sigma_i^2 = s^2 (k_{ii} - k_i^T K_{MM}^{-1} k_i) + k_i^T \Sigma k_i .

The first, the covariance loss, tells that an environment is unlike all inducing ones. The second tells that the
data do not settle the weights; it is mostly the share of one atom in the energy of all, which no data settle and
which moves no atom. It is nearly the same for all atoms, the larger of the two, and no sign of errors: those of
forces rank with the covariance loss, species by species. So the standard deviation of a force component is taken
as

.. math:: \sigma_i^F = f_{z_i} \sqrt{1 - k_i^T K_{MM}^{-1} k_i / k_{ii}} ,

with one factor for each species, from held-out frames (`calibration`).

Source of the variance: Quiñonero-Candela & Rasmussen, J. Mach. Learn. Res. 6 (2005) 1939, Eq. 20.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from ionscape.errors import InputError
from ionscape.potential.model import SparseModel
from ionscape.units import EnergyArray, ForceArray, Indices, NumberArray


def covariance_loss(model: SparseModel, features: NumberArray, species: Indices) -> NumberArray:
    """Return how unlike all inducing environments those of atoms are, from 0 (one of them) to 1, (atoms,).

    Parameters
    ----------
    model
        The potential.
    features
        Normalised features of the atoms, (atoms, D).
    species
        Their species, (atoms,).
    """
    loss = np.ones(len(species))
    for kind in range(len(model.inducing)):
        here = np.flatnonzero(species == kind)
        known = whitened_kernels(model, kind, features[here])
        loss[here] -= (known**2).sum(axis=0) / model.kernel.variance()
    return np.maximum(loss, 0.0)


def force_standard_deviations(model: SparseModel, features: NumberArray, species: Indices) -> ForceArray:
    """Return the standard deviation to be expected of a component of the force on every atom, eV/Å, (atoms,).

    Arguments as those of `covariance_loss`.

    Raises
    ------
    InputError
        If the model was not calibrated.
    """
    if not model.spread:
        raise InputError(
            "a model whose uncertainty was not calibrated",
            where="uncertainty of forces",
            expected="a model with errors on held-out frames",
            remedy="Train it with frames held out.",
        )
    return np.asarray(np.array(model.spread)[species] * np.sqrt(covariance_loss(model, features, species)))


def atomic_standard_deviations(model: SparseModel, features: NumberArray, species: Indices) -> EnergyArray:
    """Return the predictive standard deviation of the energy of every atom, as the model gives it, eV, (atoms,).

    Arguments as those of `covariance_loss`.
    """
    variances = np.zeros(len(species))
    for kind in range(len(model.inducing)):
        here = np.flatnonzero(species == kind)
        if len(here):
            variances[here] = _variances(model, kind, features[here])
    return np.sqrt(np.maximum(variances, 0.0))


def _variances(model: SparseModel, kind: int, features: NumberArray) -> EnergyArray:
    known = whitened_kernels(model, kind, features)
    loss = model.kernel.variance() - (known**2).sum(axis=0)
    columns = np.zeros((len(model.triangle), len(features)))
    columns[model.columns[kind]] = known
    unsettled = solve_triangular(model.triangle, columns, trans="T")
    return np.asarray(model.noise.signal**2 * np.maximum(loss, 0.0) + (unsettled**2).sum(axis=0))


def whitened_kernels(model: SparseModel, kind: int, features: NumberArray) -> NumberArray:
    """Return L⁻¹ k of the environments of one species, (M_z, atoms)."""
    kernels = model.kernel(features @ model.inducing[kind].T)
    return np.asarray(solve_triangular(model.factors[kind], kernels.T, lower=True))
