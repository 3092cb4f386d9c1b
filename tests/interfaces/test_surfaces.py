"""Surface energies of a crystal of bonds, which are counted, and of slabs with an excess, which are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import pytest
from cut_crystals import CRYSTALS
from pymatgen.core import Structure

from ionscape.interfaces.facets import Facets
from ionscape.interfaces.settings import SlabSettings, SurfaceSettings
from ionscape.interfaces.slabs import slabs
from ionscape.interfaces.surface_energy import gamma_range
from ionscape.interfaces.surfaces import SurfaceBench, chosen_planes, find_surfaces
from ionscape.interfaces.wulff import WulffShape
from ionscape.levels.calculation import Relaxation, RelaxationSettings, SinglePoint
from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases
from ionscape.results import Failure, frozen

BOND = 0.3


class BondLab:
    """Energies −0.3 eV for every pair of atoms nearer than `reach`; relaxations numbered `broken` fail."""

    def __init__(self, reach: float, broken: Sequence[int] = ()) -> None:
        self.reach, self.broken, self.asked = reach, broken, 0

    def energy(self, structure: Structure) -> float:
        return -BOND * len(structure.get_neighbor_list(self.reach)[0]) / 2

    def evaluate(self, structures: Sequence[Structure], level: Level) -> list[SinglePoint | Failure]:
        del level
        return [SinglePoint(s, self.energy(s), self.energy(s) / len(s), 0.0, 0.0, "k") for s in structures]

    def relax(
        self, structures: Sequence[Structure], level: Level, settings: RelaxationSettings
    ) -> list[Relaxation | Failure]:
        del level
        assert settings.move == "positions"
        answers: list[Relaxation | Failure] = []
        for s in structures:
            energy = self.energy(s)
            answers.append(Relaxation(s, energy, energy / len(s), energy, 0.0, 0.0, 1, converged=True, key="k"))
            if self.asked in self.broken:
                answers[-1] = Failure("broke")
            self.asked += 1
        return answers


def bench(reach: float, broken: Sequence[int] = (), phases: CompetingPhases | None = None) -> SurfaceBench:
    level = Level.of("chgnet")
    return SurfaceBench(BondLab(reach, broken), level, RelaxationSettings(), phases or Failure("none known"))


def test_surface_energies_are_those_of_the_broken_bonds() -> None:
    bulk = CRYSTALS["copper"]
    found = find_surfaces(bulk, -6 * BOND, SurfaceSettings(min_thickness_A=8.0), bench(2.7))
    a = 3.6
    broken = {
        (1, 0, 0): 4 / (a**2 / 2),
        (1, 1, 1): 3 / (a**2 * np.sqrt(3) / 4),
        (1, 1, 0): 6 / (a**2 / np.sqrt(2)),
    }
    for one in found.surfaces:
        expected = broken[one.slab.miller] * BOND / 2
        assert one.gamma == pytest.approx(expected)
        assert one.unrelaxed == pytest.approx(expected)
        assert one.converged
        assert one.fit is not None
        assert one.fit.largest_deviation < 1e-9
        assert len(one.thicknesses) == 3
    assert isinstance(found.wulff, WulffShape)
    shares = dict(zip(found.wulff.millers, found.wulff.area_fractions, strict=True))
    assert shares[(1, 1, 1)] == pytest.approx(24 * np.sqrt(3) / 2 / (24 * np.sqrt(3) / 2 + 6), abs=1e-6)


def test_the_line_through_thicknesses_does_not_need_the_energy_of_the_crystal() -> None:
    settings = SurfaceSettings(min_thickness_A=8.0, millers=((1, 0, 0),), max_thicknesses=4)
    exact = find_surfaces(CRYSTALS["copper"], -6 * BOND, settings, bench(2.7)).surfaces[0]
    wrong = find_surfaces(CRYSTALS["copper"], -6 * BOND - 0.02, settings, bench(2.7)).surfaces[0]
    assert wrong.gamma == pytest.approx(exact.gamma)
    assert wrong.fit is not None
    assert np.all(np.diff(wrong.fit.gammas) > 0)  # by (E_slab − E_bulk)/2A it would grow without end
    assert not wrong.converged
    assert len(wrong.thicknesses) == 4
    assert "γ still changes with thickness" in wrong.notes


def test_a_thickness_that_fails_is_told_and_the_others_are_used() -> None:
    settings = SurfaceSettings(min_thickness_A=8.0, millers=((1, 0, 0),))
    one = find_surfaces(CRYSTALS["copper"], -6 * BOND, settings, bench(2.7, broken=(2,))).surfaces[0]
    assert len(one.thicknesses) == 2
    assert one.gamma == pytest.approx(4 / (3.6**2 / 2) * BOND / 2)
    assert any("broke" in note for note in one.notes)
    every = find_surfaces(CRYSTALS["copper"], -6 * BOND, settings, bench(2.7, broken=range(3))).surfaces[0]
    assert isinstance(every.gamma, Failure)


def test_slabs_as_cut_are_not_relaxed() -> None:
    found = find_surfaces(
        CRYSTALS["copper"], -6 * BOND, SurfaceSettings(min_thickness_A=8.0, relax=False), bench(2.7, range(99))
    )
    assert not any(one.relaxed for one in found.surfaces)
    assert all(isinstance(one.gamma, float) for one in found.surfaces)


def oxide_phases(compound: float, others: dict[str, float] | None = None) -> CompetingPhases:
    """Return Mg, O2 and MgO (eV/atom), with other phases between them."""
    rows = {"Mg": (1.0, 0.0, -1.5), "O2": (0.0, 1.0, -4.9), "MgO": (0.5, 0.5, compound)}
    rows |= {name: (1 / 3, 2 / 3, energy) for name, energy in (others or {}).items()}
    values = np.array(list(rows.values()))
    return CompetingPhases(
        level="bonds", scheme="bonds", elements=("Mg", "O"), labels=tuple(rows), formulas=tuple(rows),
        fractions=frozen(values[:, :2]), energies=frozen(values[:, 2]),
        references=MappingProxyType({}), excluded=MappingProxyType({}),
    )  # fmt: skip


def test_an_excess_gives_a_range_as_wide_as_the_heat_of_formation() -> None:
    """μ_O runs from 2 E(MgO) − E(Mg) to E(O): its width is the formation energy of a formula unit."""
    slab = next(s for s in slabs(CRYSTALS["MgO"], (1, 1, 1), SlabSettings(split_cells=0)) if "O" in s.excess)
    compound = -6.0
    width = (-1.5 - 4.9) - 2 * compound
    found = gamma_range(slab, 0.0, compound, oxide_phases(compound))
    assert not isinstance(found, Failure)
    excess = slab.excess["O"]
    assert found.high - found.low == pytest.approx(excess * width / (2 * slab.area))
    assert found.low_potentials["O"] == pytest.approx(-4.9)  # an excess of O costs least where O is rich
    assert found.high_potentials["Mg"] == pytest.approx(-1.5)
    whole = slab.formula_units * 2 * compound
    assert found.low == pytest.approx((0.0 - whole - excess * -4.9) / (2 * slab.area))


def test_a_further_phase_narrows_the_range() -> None:
    slab = next(s for s in slabs(CRYSTALS["MgO"], (1, 1, 1), SlabSettings(split_cells=0)) if "O" in s.excess)
    wide = gamma_range(slab, 0.0, -6.0, oxide_phases(-6.0))
    narrow = gamma_range(slab, 0.0, -6.0, oxide_phases(-6.0, {"MgO2": -5.8}))
    assert not isinstance(wide, Failure)
    assert not isinstance(narrow, Failure)
    assert narrow.high == pytest.approx(wide.high)
    assert narrow.low > wide.low


def test_a_crystal_above_the_hull_is_lowered_onto_it() -> None:
    slab = next(s for s in slabs(CRYSTALS["MgO"], (1, 1, 1), SlabSettings(split_cells=0)) if "O" in s.excess)
    found = gamma_range(slab, 0.0, -5.9, oxide_phases(-6.0))
    assert not isinstance(found, Failure)
    assert found.below_hull == pytest.approx(0.1)


def test_slabs_with_an_excess_carry_their_range_and_a_warning() -> None:
    settings = SurfaceSettings(
        min_thickness_A=8.0, millers=((1, 1, 1),), relax=False, thicknesses=1, max_thicknesses=1
    )
    found = find_surfaces(CRYSTALS["MgO"], -6.0, settings, bench(2.2, phases=oxide_phases(-6.0)))
    for one in found.surfaces:
        assert (one.range is None) == one.slab.stoichiometric
        assert one.slab.stoichiometric or any("does not apply" in note for note in one.notes)
    none = find_surfaces(CRYSTALS["MgO"], -6.0, settings, bench(2.2))
    unknown = [one for one in none.surfaces if not one.slab.stoichiometric]
    assert all(isinstance(one.gamma, Failure) for one in unknown)
    assert none.reservoir == "none known"


def test_only_non_polar_terminations_where_there_are_any() -> None:
    settings = SurfaceSettings(min_thickness_A=8.0, terminations="non-polar", relax=False)
    found = find_surfaces(CRYSTALS["CaF2"], -6.0, settings, bench(2.6))
    assert not any(one.slab.polar for one in found.surfaces)


def test_planes_equal_by_symmetry_are_looked_at_once() -> None:
    settings = SurfaceSettings(millers=((1, 0, 0), (0, -1, 0), (1, 1, 1)))
    assert chosen_planes(Facets.of(CRYSTALS["MgO"]), settings) == [(1, 0, 0), (1, 1, 1)]
