"""The descriptor of a model: species, radial functions and angular weights, as the compiled core takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers

from ionscape.errors import InputError
from ionscape.potential.core import CompiledPotential
from ionscape.potential.elements import element_map
from ionscape.potential.form import CollapsedForm
from ionscape.potential.radial import radial_table
from ionscape.potential.settings import DescriptorSettings
from ionscape.units import Indices, NumberArray


@dataclass(frozen=True)
class Descriptor:
    """The normalised power spectrum of atoms of some species.

    Attributes
    ----------
    species
        Symbols, by atomic number.
    settings
        Cutoff, expansion and metric.
    """

    species: tuple[str, ...]
    settings: DescriptorSettings

    def form(self) -> CollapsedForm:
        """Return the collapsed form that has this descriptor and no energy."""
        table = radial_table(self.settings)
        return CollapsedForm(
            cutoff=self.settings.cutoff_A,
            l_max=self.settings.l_max,
            radial=table.values,
            radial_slopes=table.slopes,
            offsets=np.zeros(len(self.species)),
            mixing=self._mixing(),
        )

    def compiled(self) -> CompiledPotential:
        """Return the descriptor in compiled code, in double precision on one thread."""
        return CompiledPotential(self.form(), precision="double", threads=1)

    def indices(self, symbols: list[str], where: str) -> Indices:
        """Return the species of atoms as indices.

        Raises
        ------
        InputError
            If an element is none of the model's.
        """
        unknown = sorted(set(symbols) - set(self.species))
        if unknown:
            raise InputError(
                f"atoms of {', '.join(unknown)}",
                where=where,
                expected=f"the elements the potential knows: {', '.join(self.species)}",
                remedy="Train the potential on frames with these elements in them.",
            )
        place = {symbol: index for index, symbol in enumerate(self.species)}
        return np.array([place[symbol] for symbol in symbols], dtype=np.int64)

    def _mixing(self) -> NumberArray:
        # The weight of degree l, times 1/(2l + 1): an undamped sum over m grows like 2l + 1 (addition theorem).
        degrees = np.arange(self.settings.l_max + 1)
        weights = np.exp(-self.settings.angular_damping * degrees * (degrees + 1) / 2) / (2 * degrees + 1)
        kept = self.settings.element_channels
        elements = np.eye(len(self.species)) if kept is None else element_map(self.species, kept)
        one = np.sqrt(weights)[:, None, None] * np.kron(elements, np.eye(self.settings.n_max))
        return np.broadcast_to(one, (len(self.species), *one.shape)).copy()


def by_atomic_number(symbols: set[str]) -> tuple[str, ...]:
    """Return element symbols in the order of their atomic numbers."""
    return tuple(sorted(symbols, key=lambda symbol: atomic_numbers[symbol]))
