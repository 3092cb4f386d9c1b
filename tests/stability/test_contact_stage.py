"""The stages of contacts and of windows on packaged energies of the embedded level."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.errors import InputError
from ionscape.levels.registry import Level
from ionscape.results import Failure
from ionscape.stability.bench import PhaseBench
from ionscape.stability.contact_stage import ContactStability, judge_contacts
from ionscape.stability.settings import ContactSettings, StabilitySettings, WindowSettings
from ionscape.stability.system import Reactant
from ionscape.stability.window import VoltageLimit
from ionscape.stability.window_stage import WindowTable, judge_windows

COATINGS = ["Li6Zr2O7", "Li2ZrN2", "Li2O", "ZrN"]


@pytest.fixture(scope="module")
def bench() -> PhaseBench:
    return PhaseBench(StabilitySettings(), Level.of("chgnet"))


def contacts(bench: PhaseBench, cathodes, others, seed: int = 0, **settings) -> ContactStability:
    return judge_contacts(cathodes, others, ContactSettings(**settings), bench, np.random.default_rng(seed))


def test_a_phase_does_not_react_with_itself_and_order_does_not_matter(bench):
    (matrix,) = contacts(bench, COATINGS, COATINGS, samples=0).matrices
    energies = np.reshape([r.strongest.energy for r in matrix.reactions], (4, 4))
    assert np.diag(energies) == pytest.approx(np.zeros(4), abs=0)
    assert energies == pytest.approx(energies.T, abs=1e-9)
    assert (energies <= 0).all()
    assert "no draws" in matrix.no_intervals


def test_nitride_reacts_more_with_the_cathode_than_the_zirconate(bench):
    """The order that the source study reports for its host and Li2ZrN2 against LiCoO2 (Fig. 2b)."""
    (matrix,) = contacts(bench, ["LiCoO2"], COATINGS[:2]).matrices
    zirconate, nitride = matrix.reactions
    assert nitride.strongest.energy < zirconate.strongest.energy - 0.1
    for reaction in matrix.reactions:
        assert reaction.interval is not None
        assert reaction.interval.low95 <= reaction.strongest.energy <= reaction.interval.high95 <= 0


def test_one_matrix_for_each_condition(bench):
    judged = contacts(bench, ["LiCoO2"], ["Li2ZrN2"], voltages_V=(3.0, 4.0), samples=0)
    assert [matrix.voltage for matrix in judged.matrices] == [None, 3.0, 4.0]
    assert [matrix.mobile for matrix in judged.matrices] == ["", "Li", "Li"]
    (alone,) = contacts(bench, ["LiCoO2"], ["Li2ZrN2"], voltages_V=(4.0,), closed=False, samples=0).matrices
    assert alone == judged.matrices[-1]
    with pytest.raises(InputError, match="nothing to judge"):
        contacts(bench, ["LiCoO2"], ["Li2ZrN2"], closed=False)
    with pytest.raises(InputError, match="nothing to judge"):
        contacts(bench, [], ["Li2ZrN2"])


def test_same_seed_same_intervals(bench):
    first, again, other = (contacts(bench, ["LiCoO2"], ["Li2ZrN2"], seed=s, samples=30) for s in (4, 4, 5))
    assert first.matrices == again.matrices
    assert first.matrices[0].reactions[0].interval != other.matrices[0].reactions[0].interval


def test_of_one_label_the_first_counts_and_own_energies_are_told(bench):
    phases = bench.phases(["Li", "Co", "Zr", "O"])
    high = Reactant("Li2O", {"Li": 2.0, "O": 1.0}, phases.energy_of("Li2O") + 0.05)
    (matrix,) = contacts(bench, ["LiCoO2", "CoLiO2"], [high, "Li2O", "Li6Zr2O7"], samples=0, ends="own").matrices
    assert matrix.cathodes == ("LiCoO2",)
    assert matrix.phases == ("Li2O", "Li6Zr2O7")
    assert matrix.heights["Li2O"] == pytest.approx(0.05, abs=1e-6)


def test_an_unknown_phase_has_no_own_end(bench):
    assert contacts(bench, ["Li0.5CoO2"], ["Li2O"], samples=0).matrices[0].on_hull == ("Li0.5CoO2",)
    with pytest.raises(InputError, match=r"Li0\.5CoO2 has no energy of its own"):
        contacts(bench, ["Li0.5CoO2"], ["Li2O"], samples=0, ends="own")


def test_rare_oxygen_makes_its_release_easier(bench):
    hot = PhaseBench(StabilitySettings(temperature_K=1200.0, oxygen_pressure_bar=1e-6), Level.of("chgnet"))
    cold = contacts(bench, ["Li0.5CoO2"], ["Li6Zr2O7"], samples=0).matrices[0]
    warm = contacts(hot, ["Li0.5CoO2"], ["Li6Zr2O7"], samples=0).matrices[0]
    assert cold.conditions == ""
    assert warm.conditions == "O2 at 1e-06 bar, 1200 K"
    assert warm.reactions[0].strongest.reaction != cold.reactions[0].strongest.reaction
    assert "O2" in warm.reactions[0].strongest.products


def windows(bench: PhaseBench, *given: str, **settings) -> WindowTable:
    return judge_windows(given, WindowSettings(**settings), bench, np.random.default_rng(0))


def test_windows_with_intervals(bench):
    table = windows(bench, "Li6Zr2O7", "Li2O", "ZrO2")
    assert [w.formula for w in table.windows] == ["Li6Zr2O7", "Li2O", "ZrO2"]
    zirconate, lithia, zirconia = table.windows
    for limit in (zirconate.reduction, zirconate.oxidation, lithia.oxidation):
        assert isinstance(limit, VoltageLimit)
        assert limit.low95 is not None
        assert limit.high95 is not None
        assert limit.low95 - 1e-9 <= limit.voltage <= limit.high95 + 1e-9
    assert isinstance(zirconia.oxidation, Failure)
    assert table.no_intervals == ""
    # measured ΔH of Li2O and Li2O2 (−597.9 and −634.3 kJ/mol): 2 Li2O → Li2O2 + 2 Li at 2.91 V
    assert lithia.oxidation.voltage == pytest.approx(2.91, abs=0.15)


def test_windows_of_nothing_and_of_the_wrong_ion_are_refused(bench):
    with pytest.raises(InputError, match="no phase"):
        windows(bench)
    with pytest.raises(InputError, match="no mobile ion"):
        windows(bench, "Li2O", mobile="O")
    with pytest.raises(InputError, match="holds nothing but Li"):
        windows(bench, "Li", samples=0)
