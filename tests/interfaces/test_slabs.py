"""Slabs of crystals whose surfaces are known, and what must hold of slabs of any crystal."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from cut_crystals import CRYSTALS, centred_crystal, random_crystal
from pymatgen.core import Structure
from pymatgen.core.surface import SlabGenerator

from ionscape.errors import InputError
from ionscape.interfaces.orientation import orientation
from ionscape.interfaces.settings import SlabSettings
from ionscape.interfaces.slabs import Plane, Slab, slab, slabs
from ionscape.structures.orbits import symmetry_dataset

PLANES = [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1), (1, -1, 2), (2, 1, -3), (1, 0, 4)]


def kinds(crystal: str, miller: tuple[int, int, int]) -> list[tuple[bool, bool, bool, str, bool]]:
    """Return symmetric, polar, split, Tasker type, stoichiometric of all terminations."""
    found = slabs(CRYSTALS[crystal], miller)
    return [(one.symmetric, one.polar, one.split, one.tasker, one.stoichiometric) for one in found]


@pytest.mark.parametrize(
    ("crystal", "miller", "expected"),
    [
        ("copper", (1, 1, 1), [(True, False, False, "I", True)]),
        ("iron", (1, 1, 0), [(True, False, False, "I", True)]),
        ("silicon", (1, 1, 1), [(True, False, False, "I", True)] * 2),  # shuffle and glide sets
        ("MgO", (1, 0, 0), [(True, False, False, "I", True)]),
        ("MgO", (1, 1, 0), [(True, False, False, "I", True)]),
        ("SrTiO3", (0, 0, 1), [(True, False, False, "I", False)] * 2),  # SrO and TiO2
        ("LiCoO2", (1, 0, 4), [(True, False, False, "I", True)]),
        ("ZnO", (1, 0, 0), [(True, False, False, "I", True)] * 2),
        ("ZnO", (0, 0, 1), [(False, True, False, "III", True)] * 2),
        (
            "CaF2",
            (1, 1, 1),
            [
                (True, True, False, "III", False),
                (True, False, False, "II", True),
                (True, True, False, "III", False),
            ],
        ),
        (
            "MgO",
            (1, 1, 1),
            [
                (True, False, True, "III", True),
                (True, True, False, "III", False),
                (True, False, True, "III", True),
                (True, True, False, "III", False),
            ],
        ),
    ],
)
def test_terminations_of_known_surfaces(
    crystal: str, miller: tuple[int, int, int], expected: list[tuple[bool, bool, bool, str, bool]]
) -> None:
    assert kinds(crystal, miller) == expected


def test_perovskite_terminates_in_either_oxide() -> None:
    outer = []
    for one in slabs(CRYSTALS["SrTiO3"], (0, 0, 1)):
        top = one.heights > one.heights.max() - 0.1
        outer.append(sorted(site.specie.symbol for site, here in zip(one.structure, top, strict=True) if here))
    assert sorted(outer) == [["O", "O", "Ti"], ["O", "Sr"]]


def test_polar_planes_of_rock_salt_are_split_only_if_asked() -> None:
    whole = slabs(CRYSTALS["MgO"], (1, 1, 1), SlabSettings(split_cells=1))
    assert [dict(one.excess) for one in whole] == [{"Mg": 1.0}, {"O": 1.0}]
    assert all(one.polar for one in whole)


@pytest.mark.parametrize("miller", PLANES)
@pytest.mark.parametrize("seed", range(4))
def test_without_symmetry_every_gap_is_a_termination(seed: int, miller: tuple[int, int, int]) -> None:
    crystal = random_crystal(seed)
    view = orientation(crystal, miller)
    levels = np.sort(np.mod(view.heights, 1.0)) * view.spacing
    gaps = np.diff(levels, append=levels[0] + view.spacing)
    found = Plane.of(crystal, miller).cuts
    assert len(found) == max(1, int((gaps > 0.1).sum()))
    assert view.area * view.spacing == pytest.approx(crystal.volume)


def environments(structure: Structure, sites: np.ndarray, reach: float) -> list[tuple[str, tuple[float, ...]]]:
    """Return the element and the sorted distances of the neighbours of each site."""
    centre, _, _, distance = structure.get_neighbor_list(reach)
    return sorted(
        (structure[int(k)].specie.symbol, tuple(np.round(np.sort(distance[centre == k]), 4))) for k in sites
    )


@pytest.mark.parametrize("miller", PLANES)
@pytest.mark.parametrize("seed", range(3))
def test_the_inside_of_a_slab_is_the_crystal(seed: int, miller: tuple[int, int, int]) -> None:
    crystal, reach = random_crystal(seed, 4), 3.0
    for one in slabs(crystal, miller, SlabSettings(min_thickness_A=20.0)):
        deep = np.flatnonzero(
            (one.heights > one.heights.min() + reach) & (one.heights < one.heights.max() - reach)
        )
        assert len(deep)
        ours = set(environments(one.structure, deep, reach))
        assert ours <= set(environments(crystal, np.arange(len(crystal)), reach))


@pytest.mark.parametrize("seed", range(6))
def test_a_centred_crystal_has_symmetric_slabs_of_every_termination(seed: int) -> None:
    crystal = centred_crystal(seed)
    for miller in PLANES[:4]:
        for one in slabs(crystal, miller, SlabSettings(min_thickness_A=8.0)):
            assert one.symmetric
            assert reverses(one)


def reverses(one: Slab) -> bool:
    """Return whether spglib finds an operation that exchanges the faces of a slab."""
    cell = (
        one.structure.lattice.matrix,
        one.structure.frac_coords,
        [site.specie.Z for site in one.structure],
    )
    rotations = symmetry_dataset(cell, 0.02).rotations
    return bool(np.any(rotations[:, 2, 2] == -1))


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("miller", [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)])
def test_symmetric_slabs_are_symmetric_and_stoichiometric_ones_neutral(
    crystal: str, miller: tuple[int, int, int]
) -> None:
    for one in slabs(CRYSTALS[crystal], miller, SlabSettings(min_thickness_A=8.0)):
        assert not one.symmetric or reverses(one)
        assert one.stoichiometric == (not one.excess)
        charge = sum(one.charges.get(site.specie.symbol, 0.0) for site in one.structure)
        assert not one.stoichiometric or abs(charge) < 1e-6
        z = one.heights - one.heights.min()
        dipole = sum(one.charges.get(s.specie.symbol, 0.0) * h for s, h in zip(one.structure, z, strict=True))
        if one.stoichiometric and not one.polar:
            assert abs(dipole) < 0.05
        assert one.structure.lattice.matrix[2, :2] == pytest.approx([0, 0])
        assert one.structure.is_valid(0.5)


@pytest.mark.parametrize("crystal", ["MgO", "LiCoO2", "rutile", "ZnO"])
def test_the_cell_in_which_a_crystal_is_given_changes_nothing(crystal: str) -> None:
    bulk = CRYSTALS[crystal]
    matrix = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    large = bulk.copy()
    large.make_supercell(matrix)
    for miller in [(1, 0, 0), (1, 1, 1), (1, 0, 4)]:
        seen = matrix @ np.array(miller)
        seen = seen // math.gcd(*map(int, seen))
        ours, theirs = slabs(bulk, miller), slabs(large, tuple(int(x) for x in seen))
        assert [(round(one.area, 4), one.tasker, len(one.structure)) for one in ours] == [
            (round(one.area, 4), one.tasker, len(one.structure)) for one in theirs
        ] or sorted(len(one.structure) for one in ours) == sorted(len(one.structure) for one in theirs)


def profile(structure: Structure, side: int, depth: float = 4.0) -> tuple[tuple[int, str], ...]:
    """Return depth and element of the outermost atoms per area, below the upper (1) or lower (−1) face."""
    heights = side * (structure.cart_coords @ np.cross(*structure.lattice.matrix[:2]))
    heights = heights / np.linalg.norm(np.cross(*structure.lattice.matrix[:2]))
    area = np.linalg.norm(np.cross(*structure.lattice.matrix[:2]))
    levels: dict[tuple[int, str], float] = {}
    for site, height in zip(structure, heights.max() - heights, strict=True):
        if height < depth:
            key = (round((float(height) + 0.0171) / 0.2), site.specie.symbol)  # no level falls on an edge
            levels[key] = levels.get(key, 0) + 1 / area
    return tuple(sorted((height, f"{symbol} {density:.4f}") for (height, symbol), density in levels.items()))


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("miller", [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)])
def test_every_termination_that_pymatgen_finds_is_found(crystal: str, miller: tuple[int, int, int]) -> None:
    bulk = CRYSTALS[crystal]
    ours = set()
    for one in slabs(bulk, miller, SlabSettings(kind="stoichiometric", split_cells=0)):
        ours |= {profile(one.structure, side) for side in (1, -1)}
    generator = SlabGenerator(bulk, miller, 10, 12, center_slab=True, primitive=True, max_normal_search=None)
    theirs = generator.get_slabs(ftol=0.1)
    assert theirs
    for other in theirs:
        assert profile(other, 1) in ours
        assert profile(other, -1) in ours


def test_slabs_of_a_series_grow_and_end_alike() -> None:
    series = Plane.of(CRYSTALS["LiCoO2"], (1, 0, 4), SlabSettings(min_thickness_A=6.0)).series(0, 4)
    assert all(a.thickness < b.thickness for a, b in itertools.pairwise(series))
    assert len({profile(one.structure, 1) for one in series}) == 1


@pytest.mark.parametrize("miller", [(0, 0, 0), (1, 0.5, 0), (1, 0)])
def test_what_is_no_plane_is_refused(miller: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="three integers"):
        slabs(CRYSTALS["MgO"], miller)  # type: ignore[arg-type]


def test_common_factors_of_indices_do_not_count() -> None:
    assert slabs(CRYSTALS["MgO"], (2, 0, 0))[0].miller == (1, 0, 0)


def test_thin_slabs_unknown_terminations_and_disorder_are_refused() -> None:
    with pytest.raises(InputError, match="so that there is an inside"):
        slabs(CRYSTALS["MgO"], (1, 0, 0), SlabSettings(min_thickness_A=1.0))
    with pytest.raises(InputError, match="0 to 0"):
        slab(CRYSTALS["MgO"], (1, 0, 0), 3)
    mixed = CRYSTALS["MgO"].copy()
    mixed.replace(0, {"Mg": 0.5, "Ca": 0.5})
    with pytest.raises(InputError, match="partial occupancy"):
        slabs(mixed, (1, 0, 0))
