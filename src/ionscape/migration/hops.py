"""The hops of the mobile ion in a crystal, up to symmetry: vacancy, divacancy, interstitial, interstitialcy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ionscape.errors import InputError
from ionscape.migration.sites import IonSite, SiteSymmetry
from ionscape.settings import Settings
from ionscape.structures.supercells import images_within
from ionscape.units import Array, Indices, Length

if TYPE_CHECKING:
    from pymatgen.core import Structure

Mechanism = Literal["vacancy", "divacancy", "interstitial", "interstitialcy"]
Translation = tuple[int, int, int]


class HopSettings(Settings):
    """Which hops are looked for."""

    longest_A: float = Field(4.5, gt=0, le=10, description="Longest hop between two sites, Å.")
    per_site: int = Field(
        6, ge=1, le=100, description="Symmetry-distinct hops from a class of sites, the shortest ones."
    )
    clearance_A: float = Field(
        0.8,
        ge=0,
        le=3,
        description="A hop whose straight line passes another site nearer than this is two hops, Å.",
    )
    straightest_deg: float = Field(
        120.0, ge=0, le=180, description="Smallest angle at the ion that an interstitialcy hop pushes, degrees."
    )


@dataclass(frozen=True)
class Hop:
    """One symmetry-distinct hop.

    Attributes
    ----------
    mechanism
        How the ion moves.
    start, end
        Indices of two sites (of those given), and the lattice translation of the end.
    translation
        Lattice vectors by which the end is displaced, (3,).
    through
        Interstitialcy: the ion pushed from its site, with its translation; divacancy: the second vacancy.
    length
        Distance from start to end.
    copies
        All symmetry copies, each in the direction of this one: start, end, translation of the end, (m, 5).
    symmetric
        Whether a symmetry operation reverses it, so that both barriers are equal.
    """

    mechanism: Mechanism
    start: int
    end: int
    translation: Translation
    through: tuple[int, Translation] | None
    length: Length
    copies: Indices
    symmetric: bool


def direct_hops(
    structure: Structure, sites: Sequence[IonSite], mechanism: Mechanism, settings: HopSettings
) -> list[Hop]:
    """Return the symmetry-distinct hops between neighbouring `sites`, the shortest first.

    Vacancy hops lead between occupied sites, interstitial ones between empty ones. Pairs whose straight line
    passes another site of the same kind are left out.
    """
    kind = [k for k, site in enumerate(sites) if site.occupied == (mechanism in {"vacancy", "divacancy"})]
    if not kind:
        return []
    places = np.array([site.fractional for site in sites])
    symmetry = SiteSymmetry.of(structure, places)
    matrix = np.array(structure.lattice.matrix)
    pairs = _pairs(places, kind, matrix, settings)
    taken: set[tuple[int, ...]] = set()
    hops: list[Hop] = []
    counts: dict[int, int] = {}
    for length, start, end, translation in pairs:
        if (start, end, *translation) in taken:
            continue
        copies = np.unique(symmetry.images(start, end, translation), axis=0)
        reverse = _reversed(copies)
        taken |= {tuple(row) for row in copies.tolist()} | {tuple(row) for row in reverse.tolist()}
        orbits = {sites[start].orbit, sites[end].orbit}
        if all(counts.get(orbit, 0) >= settings.per_site for orbit in orbits):
            continue
        for orbit in orbits:
            counts[orbit] = counts.get(orbit, 0) + 1
        symmetric = tuple(reverse[0].tolist()) in {tuple(row) for row in copies.tolist()}
        through = (
            _second_vacancy(places, kind, (start, end, translation), matrix) if mechanism == "divacancy" else None
        )
        hops.append(Hop(mechanism, start, end, translation, through, length, copies, symmetric))
    return hops


def interstitialcy_hops(structure: Structure, sites: Sequence[IonSite], settings: HopSettings) -> list[Hop]:
    """Return the symmetry-distinct hops in which an interstitial takes the site of an ion and pushes it on.

    The ion goes from an empty site to an occupied one, whose ion goes to a second empty site ahead.
    """
    places = np.array([site.fractional for site in sites])
    matrix = np.array(structure.lattice.matrix)
    symmetry = SiteSymmetry.of(structure, places)
    empty = {k for k, site in enumerate(sites) if not site.occupied}
    found = []
    for pushed in (k for k, site in enumerate(sites) if site.occupied):
        around = [one for one in _around(places, pushed, matrix, settings.longest_A) if one[1] in empty]
        found += [_push(pushed, a, b) for a in around for b in around if a is not b and _ahead(a, b, settings)]
    hops: list[Hop] = []
    taken: set[tuple[int, ...]] = set()
    counts: dict[int, int] = {}
    for length, start, end, moved, pushed, at in sorted(found):
        row = (start, end, *moved, pushed, *at)
        if row in taken:
            continue
        copies = np.unique(
            np.column_stack([symmetry.images(start, end, moved), symmetry.images(start, pushed, at)[:, 1:]]),
            axis=0,
        )
        rows = {tuple(one) for one in copies.tolist()}
        back = {_reversed_push(one) for one in rows}
        taken |= rows | back
        orbits = {sites[start].orbit, sites[end].orbit}
        if all(counts.get(orbit, 0) >= settings.per_site for orbit in orbits):
            continue
        for orbit in orbits:
            counts[orbit] = counts.get(orbit, 0) + 1
        plain = np.unique(copies[:, :5], axis=0)
        hops.append(Hop("interstitialcy", start, end, moved, (pushed, at), length, plain, row in back))
    return hops


def _pairs(
    places: Array, kind: Sequence[int], matrix: Array, settings: HopSettings
) -> list[tuple[float, int, int, Translation]]:
    members = set(kind)
    pairs = []
    for start in kind:
        around = [one for one in _around(places, start, matrix, settings.longest_A) if one[1] in members]
        for length, end, translation, vector in around:
            if not _is_blocked(vector, [other[3] for other in around], settings.clearance_A):
                pairs.append((round(length, 4), start, end, translation))
    return sorted(pairs)


def _around(
    places: Array, centre: int, matrix: Array, reach: float
) -> list[tuple[float, int, Translation, Array]]:
    """Return distance, index, translation and vector of all places within `reach` of one, itself left out."""
    origin = places[centre]
    images, index = images_within(matrix, places - origin, reach)
    near = []
    for position, k in zip(images, index, strict=True):
        length = float(np.linalg.norm(position))
        if 1e-3 < length <= reach:
            whole = np.rint(position @ np.linalg.inv(matrix) - (places[k] - origin)).astype(int)
            near.append((length, int(k), (int(whole[0]), int(whole[1]), int(whole[2])), position))
    return sorted(near, key=lambda one: one[:3])


def _is_blocked(vector: Array, others: Sequence[Array], clearance: float) -> bool:
    length = float(np.linalg.norm(vector))
    for other in others:
        along = float(other @ vector) / length
        across = float(np.linalg.norm(other - along * vector / length))
        if 0.15 * length < along < 0.85 * length and across < clearance:
            return True
    return False


def _reversed(copies: Indices) -> Indices:
    rows: Indices = np.column_stack([copies[:, 1], copies[:, 0], -copies[:, 2:]])
    return rows


def _second_vacancy(
    places: Array, kind: Sequence[int], hop: tuple[int, int, Translation], matrix: Array
) -> tuple[int, Translation]:
    """Return the site, other than both ends, with the least sum of distances from them, and its translation."""
    start, end, translation = hop
    goal = (places[end] + translation - places[start]) @ matrix
    reach = 2 * float(np.linalg.norm(goal)) + 1e-3
    ranked = [
        (round(length + float(np.linalg.norm(vector - goal)), 4), k, moved)
        for length, k, moved, vector in _around(places, start, matrix, reach)
        if k in set(kind) and np.linalg.norm(vector - goal) > 1e-3
    ]
    if not ranked:
        raise InputError(
            "there is no third site beside the two ends",
            where="divacancy hop",
            expected="a crystal with at least three sites of the ion within reach",
            remedy="Use a larger cell, or the mechanism 'vacancy'.",
        )
    _, site, moved = min(ranked)
    return site, moved


def _ahead(
    a: tuple[float, int, Translation, Array], b: tuple[float, int, Translation, Array], settings: HopSettings
) -> bool:
    cosine = float(a[3] @ b[3]) / (a[0] * b[0])
    return cosine <= np.cos(np.radians(settings.straightest_deg)) + 1e-9


def _push(
    pushed: int, a: tuple[float, int, Translation, Array], b: tuple[float, int, Translation, Array]
) -> tuple[float, int, int, Translation, int, Translation]:
    moved = (b[2][0] - a[2][0], b[2][1] - a[2][1], b[2][2] - a[2][2])
    at = (-a[2][0], -a[2][1], -a[2][2])
    return round(a[0] + b[0], 4), a[1], b[1], moved, pushed, at


def _reversed_push(row: tuple[int, ...]) -> tuple[int, ...]:
    start, end, moved, pushed, at = row[0], row[1], row[2:5], row[5], row[6:9]
    return (
        end, start, *(-x for x in moved), pushed, *(x - y for x, y in zip(at, moved, strict=True)),
    )  # fmt: skip
