r"""Coincident superlattices of two surfaces.

Two superlattices match if their reduced vectors are equally long and at equal angles within tolerances (A. Zur and
T. C. McGill, J. Appl. Phys. 55, 378 (1984), doi:10.1063/1.333084). All pairs are found by sorting: superlattices are
points (|a|, |b|, angle) of a tree, which is asked for all pairs of points within the tolerances.

Where lengths or angles nearly tie, a superlattice has several bases that are as good as reduced: the pair is compared
in all of them, so that no match hangs on the last digit of a lattice parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from scipy.spatial import cKDTree

from ionscape.errors import InputError
from ionscape.interfaces.settings import MatchSettings
from ionscape.interfaces.strain import mean_strains, powers, stretches
from ionscape.interfaces.superlattices import Superlattices, angles_between, superlattices
from ionscape.results import frozen
from ionscape.units import Area, Array, CellArray, Indices, Number, NumberArray, Unit

#: Slack of comparisons with the tolerances, relative: what rounding does to equal numbers.
ROUNDING = 1e-9
#: Bases that can be as good as the reduced one (a, b): rows in a and b.
VARIANTS = np.array(
    [
        [[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [-1, 0]], [[1, 0], [1, -1]], [[0, 1], [-1, 1]],
        [[1, -1], [1, 0]], [[1, -1], [0, -1]], [[1, 0], [1, 1]], [[0, 1], [1, 1]], [[-1, 0], [-1, 1]], [[0, -1], [1, -1]],
    ]
)  # fmt: skip


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
        Strain of each crystal in its own axes if the film takes up all of the misfit (then the substrate's is 0),
        (2, 2).
    mean_strain
        Mean absolute principal strain of the misfit; see `ionscape.interfaces.strain`.
    mirrored
        Whether the film must be turned over, its upper face to the substrate, for the vectors to coincide.
    elastic_energy
        Elastic energy per area of the interface where stiffnesses are known, else nothing.
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
class _Pairs:
    """Indices of film and substrate superlattices and the substrate's basis, (n,) each."""

    film: Indices
    substrate: Indices
    variant: Indices


def lattice_matches(film: Array, substrate: Array, settings: MatchSettings | None = None) -> list[Match]:
    """Return all coincident superlattices of two surfaces, by mean strain, then area.

    One match for each pair of superlattices and each face of the film: of several ways to lay one on the other, that
    of least strain.

    Parameters
    ----------
    film, substrate
        Surface lattices, rows, (2, 2), Å.
    settings
        Tolerances and largest area.

    Raises
    ------
    InputError
        If no superlattice is as small as the largest area.
    """
    settings = settings or MatchSettings()
    films, substrates = (_superlattices(v, settings, n) for v, n in ((film, "film"), (substrate, "substrate")))
    pairs = _coincident(films, substrates, settings)
    return _matches(films, substrates, pairs)


def _superlattices(vectors: Array, settings: MatchSettings, name: str) -> Superlattices:
    found = superlattices(np.asarray(vectors, dtype=float), settings.max_area_A2)
    if not len(found.matrices):
        area = abs(float(np.linalg.det(vectors)))
        raise InputError(
            f"the surface cell of the {name} has {area:.1f} Å², the largest area is {settings.max_area_A2:g} Å²",
            where="matching",
            expected="a largest area that holds at least one cell of each surface",
            remedy="Raise it (`max_area_A2`), or take a plane of lower indices.",
        )
    return found


