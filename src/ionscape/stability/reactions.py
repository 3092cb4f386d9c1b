"""Balanced reactions as text."""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np

from ionscape.units import Array

#: Reactions are written with whole numbers if a multiple up to this gives them.
LARGEST_MULTIPLE = 60
#: How closely a multiple has to hit whole numbers, and the largest of them that is written.
CLOSE, LARGEST_COEFFICIENT = 1e-6, 400
#: Smaller amounts, of the sum of all, are rounding.
TRACE = 1e-7


def balanced_reaction(reactants: Mapping[str, float], products: Mapping[str, float]) -> str:
    """Return a reaction as text: ``2 LiFePO4 + Li2O → …``.

    Parameters
    ----------
    reactants, products
        Formula units of each, by formula. What is on both sides cancels, unless nothing would be left.

    The coefficients are the smallest whole numbers, or count per one formula unit of the first reactant if there
    are no small ones.
    """
    change = {name: -n for name, n in reactants.items()}
    for name, n in products.items():
        change[name] = change.get(name, 0.0) + n
    trace = TRACE * (sum(reactants.values()) + sum(products.values()))
    left = {name: -n for name, n in change.items() if n < -trace}
    right = {name: n for name, n in change.items() if n > trace}
    if not left or not right:
        left, right = ({name: n for name, n in side.items() if n > trace} for side in (reactants, products))
    texts = _coefficients([*left.values(), *right.values()])
    sides = [f"{text} {name}" if text else name for text, name in zip(texts, [*left, *right], strict=True)]
    return f"{' + '.join(sides[: len(left)])} → {' + '.join(sides[len(left) :])}"


def _coefficients(amounts: list[float]) -> list[str]:
    """Return the coefficients of a reaction as text, those that are 1 empty."""
    factor = _whole_factor(np.array(amounts))
    if factor > 0:
        return ["" if n == 1 else str(n) for n in (round(factor * amount) for amount in amounts)]
    return ["" if amount == amounts[0] else f"{amount / amounts[0]:.4g}" for amount in amounts]


@numba.njit(cache=True)
def _whole_factor(amounts: Array) -> float:
    """Return the factor that makes small whole numbers of `amounts`, 0 if there is none.

    It makes the first of them, or else the smallest, 1, 2, … `LARGEST_MULTIPLE`.
    """
    for unit in (amounts[0], amounts.min()):
        for multiple in range(1, LARGEST_MULTIPLE + 1):
            factor = multiple / unit
            fits = True
            for amount in amounts:
                scaled = amount * factor
                if not 0.5 < scaled < LARGEST_COEFFICIENT or abs(scaled - np.rint(scaled)) > CLOSE:
                    fits = False
                    break
            if fits:
                return factor
    return 0.0
