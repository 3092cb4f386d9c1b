"""Labels as rows of a linear model: energies, forces and stresses against kernel sums.

Every row is in the unit of its label per atom or per volume, so that one noise serves all frames of one kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ionscape.potential.core import design_rows
from ionscape.potential.evaluation import Evaluator
from ionscape.potential.frames import Frame
from ionscape.potential.kernel import DotProductKernel
from ionscape.units import Array, Count, EnergyArray, Indices, NumberArray, Unit

#: Rows that are worked on together: those of a frame of up to 1,363 atoms stay whole.
AT_ONCE = 4096
#: Kinds of labels, as rows tell them.
ENERGY, FORCE, STRESS = 0, 1, 2
#: Their units, in this order.
UNITS = ("eV/atom", "eV/Å", "eV/Å³")

Labels = Annotated[Array, Unit("eV/atom, eV/Å or eV/Å³")]


@dataclass(frozen=True)
class Rows:
    """Rows of the linear model: labels ≈ offsets @ e + kernels @ μ.

    Attributes
    ----------
    kinds
        What each row is, (rows,).
    labels
        What it should be, less the mean function, (rows,).
    offsets
        Coefficients of the energies of single atoms, (rows, S).
    kernels
        Kernel sums, (rows, M).
    """

    kinds: Indices
    labels: Labels
    offsets: NumberArray
    kernels: NumberArray

    def blocks(self) -> Iterator[Rows]:
        """Return the rows in blocks of at most `AT_ONCE`: what is made of them takes the memory of one block."""
        for begin in range(0, len(self.labels), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            yield Rows(self.kinds[part], self.labels[part], self.offsets[part], self.kernels[part])


def frame_rows(
    frame: Frame,
    species: Indices,
    baseline: Evaluator,
    inducing: list[NumberArray],
    kernel: DotProductKernel,
    guess: EnergyArray,
) -> Rows:
    """Return the rows of `frame`: one of the energy per atom, 3N of the forces, six of the stress if it has one.

    Parameters
    ----------
    frame
        Structure and labels.
    species
        Species of its atoms, (atoms,).
    baseline
        The descriptor, in double precision, with the repulsion of the mean function.
    inducing
        Features of the inducing environments of every species, (M_z, D) each.
    kernel
        The kernel.
    guess
        First guess of the energies of single atoms, eV, (S,); taken off the labels.
    """
    place = (frame.positions, frame.cell, species, frame.periodic)
    rows = design_rows(baseline, place, inducing, kernel.amplitudes)
    mean = baseline.evaluate(*place)
    atoms = len(species)
    kinds = [np.full(1, ENERGY), np.full(3 * atoms, FORCE)]
    labels = [
        np.array([(frame.energy - mean.atom_energies.sum() - guess[species].sum()) / atoms]),
        (frame.forces - mean.forces).ravel(),
    ]
    kernels = rows.stacked[: 1 + 3 * atoms]  # scaled in place: of large frames there is no room for two
    kernels[0] /= atoms
    if frame.stress is not None:
        virial = mean.virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        kinds.append(np.full(6, STRESS))
        labels.append(frame.stress + virial / frame.volume)
        kernels = rows.stacked
        kernels[-6:] /= -frame.volume
    total = sum(len(one) for one in kinds)
    offsets = np.zeros((total, len(inducing)))
    offsets[0] = np.bincount(species, minlength=len(inducing)) / atoms
    return Rows(np.concatenate(kinds), np.concatenate(labels), offsets, kernels)


def count_of(frame: Frame) -> Count:
    """Return how many rows `frame` has."""
    return 1 + 3 * len(frame.symbols) + (0 if frame.stress is None else 6)
