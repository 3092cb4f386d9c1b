"""Equilibria with the errors of the level's energies: what a number of stability is worth.

Energies of all competing phases are drawn together, with errors as large and as correlated as the level's measured
errors are (`phases.uncertainty`), and the equilibria are found anew with every draw. What alike phases have in
common, and what belongs to the elements, so cancels in a reaction as it does in truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numba
import numpy as np

from ionscape.errors import CalculationError
from ionscape.phases.competing import CompetingPhases
from ionscape.results import frozen
from ionscape.stability.equilibrium import Subsystem
from ionscape.stability.simplex import SOLVED, kinks, walk
from ionscape.stability.system import ChemicalSystem, Reactant
from ionscape.units import Array, EnergyPerAtomArray


class ErrorModel(Protocol):
    """Where errors of energies come from."""

    def samples(self, fractions: Array, elements: tuple[str, ...], count: int, rng: np.random.Generator) -> Array:
        """Return joint errors, (count, n), eV/atom, of energies of the compositions `fractions`, (n, m)."""
        ...


@dataclass(frozen=True)
class SampledEnergies:
    """Energies with their errors, drawn jointly.

    Attributes
    ----------
    phases
        Energies of the competing phases, eV/atom, (count, n).
    reactants
        Energies of reactants that have their own, by label, eV/atom, (count,).
    """

    phases: EnergyPerAtomArray
    reactants: Mapping[str, EnergyPerAtomArray]


def sampled_energies(
    phases: CompetingPhases,
    reactants: Iterable[Reactant],
    errors: ErrorModel,
    count: int,
    rng: np.random.Generator,
) -> SampledEnergies:
    """Return `count` joint draws of the energies of `phases` and of the `reactants` that have their own."""
    own = {one.label: (one.composition, one.energy) for one in reactants if one.energy is not None}
    extra = [label for label in own if label not in phases.labels]
    fractions = np.vstack([phases.fractions, *(phases.fractions_of(own[label][0]) for label in extra)])
    drawn = errors.samples(fractions, phases.elements, count, rng)
    row = {label: i for i, label in enumerate([*phases.labels, *extra])}
    energies = {label: frozen(energy + drawn[:, row[label]]) for label, (_, energy) in own.items()}
    return SampledEnergies(
        phases=frozen(phases.energies + drawn[:, : len(phases.labels)]), reactants=MappingProxyType(energies)
    )


def lowest_reaction_energies(
    start: Array,
    end: Array,
    own: tuple[Array | None, Array | None],
    system: ChemicalSystem,
    sampled: SampledEnergies,
) -> Array:
    """Return the lowest ΔE between the compositions `start` and `end` for every draw, eV per closed atom.

    Parameters
    ----------
    start, end
        Closed atoms of each element per closed atom, (m,).
    own
        Φ of the two ends for every draw, (count,); None: that of the hull.

    Raises
    ------
    CalculationError
        If an equilibrium could not be solved.
    """
    part = system.subsystem((start > 0) | (end > 0))
    potentials = part.levelled(system.grand_potentials(sampled.phases))
    hull = np.full(len(potentials), np.nan)
    lowest = _lowest(
        start[part.columns],
        end[part.columns],
        part.fractions,
        potentials,
        hull if own[0] is None else own[0] - start[part.columns] @ part.references,
        hull if own[1] is None else own[1] - end[part.columns] @ part.references,
    )
    return _solved(np.asarray(lowest))


def potentials_around(
    rest: Array, column: int, held: float, near: float, phases: CompetingPhases, sampled: SampledEnergies
) -> Array:
    """Return the chemical potentials of an element on both sides of the amount `held`, eV/atom, (count, 2).

    The first is that at which more of the element goes in, the second that at which some goes out.

    Parameters
    ----------
    rest
        Atoms of the other elements, (m,).
    column
        The element.
    held, near
        Its atoms, and how close an amount counts as the same.

    Raises
    ------
    CalculationError
        If an equilibrium could not be solved.
    """
    present = rest > 0
    present[column] = True
    part = Subsystem.of(present, phases.fractions, phases.energies)
    here = int(np.flatnonzero(part.columns == column)[0])
    amounts = np.array([held + near, held - near])
    around = _around(rest[part.columns], here, amounts, part.fractions, part.levelled(sampled.phases))
    return _solved(np.asarray(around) + part.references[here])


def _solved(numbers: Array) -> Array:
    if np.isnan(numbers).any():
        message = "an equilibrium with sampled energies could not be solved"
        raise CalculationError(message)
    return numbers


@numba.njit(cache=True)
def _around(rest: Array, column: int, amounts: Array, fractions: Array, energies: Array) -> Array:
    around = np.full((len(energies), 2), np.nan)
    direction = np.zeros(len(rest))
    direction[column] = 1.0
    for draw in range(len(energies)):
        status, bounds, _, _, prices = walk(rest, direction, np.inf, fractions, energies[draw])
        for side in range(2):
            piece = np.searchsorted(bounds, amounts[side]) - 1
            if status == SOLVED:
                around[draw, side] = prices[min(max(piece, 0), len(prices) - 1), column]
    return around


@numba.njit(cache=True)
def _lowest(
    start: Array, end: Array, fractions: Array, potentials: Array, at_start: Array, at_end: Array
) -> Array:
    lowest = np.empty(len(potentials))
    for draw in range(len(potentials)):
        status, bounds, energies, _, _, _ = kinks(start, end - start, 1.0, fractions, potentials[draw])
        lowest[draw] = np.nan
        if status == SOLVED:
            first = energies[0] if np.isnan(at_start[draw]) else at_start[draw]
            last = energies[-1] if np.isnan(at_end[draw]) else at_end[draw]
            lowest[draw] = min((energies - (1.0 - bounds) * first - bounds * last).min(), 0.0)
    return lowest
