"""Formal charges of the elements of a crystal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from pymatgen.analysis.bond_valence import BVAnalyzer
from pymatgen.core import Composition, Structure

#: Carried oxidation states count if they leave no more charge than this on the cell; e.
NEUTRAL = 0.01


def formal_charges(structure: Structure) -> dict[str, float]:
    """Return the formal charge of each element in e, or nothing if they are not known.

    In order: the oxidation states that the structure carries, if they are not all zero (older CIFs write "Li0+")
    and leave the cell neutral; bond valences (O'Keeffe & Brese,
    doi:10.1021/ja00009a002, as pymatgen's ``BVAnalyzer``); the most frequent oxidation states that make the
    composition neutral. Sites of one element carry its mean.
    """
    carried = [getattr(site.specie, "oxi_state", None) for site in structure]
    states = [float(state) for state in carried if state is not None]
    if len(states) == len(carried) and any(states) and abs(sum(states)) < NEUTRAL:
        return _means(structure, states)
    plain = structure.copy()
    plain.remove_oxidation_states()
    plain = plain.get_primitive_structure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _means(plain, BVAnalyzer().get_valences(plain))
        except ValueError:  # no assignment by bond valences
            return _most_frequent(plain.composition)


def _most_frequent(composition: Composition) -> dict[str, float]:
    # one formula unit first: a search over all sites takes seconds, and is needed for mixed valence only
    guesses = composition.reduced_composition.oxi_state_guesses() or composition.oxi_state_guesses()
    charges = {symbol: float(charge) for symbol, charge in guesses[0].items()} if guesses else {}
    return charges if any(charges.values()) else {}


def _means(structure: Structure, states: Sequence[float]) -> dict[str, float]:
    symbols = np.array([site.specie.symbol for site in structure])
    charges = np.array(states, dtype=float)
    return {str(symbol): float(charges[symbols == symbol].mean()) for symbol in dict.fromkeys(symbols)}
