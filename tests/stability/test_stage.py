"""The stage of bulk stability on the packaged energies of the embedded level."""

from __future__ import annotations

import pytest
from pymatgen.core import Composition

from ionscape.errors import MissingReferenceError
from ionscape.levels.registry import Level
from ionscape.phases.competing import phase_energies
from ionscape.stability.bench import PhaseBench
from ionscape.stability.settings import StabilitySettings
from ionscape.stability.stage import BulkStability, StabilityTarget, judge_stability


class NoLab:
    """A lab that must not be asked."""

    def relax(self, structures, level, settings):
        raise AssertionError

    def evaluate(self, structures, level):
        raise AssertionError


def judge(*targets: StabilityTarget, **settings) -> BulkStability:
    return judge_stability(targets, PhaseBench(StabilitySettings(**settings), Level.of("chgnet"), lab=NoLab()))


@pytest.fixture(scope="module")
def energies() -> dict[str, float]:
    phases = phase_energies(Level.of("chgnet"), ["Li", "Zr", "O", "N"])
    return dict(zip(phases.formulas, phases.energies.tolist(), strict=True))


def target(formula: str, energy: float) -> StabilityTarget:
    return StabilityTarget(formula, Composition(formula), energy)


def test_the_host_of_the_study_is_on_the_hull(energies):
    judged = judge(target("Li6Zr2O7", energies["Li6Zr2O7"])).targets[0].decomposition
    assert 0 <= judged.decomposition_energy + 1e-9 <= 0.002
    assert judged.products == pytest.approx({"Li6Zr2O7": 1.0})


def test_raising_the_energy_raises_the_decomposition_energy_by_as_much(energies):
    low, high = judge(
        target("Li6Zr2O7", energies["Li6Zr2O7"]), target("Li6Zr2O7", energies["Li6Zr2O7"] + 0.1)
    ).targets
    rise = high.decomposition.decomposition_energy - low.decomposition.decomposition_energy
    assert rise == pytest.approx(0.1, abs=1e-9)


def test_an_excluded_phase_takes_no_part_and_is_told(energies):
    doped = target("Li50Zr16O54N2", -6.9)
    with_all, without = judge(doped), judge(doped, exclude=("Li8ZrO6",))
    assert "Li8ZrO6" in with_all.targets[0].decomposition.products
    assert set(without.targets[0].decomposition.products) == {"Li6Zr2O7", "Li2ZrN2", "Li2O"}
    assert (
        without.targets[0].decomposition.decomposition_energy
        < with_all.targets[0].decomposition.decomposition_energy
    )
    assert "Li8ZrO6" in without.excluded
    assert "Li8ZrO6" not in {phase.formula for phase in without.phases}


def test_excluding_what_is_not_there_is_refused():
    """What lies outside the chemical system cannot take part: leaving it out changes nothing."""
    with pytest.raises(MissingReferenceError, match="Li9O"):
        judge(target("Li2O", -5.0), exclude=("Li9O",))
    assert judge(target("Li2O", -5.0), exclude=("ZrO2",)) == judge(target("Li2O", -5.0))


def test_formation_energies_and_heights_of_the_phases(energies):
    phases = {phase.formula: phase for phase in judge(target("Li6Zr2O7", -7.0)).phases}
    assert phases["Li"].formation_energy == pytest.approx(0.0, abs=1e-12)
    assert phases["Li2O"].formation_energy == pytest.approx(-2.07, abs=0.15)  # measured −597.9 kJ/mol
    assert phases["ZrO2"].formation_energy == pytest.approx(-3.80, abs=0.15)  # measured −1100.6 kJ/mol
    assert all(phase.height >= 0 for phase in phases.values())
    assert phases["Li6Zr2O7"].height == pytest.approx(0.0, abs=1e-9)


def test_a_level_without_energies_is_refused_with_the_phases_named():
    copper = Level.of("ase.calculators.emt:EMT")
    with pytest.raises(MissingReferenceError, match=r"no energies of \d+ phases: .*Li2O"):
        judge_stability([target("Li2O", -5.0)], PhaseBench(StabilitySettings(), copper, lab=NoLab()))


def test_gases_at_conditions_move_the_hull_and_leave_formation_energies(energies):
    """2 Li2O2 → 2 Li2O + O2: at 800 K and little oxygen the peroxide lies above the hull."""
    peroxide = target("Li2O2", energies["Li2O2"])
    cold, hot = judge(peroxide), judge(peroxide, temperature_K=1000.0, oxygen_pressure_bar=1e-4)
    assert cold.targets[0].decomposition.decomposition_energy == pytest.approx(0.0, abs=1e-9)
    assert hot.targets[0].decomposition.decomposition_energy > 0.1
    assert set(hot.targets[0].decomposition.products) == {"Li2O", "O2"}
    assert hot.conditions == "O2 at 0.0001 bar, 1000 K"
    assert cold.conditions == ""
    formation = [{phase.formula: phase.formation_energy for phase in judged.phases} for judged in (cold, hot)]
    assert formation[0] == formation[1]
    heights = {phase.formula: phase.height for phase in hot.phases}
    assert heights["Li2O2"] == pytest.approx(hot.targets[0].decomposition.decomposition_energy)
