"""Charges and radii of ions where nobody gave them: the usual ones of the elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ionscape.errors import InputError
from ionscape.transport.channels import ionic_radius
from ionscape.units import Charge, Length

#: Electronegativity from which on an element counts as an anion.
ANION = 2.5


def formal_charge(element: str, given: float | None, notes: list[str]) -> Charge:
    """Return the charge of an ion, e: as given, else the usual one of the element, which a note tells.

    Raises
    ------
    InputError
        If none is given and the element has none, or the given one is zero.
    """
    from pymatgen.core import Element

    valid = Element.is_valid_symbol(element)
    usual: tuple[int, ...] = tuple(Element(element).common_oxidation_states) if valid else ()
    if given == 0 or (given is None and not usual):
        raise InputError(
            "no charge" if given is None else "a charge of 0",
            where=f"ions of {element}",
            expected="the charge of a mobile ion in e",
            remedy="Give charge_e (on the command line --charge).",
        )
    if given is not None:
        return given
    if len(usual) > 1:
        notes.append(f"{element} is taken to have the charge {usual[0]:+d}; --charge says otherwise.")
    return float(usual[0])


def anions_of(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return the elements that are anions in most solids: Pauling's electronegativity from 2.5 on (S, O, N, …)."""
    from pymatgen.core import Element

    return tuple(name for name in dict.fromkeys(symbols) if Element(name).X >= ANION)


def radii_of(counts: Mapping[str, int], mobile: str, given: Mapping[str, Length]) -> dict[str, Length]:
    """Return a radius for every element but `mobile`, Å: as given, else Shannon's for its charge.

    Charges come from the most frequent oxidation states that make the composition neutral.

    Raises
    ------
    InputError
        If no such charges are known, or the ion is not in the table.
    """
    from pymatgen.core import Composition

    lacking = [name for name in counts if name != mobile and name not in given]
    found = {name: value for name, value in given.items() if name != mobile}
    if not lacking:
        return found
    guesses = Composition(dict(counts)).oxi_state_guesses(max_sites=-1)
    if not guesses:
        raise InputError(
            f"no charges that make {Composition(dict(counts)).reduced_formula} neutral",
            where="radii of the channels",
            expected=f"radii of {', '.join(lacking)} in Å",
            remedy="Give radii_A (on the command line --radii O=1.40,…).",
        )
    return found | {name: ionic_radius(name, round(guesses[0][name])) for name in lacking}