def _coincident(films: Superlattices, substrates: Superlattices, settings: MatchSettings) -> _Pairs:
    bases = VARIANTS @ substrates.vectors[:, None]
    points = np.concatenate([np.linalg.norm(bases, axis=3), angles_between(bases)[..., None]], axis=2)
    variants = points.reshape(-1, 3)
    own = np.column_stack([films.lengths, films.angles])
    near = _tree_pairs(own, variants, settings)
    good = within_tolerances(own[near[:, 0]], variants[near[:, 1]], settings)
    film, flat = near[good].T
    return _Pairs(film, flat // len(VARIANTS), flat % len(VARIANTS))


def _tree_pairs(own: Array, other: Array, settings: MatchSettings) -> Indices:
    """Return pairs of rows that may lie within the tolerances, (n, 2)."""
    length, angle = settings.length_tolerance, settings.angle_tolerance
    scaled = [own.copy(), other.copy()]
    for points in scaled:
        if length is not None:
            points[:, :2] = np.log(points[:, :2])
        if angle is not None:
            points[:, 2] = np.log(points[:, 2])
    widths = np.array(
        [
            settings.length_tolerance_A if length is None else -np.log1p(-length),
            settings.length_tolerance_A if length is None else -np.log1p(-length),
            settings.angle_tolerance_deg if angle is None else -np.log1p(-angle),
        ]
    )
    widths = widths * (1 + 1e-6) + 1e-7
    trees = [cKDTree(points / widths) for points in scaled]
    found = trees[0].query_ball_tree(trees[1], 1.0, p=np.inf)
    counts = np.array([len(row) for row in found])
    columns = np.array([k for row in found for k in row], dtype=np.int64)
    return np.column_stack([np.repeat(np.arange(len(found)), counts), columns])


def within_tolerances(film: Array, substrate: Array, settings: MatchSettings) -> Array:
    """Return whether rows (|a|, |b|, angle) of film and substrate, (n, 3), match within the tolerances, (n,)."""
    apart, ratio = np.abs(substrate - film), np.abs(substrate / film - 1.0)
    length, angle = settings.length_tolerance, settings.angle_tolerance
    lengths = (
        apart[:, :2] <= settings.length_tolerance_A + ROUNDING
        if length is None
        else ratio[:, :2] <= length + ROUNDING
    )
    angles = (
        apart[:, 2] <= settings.angle_tolerance_deg + ROUNDING
        if angle is None
        else ratio[:, 2] <= angle + ROUNDING
    )
    return np.asarray(lengths.all(axis=1) & angles)


def _matches(films: Superlattices, substrates: Superlattices, pairs: _Pairs) -> list[Match]:
    film_vectors = films.vectors[pairs.film]
    substrate_matrices = VARIANTS[pairs.variant] @ substrates.matrices[pairs.substrate]
    substrate_vectors = VARIANTS[pairs.variant] @ substrates.vectors[pairs.substrate]
    handed = np.linalg.det(film_vectors) * np.linalg.det(substrate_vectors)
    mirrored = handed < 0
    # a film that is turned over about x shows its lattice with y reversed
    seen = np.where(mirrored[:, None, None], film_vectors * np.array([1.0, -1.0]), film_vectors)
    stretch, _ = stretches(seen, substrate_vectors)
    mean = mean_strains(stretch)
    areas = np.abs(np.linalg.det(substrate_vectors))
    order = np.lexsort((np.round(areas, 6), np.round(mean, 9)))
    chosen, known = [], set()
    for k in order.tolist():
        key = (int(pairs.film[k]), int(pairs.substrate[k]), bool(mirrored[k]))
        if key not in known:
            known.add(key)
            chosen.append(k)
    strain = stretch - np.eye(2)
    return [
        Match(
            film_matrix=films.matrices[pairs.film[k]],
            substrate_matrix=substrate_matrices[k],
            film_vectors=frozen(film_vectors[k]),
            substrate_vectors=frozen(substrate_vectors[k]),
            area=float(areas[k]),
            film_strain=frozen(strain[k]),
            substrate_strain=frozen(np.zeros((2, 2))),
            mean_strain=float(mean[k]),
            mirrored=bool(mirrored[k]),
        )
        for k in chosen
    ]


def shared(match: Match, film_share: Number) -> Match:
    """Return `match` with the strains of both crystals if the film takes up the share `film_share` of the misfit."""
    flip = np.array([1.0, -1.0]) if match.mirrored else np.ones(2)
    stretch, rotation = stretches((match.film_vectors * flip)[None], match.substrate_vectors[None])
    film = powers(stretch, film_share)[0] - np.eye(2)
    other = rotation[0].T @ powers(stretch, film_share - 1.0)[0] @ rotation[0] - np.eye(2)
    return replace(match, film_strain=frozen(film), substrate_strain=frozen(other))


def common_cell(match: Match) -> CellArray:
    """Return the vectors of the common cell, rows, (2, 2), Å, in the substrate's axes, with the strains of `match`."""
    return match.substrate_vectors @ (np.eye(2) + match.substrate_strain)
