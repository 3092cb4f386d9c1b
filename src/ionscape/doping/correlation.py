"""Rank correlation of Ewald energies with relaxed energies: whether the ranking of the funnel can be trusted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy import stats

from ionscape.results import Failure, frozen
from ionscape.units import Array, Energy, EnergyArray, EnergyPerAtom, EnergyPerAtomArray, Number, Unit

#: Fewest points for which a rank correlation means anything.
FEWEST = 3
#: Up to this many points all permutations are counted for the p value; beyond, Student's t.
MOST_PERMUTED = 8


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation of Ewald energies and relaxed energies of n configurations.

    Attributes
    ----------
    rho
        Spearman's coefficient, −1 … 1; 1 if the Ewald energy ranks as the relaxed energy does.
    p_value
        Two-sided probability of such a |ρ| if the two were unrelated; exact for n ≤ 8, from Student's t above.
    n
        Number of configurations; only relaxed ones count.
    ewald
        Ewald energies, (n,), eV.
    relaxed
        Relaxed energies, (n,), eV/atom.
    """

    rho: Number
    p_value: Number
    n: Annotated[int, Unit("1")]
    ewald: EnergyArray
    relaxed: EnergyPerAtomArray


def rank_correlation(ewald: Sequence[Energy], relaxed: Sequence[EnergyPerAtom]) -> RankCorrelation | Failure:
    """Return Spearman's ρ of the two energies, or why there is none (fewer than 3 points, or all alike).

    Candidates chosen for their low Ewald energy span little of its range, which lowers |ρ|; relax a `spread` of
    them to judge the ranking.

    Parameters
    ----------
    ewald
        Ewald energies of the relaxed configurations, (n,), eV.
    relaxed
        Their relaxed energies, (n,), eV/atom.

    References
    ----------
    C. Spearman, Am. J. Psychol. 15, 72 (1904), doi:10.2307/1412159.
    """
    if len(ewald) < FEWEST:
        return Failure(f"a rank correlation needs {FEWEST} relaxed configurations or more, there are {len(ewald)}")
    ranks = np.array([stats.rankdata(ewald), stats.rankdata(relaxed)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norm = float(np.sqrt((ranks**2).sum(axis=1).prod()))
    if norm == 0:
        return Failure("a rank correlation needs energies that differ")
    rho = float(ranks[0] @ ranks[1]) / norm
    return RankCorrelation(
        rho, _p_value(ranks / math.sqrt(norm), rho), len(ewald), frozen(np.array(ewald)), frozen(np.array(relaxed))
    )


def _p_value(ranks: Array, rho: float) -> float:
    n = ranks.shape[1]
    if n <= MOST_PERMUTED:
        orders = np.array(list(itertools.permutations(range(n))))
        return float(np.mean(np.abs(ranks[0][orders] @ ranks[1]) >= abs(rho) - 1e-9))
    if abs(rho) >= 1 - 1e-12:
        return 2.0 / math.factorial(n)
    return float(2 * stats.t.sf(abs(rho) * math.sqrt((n - 2) / (1 - rho**2)), n - 2))
