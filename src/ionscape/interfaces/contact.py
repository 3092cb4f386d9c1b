"""A contact of two crystals from their faces to its adhesion: cut, match, join, search, pull apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.interfaces.adhesion import Adhesion, BulkEnergies, work_of_adhesion
from ionscape.interfaces.assembly import Interface, join
from ionscape.interfaces.contact_settings import ContactTables, FacePair
from ionscape.interfaces.facets import miller_text
from ionscape.interfaces.match_stage import chosen_match
from ionscape.interfaces.matching import Match, required_matches
from ionscape.interfaces.registry import RegistrySearch, search_registry
from ionscape.interfaces.settings import MatchSettings, SlabSettings
from ionscape.interfaces.slabs import Slab, slab, slabs
from ionscape.results import Failure

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.contact_bench import ContactBench


@dataclass(frozen=True)
class ContactStrength:
    """How strongly two crystals hold at the faces that were joined.

    Attributes
    ----------
    search
        The search for the registry, with the interface.
    adhesion
        The work of adhesion, or why it is not known.
    """

    search: RegistrySearch
    adhesion: Adhesion | Failure


def make_interface(film: Structure, substrate: Structure, faces: FacePair, tables: ContactTables) -> Interface:
    """Return the interface of two crystals as it is first joined.

    Parameters
    ----------
    film, substrate
        The crystals.
    faces
        Which faces and terminations meet, and in which match.
    tables
        How slabs are cut, matched and joined.

    Raises
    ------
    InputError
        If a termination or a match does not exist, nothing matches (the nearest are told), or a slab is too thin.
    """
    above = slab_of(film, faces.film_miller, faces.film_termination, tables.slabs)
    below = slab_of(substrate, faces.substrate_miller, faces.substrate_termination, tables.slabs)
    match = match_of(above, below, tables.matching, faces.match)
    return join(above, below, match, tables.assembly)


def slab_of(
    bulk: Structure, miller: tuple[int, int, int], termination: int | None, settings: SlabSettings
) -> Slab:
    """Return the slab with a termination of a face, or with its best one.

    The best is not polar, stoichiometric and symmetric, in this order; of those alike the first.

    Raises
    ------
    InputError
        If the face has no such termination.
    """
    if termination is not None:
        return slab(bulk, miller, termination, settings)
    return min(
        slabs(bulk, miller, settings), key=lambda one: (one.polar, not one.stoichiometric, not one.symmetric)
    )


def match_of(film: Slab, substrate: Slab, settings: MatchSettings, number: int | None) -> Match:
    """Return the match with a number in the order of `lattice_matches`, or the one of smallest area.

    Raises
    ------
    InputError
        If there is none; it tells the nearest ones.
    """
    found = required_matches(film.vectors, substrate.vectors, settings)
    if number is None:
        return chosen_match(found, film, math.inf)
    if number >= len(found):
        raise InputError(
            f"match {number}",
            where="interface",
            expected=f"one of the {len(found)} matches, 0 to {len(found) - 1}",
            remedy="`ionscape match` lists them.",
        )
    return found[number]


def contact_name(interface: Interface) -> str:
    """Return the name of a contact, film first: ``Li6Zr2O7 (0 0 1) | LiCoO2 (1 0 4)``."""
    sides = (interface.film, interface.substrate)
    return " | ".join(f"{one.formula} {miller_text(one.miller)}" for one in sides)


def contact_strength(
    interface: Interface,
    tables: ContactTables,
    bench: ContactBench,
    rng: np.random.Generator,
    bulk: BulkEnergies | None = None,
) -> ContactStrength:
    """Return the registry and the work of adhesion of an interface.

    Parameters
    ----------
    interface
        The interface as it was joined.
    tables
        How the registry is searched and which variants of the work of adhesion are computed.
    bench
        Where and at which levels.
    rng
        Random stream of the search.
    bulk
        Energies of the bulk crystals, for surface and interface energies.

    Raises
    ------
    CalculationError
        If no shift gave an energy.
    """
    search = search_registry(interface, tables.registry, bench, rng)
    try:
        adhesion: Adhesion | Failure = work_of_adhesion(search, tables.adhesion, bench, bulk)
    except CalculationError as error:
        adhesion = Failure(str(error))
    return ContactStrength(search, adhesion)
