"""The gate: a potential that is right passes, one that is soft, shifted or wrong does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase.calculators.emt import EMT
from made_frames import alloy, frames, model

from ionscape.errors import CalculationError, InputError
from ionscape.potential.calculator import PotentialCalculator
from ionscape.potential.frames import labelled_frames
from ionscape.potential.gate import GateSettings, score, score_run, softening, spread_out
from ionscape.results import Failure, to_json, units_of
from ionscape.units import GPA_PER_EV_PER_A3

LENIENT = GateSettings(
    frames=2, energy_mae_meV_per_atom=200, force_mae_eV_per_A=1, stress_mae_GPa=20, force_r2=0, softening=1
)


def of_the_model_itself(count=3):
    """Return frames that the model labelled: it makes no error on them."""
    made = []
    for seed in range(count):
        atoms = alloy(500 + seed)
        atoms.calc = PotentialCalculator(model())
        atoms.get_stress()
        made.append(atoms)
    return labelled_frames(made, "made")


def test_a_model_without_errors_passes():
    found = score(model(), of_the_model_itself(), GateSettings(frames=2))
    assert found.passed
    assert found.failures == ()
    assert found.softening == pytest.approx(1, abs=1e-4)
    assert found.force_r2 == pytest.approx(1, abs=1e-4)
    assert found.energy_mae < 1e-5


def test_numbers_are_those_of_the_definition():
    found = score(model(), frames(4, 600), LENIENT)
    from ionscape.potential.errors_of_model import prediction_errors

    errors = prediction_errors(model(), frames(4, 600))
    assert 1000 * found.energy_mae == pytest.approx(errors["energy_mae_meV_per_atom"])
    assert found.force_rmse == pytest.approx(errors["force_rmse_eV_per_A"])
    assert GPA_PER_EV_PER_A3 * found.stress_mae == pytest.approx(errors["stress_mae_GPa"])
    assert abs(found.energy_shift) <= found.energy_mae + 1e-12


def scaled(frame, forces=1.0, energy=0.0, stress=1.0):
    return dataclasses.replace(
        frame,
        forces=forces * frame.forces,
        energy=frame.energy + energy * len(frame.symbols),
        stress=stress * frame.stress,
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"forces": 1.12}, "slope"),
        ({"forces": 1.6}, "force error"),
        ({"energy": 0.01}, "energy error 10 meV/atom"),
        ({"stress": 3.0}, "stress error"),
        ({"forces": -1.0}, "R² of forces"),
    ],
)
def test_each_limit_is_told_when_it_is_not_kept(change, told):
    frames_of_run = [scaled(one, **change) for one in of_the_model_itself()]
    found = score(model(), frames_of_run, GateSettings(frames=2))
    assert not found.passed
    assert any(told in one for one in found.failures)
    assert all("limit" in one for one in found.failures)


def test_soft_potential_has_a_slope_below_one():
    rng = np.random.default_rng(0)
    dear = rng.normal(size=5000)
    assert softening(0.8 * dear + 0.1 * rng.normal(size=5000), dear) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("without", [1, 2])
def test_what_has_a_limit_and_cannot_be_compared_fails(without):
    bare = [dataclasses.replace(one, stress=None) for one in frames(2, 600)[:without]] + frames(2, 600)[without:]
    found = score(model(), bare, LENIENT)
    assert isinstance(found.stress_mae, Failure)
    assert found.failures == (
        f"stress error unknown: the dear level gave no stress of {without} of 2 frames (limit 20)",
    )
    assert not found.unjudged
    let_be = score(model(), bare, LENIENT.model_copy(update={"stress_mae_GPa": np.inf}))
    assert let_be.passed
    assert let_be.unjudged == (f"stress error: the dear level gave no stress of {without} of 2 frames",)


def test_slope_and_r2_are_unknown_where_no_force_acts():
    still = [dataclasses.replace(one, forces=np.zeros_like(one.forces)) for one in frames(2, 600)]
    found = score(model(), still, LENIENT)
    assert isinstance(found.softening, Failure)
    assert isinstance(found.force_r2, Failure)
    assert [one for one in found.failures if "force slope" in one and "no dear force acts" in one]
    assert [one for one in found.failures if one.startswith("R² of forces unknown")]


def test_limits_of_infinity_come_out_of_a_file():
    assert GateSettings(stress_mae_GPa=float("inf"), force_r2=float("-inf")).stress_mae_GPa == np.inf


def test_run_is_sampled_over_its_whole_length_and_labelled_by_the_dear_level():
    run = [alloy(700 + k) for k in range(10)]
    counted = []
    found = score_run(model(), run, EMT(), LENIENT.model_copy(update={"frames": 4}), counted.append)
    assert counted == [1, 2, 3, 4]
    assert found.frames == 4
    by_hand = score(model(), frames(10, 700)[1::3][:0] + [frames(10, 700)[k] for k in (1, 3, 6, 8)], LENIENT)
    assert found.force_mae == pytest.approx(by_hand.force_mae)


@pytest.mark.parametrize(("total", "count"), [(10, 10), (11, 3), (1000, 50)])
def test_sampled_frames_are_different_and_spread(total, count):
    found = spread_out(total, count)
    assert len(set(found.tolist())) == count
    assert 0 <= found.min() <= total / count
    assert found.max() >= total - 1 - total / count


def test_short_run_is_refused():
    with pytest.raises(InputError, match="a run of 3 frames"):
        score_run(model(), [alloy(k) for k in range(3)], EMT(), GateSettings(frames=5))
    with pytest.raises(InputError, match="no frames"):
        score(model(), [], GateSettings())


def test_dear_level_that_fails_is_told():
    class Broken(EMT):
        def calculate(self, *args, **kwargs):
            raise RuntimeError("no convergence in 100 cycles")

    with pytest.raises(CalculationError, match="dear level failed on frame 1 of the run: no convergence"):
        score_run(model(), [alloy(k) for k in range(4)], Broken(), GateSettings(frames=2))


def test_result_is_plain_json_with_units():
    found = score(model(), frames(2, 600), LENIENT)
    written = to_json(found)
    assert written["force_mae"]["unit"] == "eV/Å"
    assert written["softening"]["unit"] == "1"
    assert units_of(type(found.calibration))["coverage_one"] == "1"
