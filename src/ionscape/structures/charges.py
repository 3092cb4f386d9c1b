"""Formal charges of the elements of a crystal."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure


def formal_charges(structure: Structure) -> dict[str, float]:
    """Return the formal charge of each element in e, or nothing if they are not known.

    Taken from the structure's oxidation states (the mean per element), else the likeliest assignment of
    pymatgen to its composition that gives every element one integer charge.
    """
    states = [(site.specie.symbol, getattr(site.specie, "oxi_state", None)) for site in structure]
    if all(state is not None for _, state in states):
        return {
            symbol: float(np.mean([state for name, state in states if name == symbol]))
            for symbol in dict.fromkeys(symbol for symbol, _ in states)
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guesses = structure.composition.element_composition.oxi_state_guesses(max_sites=-1)
    whole = [guess for guess in guesses if all(float(q).is_integer() for q in guess.values())]
    return {symbol: float(q) for symbol, q in whole[0].items()} if whole and any(whole[0].values()) else {}
