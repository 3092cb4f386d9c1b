"""A sparse-GP potential: inducing environments and their weights, what they were learned from, their errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from ionscape.potential.baseline import screened_nuclei
from ionscape.potential.descriptor import Descriptor
from ionscape.potential.evidence import Noise
from ionscape.potential.form import CollapsedForm
from ionscape.potential.kernel import DotProductKernel
from ionscape.units import Array, Count, EnergyArray, Force, Number, NumberArray, Unit

#: Errors whose names end in their units.
ErrorsByName = Annotated[dict[str, float], Unit("as the name says")]


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Attributes
    ----------
    level
        Level of theory of its training frames.
    n_frames
        Training frames.
    training_set
        SHA-256 of them.
    settings
        Settings of the training.
    errors
        Errors on held-out frames, by name with unit; empty if none were held out.
    compositions
        Numbers of atoms of the species in the training frames, one of each kind.
    """

    level: str
    n_frames: Count
    training_set: str
    settings: dict[str, Any]
    errors: ErrorsByName
    compositions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class SparseModel:
    r"""A sparse Gaussian process of atomic energies.

    .. math:: E = \sum_i \big[ e_{z_i} + \sum_{m \in z} \mu_m k(\hat p_i, q_m) + \tfrac12 \sum_j \varphi_{ij} \big]

    Attributes
    ----------
    descriptor
        Species and their environments.
    kernel
        k.
    inducing
        Features q of the inducing environments of every species, (M_z, D) each.
    weights
        μ, eV, (M_z,) each.
    offsets
        Energies of single atoms e, eV, (S,).
    noise
        Of the labels and of the model.
    factors
        Lower triangular factors of the kernel matrices of the inducing environments, (M_z, M_z) each.
    triangle
        Upper triangular R of the fit; the posterior covariance of (e, μ) is (Rᵀ R)⁻¹, columns offsets first.
    columns
        Column of R of every inducing environment, (M_z,) each.
    provenance
        Where it comes from.
    spread
        Factor of every species from the square root of the covariance loss of an atom (`uncertainty`) to the
        standard deviation of a component of the force on it, found on held-out frames, eV/Å; empty if there were
        none.
    rank
        Eigenvectors kept when it is collapsed; 0 for all.
    """

    descriptor: Descriptor
    kernel: DotProductKernel
    inducing: tuple[NumberArray, ...]
    weights: tuple[EnergyArray, ...]
    offsets: EnergyArray
    noise: Noise
    factors: tuple[NumberArray, ...]
    triangle: NumberArray
    columns: tuple[NumberArray, ...]
    provenance: Provenance
    spread: tuple[Force, ...] = ()
    rank: Count = field(default=64)

    @property
    def n_inducing(self) -> Count:
        """Inducing environments of all species together."""
        return sum(len(one) for one in self.inducing)

    @property
    def collapses(self) -> bool:
        """Whether the kernel has no power above two, so that the model is a quadratic form."""
        return not any(self.kernel.amplitudes[2:])

    def collapsed(self) -> CollapsedForm:
        """Return the quadratic form that the model is.

        Raises
        ------
        ValueError
            If the kernel has a power above two.
        """
        if not self.collapses:
            message = "a kernel with powers above two has no quadratic form"
            raise ValueError(message)
        blank, pairs = self.descriptor.form(), screened_nuclei(self.descriptor.species)
        linear, quadratic = (*self.kernel.amplitudes, 0.0, 0.0)[:2]
        vectors, values = self._eigenvectors(quadratic) if quadratic else (None, None)
        return CollapsedForm(
            cutoff=blank.cutoff,
            l_max=blank.l_max,
            radial=blank.radial,
            radial_slopes=blank.radial_slopes,
            offsets=self.offsets,
            mixing=blank.mixing,
            linear=self._linear(linear) if linear else None,
            quadratic=vectors,
            weights=values,
            pair_cutoff=pairs.cutoff,
            pair=pairs.values,
            pair_slopes=pairs.slopes,
        )

    def _linear(self, amplitude: Number) -> EnergyArray:
        return np.stack([amplitude * mu @ q for mu, q in zip(self.weights, self.inducing, strict=True)])

    def _eigenvectors(self, amplitude: Number) -> tuple[Array, Array]:
        features = self.inducing[0].shape[1]
        rank = min(self.rank or features, features)
        vectors, values = np.zeros((len(self.inducing), features, rank)), np.zeros((len(self.inducing), rank))
        for species, (mu, q) in enumerate(zip(self.weights, self.inducing, strict=True)):
            form = amplitude * (q.T * mu) @ q
            each, every = np.linalg.eigh(form)
            largest = np.argsort(-np.abs(each))[:rank]
            vectors[species], values[species] = every[:, largest], each[largest]
        return vectors, values
