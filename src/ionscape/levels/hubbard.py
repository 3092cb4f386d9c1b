"""The shell that a Hubbard U acts on."""

from __future__ import annotations

from pymatgen.core import Element


def shell_of(symbol: str) -> str:
    """Return the letter of the shell that U acts on: d of transition metals, f of lanthanides and actinides.

    Raises
    ------
    ValueError
        If the element has no such shell in its valence.
    """
    if Element.is_valid_symbol(symbol):
        element = Element(symbol)
        if element.is_lanthanoid or element.is_actinoid:
            return "f"
        if element.is_transition_metal:
            return "d"
    message = f"transition metals, lanthanides or actinides, not '{symbol}'"
    raise ValueError(message)
