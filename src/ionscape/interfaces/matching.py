r"""Coincident superlattices of two surfaces.

Two superlattices match if their reduced vectors are equally long and at equal angles within tolerances (A. Zur and
T. C. McGill, J. Appl. Phys. 55, 378 (1984), doi:10.1063/1.333084). Pairs are found by sorting: the
superlattices of the substrate by |a|, in which every one of the film finds its window.

Where lengths or angles nearly tie, a superlattice has several bases that are as good as reduced: the pair is
compared in all of them, so that no match hangs on the last digit of a lattice parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, overload

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.interfaces.settings import MatchSettings
from ionscape.interfaces.strain import mean_strains, powers, stretches
from ionscape.interfaces.superlattices import Superlattices, angles_of, superlattices
from ionscape.results import frozen
from ionscape.units import Area, AreaArray, Array, CellArray, Indices, Number, NumberArray, Unit

#: Slack of comparisons with the tolerances: what rounding does to equal numbers.
ROUNDING = 1e-9
#: Least width of the bins of lengths: narrower ones gain nothing and lose digits.
LEAST_BIN = 1e-3
#: Bases that can be as good as the reduced one (a, b), rows in a and b: the first is that one itself.
VARIANTS = np.array(
    [
        [[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [-1, 0]],
        [[1, 0], [1, -1]], [[0, 1], [-1, 1]], [[1, -1], [1, 0]], [[1, -1], [0, -1]],
        [[1, 0], [1, 1]], [[0, 1], [1, 1]], [[1, 1], [1, 0]], [[1, 1], [0, 1]],
    ]
)  # fmt: skip
#: What the products of a variant are made of: rows for u·u, u·v, v·v, columns for a·a, a·b, b·b; (12, 3, 3).
_PRODUCTS = np.array(
    [
        [
            [x[0] * y[0], x[0] * y[1] + x[1] * y[0], x[1] * y[1]]
            for x, y in ((basis[0], basis[0]), (basis[0], basis[1]), (basis[1], basis[1]))
        ]
        for basis in VARIANTS
    ],
    dtype=float,
)


@dataclass(frozen=True)
class Match:
    """A pair of superlattices that coincide within the tolerances.

    Attributes
    ----------
    film_matrix, substrate_matrix
        Superlattice vectors in the surface vectors of each crystal, rows, integer, (2, 2).
    film_vectors, substrate_vectors
        The same, Cartesian, each in its own slab's axes, (2, 2).
    area
        Area of the substrate's superlattice.
    film_strain, substrate_strain
        Strain of each crystal in its own axes (of a film that is turned over: seen from above), (2, 2); as
        found, the film takes up all of the misfit.
    mean_strain
        Mean absolute principal strain of the misfit; see `ionscape.interfaces.strain`.
    mirrored
        Whether the film must be turned over, its upper face to the substrate, for the vectors to coincide.
    elastic_energy
        Elastic energy over the area where stiffnesses are known, else nothing.
    """

    film_matrix: Indices
    substrate_matrix: Indices
    film_vectors: CellArray
    substrate_vectors: CellArray
    area: Area
    film_strain: NumberArray
    substrate_strain: NumberArray
    mean_strain: Number
    mirrored: bool = False
    elastic_energy: Annotated[float | None, Unit("eV/Å²")] = None


@dataclass(frozen=True)
class Matches(Sequence[Match]):
    """Coincident superlattices by mean strain, then area; each is made into a `Match` when it is looked at.

    Attributes
    ----------
    film_lattice, substrate_lattice
        The surface lattices, rows, (2, 2).
    film_matrices, substrate_matrices
        Superlattice vectors in those, (n, 2, 2).
    areas
        Areas of the substrate's superlattices, (n,).
    mean_strains
        (n,); see `ionscape.interfaces.strain`.
    mirrored
        Whether the film must be turned over, (n,).
    """

    film_lattice: CellArray
    substrate_lattice: CellArray
    film_matrices: Indices
    substrate_matrices: Indices
    areas: AreaArray
    mean_strains: NumberArray
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.areas)

    @overload
    def __getitem__(self, index: int) -> Match: ...

    @overload
    def __getitem__(self, index: slice) -> list[Match]: ...

    def __getitem__(self, index: int | slice) -> Match | list[Match]:
        """Return a match, or a list of several."""
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        film, substrate = self.film_matrices[index], self.substrate_matrices[index]
        match = Match(
            film_matrix=film,
            substrate_matrix=substrate,
            film_vectors=frozen(film @ self.film_lattice),
            substrate_vectors=frozen(substrate @ self.substrate_lattice),
            area=float(self.areas[index]),
            film_strain=frozen(np.zeros((2, 2))),
            substrate_strain=frozen(np.zeros((2, 2))),
            mean_strain=float(self.mean_strains[index]),
            mirrored=bool(self.mirrored[index]),
        )
        return shared(match, 1.0)


def lattice_matches(film: Array, substrate: Array, settings: MatchSettings | None = None) -> Matches:
    """Return all coincident superlattices of two surfaces, by mean strain, then area.

    One match for each pair of superlattices and each face of the film: of several ways to lay one on the other,
    that of least strain.

    Parameters
    ----------
    film, substrate
        Surface lattices, rows, (2, 2), Å.
    settings
        Tolerances and largest area, which holds for the superlattices of both.

    Raises
    ------
    InputError
        If a surface cell is larger than the largest area.
    """
    settings = settings or MatchSettings()
    lattices = [np.array(film, dtype=float), np.array(substrate, dtype=float)]
    for lattice, name in zip(lattices, ("film", "substrate"), strict=True):
        _refuse_large(lattice, settings.max_area_A2, name)
    films, substrates = (superlattices(lattice, settings.max_area_A2) for lattice in lattices)
    film_rows, substrate_rows, variants = _coincident(films, substrates, settings)
    film_matrices = films.matrices[film_rows]
    substrate_matrices = VARIANTS[variants] @ substrates.matrices[substrate_rows]
    ours, theirs = film_matrices @ lattices[0], substrate_matrices @ lattices[1]
    # right-handed vectors of the substrate, in pairs with the film's
    left = _determinants(theirs) < 0
    for pairs in (film_matrices, substrate_matrices, ours, theirs):
        pairs[left] = pairs[left, ::-1]
    mirrored = _determinants(ours) * _determinants(theirs) < 0
    strains, areas = mean_strains(ours, theirs), np.abs(_determinants(theirs))
    order = np.lexsort((np.round(areas, 6), np.round(strains, 9)))
    key = (film_rows * len(substrates.angles) + substrate_rows) * 2 + mirrored
    kept = order[np.sort(np.unique(key[order], return_index=True)[1])]
    return Matches(
        film_lattice=frozen(lattices[0]),
        substrate_lattice=frozen(lattices[1]),
        film_matrices=film_matrices[kept],
        substrate_matrices=substrate_matrices[kept],
        areas=frozen(areas[kept]),
        mean_strains=frozen(strains[kept]),
        mirrored=mirrored[kept],
    )


def _determinants(matrices: Array) -> Array:
    return np.asarray(matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0])


def _refuse_large(lattice: Array, max_area: Area, name: str) -> None:
    area = abs(float(np.linalg.det(lattice)))
    if area > max_area * (1 + 1e-9):
        raise InputError(
            f"the surface cell of the {name} has {area:.1f} Å², the largest area is {max_area:g} Å²",
            where="matching",
            expected="a largest area that holds at least one cell of each surface",
            remedy="Raise it (`max_area_A2`), or take a plane of lower indices.",
        )


def _coincident(
    films: Superlattices, substrates: Superlattices, settings: MatchSettings
) -> tuple[Indices, Indices, Indices]:
    """Return rows of films and substrates and the variants of the latter's bases that match, (n,) each."""
    products = substrates.products @ _PRODUCTS.transpose(0, 2, 1)
    points = np.concatenate([np.sqrt(products[..., ::2]), angles_of(products)[..., None]], axis=2)
    own = np.column_stack([films.lengths, films.angles])
    # only bases that some reduced film basis can match: the first, and others where lengths or angles nearly tie
    low, high = _window(np.array([0.0, 0.0, own[:, 2].min()]), np.array([0.0, 0.0, own[:, 2].max()]), settings)
    lengths = _window(points[..., 1], points[..., 1], settings)[1]
    longest = _window(lengths, lengths, settings)[1]
    usable = (points[..., 0] <= longest) & (points[..., 2] >= low[2]) & (points[..., 2] <= high[2])
    variant, row = np.nonzero(usable)
    chosen = points[usable]
    film, other = _candidates(own, chosen, settings)
    good = within_tolerances(own[film], chosen[other], settings)
    return film[good], row[other[good]], variant[other[good]]


