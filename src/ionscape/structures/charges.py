"""Formal charges of the elements of a crystal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from pymatgen.analysis.bond_valence import BVAnalyzer
from pymatgen.core import Structure


def formal_charges(structure: Structure) -> dict[str, float]:
    """Return the formal charge of each element in e, or nothing if they are not known.

    In order: the oxidation states that the structure carries; bond valences (O'Keeffe & Brese,
    doi:10.1021/ja00009a002, as pymatgen's ``BVAnalyzer``); the most frequent oxidation states that make the
    composition neutral. Sites of one element carry its mean.
    """
    states = [getattr(site.specie, "oxi_state", None) for site in structure]
    if all(state is not None for state in states):
        return _means(structure, states)
    plain = structure.copy()
    plain.remove_oxidation_states()
    plain = plain.get_primitive_structure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _means(plain, BVAnalyzer().get_valences(plain))
        except ValueError:  # no assignment by bond valences
            guesses = plain.composition.oxi_state_guesses()
    charges = {symbol: float(charge) for symbol, charge in guesses[0].items()} if guesses else {}
    return charges if any(charges.values()) else {}


def _means(structure: Structure, states: Sequence[float | None]) -> dict[str, float]:
    symbols = np.array([site.specie.symbol for site in structure])
    charges = np.array(states, dtype=float)
    return {str(symbol): float(charges[symbols == symbol].mean()) for symbol in dict.fromkeys(symbols)}
