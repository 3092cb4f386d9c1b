r"""Closed and open chemical systems: competing phases as their equilibria see them.

In a system open to reservoirs of some elements, at fixed chemical potentials μ, the grand potential takes the
place of the energy and only the other, closed elements are conserved:

    Φ = (E − Σ_r μ_r N_r) / Σ_c N_c

=====  =====================================================================
E      energy of a formula unit
N_r    its atoms of the reservoirs' elements
N_c    its atoms of the closed elements
μ_r    chemical potential of a reservoir, on the level's scale of energies
=====  =====================================================================

Everything counts per atom of the closed elements; without reservoirs that is per atom. Phases made of nothing but
the reservoirs' elements are the reservoirs' own business and take no part.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from ionscape.errors import InputError, MissingReferenceError
from ionscape.phases.competing import CompetingPhases
from ionscape.phases.table import reduced_formula, unabbreviated
from ionscape.results import frozen
from ionscape.stability.equilibrium import NoMixtureError, Subsystem
from ionscape.units import Array, EnergyPerAtom, EnergyPerAtomArray, FractionalArray, Indices, Number, NumberArray


@dataclass(frozen=True)
class Reactant:
    """One side of a contact, or a phase whose window is asked for.

    Attributes
    ----------
    label
        How it is written.
    composition
        Atoms of every element in a formula unit.
    energy
        Its own energy, eV/atom; None if it is known by its composition alone.
    """

    label: str
    composition: Mapping[str, Number]
    energy: EnergyPerAtom | None


def reactant(formula: str, phases: CompetingPhases) -> Reactant:
    """Return the reactant `formula`, with the energy of the phase of this formula if there is one.

    Raises
    ------
    InputError
        If `formula` is no chemical formula of elements that `phases` cover.
    """
    reduced = reduced_formula(formula)
    known = reduced in phases.formulas
    composition = Composition(unabbreviated(formula))
    phases.fractions_of(composition)
    label = phases.label_of(reduced) if known else formula
    return Reactant(
        label=label,
        composition=MappingProxyType(Composition(unabbreviated(label)).get_el_amt_dict()),
        energy=phases.energy_of(reduced) if known else None,
    )


@dataclass(frozen=True)
class ChemicalSystem:
    """Competing phases at fixed chemical potentials of the reservoirs.

    Attributes
    ----------
    elements
        The closed elements, columns of `fractions`.
    reservoirs
        Chemical potentials μ by element, eV/atom.
    labels
        Formulas of the phases.
    fractions
        Atoms of each closed element per closed atom, (n, m).
    exchanged
        Atoms of each reservoir's element per closed atom, (n, number of reservoirs).
    energies
        Φ of the phases, eV per closed atom, (n,).
    formula_units
        Closed atoms in a formula unit of each phase, (n,).
    rows
        Rows of the phases among the competing phases, (n,).
    """

    elements: tuple[str, ...]
    reservoirs: Mapping[str, EnergyPerAtom]
    labels: tuple[str, ...]
    fractions: FractionalArray
    exchanged: NumberArray
    energies: EnergyPerAtomArray
    formula_units: NumberArray
    rows: Indices
    _subsystems: dict[bytes, Subsystem] = field(default_factory=dict, repr=False, compare=False)

    def subsystem(self, present: NDArray[np.bool_]) -> Subsystem:
        """Return the phases that hold nothing but the closed elements `present`, (m,); made once.

        Raises
        ------
        NoMixtureError
            If there are none; a `MissingReferenceError`.
        """
        key = present.tobytes()
        if key not in self._subsystems:
            try:
                self._subsystems[key] = Subsystem.of(present, self.fractions, self.energies)
            except NoMixtureError as error:
                raise error.named(self.elements) from None
        return self._subsystems[key]

    def grand_potentials(self, energies: Array) -> Array:
        """Return Φ (eV per closed atom) from energies (eV/atom) of all competing phases along the last axis."""
        return _grand_potentials(energies[..., self.rows], self.exchanged, self.reservoirs)

    def point(self, composition: Mapping[str, float]) -> tuple[Array, Array, float]:
        """Return atoms of closed and of reservoirs' elements, both per closed atom, and the closed atoms.

        Raises
        ------
        InputError
            If nothing but the reservoirs' elements is in `composition`.
        MissingReferenceError
            If an element is in `composition` that the phases do not cover.
        """
        foreign = [e for e, n in composition.items() if n and e not in self.elements and e not in self.reservoirs]
        if foreign:
            raise MissingReferenceError(
                f"no competing phases with {', '.join(foreign)}",
                where="competing phases",
                expected=f"a composition of {', '.join((*self.elements, *self.reservoirs))}",
                remedy="Ask for the phases of all elements that are there.",
            )
        closed = [composition.get(element, 0.0) for element in self.elements]
        total = float(sum(closed))
        if not total:
            raise InputError(
                f"{Composition(composition).reduced_formula} holds nothing but {', '.join(self.reservoirs)}",
                where="open system",
                expected="another element besides those that are exchanged",
                remedy="Leave it out, or ask for the closed system.",
            )
        exchanged = [composition.get(element, 0.0) for element in self.reservoirs]
        return np.array(closed) / total, np.array(exchanged) / total, total

    def potential(self, one: Reactant, energy: float | Array) -> Array:
        """Return Φ of `one`, eV per closed atom, from its energy (or draws of it), eV/atom."""
        _, exchanged, _ = self.point(one.composition)
        energies = np.asarray(energy, dtype=float)[..., None]
        return np.asarray(_grand_potentials(energies, exchanged[None], self.reservoirs)[..., 0])


@functools.cache
def formula_atoms(label: str) -> Number:
    """Return the number of atoms in a formula unit, as `label` writes it."""
    return float(Composition(unabbreviated(label)).num_atoms)


def _grand_potentials(energies: Array, exchanged: Array, reservoirs: Mapping[str, float]) -> Array:
    return energies * (1.0 + exchanged.sum(axis=1)) - exchanged @ np.array([*reservoirs.values()], dtype=float)


def chemical_system(phases: CompetingPhases, reservoirs: Mapping[str, float] | None = None) -> ChemicalSystem:
    """Return the system of `phases`, open to `reservoirs` (element: μ, eV/atom) if there are any.

    Raises
    ------
    MissingReferenceError
        If `phases` do not cover an element of the reservoirs.
    """
    mu = dict(reservoirs or {})
    for element in mu:
        phases.energy_of(element)
    opened = np.array([element in mu for element in phases.elements])
    closed_share = phases.fractions[:, ~opened].sum(axis=1)
    rows = np.flatnonzero(closed_share > 0)
    columns = np.array([phases.elements.index(element) for element in mu], dtype=int)
    exchanged = phases.fractions[np.ix_(rows, columns)] / closed_share[rows, None]
    labels = tuple(phases.labels[i] for i in rows)
    atoms = np.array([formula_atoms(label) for label in labels])
    return ChemicalSystem(
        elements=tuple(np.array(phases.elements)[~opened].tolist()),
        reservoirs=MappingProxyType(mu),
        labels=labels,
        fractions=frozen(phases.fractions[np.ix_(rows, np.flatnonzero(~opened))] / closed_share[rows, None]),
        exchanged=frozen(exchanged),
        energies=frozen(_grand_potentials(phases.energies[rows], exchanged, mu)),
        formula_units=frozen(atoms * closed_share[rows]),
        rows=rows,
    )