def _candidates(film: Array, substrate: Array, settings: MatchSettings) -> tuple[Indices, Indices]:
    """Return pairs of rows (|a|, |b|, angle) whose lengths may match: indices of both, (n,) each.

    The substrate's are sorted by |a| in bins as wide as the tolerance, in each of them by |b|: one sorted key.
    What matches a row of the film lies in its own bin or one beside it, within a window of |b|.
    """
    relative, absolute = settings.length_tolerance, settings.length_tolerance_A
    if relative is None:
        width, places = max(absolute, LEAST_BIN) * (1 + ROUNDING), [rows[:, 0] for rows in (film, substrate)]
    else:
        width = max(-float(np.log1p(-relative)), LEAST_BIN) * (1 + ROUNDING)
        places = [np.log(rows[:, 0]) for rows in (film, substrate)]
    origin = min(float(place.min()) for place in places)
    bins, theirs = (np.floor((place - origin) / width) for place in places)
    apart = 4.0 * float(max(film[:, 1].max(), substrate[:, 1].max())) + 2.0 * absolute
    order = np.lexsort((substrate[:, 1], theirs))
    keys = theirs[order] * apart + substrate[order, 1]
    low, high = _window(film[:, 1], film[:, 1], settings)
    starts = np.concatenate([np.searchsorted(keys, (bins + step) * apart + low) for step in (-1, 0, 1)])
    ends = np.concatenate(
        [np.searchsorted(keys, (bins + step) * apart + high, side="right") for step in (-1, 0, 1)]
    )
    counts = np.maximum(ends - starts, 0)
    ours = np.repeat(np.tile(np.arange(len(film)), 3), counts)
    place = np.arange(len(ours)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(starts, counts)
    return ours, order[place]


def _window(least: Array, most: Array, settings: MatchSettings) -> tuple[Array, Array]:
    """Return how small and how large what matches lengths (or, in the last of three, an angle) can be."""
    relative = np.full(np.shape(least), settings.length_tolerance or 0.0)
    absolute = np.full(np.shape(least), settings.length_tolerance_A if settings.length_tolerance is None else 0.0)
    if np.shape(least) == (3,):
        relative[2] = settings.angle_tolerance or 0.0
        absolute[2] = settings.angle_tolerance_deg if settings.angle_tolerance is None else 0.0
    slack = 10 * ROUNDING
    return (
        least * (1 - relative) - absolute - slack * (1 + least),
        most * (1 + relative) / (1 - relative) + absolute + slack * (1 + most),
    )


def within_tolerances(film: Array, substrate: Array, settings: MatchSettings) -> NDArray[np.bool_]:
    """Return whether rows (|a|, |b|, angle) of film and substrate, (n, 3), match within the tolerances, (n,)."""
    apart = np.abs(substrate - film)
    length, angle = settings.length_tolerance, settings.angle_tolerance
    longest = settings.length_tolerance_A if length is None else length * film[:, :2]
    widest = settings.angle_tolerance_deg if angle is None else angle * film[:, 2]
    lengths = np.all(apart[:, :2] <= longest + ROUNDING, axis=1)
    return np.asarray(lengths & (apart[:, 2] <= widest + ROUNDING))


def shared(match: Match, film_share: Number) -> Match:
    """Return `match` with the strains of both crystals if the film takes up the share `film_share`, 0 to 1."""
    stretch, rotation = misfit(match)
    film = powers(stretch[None], film_share)[0] - np.eye(2)
    other = rotation.T @ powers(stretch[None], film_share - 1.0)[0] @ rotation - np.eye(2)
    return replace(match, film_strain=frozen(film), substrate_strain=frozen(other))


def misfit(match: Match) -> tuple[Array, Array]:
    """Return stretch P and rotation R that take the film's vectors, seen from above, into the substrate's.

    A film that is turned over about its x axis shows its lattice with y reversed.
    """
    seen = match.film_vectors * (np.array([1.0, -1.0]) if match.mirrored else 1.0)
    stretch, rotation = stretches(seen[None], match.substrate_vectors[None])
    return stretch[0], rotation[0]


def common_cell(match: Match) -> CellArray:
    """Return the vectors of the common cell, rows, (2, 2), Å, in the substrate's axes, with the strains shared."""
    return np.asarray(match.substrate_vectors @ (np.eye(2) + match.substrate_strain))


def required_matches(film: Array, substrate: Array, settings: MatchSettings | None = None) -> Matches:
    """Return `lattice_matches`, of which there must be one.

    Raises
    ------
    InputError
        If there is none within the tolerances; it lists the nearest ones. Or as `lattice_matches`.
    """
    settings = settings or MatchSettings()
    found = lattice_matches(film, substrate, settings)
    if len(found):
        return found
    near = nearest_matches(film, substrate, settings)
    listed = "; ".join(_described(match) for match in near[:3]) or "none up to ten times the tolerances"
    raise InputError(
        f"no coincident superlattices within {_tolerances(settings)} up to {settings.max_area_A2:g} Å²",
        where="matching",
        expected=f"surface lattices that match. The nearest: {listed}",
        remedy="Raise the tolerances or the largest area, or take other planes.",
    )


def nearest_matches(film: Array, substrate: Array, settings: MatchSettings) -> list[Match]:
    """Return the matches of least strain that only wider tolerances, up to some ten times, allow."""
    for factor in (1.5, 2.0, 3.0, 5.0, 10.0):
        found = lattice_matches(film, substrate, _widened(settings, factor))
        if len(found):
            return found[:10]
    return []


def _widened(settings: MatchSettings, factor: float) -> MatchSettings:
    length, angle = settings.length_tolerance, settings.angle_tolerance
    return MatchSettings(
        max_area_A2=settings.max_area_A2,
        length_tolerance_A=min(max(settings.length_tolerance_A, 0.02) * factor, 10.0),
        angle_tolerance_deg=min(max(settings.angle_tolerance_deg, 0.1) * factor, 30.0),
        length_tolerance=None if length is None else min(max(length, 0.005) * factor, 0.5),
        angle_tolerance=None if angle is None else min(max(angle, 0.002) * factor, 0.5),
    )


def _tolerances(settings: MatchSettings) -> str:
    length, angle = settings.length_tolerance, settings.angle_tolerance
    return (
        (f"{settings.length_tolerance_A:g} Å" if length is None else f"{100 * length:g} % of lengths")
        + " and "
        + (f"{settings.angle_tolerance_deg:g}°" if angle is None else f"{100 * angle:g} % of angles")
    )


def _described(match: Match) -> str:
    vectors = match.film_vectors, match.substrate_vectors
    (a1, b1), (a2, b2) = (np.linalg.norm(v, axis=1) for v in vectors)
    angles = [float(np.degrees(np.arccos(v[0] @ v[1] / np.prod(np.linalg.norm(v, axis=1))))) for v in vectors]
    return (
        f"{match.area:.1f} Å² with lengths off by {a2 - a1:+.2f} and {b2 - b1:+.2f} Å, the angle by "
        f"{angles[1] - angles[0]:+.2f}°, mean strain {100 * match.mean_strain:.2f} %"
    )
