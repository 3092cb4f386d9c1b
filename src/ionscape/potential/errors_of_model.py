"""Errors of a model on frames it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ionscape.potential.frames import Frame
from ionscape.potential.model import SparseModel
from ionscape.potential.uncertainty import covariance_loss
from ionscape.potential.uncollapsed import potential_of
from ionscape.results import Failure
from ionscape.units import (
    GPA_PER_EV_PER_A3,
    Array,
    EnergyPerAtomArray,
    ForceArray,
    Indices,
    Number,
    NumberArray,
    StressArray,
)


@dataclass(frozen=True)
class Predictions:
    """What a model says of labelled frames, beside the labels; of each pair the model's comes first.

    Attributes
    ----------
    energies
        eV/atom, (2, frames).
    forces
        Components of all atoms of all frames, eV/Å, (2, 3 · atoms).
    stresses
        Components of the frames that carry stresses, eV/Å³, (2, 6 · frames).
    losses
        Covariance loss of all atoms (`uncertainty`), (atoms,).
    species
        Species of all atoms, (atoms,).
    """

    energies: EnergyPerAtomArray
    forces: ForceArray
    stresses: StressArray
    losses: NumberArray
    species: Indices

    @property
    def force_errors(self) -> ForceArray:
        """Predicted less found forces, eV/Å, (atoms, 3)."""
        return np.asarray((self.forces[0] - self.forces[1]).reshape(-1, 3))


def predictions(model: SparseModel, frames: Sequence[Frame]) -> Predictions:
    """Return what `model` says of `frames`, in double precision, beside their labels.

    Raises
    ------
    InputError
        If a frame has an element that the model does not know.
    """
    potential = potential_of(model, precision="double")
    energies, forces, stresses, losses, species = [], [], [np.zeros((2, 0))], [], []
    for frame in frames:
        kinds = model.descriptor.indices(list(frame.symbols), "held-out frames")
        place = (frame.positions, frame.cell, kinds, frame.periodic)
        found = potential.evaluate(*place)
        energies.append((found.atom_energies.sum() / len(kinds), frame.energy / len(kinds)))
        forces.append(np.stack([found.forces.ravel(), frame.forces.ravel()]))
        if frame.stress is not None:
            stress = -found.virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / frame.volume
            stresses.append(np.stack([stress, frame.stress]))
        losses.append(covariance_loss(model, potential.descriptors(*place).features, kinds))
        species.append(kinds)
    return Predictions(
        np.array(energies).T,
        np.concatenate(forces, axis=1),
        np.concatenate(stresses, axis=1),
        np.concatenate(losses),
        np.concatenate(species),
    )


def prediction_errors(model: SparseModel, frames: Sequence[Frame]) -> dict[str, float]:
    """Return the errors of `model` on `frames`, as `errors_of` does."""
    return errors_of(predictions(model, frames))


def errors_of(found: Predictions) -> dict[str, float]:
    """Return mean absolute and root-mean-square errors of energies, forces and stresses, and R², by name."""
    errors = error_summary(found.energies, "energy", "meV_per_atom", 1000.0)
    errors |= error_summary(found.forces, "force", "eV_per_A", 1.0)
    if found.stresses.size:
        errors |= error_summary(found.stresses, "stress", "GPa", GPA_PER_EV_PER_A3)
    return errors


def error_summary(pairs: Array, what: str, unit: str, factor: Number) -> dict[str, float]:
    """Return mean absolute and root-mean-square error, and R² unless all labels are equal.

    Parameters
    ----------
    pairs
        Predictions and labels, (2, n).
    what, unit
        Words of the names: ``force_mae_eV_per_A``.
    factor
        From the unit of the pairs to `unit`.
    """
    ours, labels = pairs
    deviation = ours - labels
    errors = {
        f"{what}_mae_{unit}": float(factor * np.abs(deviation).mean()),
        f"{what}_rmse_{unit}": float(factor * np.sqrt((deviation**2).mean())),
    }
    spread = float(((labels - labels.mean()) ** 2).sum())
    if spread > 0:
        errors[f"{what}_r2"] = 1 - float((deviation**2).sum()) / spread
    return errors


def with_unknown(errors: Mapping[str, Number]) -> dict[str, Number | Failure]:
    """Return `errors`, by name, with a failure for each R² that is not there: all labels of its kind are equal."""
    kinds = [name.partition("_mae_")[0] for name in errors if "_mae_" in name]
    return {**{f"{kind}_r2": Failure(f"all {kind} labels are equal") for kind in kinds}, **errors}
