"""Magnetic moments to start from: by oxidation state, low spin where the ion is known to be.

The spin of the ground state of an octahedral oxide, as the source study's cathodes have it: Co(III) and Ni(III),
Ni(IV), Co(IV) low spin, all other ions of the first series high spin, 4d and 5d ions low spin. Moments only
start the self-consistency; they are free from there on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pymatgen.core import Element

from ionscape.units import Array, Number

#: Moments of free choice in octahedra, μB, by element and oxidation state, where the high-spin rule does not hold.
_LOW_SPIN = {"Co": {3: 0.0, 4: 1.0}, "Ni": {3: 1.0, 4: 0.0}}
#: Moments of atoms in metals, μB.
_METALS = {"Cr": 1.0, "Mn": 3.0, "Fe": 2.3, "Co": 1.7, "Ni": 0.7}
#: Oxidation states of elements that have one in oxides, nitrides, halides and sulphides.
_FIXED = {"H": 1, "O": -2, "N": -3, "F": -1, "Cl": -1, "Br": -1, "I": -1, "S": -2, "Se": -2, "B": 3, "C": 4}
_FIXED |= {"Al": 3, "Ga": 3, "In": 3, "Zn": 2, "Cd": 2, "Si": 4, "Ge": 4, "P": 5, "As": 5, "Zr": 4, "Hf": 4}
_FIXED |= {"Nb": 5, "Ta": 5, "Sc": 3, "Y": 3, "La": 3, "Ti": 4}
#: States that transition metals prefer in oxides that hold several of them.
_USUAL = {"V": 3, "Cr": 3, "Mn": 4, "Fe": 3, "Co": 3, "Ni": 2, "Cu": 2, "Mo": 6, "W": 6, "Ru": 4, "Ir": 4}


def starting_moments(symbols: list[str], given: Mapping[str, float]) -> Array:
    """Return the magnetic moment that each atom starts from, μB, (atoms,): `given`, else by oxidation state.

    All moments are parallel. Atoms of closed shells, and those whose oxidation state cannot be told in a compound,
    start from 0; metals from the moments of the pure elements.
    """
    present = sorted(set(symbols))
    moments = {element: _moment(element, symbols) for element in present if element not in given}
    return np.array([float(given.get(symbol, moments.get(symbol, 0.0))) for symbol in symbols])


def _moment(element: str, symbols: list[str]) -> float:
    kind = Element(element)
    if not (kind.is_transition_metal or kind.is_lanthanoid or kind.is_actinoid):
        return 0.0
    if all(Element(other).is_metal for other in set(symbols)):
        return _METALS.get(element, 0.0)
    state = _state(element, symbols)
    return 0.0 if state is None else _of_state(kind, state)


def _state(element: str, symbols: list[str]) -> float | None:
    """Return the mean oxidation state of `element`: all but one element in their usual state, that one balancing.

    The element that balances is the one that has to leave its usual state the least; None if none can.
    """
    counts = {one: symbols.count(one) for one in set(symbols)}
    states = {one: _usual(one) for one in counts}
    if any(state is None for state in states.values()):
        return None
    charges = {one: float(state or 0) * counts[one] for one, state in states.items()}
    free = [one for one in counts if Element(one).is_transition_metal and one not in _FIXED]
    free += [element] if element not in free else []
    surplus = sum(charges.values())
    balanced = min(sorted(free), key=lambda one: abs(surplus) / counts[one])
    if balanced != element:
        return float(states[element] or 0)
    state = float(states[element] or 0) - surplus / counts[element]
    return state if 0 < state <= Element(element).group else None


def _usual(element: str) -> int | None:
    known = _FIXED.get(element, _USUAL.get(element))
    states = Element(element).common_oxidation_states
    return known if known is not None else int(states[0]) if states else None


def _of_state(kind: Element, state: Number) -> float:
    """Return the moment at a mean oxidation state, between those of the two next whole ones."""
    low = int(np.floor(state + 1e-6))
    share = max(state - low, 0.0)
    above = _of_whole_state(kind, low + 1) if share > 1e-6 else 0.0
    return (1 - share) * _of_whole_state(kind, low) + share * above


def _of_whole_state(kind: Element, state: int) -> float:
    known = _LOW_SPIN.get(kind.symbol, {})
    if state in known:
        return known[state]
    if kind.is_lanthanoid or kind.is_actinoid:
        first = 57 if kind.is_lanthanoid else 89
        count = int(np.clip(kind.Z - first + 3 - state, 0, 14))
        return float(min(count, 14 - count))
    count = int(np.clip(kind.group - state, 0, 10))
    if kind.row == 4:
        return float(min(count, 10 - count))
    return float(min(count, 6 - count) if count <= 6 else min(count - 6, 10 - count))
