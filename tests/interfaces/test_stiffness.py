"""Elastic constants of an elastic solid, and the sharing of misfit that costs least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from cut_crystals import CRYSTALS
from pymatgen.core import Structure

from ionscape.errors import CalculationError
from ionscape.interfaces.matching import common_cell, lattice_matches, shared
from ionscape.interfaces.settings import MatchSettings
from ionscape.interfaces.stiffness import (
    VOIGT,
    Stiffness,
    elastic_constants,
    elastic_energy,
    least_energy,
    plane_constants,
)
from ionscape.levels.registry import Level
from ionscape.potential.frames import Frame
from ionscape.results import Failure, frozen

LEVEL = Level.of("chgnet")
CUBIC = np.zeros((6, 6))
CUBIC[:3, :3] = 0.6
CUBIC[range(3), range(3)] = 1.1
CUBIC[range(3, 6), range(3, 6)] = 0.5


class HookeLab:
    """Stresses σ = C e of a crystal strained away from `bulk`."""

    def __init__(self, bulk: Structure, fails: bool = False) -> None:
        self.bulk, self.fails = bulk, fails

    def label(self, structures: Sequence[Structure], level: Level) -> list[Frame | Failure]:
        return [Failure("broke") if self.fails else self.one(s, level) for s in structures]

    def one(self, s: Structure, level: Level) -> Frame:
        gradient = np.linalg.inv(self.bulk.lattice.matrix) @ s.lattice.matrix
        strain = (gradient + gradient.T) / 2 - np.eye(3)
        e = np.array([strain[i, j] * (1 if i == j else 2) for i, j in VOIGT])
        stress = np.zeros((3, 3))
        for (i, j), value in zip(VOIGT, CUBIC @ e, strict=True):
            stress[i, j] = stress[j, i] = value
        return Frame(
            symbols=tuple(x.specie.symbol for x in s), positions=s.cart_coords, cell=s.lattice.matrix,
            periodic=(True, True, True), energy=0.0, forces=np.zeros((len(s), 3)), stress=stress, level=level.name,
        )  # fmt: skip


def test_constants_are_found_along_the_axes_and_turned_with_them() -> None:
    bulk = CRYSTALS["MgO"]
    assert elastic_constants(bulk, np.eye(3), LEVEL, HookeLab(bulk)) == pytest.approx(CUBIC, abs=1e-9)
    # along (1 1 0): C11' = (C11 + C12) / 2 + C44
    s = 1 / np.sqrt(2)
    frame = np.array([[s, s, 0], [-s, s, 0], [0, 0, 1]])
    assert elastic_constants(bulk, frame, LEVEL, HookeLab(bulk))[0, 0] == pytest.approx((1.1 + 0.6) / 2 + 0.5)


def test_a_plane_with_free_normal_stress_is_softer() -> None:
    plane = plane_constants(CUBIC)
    assert plane[0, 0] == pytest.approx(1.1 - 0.6**2 / 1.1)
    assert plane[0, 1] == pytest.approx(0.6 - 0.6**2 / 1.1)
    assert plane[2, 2] == pytest.approx(0.5)


def test_a_failed_stress_is_told() -> None:
    with pytest.raises(CalculationError, match="broke"):
        elastic_constants(CRYSTALS["MgO"], np.eye(3), LEVEL, HookeLab(CRYSTALS["MgO"], fails=True))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_shared_misfit_costs_least(seed: int, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)

    def stiffness() -> Stiffness:
        root = rng.normal(size=(3, 3))
        return Stiffness(frozen(root @ root.T + 0.5 * np.eye(3)), float(rng.uniform(5, 20)))

    film = np.array([[3.0, 0.0], [0.8, 4.1]])
    angle = rng.uniform(0, 6)
    around = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    substrate = film @ np.array([[1.012, 0.004], [-0.006, 0.991]]) @ around * ([1, -1] if mirrored else [1, 1])
    limits = MatchSettings(max_area_A2=13.0, length_tolerance=0.03, angle_tolerance=0.02)
    match = lattice_matches(film, substrate, limits)[0]
    assert match.mirrored is mirrored
    sides = stiffness(), stiffness()
    best = least_energy(match, *sides)
    assert best.elastic_energy == pytest.approx(elastic_energy(best, *sides), rel=0.05)
    for share in np.linspace(0, 1, 11):
        assert elastic_energy(shared(match, float(share)), *sides) >= 0.97 * (best.elastic_energy or 0.0)
    seen = match.film_vectors * ([1, -1] if mirrored else [1, 1]) @ (np.eye(2) + best.film_strain)
    cell = common_cell(best)
    assert seen @ seen.T == pytest.approx(cell @ cell.T, abs=1e-9)


def test_the_stiffer_crystal_takes_less() -> None:
    film = np.eye(2) * 3.0
    match = lattice_matches(film, film * 1.02, MatchSettings(max_area_A2=10.0, length_tolerance=0.03))[0]
    soft, hard = (Stiffness(plane_constants(factor * CUBIC), 10.0) for factor in (1.0, 9.0))
    best = least_energy(match, soft, hard)
    assert best.film_strain[0, 0] == pytest.approx(0.9 * 0.02)
    half = least_energy(match, soft, soft)
    assert half.film_strain[0, 0] == pytest.approx(0.01)
