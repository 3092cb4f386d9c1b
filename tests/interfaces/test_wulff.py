"""Wulff shapes with areas known from geometry."""

from __future__ import annotations

import numpy as np
import pytest
from cut_crystals import CRYSTALS
from scipy.spatial import ConvexHull

from ionscape.interfaces.facets import Facets
from ionscape.interfaces.wulff import WulffShape, wulff_shape
from ionscape.results import Failure

CUBIC = Facets.of(CRYSTALS["copper"])


def shape(**gammas: float) -> WulffShape | Failure:
    millers = [tuple(int(digit) for digit in name[1:]) for name in gammas]
    return wulff_shape(millers, [CUBIC.normals(m) for m in millers], list(gammas.values()))  # type: ignore[arg-type]


def test_one_family_gives_its_polyhedron() -> None:
    cube = shape(m100=0.05)
    assert isinstance(cube, WulffShape)
    assert len(cube.vertices) == 8
    assert sum(face.area for face in cube.faces) * 0.05**2 == pytest.approx(6 * 0.1**2)
    assert np.abs(cube.vertices) == pytest.approx(np.full((8, 3), 0.05))


def test_nearest_neighbour_bonds_give_the_truncated_octahedron() -> None:
    """γ(100)/γ(111) = 2/√3: squares and regular hexagons, (110) just missing (γ(110)/γ(111) = √6·…)."""
    found = shape(m111=1.0, m100=2 / np.sqrt(3))
    assert isinstance(found, WulffShape)
    assert len(found.vertices) == 24
    hexagons, squares = 8 * 3 * np.sqrt(3) / 2, 6.0  # of edge 1
    assert found.area_fractions == pytest.approx(np.array([hexagons, squares]) / (hexagons + squares))
    assert found.mean_gamma == pytest.approx(float(found.area_fractions @ [1.0, 2 / np.sqrt(3)]))


def test_a_facet_of_high_energy_takes_no_part() -> None:
    found = shape(m100=1.0, m110=1.5)
    assert isinstance(found, WulffShape)
    assert found.area_fractions == pytest.approx([1.0, 0.0])


def test_faces_close_the_surface() -> None:
    found = shape(m111=1.0, m100=1.1, m110=1.05)
    assert isinstance(found, WulffShape)
    areas = sum(face.area for face in found.faces)
    scale = float(np.mean([1.0] * 8 + [1.1] * 6 + [1.05] * 12))
    assert areas * scale**2 == pytest.approx(ConvexHull(found.vertices).area)
    assert np.sum([face.area * face.normal for face in found.faces], axis=0) == pytest.approx(
        np.zeros(3), abs=1e-9
    )


@pytest.mark.parametrize("gammas", [{}, {"m100": -0.1}])
def test_without_positive_energies_there_is_no_shape(gammas: dict[str, float]) -> None:
    assert isinstance(shape(**gammas), Failure)


def test_planes_that_do_not_enclose_give_no_shape() -> None:
    found = wulff_shape([(0, 0, 1)], [np.array([[0.0, 0, 1], [0, 0, -1]])], [1.0])
    assert isinstance(found, Failure)
    assert "enclose" in found.reason
