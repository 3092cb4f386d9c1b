r"""Equilibrium at a composition: the lowest energy that a mixture of phases can have there.

    E(c) = min Σ_i n_i e_i   subject to   Σ_i n_i f_i = c,  n_i ≥ 0

=====  =====================================================================
c      atom fractions of the target, (m,)
f_i    atom fractions of phase i, (m,)
e_i    energy of phase i, eV/atom
n_i    share of the target's atoms that are in phase i, pure number
=====  =====================================================================

The multipliers of the m constraints are the chemical potentials μ of the elements, Σ c μ = E. The linear programme
is solved by our own simplex method (`simplex`), which follows whole lines of compositions; the tests hold it
against HiGHS (doi:10.1007/s12532-017-0130-5) and pymatgen's convex hulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import CalculationError, MissingReferenceError
from ionscape.results import frozen
from ionscape.stability.simplex import NO_MIXTURE, NOT_SOLVED, kinks, mixture
from ionscape.units import (
    Array,
    EnergyArray,
    EnergyPerAtom,
    EnergyPerAtomArray,
    FractionalArray,
    Indices,
    Number,
    NumberArray,
)

#: Energies that differ by less are the same: rounding of the solver, eV/atom.
SOLVER_TOLERANCE = 1e-10
#: Shares below this are rounding of the solver, not phases.
SMALLEST_SHARE = 1e-8
#: Keeps the fit of the elements' references solvable where phases do not tell them apart.
RIDGE = 1e-9
#: How pure a phase has to be to count as an element by itself.
PURE = 1 - 1e-9


@dataclass(frozen=True)
class Equilibrium:
    """Lowest-energy mixture at a composition.

    Attributes
    ----------
    energy
        E(c), eV/atom.
    phases
        Rows of the phases present, ascending.
    shares
        Share of the atoms in each of them, pure numbers that sum to 1.
    elements
        Columns of the elements that the target holds, ascending.
    potentials
        Chemical potentials μ of these elements, eV/atom; where fewer phases than elements are present, one of the
        sets that are possible.
    """

    energy: EnergyPerAtom
    phases: tuple[int, ...]
    shares: NumberArray
    elements: tuple[int, ...]
    potentials: EnergyPerAtomArray


class NoMixtureError(MissingReferenceError):
    """No mixture of the phases has the composition; `columns` are the elements whose own phases are lacking."""

    def __init__(self, columns: list[int], names: str = "") -> None:
        self.columns = columns
        super().__init__(
            f"no mixture of the phases has this composition: pure {names or f'elements {columns}'} lacking",
            where="competing phases",
            expected="phases that span the composition, best every element by itself",
            remedy="Add the elements, or relax them at this level.",
        )

    def named(self, elements: Sequence[str]) -> NoMixtureError:
        """Return the error with the symbols of the elements, of which `columns` are numbers."""
        return NoMixtureError(self.columns, ", ".join(elements[i] for i in self.columns))


@dataclass(frozen=True)
class Subsystem:
    """Phases that hold nothing but some of the elements, as the linear programme takes them.

    Attributes
    ----------
    rows, columns
        Rows of the phases and columns of the elements in the tables that they were taken from.
    fractions
        Atom fractions, (n, m).
    energies
        Energies above Σ_X f_X δ_X, eV/atom, (n,): small numbers, whatever the zero of energy is.
    references
        Energies δ of the elements that come closest to the energies of the phases, eV/atom, (m,).
    """

    rows: Indices
    columns: Indices
    fractions: FractionalArray
    energies: EnergyPerAtomArray
    references: EnergyPerAtomArray

    @classmethod
    def of(cls, present: NDArray[np.bool_], fractions: Array, energies: Array) -> Subsystem:
        """Return the subsystem of the elements `present`, (m,), of phases as of `equilibrium`.

        Raises
        ------
        NoMixtureError
            If there is no such phase.
        """
        rows, columns = np.flatnonzero(fractions @ ~present == 0), np.flatnonzero(present)
        if not len(rows):
            raise NoMixtureError(columns.tolist())
        kept = np.ascontiguousarray(fractions[rows][:, columns])
        normal = kept.T @ kept + RIDGE * np.eye(len(columns))
        references: Array = np.linalg.solve(normal, kept.T @ energies[rows]).astype(np.float64)
        return cls(rows, columns, kept, energies[rows] - kept @ references, references)

    def levelled(self, energies: Array) -> Array:
        """Return other energies of all phases, (…, number of phases), as `energies` are: above the references."""
        return np.ascontiguousarray(energies[..., self.rows] - self.fractions @ self.references)

    def require(self, status: int) -> None:
        """Raise the error that a status of the simplex method stands for, if it does."""
        if status == NOT_SOLVED:
            message = "rounding spoilt the linear programme of an equilibrium: phases of nearly one composition?"
            raise CalculationError(message)
        if status == NO_MIXTURE:
            there = self.fractions.any(axis=0)
            pure = self.columns[self.fractions.argmax(axis=1)[self.fractions.max(axis=1) > PURE]]
            lacking = self.columns[~there] if not there.all() else np.setdiff1d(self.columns, pure)
            raise NoMixtureError(lacking.tolist())


def equilibrium(composition: Array, fractions: Array, energies: Array) -> Equilibrium:
    """Return the lowest-energy mixture of phases at `composition`.

    Parameters
    ----------
    composition
        Atom fractions c, (m,), summing to 1.
    fractions
        Atom fractions of the phases f, (n, m).
    energies
        Energies of the phases e, eV/atom, (n,).

    Raises
    ------
    NoMixtureError
        If no mixture of the phases has this composition; a `MissingReferenceError`.
    CalculationError
        If the solver fails.
    """
    part = Subsystem.of(composition > 0, fractions, energies)
    status, basis, amounts, prices = mixture(composition[part.columns], part.fractions, part.energies)
    part.require(status)
    chosen = np.flatnonzero((basis < len(part.rows)) & (amounts > SMALLEST_SHARE))
    order = chosen[np.argsort(basis[chosen])]
    shares = amounts[order] / amounts[order].sum()
    present = part.rows[basis[order]]
    return Equilibrium(
        energy=float(shares @ energies[present]),
        phases=tuple(present.tolist()),
        shares=frozen(shares),
        elements=tuple(part.columns.tolist()),
        potentials=frozen(prices + part.references),
    )


@dataclass(frozen=True)
class EquilibriumLine:
    """Equilibria along a line of compositions b + t d: pieces on which the same phases coexist.

    Attributes
    ----------
    positions
        Ends t of the k pieces, (k + 1,), ascending; the last may be infinite.
    energies
        E at the finite positions, eV, (k + 1,) or (k,).
    elements
        Columns of the elements on the line, ascending.
    potentials
        Chemical potentials of the elements on every piece, eV/atom, (k, number of elements).
    mixtures
        At every finite position, phases (rows) and their amounts.
    """

    positions: NumberArray
    energies: EnergyArray
    elements: tuple[int, ...]
    potentials: EnergyPerAtomArray
    mixtures: tuple[Mapping[int, Number], ...]


def equilibria_along(
    start: Array, direction: Array, length: float, fractions: Array, energies: Array
) -> EquilibriumLine:
    """Return the equilibria along the compositions `start` + t `direction`, 0 ≤ t ≤ `length`.

    Parameters
    ----------
    start, direction
        b and d, atoms of each element, (m,).
    length
        Largest t; may be infinite.
    fractions, energies
        As of `equilibrium`.

    Raises
    ------
    NoMixtureError
        If no mixture of the phases has these compositions; a `MissingReferenceError`.
    CalculationError
        If the solver fails.
    """
    part = Subsystem.of((start > 0) | (direction != 0), fractions, energies)
    start, direction = start[part.columns], direction[part.columns]
    status, bounds, lowest, bases, amounts, prices = kinks(start, direction, length, part.fractions, part.energies)
    part.require(status)
    finite = bounds[: len(lowest)]
    return EquilibriumLine(
        positions=frozen(bounds),
        energies=frozen(lowest + (start + finite[:, None] * direction) @ part.references),
        elements=tuple(part.columns.tolist()),
        potentials=frozen(prices + part.references),
        mixtures=tuple(mixtures_of(bases, amounts, part.rows)),
    )


def mixtures_of(bases: Indices, amounts: Array, rows: Indices) -> list[dict[int, float]]:
    """Return the amounts of the phases by row, ascending, without traces and artificial phases.

    Parameters
    ----------
    bases, amounts
        Phases and their amounts, (k, m) each, one mixture a line.
    rows
        Row of every phase, (n,); an index of n or more is an artificial phase.
    """
    known, mixtures = rows.tolist(), []
    for basis, held in zip(bases.tolist(), amounts.tolist(), strict=True):
        least = SMALLEST_SHARE * sum(held)
        pairs = sorted((b, n) for b, n in zip(basis, held, strict=True) if n > least and b < len(known))
        mixtures.append({known[b]: n for b, n in pairs})
    return mixtures
