"""Learning on the fly: the record, the fit that grows, calibration, failure, and the calculator."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from active_cases import TOLERANCE, CountingEMT, alloy, learner
from ase.io import read
from ase.md.langevin import Langevin
from ase.optimize import BFGS
from ase.units import fs

from ionscape.errors import CalculationError, InputError
from ionscape.potential.active import Learner
from ionscape.potential.active_calculator import ActiveCalculator
from ionscape.potential.active_calibration import RunningCalibration, running_calibration
from ionscape.potential.active_record import LessonRecord
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.labels import FORCE, frame_rows
from ionscape.potential.model import SparseModel
from ionscape.potential.regression import SparseRegression
from ionscape.potential.training import first_guess, kernel_matrix
from ionscape.potential.uncertainty import covariance_loss
from ionscape.potential.whitening import WhitenedSpace


def moved(count: int, width: float = 0.08) -> list[Any]:
    rng = np.random.default_rng(5)
    frames = []
    for _ in range(count):
        atoms = alloy()
        atoms.positions += width * rng.standard_normal(atoms.positions.shape)
        frames.append(atoms)
    return frames


def assert_same(one: SparseModel, other: SparseModel) -> None:
    assert one.spread == other.spread
    assert one.noise == other.noise
    for ours, theirs in zip((*one.weights, one.triangle), (*other.weights, other.triangle), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Return a learner of 13 frames: the last fit from the beginning is one frame old."""
    one = learner(tmp_path_factory.mktemp("taught"))
    for atoms in moved(13):
        one.ask(atoms)
    return one


def test_refits_are_a_function_of_the_number_of_frames() -> None:
    settings = LearningSettings()
    fits = [n for n in range(1, 100) if settings.last_refit(n) == n]
    assert fits[:4] == [1, 2, 3, 4]
    assert all(b <= 1.5 * a + 1 for a, b in itertools.pairwise(fits))


def test_a_learner_rebuilt_from_its_record_has_the_same_bits(taught: Learner) -> None:
    again = Learner(CountingEMT(), {"Cu", "Au"}, taught.settings, taught._record.path, "emt")
    again.resume(13)
    assert_same(again.model, taught.model)
    assert again.calls == 0


def test_what_was_recorded_answers_before_the_dear_level_is_asked(taught: Learner, tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz"
    path.write_bytes(taught._record.path.read_bytes())
    dear, frames = CountingEMT(), moved(13)
    again = Learner(dear, {"Cu", "Au"}, taught.settings, path, "emt")
    for atoms in frames[:6]:
        again.ask(atoms)
    assert dear.calls == 0
    assert again.recorded == 13
    again.ask(frames[8])  # another path from here on
    assert dear.calls == 1
    assert again.recorded == 7


def test_what_was_recorded_of_other_elements_in_the_same_places_does_not_answer(
    taught: Learner, tmp_path: Path
) -> None:
    path = tmp_path / "frames.extxyz"
    path.write_bytes(taught._record.path.read_bytes())
    dear, other = CountingEMT(), moved(1)[0]
    other.symbols = other.symbols[::-1]
    assert list(other.symbols) != list(moved(1)[0].symbols)
    assert Learner(dear, {"Cu", "Au"}, taught.settings, path, "emt").ask(other).symbols == tuple(other.symbols)
    assert dear.calls == 1


def test_a_torn_record_keeps_its_whole_frames(taught: Learner, tmp_path: Path) -> None:
    path, content = tmp_path / "frames.extxyz", taught._record.path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])
    record = LessonRecord(path)
    assert 5 <= len(record.lessons) <= 9
    assert content.startswith(path.read_bytes())
    assert len(read(path, index=":")) == len(record.lessons)
    for one, other in zip(record.lessons, taught.lessons, strict=False):
        assert np.array_equal(one.frame.positions, other.frame.positions)
        assert one.frame.stress is not None
        assert one.frame.stress.tolist() == other.frame.stress.tolist()  # type: ignore[union-attr]
        assert one.frame.energy == other.frame.energy
        assert (one.forecast is None) == (other.forecast is None)
        if one.forecast and other.forecast:
            assert np.array_equal(one.forecast.losses, other.forecast.losses)


def test_a_grown_fit_is_the_fit_to_the_same_data_at_once(taught: Learner) -> None:
    """The same frames and inducing environments, fitted in one batch in another order of columns."""
    model, baseline = taught.model, taught._fit.baseline
    frames = [lesson.frame for lesson in taught.lessons]
    kinds = [model.descriptor.indices(list(frame.symbols), "test") for frame in frames]
    first = taught.settings.last_refit(len(frames))
    assert first < len(frames)
    guess = first_guess(frames[:first], kinds[:first], 2)
    space = WhitenedSpace(guess, kernel_matrix(model.inducing, model.kernel), model.kernel.variance())
    batch = SparseRegression(space, model.noise)
    for frame, species in zip(frames, kinds, strict=True):
        batch.add_rows(frame_rows(frame, species, baseline, list(model.inducing), model.kernel, guess))
    _, weights = batch.solution()
    rows = frame_rows(frames[0], kinds[0], baseline, list(model.inducing), model.kernel, guess)
    forces = rows.kernels[rows.kinds == FORCE]
    ours, theirs = forces @ np.concatenate(model.weights), forces @ weights
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


