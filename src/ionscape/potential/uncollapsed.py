"""The potential of a model at run time: its quadratic form, else its sum over inducing environments."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from ionscape.potential.baseline import screened_nuclei
from ionscape.potential.evaluation import Descriptors, Forces, Periodic, Precision, Species, evaluator
from ionscape.potential.form import CollapsedForm
from ionscape.potential.model import SparseModel
from ionscape.units import CellArray, Count, EnergyArray, Indices, Length, LengthArray, NumberArray


class Potential(Protocol):
    """What gives the energies and forces of a model, and the features of atoms."""

    form: CollapsedForm

    def evaluate(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = ...
    ) -> Forces:
        """Return energies, forces and virial."""

    def descriptors(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = ...
    ) -> Descriptors:
        """Return the normalised power spectra of all atoms."""


def potential_of(
    model: SparseModel, precision: Precision = "single", threads: Count = 1, skin: Length = 0.0
) -> Potential:
    """Return the collapsed potential of `model` in compiled code; uncollapsed if its kernel has powers above two.

    Parameters
    ----------
    model
        The potential.
    precision, threads, skin
        As those of `core.CompiledPotential`.
    """
    if model.collapses:
        return evaluator(model.collapsed(), precision, threads, skin)
    return UncollapsedPotential(model, precision, threads, skin)


class UncollapsedPotential:
    r"""A model with any kernel: features in compiled code, the sum over inducing environments in NumPy.

    .. math::

        \partial E / \partial \hat p_i = \sum_m \mu_m k'(\hat p_i \cdot q_m)\, q_m

    Its cost grows with the number of inducing environments.

    Parameters
    ----------
    model
        The potential.
    precision, threads, skin
        As those of `core.CompiledPotential`.
    """

    def __init__(
        self, model: SparseModel, precision: Precision = "single", threads: Count = 1, skin: Length = 0.0
    ) -> None:
        self._model = model
        self._bare = evaluator(_mean_function(model), precision, threads, skin)
        self.form = self._bare.form

    def evaluate(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = (True, True, True)
    ) -> Forces:
        """Return energies, forces and virial."""
        place = (positions, cell, species, periodic)
        mean = self._bare.evaluate(*place)
        energies, gradient = self._sums(
            self._bare.descriptors(*place).features, np.asarray(species, dtype=np.int64)
        )
        forces, virial = self._bare.adjoint(gradient, *place)
        return Forces(mean.atom_energies + energies, mean.forces + forces, mean.virial + virial)

    def descriptors(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = (True, True, True)
    ) -> Descriptors:
        """Return the normalised power spectra of all atoms."""
        return self._bare.descriptors(positions, cell, species, periodic)

    def _sums(self, features: NumberArray, species: Indices) -> tuple[EnergyArray, EnergyArray]:
        model = self._model
        slope = np.polynomial.Polynomial([0.0, *model.kernel.amplitudes]).deriv()
        energies, gradient = np.zeros(len(features)), np.zeros_like(features)
        for kind, (q, mu) in enumerate(zip(model.inducing, model.weights, strict=True)):
            here = np.flatnonzero(species == kind)
            products = features[here] @ q.T
            energies[here] = model.kernel(products) @ mu
            gradient[here] = (slope(products) * mu) @ q
        return energies, gradient


def _mean_function(model: SparseModel) -> CollapsedForm:
    pairs = screened_nuclei(model.descriptor.species)
    return dataclasses.replace(
        model.descriptor.form(),
        offsets=model.offsets,
        pair_cutoff=pairs.cutoff,
        pair=pairs.values,
        pair_slopes=pairs.slopes,
    )
