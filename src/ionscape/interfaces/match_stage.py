"""The stage of matching: two surfaces, all their coincidences, the one that is taken, and the two slabs joined."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ionscape.errors import InputError
from ionscape.interfaces.assembly import FILM_SHARE, Interface, join
from ionscape.interfaces.facets import miller_text
from ionscape.interfaces.matching import Match, Matches, required_matches, shared
from ionscape.interfaces.settings import AssemblySettings, MatchPlan, MatchSettings
from ionscape.interfaces.slabs import Slab
from ionscape.interfaces.stiffness import Stiffness, elastic_energy, least_energy
from ionscape.units import Count

#: So many matches are recorded, the first of the ranking.
RECORDED = 20


@dataclass(frozen=True)
class MatchedPair:
    """A film on a substrate.

    Attributes
    ----------
    name
        Both surfaces, film first.
    n_matches
        Coincident superlattices within the tolerances.
    matches
        The first of them, by mean strain, then area.
    chosen
        The one that is taken.
    interface
        The slabs joined at it.
    """

    name: str
    n_matches: Count
    matches: tuple[Match, ...]
    chosen: Match
    interface: Interface


def match_pair(
    film: Slab, substrate: Slab, plan: MatchPlan, stiffness: tuple[Stiffness, Stiffness] | None = None
) -> MatchedPair:
    """Return the coincidences of two slabs and the interface at the one that the plan takes.

    With the stiffness of film and substrate every match carries its elastic energy: the least there is where the
    plan shares the misfit by stiffness, else that of its own sharing.

    Raises
    ------
    InputError
        If nothing matches; it lists the nearest. Or as `join`.
    """
    settings = MatchSettings(**{name: getattr(plan, name) for name in MatchSettings.model_fields})
    found = required_matches(film.vectors, substrate.vectors, settings)
    chosen = _strained(chosen_match(found, film, plan.max_mean_strain_percent), plan.assembly, stiffness)
    return MatchedPair(
        name=f"{film.formula} {miller_text(film.miller)} | {substrate.formula} {miller_text(substrate.miller)}",
        n_matches=len(found),
        matches=tuple(_strained(match, plan.assembly, stiffness) for match in found[:RECORDED]),
        chosen=chosen,
        interface=join(film, substrate, chosen, plan.assembly),
    )


def _strained(match: Match, settings: AssemblySettings, stiffness: tuple[Stiffness, Stiffness] | None) -> Match:
    if settings.strain in FILM_SHARE:
        match = shared(match, FILM_SHARE[settings.strain])
        return match if stiffness is None else replace(match, elastic_energy=elastic_energy(match, *stiffness))
    if stiffness is None:
        raise InputError(
            "strain = 'stiffness' without elastic constants",
            where="matching",
            expected="the stiffness of both crystals",
            remedy="Give it, or share the strain otherwise.",
        )
    return least_energy(match, *stiffness)


def chosen_match(found: Matches, film: Slab, max_mean_strain_percent: float | None = None) -> Match:
    """Return the match of least strain, or the smallest one with at most a mean strain, if there is one.

    Of a film whose faces differ its termination, the upper face, must meet the substrate: only matches that
    turn it over do that, and they are preferred.
    """
    rows = [k for k in range(len(found)) if film.symmetric or found.mirrored[k]] or list(range(len(found)))
    if max_mean_strain_percent is None:
        return found[rows[0]]
    good = [k for k in rows if 100 * found.mean_strains[k] <= max_mean_strain_percent] or rows[:1]
    return found[min(good, key=lambda k: (round(float(found.areas[k]), 3), found.mean_strains[k]))]
