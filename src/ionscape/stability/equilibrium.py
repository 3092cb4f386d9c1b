r"""Equilibrium at a composition: the lowest energy that a mixture of phases can have there.

    E(c) = min Σ_i n_i e_i   subject to   Σ_i n_i f_i = c,  n_i ≥ 0

=====  =====================================================================
c      atom fractions of the target, (m,)
f_i    atom fractions of phase i, (m,)
e_i    energy of phase i, eV/atom
n_i    share of the target's atoms that are in phase i, pure number
=====  =====================================================================

The multipliers of the m constraints are the chemical potentials μ of the elements, Σ c μ = E. The linear programme
is solved by the dual simplex method of HiGHS (doi:10.1007/s12532-017-0130-5), which needs no convex hull and so
works for any number of elements; the phases of the optimum are then solved for exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from scipy.optimize import linprog

from ionscape.errors import CalculationError, MissingReferenceError
from ionscape.results import frozen
from ionscape.units import Array, EnergyPerAtom, EnergyPerAtomArray, Unit

NumberArray = Annotated[Array, Unit("1")]

#: Tightest tolerance that HiGHS accepts.
SOLVER_TOLERANCE = 1e-10
#: Shares below this are rounding of the solver, not phases.
SMALLEST_SHARE = 1e-9


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
    usable = np.flatnonzero(fractions[:, composition <= 0].sum(axis=1) == 0)
    present = np.flatnonzero(composition > 0)
    if not len(usable):
        raise NoMixtureError([int(i) for i in present])
    matrix, costs, target = fractions[np.ix_(usable, present)].T, energies[usable], composition[present]
    solution = linprog(
        costs,
        A_eq=matrix,
        b_eq=target,
        method="highs-ds",
        options={
            "primal_feasibility_tolerance": SOLVER_TOLERANCE,
            "dual_feasibility_tolerance": SOLVER_TOLERANCE,
        },
    )
    if solution.status != 0:
        raise _refusal(solution, matrix, present)
    chosen = np.flatnonzero(solution.x > SMALLEST_SHARE)
    shares = np.clip(np.linalg.lstsq(matrix[:, chosen], target)[0], 0.0, None)
    shares /= shares.sum()
    return Equilibrium(
        energy=float(shares @ costs[chosen]),
        phases=tuple(int(i) for i in usable[chosen]),
        shares=frozen(shares),
        elements=tuple(int(i) for i in present),
        potentials=frozen(solution.eqlin.marginals),
    )


def _refusal(solution: Any, matrix: Array, present: Any) -> Exception:
    """Return the error that tells why there is no optimum."""
    infeasible = 2
    if solution.status != infeasible:
        return CalculationError(f"the linear programme of the equilibrium was not solved: {solution.message}")
    uncovered = [int(i) for i, row in zip(present, matrix, strict=True) if not row.any()]
    pure = {int(present[row.argmax()]) for row in matrix.T if row.max() > 1 - SMALLEST_SHARE}
    lacking = uncovered or sorted({int(i) for i in present} - pure)
    return NoMixtureError(lacking)