def test_environments_are_added_until_none_is_unknown(taught: Learner) -> None:
    frame = taught.lessons[-1].frame
    kinds = taught.model.descriptor.indices(list(frame.symbols), "test")
    features = taught._fit.baseline.descriptors(frame.positions, frame.cell, kinds).features
    assert taught.lessons[-1].forecast is not None
    before = taught.lessons[-1].forecast.losses.max()
    after = covariance_loss(taught.model, features, kinds).max()
    full = taught.model.n_inducing == taught.settings.training.inducing
    assert after <= before
    assert full or after <= taught.settings.environment_loss * 1.01


def test_deviations_are_those_of_errors(taught: Learner) -> None:
    """Of unseen frames of the same kind, errors and told deviations agree on the whole, and their ranks too."""
    errors, told = [], []
    for atoms in moved(20)[14:]:
        told.append(taught.deviations(atoms))
        dear, atoms.calc = atoms.copy(), taught.calculator
        dear.calc = CountingEMT()
        errors.append(np.sqrt(((atoms.get_forces() - dear.get_forces()) ** 2).mean(axis=1)))
    found, expected = np.concatenate(errors), np.concatenate(told)
    assert 0.5 < np.sqrt((found**2).mean() / (expected**2).mean()) < 2
    far = moved(1, width=0.25)[0]
    assert taught.deviations(far).max() > 2 * expected.max()


def test_floor_and_slope_of_made_errors_are_found() -> None:
    rng = np.random.default_rng(0)
    losses, species = 10 ** rng.uniform(-6, -2, 4000), np.repeat([0, 1], 2000)
    truth = RunningCalibration(np.array([0.01, 0.04]), np.array([20.0, 300.0]))
    errors = truth.deviations(losses, species)[:, None] * rng.standard_normal((4000, 3))
    found = running_calibration(losses, errors, species, 2)
    assert found.floors == pytest.approx(truth.floors, rel=0.1)
    assert found.slopes == pytest.approx(truth.slopes, rel=0.2)


def test_what_is_unknown_is_never_taken_as_known() -> None:
    """Errors that do not depend on the loss leave a slope: an atom unlike all others stays uncertain."""
    rng = np.random.default_rng(0)
    losses, errors = 10 ** rng.uniform(-6, -4, 300), 0.1 * rng.standard_normal((300, 3))
    found = running_calibration(losses, errors, np.zeros(300, dtype=int), 1)
    assert found.deviations(np.array([0.5]), np.zeros(1, dtype=int))[0] > 1.0


def test_a_dear_level_that_fails_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    frames = moved(4)
    one = learner(tmp_path, CountingEMT(fails=3))
    for atoms in frames[:2]:
        one.ask(atoms)
    with pytest.raises(
        CalculationError, match=r"emt failed on frame 3 \(RuntimeError: SCF not converged\).*again"
    ):
        one.ask(frames[2])
    assert len(LessonRecord(tmp_path / "frames.extxyz").lessons) == 2
    one.ask(frames[2])
    assert len(one.lessons) == 3


def test_labels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    class Broken(CountingEMT):
        def calculate(self, *arguments: Any, **more: Any) -> None:
            super().calculate(*arguments, **more)
            self.results["forces"] = self.results["forces"] * np.nan

    with pytest.raises((InputError, CalculationError), match="not finite"):
        learner(tmp_path, Broken()).ask(alloy())


def test_frames_of_another_level_are_refused(taught: Learner) -> None:
    with pytest.raises(InputError, match="frames of level 'emt'"):
        Learner(CountingEMT(), {"Cu", "Au"}, taught.settings, taught._record.path, "chgnet")


def test_any_dynamics_of_ase_is_driven_with_few_calls(tmp_path: Path) -> None:
    dear = CountingEMT()
    atoms = alloy()
    atoms.calc = calculator = ActiveCalculator(learner(tmp_path, dear))
    dynamics = Langevin(
        atoms, 2 * fs, temperature_K=400, friction=0.02 / fs, fixcm=False, rng=np.random.default_rng(2)
    )
    errors = []
    for _ in range(12):
        dynamics.run(10)
        asked = atoms.copy()
        asked.calc = CountingEMT()
        errors.append(np.sqrt(((asked.get_forces() - atoms.get_forces()) ** 2).mean()))
    assert calculator.evaluations == 121
    assert dear.calls == calculator.dear_calls < 45
    assert max(errors) < TOLERANCE


def test_a_relaxation_reaches_the_minimum_of_the_dear_level(tmp_path: Path) -> None:
    dear, atoms, exact = CountingEMT(), alloy(), alloy()
    atoms.calc = ActiveCalculator(learner(tmp_path, dear), confirmed_below=0.03)
    exact.calc = CountingEMT()
    assert BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    assert BFGS(exact, logfile=None).run(fmax=0.01, steps=200)
    atoms.calc = CountingEMT()
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.0101
    assert atoms.get_potential_energy() == pytest.approx(exact.get_potential_energy(), abs=2e-3)
    assert dear.calls <= 40
