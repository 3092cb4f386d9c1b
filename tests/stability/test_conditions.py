"""Competing phases under conditions: gases at a temperature and pressure, phases left out, names of targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from ionscape.errors import InputError, MissingReferenceError
from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases, phase_energies
from ionscape.phases.gases import gas_shift
from ionscape.results import Failure
from ionscape.stability.bench import PhaseBench, composition_named, drawn_energies, elements_of, reactants_of
from ionscape.stability.conditions import (
    conditions_in_words,
    refuse_foreign,
    under_conditions,
    without_excluded,
)
from ionscape.stability.settings import StabilitySettings
from ionscape.stability.system import Reactant
from ionscape.stability.window import VoltageLimit, electrochemical_window

CHGNET = Level.of("chgnet")


@pytest.fixture(scope="module")
def phases() -> CompetingPhases:
    return phase_energies(CHGNET, ["Li", "Zr", "O", "N"])


@given(st.floats(100, 2000), st.floats(1e-12, 1e3), st.floats(1e-12, 1e3))
@settings(deadline=None, max_examples=30)
def test_only_the_gases_are_shifted_each_by_its_own(phases, temperature: float, oxygen: float, nitrogen: float):
    changed = under_conditions(phases, temperature, {"O": oxygen, "N": nitrogen})
    shifts = dict(zip(phases.formulas, changed.energies - phases.energies, strict=True))
    assert shifts.pop("O2") == pytest.approx(gas_shift("O", temperature, oxygen))
    assert shifts.pop("N2") == pytest.approx(gas_shift("N", temperature, nitrogen))
    assert set(shifts.values()) == {0.0}


def test_a_gas_without_pressure_and_a_gas_that_is_not_there_stay(phases):
    assert under_conditions(phases, 500.0, {}).energies.tolist() == phases.energies.tolist()
    metals = phase_energies(CHGNET, ["Li", "Zr"])
    assert under_conditions(metals, 500.0, {"O": 1.0}).energies.tolist() == metals.energies.tolist()
    assert conditions_in_words(metals, 500.0, {"O": 1.0}) == ""
    assert conditions_in_words(phases, 500.0, {"O": 0.21}) == "O2 at 0.21 bar, 500 K"


@pytest.mark.parametrize(("temperature", "pressure"), [(20.0, 1.0), (5000.0, 1.0), (300.0, 0.0), (300.0, -1.0)])
def test_conditions_outside_their_domain_are_refused(phases, temperature: float, pressure: float):
    with pytest.raises(InputError, match=r"K|bar"):
        under_conditions(phases, temperature, {"O": pressure})


def test_oxidation_that_gives_off_oxygen_moves_by_its_chemical_potential():
    """Li2O → ½ O2 + 2 Li (peroxide left out): V falls by Δμ_O / 2 as oxygen gets rarer, per electron."""
    oxides = phase_energies(CHGNET, ["Li", "O"]).without("Li2O2")
    oxides = oxides.without("LiO2") if "LiO2" in oxides.formulas else oxides

    def oxidation(phases: CompetingPhases) -> float:
        (lithia,) = reactants_of(["Li2O"], phases, PhaseBench(StabilitySettings(), CHGNET))
        limit = electrochemical_window(lithia, "Li", phases).oxidation
        assert isinstance(limit, VoltageLimit)
        return limit.voltage

    shift = gas_shift("O", 800.0, 1e-6)
    assert shift < -0.5
    moved = oxidation(under_conditions(oxides, 800.0, {"O": 1e-6})) - oxidation(oxides)
    assert moved == pytest.approx(shift / 2, abs=1e-9)


def test_excluded_phases_are_left_out_and_told(phases):
    fewer = without_excluded(phases, ["O6ZrLi8", "CoO"])
    assert set(phases.formulas) - set(fewer.formulas) == {"Li8ZrO6"}
    assert dict(fewer.excluded)["O6ZrLi8"] == "excluded by the user"
    assert "CoO" not in fewer.excluded
    with pytest.raises(MissingReferenceError, match="Li7O9"):
        without_excluded(phases, ["Li7O9"])


def test_excluding_outside_every_system_is_refused():
    refuse_foreign(["ZrO2", "Li3N"], [["Li", "O", "Zr"], ["Li", "N"]])
    with pytest.raises(MissingReferenceError, match="'ZrN' is no competing phase of Li, N, O, Zr"):
        refuse_foreign(["ZrN"], [["Li", "O", "Zr"], ["Li", "N"]])


@pytest.mark.parametrize("name", ["Li-1O", "Li2O0", "Li2O0.0", "Li0O", "", "123", "li2O", "Li(2O", "LiCoO2!"])
def test_unphysical_formulas_are_refused(name: str):
    with pytest.raises(InputError, match="formula"):
        composition_named(name)


def test_formulas_with_zeros_that_are_no_amounts_pass():
    assert composition_named("Li10GeP2S12")["Li"] == 10
    assert composition_named("Li0.5CoO2")["Li"] == 0.5
    assert composition_named("Li1.05CoO2")["Li"] == 1.05
    assert composition_named("NCM811").reduced_formula == Composition("Li10Ni8CoMnO20").reduced_formula


def test_elements_of_formulas_reactants_and_the_mobile_ion():
    assert elements_of(["Li2O", Reactant("x", {"Zr": 1.0, "N": 1.0}, -9.0)]) == {"Li", "O", "Zr", "N"}
    assert elements_of([], "Na") == {"Na"}
    with pytest.raises(InputError, match="no mobile ion"):
        elements_of(["Li2O"], "Zr")


def test_pressures_need_a_temperature_and_default_to_one_bar():
    with pytest.raises(InputError, match="a pressure without a temperature"):
        StabilitySettings(nitrogen_pressure_bar=0.8)
    assert StabilitySettings().pressures_bar == {}
    assert StabilitySettings(temperature_K=300.0, oxygen_pressure_bar=0.2).pressures_bar == {"O": 0.2, "N": 1.0}


def entries_file(folder: Path, shift: float = 0.0) -> Path:
    """Write entries of PBE for Li–O: energies a multiple of those known, so that nothing is on our scale."""
    rows = {"Li": -1.9 + shift, "O2": -9.9, "Li2O": -14.3, "Li2O2": -19.1}
    entries: list[dict[str, Any]] = [
        {
            "@module": "pymatgen.entries.computed_entries",
            "@class": "ComputedEntry",
            "energy": energy,
            "composition": Composition(formula).as_dict(),
            "entry_id": formula,
            "correction": 0.0,
            "parameters": {"run_type": "GGA", "hubbards": {}, "is_hubbard": False},
        }
        for formula, energy in rows.items()
    ]
    path = folder / "entries.json"
    path.write_text(json.dumps(entries))
    return path


def test_bench_takes_phases_from_another_source_relative_to_its_base(tmp_path: Path):
    entries_file(tmp_path)
    bench = PhaseBench(StabilitySettings(phases="entries.json"), CHGNET, base=tmp_path)
    found = bench.phases(["Li", "O"])
    assert set(found.formulas) == {"Li", "O2", "Li2O", "Li2O2"}
    assert found is not phase_energies(CHGNET, ["Li", "O"])
    assert found.scheme != "chgnet"
    assert bench.calculates is False
    with pytest.raises(InputError, match="scheme"):
        bench.require_same_scheme(found)
    with pytest.raises(InputError, match="scheme"):
        reactants_of([Reactant("Li2O", {"Li": 2.0, "O": 1.0}, -4.7)], found, bench)
    assert isinstance(bench.errors(found), Failure)


def test_bench_refuses_a_source_that_does_not_exist(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.json"):
        PhaseBench(StabilitySettings(phases="nowhere.json"), CHGNET, base=tmp_path)
    with pytest.raises(InputError, match="mp2020"):
        PhaseBench(StabilitySettings(mixing="mp2020"), CHGNET)


def test_bench_looks_phases_up_once_and_leaves_out_what_is_excluded(monkeypatch: pytest.MonkeyPatch):
    from ionscape.stability import bench as module

    asked: list[Any] = []
    look_up = module.competing_phases

    def counted(*arguments: Any, **options: Any) -> CompetingPhases:
        asked.append(arguments)
        return look_up(*arguments, **options)

    monkeypatch.setattr(module, "competing_phases", counted)
    bench = PhaseBench(StabilitySettings(exclude=("Li2O2",)), CHGNET)
    first, second = bench.phases(["Li", "O"]), bench.phases(["O", "Li"])
    assert first.formulas == second.formulas
    assert "Li2O2" not in first.formulas
    assert "Li2O2" in bench.all_phases(["Li", "O"]).formulas
    assert len(asked) == 1


def test_draws_are_the_same_for_the_same_seed_and_missing_ones_are_explained(phases):
    bench = PhaseBench(StabilitySettings(), CHGNET)
    one, two, other = (drawn_energies(phases, [], 5, bench, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert not isinstance(one, Failure)
    assert not isinstance(two, Failure)
    assert not isinstance(other, Failure)
    assert one.phases.shape == (5, len(phases.labels))
    assert np.array_equal(one.phases, two.phases)
    assert not np.array_equal(one.phases, other.phases)
    none = drawn_energies(phases, [], 0, bench, np.random.default_rng(1))
    assert isinstance(none, Failure)
    unknown = PhaseBench(StabilitySettings(), Level.of("ase.calculators.emt:EMT")).errors(phases)
    assert isinstance(unknown, Failure)
