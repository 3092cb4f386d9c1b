"""What is asked of a collapsed potential, whichever code evaluates it: energies, descriptors, design rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.potential.form import CollapsedForm
from ionscape.potential.library import unavailable
from ionscape.units import (
    Array,
    CellArray,
    Count,
    EnergyArray,
    ForceArray,
    Length,
    LengthArray,
    NumberArray,
    Unit,
)

Precision = Literal["single", "double"]
Periodic = tuple[bool, bool, bool]
Species = NDArray[np.integer]


@dataclass(frozen=True)
class Forces:
    """Energies and forces of a structure.

    Attributes
    ----------
    atom_energies
        eV, (atoms,).
    forces
        eV/Å, (atoms, 3).
    virial
        Minus the derivative of the energy with respect to strain, the sum over pairs of r ⊗ F, eV, (3, 3); the
        stress is minus the virial over the volume.
    """

    atom_energies: EnergyArray
    forces: ForceArray
    virial: EnergyArray


@dataclass(frozen=True)
class Descriptors:
    """Power spectra of the atoms of a structure.

    Attributes
    ----------
    features
        Normalised features, (atoms, D).
    norms
        What they were divided by, (atoms,).
    """

    features: NumberArray
    norms: NumberArray


@dataclass(frozen=True)
class DesignRows:
    r"""Kernel sums of a structure with M inducing environments, and their derivatives; columns species by species.

    Attributes
    ----------
    stacked
        The rows below, one array: that of a large structure is large. (1 + 3 · atoms + 6, M).
    """

    stacked: Annotated[Array, Unit("1, 1/Å and 1")]

    @property
    def energy(self) -> NumberArray:
        r""":math:`K_m = \sum_{i \in z_m} k(\hat p_i, q_m)`, (M,)."""
        return np.asarray(self.stacked[0])

    @property
    def forces(self) -> Array:
        r""":math:`-\partial K_m / \partial r`, 1/Å, (3 · atoms, M): x y z of the first atom, then the next."""
        return np.asarray(self.stacked[1:-6])

    @property
    def virial(self) -> NumberArray:
        r""":math:`-\partial K_m / \partial \epsilon` of the strains xx, yy, zz, yz, xz, xy, (6, M)."""
        return np.asarray(self.stacked[-6:])


class Evaluator(Protocol):
    """A collapsed potential that can be evaluated; see `CompiledPotential` for what the methods do."""

    form: CollapsedForm
    precision: Precision

    def evaluate(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = ...
    ) -> Forces:
        """Return energies, forces and virial."""

    def descriptors(
        self, positions: LengthArray, cell: CellArray, species: Species, periodic: Periodic = ...
    ) -> Descriptors:
        """Return the normalised power spectra of all atoms."""

    def adjoint(
        self,
        gradient: EnergyArray,
        positions: LengthArray,
        cell: CellArray,
        species: Species,
        periodic: Periodic = ...,
    ) -> tuple[ForceArray, EnergyArray]:
        """Return forces and virial of an energy whose derivative with respect to the features is given."""

    def kernel_sums(
        self,
        frame: tuple[LengthArray, CellArray, Species, Periodic],
        inducing: list[NumberArray],
        amplitudes: Array,
    ) -> DesignRows:
        """Return what `design_rows` does, of arguments that fit."""


def evaluator(
    form: CollapsedForm, precision: Precision = "single", threads: Count = 1, skin: Length = 0.0
) -> Evaluator:
    """Return the compiled potential, or the one in Numba where the compiled core is missing."""
    if unavailable():
        from ionscape.potential.fallback import FallbackPotential

        return FallbackPotential(form, precision, skin)
    from ionscape.potential.core import CompiledPotential

    return CompiledPotential(form, precision, threads, skin)


def checked(array: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return `array` in C order and double precision.

    Raises
    ------
    InputError
        If it is not of `shape`.
    """
    if np.shape(array) != shape:
        raise InputError(
            f"{name} of shape {np.shape(array)}",
            where="potential",
            expected=f"shape {shape}",
            remedy="Give one row for each atom.",
        )
    return np.ascontiguousarray(array, dtype=float)
