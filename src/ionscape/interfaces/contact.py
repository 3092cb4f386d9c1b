"""A contact of two crystals from their faces to its adhesion: cut, match, join, search, pull apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.interfaces.adhesion import Adhesion, BulkEnergies, work_of_adhesion
from ionscape.interfaces.assembly import Interface, join
from ionscape.interfaces.contact_settings import ContactTables, FacePair
from ionscape.interfaces.matching import Match, lattice_matches
from ionscape.interfaces.registry import RegistrySearch, search_registry
from ionscape.interfaces.settings import MatchSettings, SlabSettings
from ionscape.interfaces.slabs import Slab, slabs
from ionscape.results import Failure

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.contact_bench import ContactBench

#: Factors by which tolerances are widened, in turn, to find the matches that miss them.
WIDENED = (2.0, 4.0, 8.0, 16.0)
#: Nearest matches that are told.
TOLD = 3


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
    match = chosen_match(above, below, tables.matching, faces.match)
    return join(above, below, match, tables.assembly)


def slab_of(
    bulk: Structure, miller: tuple[int, int, int], termination: int | None, settings: SlabSettings
) -> Slab:
    """Return the slab with a termination of a face, or with its best one.

    The best is symmetric, not polar and stoichiometric; of those alike the first.

    Raises
    ------
    InputError
        If the face has no such termination.
    """
    found = slabs(bulk, miller, settings)
    if termination is None:
        return min(found, key=lambda one: (one.polar, not one.stoichiometric, not one.symmetric))
    if termination >= len(found):
        plane = ",".join(map(str, miller))
        raise InputError(
            f"termination {termination} of {bulk.composition.reduced_formula} ({plane})",
            where="interface",
            expected=f"one of the {len(found)} terminations, 0 to {len(found) - 1}",
            remedy="`ionscape surfaces STRUCTURE` lists them.",
        )
    return found[termination]


def chosen_match(film: Slab, substrate: Slab, settings: MatchSettings, number: int | None) -> Match:
    """Return the match with a number in the order of `lattice_matches`, or the one of smallest area.

    Raises
    ------
    InputError
        If there is none; it tells the nearest ones.
    """
    found: Sequence[Match] = list(lattice_matches(film.vectors, substrate.vectors, settings))
    if not found:
        raise _no_match(film, substrate, settings)
    if number is None:
        return min(found, key=lambda one: (round(one.area, 2), one.mirrored, one.mean_strain))
    if number >= len(found):
        raise InputError(
            f"match {number}",
            where="interface",
            expected=f"one of the {len(found)} matches, 0 to {len(found) - 1}",
            remedy="`ionscape match` lists them.",
        )
    return found[number]


def _no_match(film: Slab, substrate: Slab, settings: MatchSettings) -> InputError:
    near: list[Match] = []
    for factor in WIDENED:
        near = list(lattice_matches(film.vectors, substrate.vectors, _widened(settings, factor)))
        if near:
            break
    listed = "; ".join(f"{m.area:.1f} Å² with a mean strain of {100 * m.mean_strain:.2f} %" for m in near[:TOLD])
    nearest = f"The nearest: {listed}. " if listed else ""
    return InputError(
        "no superlattices of the two faces match",
        where="interface",
        expected=f"a match within the tolerances up to {settings.max_area_A2:g} Å²",
        remedy=f"{nearest}Widen the tolerances, allow a larger area, or choose other faces.",
    )


def _widened(settings: MatchSettings, factor: float) -> MatchSettings:
    names = ("length_tolerance_A", "angle_tolerance_deg", "length_tolerance", "angle_tolerance")
    limits = {
        "length_tolerance_A": 10.0,
        "angle_tolerance_deg": 30.0,
        "length_tolerance": 0.9,
        "angle_tolerance": 0.9,
    }
    wide = {name: min(getattr(settings, name) * factor, limits[name]) for name in names if getattr(settings, name)}
    return settings.model_copy(update=wide)


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
