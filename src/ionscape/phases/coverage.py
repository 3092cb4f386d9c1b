"""How well the error model covers what is measured: reactions between compounds with measured enthalpies.

Each compound decomposes into the mixture of the other measured compounds and elements that is lowest in measured
enthalpy. The level's error of that reaction energy is known, its standard deviation is predicted by
`uncertainty.EnergyErrors`: their quotients show whether the predicted correlations are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Composition
from scipy.optimize import linprog

from ionscape.phases.formation import FormationCheck
from ionscape.phases.uncertainty import EnergyErrors
from ionscape.units import Array, EnergyPerAtom

#: Amounts below this are none.
NONE = 1e-6


@dataclass(frozen=True)
class ReactionCheck:
    """Error of the level for one reaction, beside its predicted standard deviation.

    Attributes
    ----------
    formula
        The compound that decomposes.
    products
        What it decomposes into.
    closed
        Whether no element takes part in the reaction.
    error
        Calculated minus measured reaction energy, eV per atom of the compound.
    deviation
        Predicted standard deviation of that error, eV per atom of the compound.
    """

    formula: str
    products: tuple[str, ...]
    closed: bool
    error: EnergyPerAtom
    deviation: EnergyPerAtom


def reaction_checks(checks: Sequence[FormationCheck], errors: EnergyErrors) -> list[ReactionCheck]:
    """Return the decomposition of every compound of `checks` that has others within its elements."""
    elements = sorted({e.symbol for check in checks for e in Composition(check.formula)})
    compounds = [[Composition(check.formula).get_atomic_fraction(e) for e in elements] for check in checks]
    rows = np.vstack([np.array(compounds), np.eye(len(elements))])
    names = [check.formula for check in checks] + elements
    measured = np.array([check.measured for check in checks] + [0.0] * len(elements))
    calculated_less = np.array([check.error for check in checks] + [0.0] * len(elements))
    covariance = errors.covariance(rows, elements)
    found = []
    for i in range(len(checks)):
        others = _within(rows, i, len(checks))
        if np.any(others < len(checks)):
            amounts = _lowest(rows[others], measured[others], rows[i])
            change = np.zeros(len(rows))
            change[others] = amounts
            change[i] = -1.0
            products = np.flatnonzero(change > NONE)
            found.append(
                ReactionCheck(
                    formula=names[i],
                    products=tuple(names[j] for j in products),
                    closed=bool(np.all(products < len(checks))),
                    error=float(change @ calculated_less),
                    deviation=float(np.sqrt(change @ covariance @ change)),
                )
            )
    return found


def _within(rows: Array, i: int, compounds: int) -> np.ndarray:
    """Return the rows, i left out, whose elements all are in row i; the elements come after the compounds."""
    inside = ~np.any((rows > 0) & (rows[i] == 0), axis=1)
    inside[i] = False
    return np.flatnonzero(inside) if inside[:compounds].any() else np.arange(compounds, compounds)


def _lowest(rows: Array, enthalpies: Array, composition: Array) -> Array:
    """Return the amounts of the mixture of lowest enthalpy at `composition`."""
    return np.asarray(linprog(enthalpies, A_eq=rows.T, b_eq=composition, method="highs").x)


def covered(checks: Sequence[ReactionCheck], factor: float = 1.96) -> float:
    """Return the share of reactions whose error is at most `factor` predicted standard deviations."""
    return float(np.mean([abs(check.error) <= factor * check.deviation for check in checks]))
