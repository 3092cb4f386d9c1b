"""Formal charges of host and dopant, and the balance of charge of a doped cell.

A charge belongs to an element: sites of one element carry its mean oxidation state. What the user states goes
before every guess.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pymatgen.core import Element, Structure

from ionscape.doping.ewald import NEUTRALITY
from ionscape.doping.settings import DopingRoute
from ionscape.errors import InputError
from ionscape.structures.charges import formal_charges


def host_charges(host: Structure, given: Mapping[str, float]) -> dict[str, float]:
    """Return the formal charge of every element of the host, e.

    In order: the charges `given`; those of `ionscape.structures.charges.formal_charges`.

    Parameters
    ----------
    host
        The undoped crystal.
    given
        Element → charge stated by the user, e; may hold dopants too.

    Returns
    -------
    dict
        Element symbol → charge; the host is neutral with them.

    Raises
    ------
    InputError
        If no oxidation states are found, or the host is not neutral with the charges given.
    """
    counts = {element.symbol: number for element, number in host.composition.element_composition.items()}
    charges = {element: given[element] for element in counts if element in given}
    if len(charges) < len(counts):
        charges = formal_charges(host) | charges
    unknown = [element for element in counts if element not in charges]
    if unknown:
        raise InputError(
            f"no formal charges could be guessed for {host.composition.reduced_formula}",
            where="doping charges",
            expected="a composition that common oxidation states make neutral",
            remedy=f"Give them: charges = {{ {', '.join(f'{element} = …' for element in counts)} }}.",
        )
    net = sum(counts[element] * charges[element] for element in counts)
    if abs(net) > NEUTRALITY:
        listed = ", ".join(f"{element} {charge:+g}" for element, charge in charges.items())
        raise InputError(
            f"the host {host.composition.reduced_formula} has a net charge of {net:+g} e with {listed}",
            where="doping charges",
            expected="formal charges that make the host neutral",
            remedy="Correct `charges`, e.g. { Li = 1, Zr = 4, O = -2 }.",
        )
    return charges


def route_charges(route: DopingRoute, host: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """Return the formal charge of every element that takes part in a doping route, e.

    An element of the host keeps its charge there. A dopant takes the charge `given`, else the one common oxidation
    state with the sign of the element it replaces; an inserted element takes the charge `given`, else its one
    negative oxidation state if it forms anions, else its one positive state.

    Parameters
    ----------
    route
        What is replaced, inserted and removed.
    host
        Charges of the host's elements, e (`host_charges`).
    given
        Charges stated by the user, e.

    Returns
    -------
    dict
        Element symbol → charge, host and dopants.

    Raises
    ------
    InputError
        If an element is unknown, is not in the host although it is to be replaced or removed, or has several
        possible charges.
    """
    for element in [*route.replace, *route.remove]:
        if element not in host:
            raise InputError(
                f"'{element}' is to be replaced or removed but is not in the host ({', '.join(host)})",
                where=f"doping route '{route.name}'",
                expected="an element of the host",
                remedy="Correct `replace` or `remove`.",
            )
    charges = dict(host)
    placed = [(new, float(np.sign(host[old]))) for old, new in route.replace.items()]
    for new, sign in placed + [(new, 0.0) for new in route.insert]:
        if new not in charges:
            charges[new] = given[new] if new in given else _common_charge(new, sign, route)
    return charges


def _common_charge(symbol: str, sign: float, route: DopingRoute) -> float:
    """Return the one common oxidation state of an element with this sign (0: the sign it usually has)."""
    if not Element.is_valid_symbol(symbol):
        raise InputError(
            f"unknown element '{symbol}'",
            where=f"doping route '{route.name}'",
            expected="the symbol of a chemical element",
            remedy="Check the spelling; symbols are case-sensitive.",
        )
    element = Element(symbol)
    if sign == 0:
        sign = -1.0 if element.is_halogen or element.is_chalcogen or element.X > 2.5 else 1.0
    states = [float(state) for state in element.common_oxidation_states if state * sign > 0]
    if len(states) != 1:
        found = ", ".join(f"{state:+g}" for state in states) or "none with the sign of what it replaces"
        raise InputError(
            f"the formal charge of {symbol} is ambiguous (common oxidation states: {found})",
            where=f"doping route '{route.name}'",
            expected="one formal charge for every element",
            remedy=f"State it: charges = {{ {symbol} = … }}.",
        )
    return states[0]


def refuse_imbalance(route: DopingRoute, count: int, charges: Mapping[str, float]) -> None:
    """Raise `InputError`, with the imbalance and what would mend it, unless the doped cell is neutral."""
    ion = {element: f"{element}({charge:+g})" for element, charge in charges.items()}
    steps = [
        (f"replacing {count} {ion[old]} by {ion[new]}", charges[new] - charges[old], 1.0)
        for old, new in route.replace.items()
    ]
    steps += [(f"inserting {n * count:g} {ion[e]}", charges[e], n) for e, n in route.insert.items()]
    steps += [(f"removing {n * count:g} {ion[e]}", -charges[e], n) for e, n in route.remove.items()]
    net = count * sum(change * number for _, change, number in steps)
    if abs(net) <= NEUTRALITY:
        return
    account = "; ".join(f"{text}: {count * change * number:+g}" for text, change, number in steps)
    raise InputError(
        f"a charged cell: {net:+g} e in the supercell ({account})",
        where=f"doping route '{route.name}', count {count}",
        expected="a neutral cell",
        remedy=_compensation(net / count, charges, route),
    )


def _compensation(net_per_dopant: float, charges: Mapping[str, float], route: DopingRoute) -> str:
    """Say how many of the host's least charged ions would balance the charge of one dopant."""
    ions = {e: q for e, q in charges.items() if q * net_per_dopant < 0 and e not in route.replace.values()}
    options = []
    if ions:
        element = min(ions, key=lambda e: abs(ions[e]))
        wanted = route.insert.get(element, 0.0) - net_per_dopant / ions[element]
        options.append(f"insert {element}={wanted:g} per dopant")
    others = {e: q for e, q in charges.items() if q * net_per_dopant > 0 and e not in route.replace.values()}
    if others:
        element = min(others, key=lambda e: abs(others[e]))
        wanted = route.remove.get(element, 0.0) + net_per_dopant / others[element]
        options.append(f"remove {element}={wanted:g} per dopant")
    return f"To compensate {-net_per_dopant:+g} e per dopant: {' or '.join(options) or 'change the counts'}."
