"""Facets: as many families as crystallography says, with all their normals."""

from __future__ import annotations

import numpy as np
import pytest
from cut_crystals import CRYSTALS, random_crystal
from pymatgen.core.surface import get_symmetrically_distinct_miller_indices

from ionscape.errors import InputError
from ionscape.interfaces.facets import Facets


@pytest.mark.parametrize(
    ("crystal", "index", "expected"),
    [
        ("copper", 1, [(1, 0, 0), (1, 1, 0), (1, 1, 1)]),
        ("copper", 2, [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1), (2, 2, 1)]),
        ("rutile", 1, [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)]),
    ],
)
def test_families_of_known_crystals(crystal: str, index: int, expected: list[tuple[int, int, int]]) -> None:
    assert Facets.of(CRYSTALS[crystal]).distinct(index) == expected


@pytest.mark.parametrize("crystal", ["MgO", "rutile", "copper"])
def test_there_are_as_many_families_as_pymatgen_finds(crystal: str) -> None:
    theirs = get_symmetrically_distinct_miller_indices(CRYSTALS[crystal], 2)
    facets = Facets.of(CRYSTALS[crystal])
    ours = facets.distinct(2)
    assert len(ours) == len(theirs)
    families = [{tuple(m) for m in facets.family(miller)} for miller in ours]
    assert all(sum(tuple(facets.family(miller)[0]) in family for family in families) == 1 for miller in theirs)


def test_a_rhombohedral_crystal_tells_104_from_014() -> None:
    facets = Facets.of(CRYSTALS["LiCoO2"])
    families = [{tuple(m) for m in facets.family(miller)} for miller in ((1, 0, 4), (0, 1, 4), (0, 1, -4))]
    assert families[0] != families[1]
    assert families[0] == families[2]
    assert len(families[0]) == 6


def test_without_symmetry_planes_pair_with_their_backs_only() -> None:
    assert len(Facets.of(random_crystal(1)).distinct(1)) == 13  # (27 − 1) / 2


@pytest.mark.parametrize(("miller", "count"), [((1, 0, 0), 6), ((1, 1, 1), 8), ((1, 1, 0), 12), ((2, 1, 0), 24)])
def test_normals_of_a_cubic_family(miller: tuple[int, int, int], count: int) -> None:
    normals = Facets.of(CRYSTALS["copper"]).normals(miller)
    assert len(normals) == count
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(count))
    assert np.abs(normals @ [1, 0, 0]).max() == pytest.approx(max(miller) / np.linalg.norm(miller))


def test_an_index_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="1 to 9"):
        Facets.of(CRYSTALS["copper"]).distinct(0)
