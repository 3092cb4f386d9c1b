"""Registry searches on landscapes whose minimum is known: both algorithms, failures, batches, repetition."""

from __future__ import annotations

import numpy as np
import pytest
from landscapes import HEXAGONAL, OBLIQUE, plain_cell, waves

from ionscape.errors import CalculationError
from ionscape.interfaces.bayesian_search import SearchRules, SearchSpace, bayesian_search, warped
from ionscape.interfaces.covariance import LateralWaves
from ionscape.interfaces.displacements import DisplacementCell
from ionscape.interfaces.gaussian_process import expected_improvement
from ionscape.interfaces.shifts import reduced_grid, study_grid
from ionscape.interfaces.study_search import StudyRules, study_search
from ionscape.results import Failure

MINIMUM = np.array([1.3, 2.2])
RULES = SearchRules(tolerance=0.01, max_evaluations=40)


def bowl(vectors, minimum=MINIMUM, height=0.3):
    """Return E(x, y, z), eV: lateral waves and a well along the normal, lowest (−1.75) at `minimum`, `height`."""
    lateral = waves(vectors, minimum)
    return lambda shifts: lateral(shifts[:, :2]) + 4.0 * (shifts[:, 2] - height) ** 2


def space_of(vectors, energy=None, normals=(0.0, 0.3, 0.6), cell: DisplacementCell | None = None) -> SearchSpace:
    cell = cell or plain_cell(vectors)
    candidates = reduced_grid(cell, normals, 0.3)
    cheap = None if energy is None else energy(candidates)
    return SearchSpace(candidates, cell, np.ones(len(candidates), dtype=bool), cheap)


def plain(energy):
    return lambda shifts: list(energy(shifts))


@pytest.mark.parametrize("vectors", [OBLIQUE, HEXAGONAL, np.array([[9.0, 0.0], [3.9, 5.0]])])
@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_of_an_oblique_landscape_is_found_without_a_cheap_energy(vectors, seed) -> None:
    energy, space = bowl(vectors), space_of(vectors)
    found = bayesian_search(space, plain(energy), np.random.default_rng(seed), RULES)
    assert found.best.outcome <= energy(space.candidates).min() + 0.05
    assert len(found.evaluations) <= 40 < len(space.candidates)


def test_a_cheap_energy_saves_evaluations() -> None:
    energy = bowl(OBLIQUE)
    similar = bowl(OBLIQUE, MINIMUM + 0.3, 0.3)
    counts = {}
    for name, cheap in (("blind", None), ("informed", lambda x: 2.0 * similar(x) + 5.0)):
        space = space_of(OBLIQUE, cheap)
        lowest = energy(space.candidates).min()
        found = bayesian_search(space, plain(energy), np.random.default_rng(1), RULES)
        outcomes = [evaluation.outcome for evaluation in found.evaluations]
        counts[name] = next(i for i, e in enumerate(outcomes, start=1) if e <= lowest + 0.05)
    assert counts["informed"] < counts["blind"]


def test_a_misleading_cheap_energy_does_not_hide_the_minimum() -> None:
    energy = bowl(OBLIQUE)
    space = space_of(OBLIQUE, lambda x: -energy(x))
    found = bayesian_search(space, plain(energy), np.random.default_rng(0), RULES)
    assert found.best.outcome <= energy(space.candidates).min() + 0.1


def test_an_equivalent_shift_is_known_without_being_asked_for() -> None:
    # inversion at a point: E(t) = E(2c − t); a landscape that has it, and a covariance that knows
    centre = np.array([0.4, 0.9])
    cell = DisplacementCell(OBLIQUE, np.array([np.eye(2), -np.eye(2)]), np.array([np.zeros(2), 2 * centre]))
    points = np.random.default_rng(3).uniform(-4, 4, (6, 2))
    both = np.vstack([points, cell.images(points)[1], points + OBLIQUE[0] - 2 * OBLIQUE[1]])
    features = LateralWaves(cell, both, 0.5).features(0.7)
    assert np.allclose(features[:6], features[6:12], atol=1e-8)
    assert np.allclose(features[:6], features[12:], atol=1e-8)


def test_the_covariance_is_the_sum_over_images() -> None:
    points = np.random.default_rng(4).uniform(-4, 4, (7, 2))
    length = 0.6
    features = LateralWaves(plain_cell(OBLIQUE), points, 0.4).features(length)
    images = np.array([(i, j) for i in range(-9, 10) for j in range(-9, 10)]) @ OBLIQUE
    difference = points[:, None, None] - points[None, :, None] + images
    direct = np.exp(-(difference**2).sum(axis=-1) / (2 * length**2)).sum(axis=-1)
    direct -= 2 * np.pi * length**2 / abs(np.linalg.det(OBLIQUE))  # the wave G = 0
    direct /= np.trace(direct) / len(direct)
    assert np.allclose(features @ features.T, direct, atol=2e-4)


def test_overlapping_shifts_are_never_asked_for() -> None:
    energy, space = bowl(OBLIQUE), space_of(OBLIQUE)
    allowed = energy(space.candidates) > -1.0  # the well itself is forbidden
    guarded = SearchSpace(space.candidates, space.cell, allowed)
    found = bayesian_search(guarded, plain(energy), np.random.default_rng(2), RULES)
    assert min(e.outcome for e in found.evaluations) > -1.0
    assert found.n_excluded == int((~allowed).sum())


@pytest.mark.parametrize("search", ["study", "bayesian"])
def test_failures_are_recorded_and_do_not_stop_the_search(search) -> None:
    energy = bowl(OBLIQUE)

    def objective(shifts):
        return [
            Failure("did not converge") if s[0] > 1.6 else float(e)
            for s, e in zip(shifts, energy(shifts), strict=True)
        ]

    rng = np.random.default_rng(3)
    if search == "study":
        found = study_search(study_grid(), objective, rng)
    else:
        found = bayesian_search(space_of(OBLIQUE), objective, rng, RULES)
    failed = [e for e in found.evaluations if isinstance(e.outcome, Failure)]
    assert failed
    assert not isinstance(found.best.outcome, Failure)


def test_a_search_in_which_everything_fails_says_so() -> None:
    for found in (
        study_search(study_grid(), lambda x: [Failure("exploded")] * len(x), np.random.default_rng(0)),
        bayesian_search(
            space_of(OBLIQUE), lambda x: [Failure("exploded")] * len(x), np.random.default_rng(0), RULES
        ),
    ):
        with pytest.raises(CalculationError, match="exploded"):
            _ = found.best


def test_batches_are_of_distinct_shifts_and_find_the_minimum() -> None:
    energy, space, sizes = bowl(OBLIQUE), space_of(OBLIQUE), []

    def objective(shifts):
        sizes.append(len(np.unique(shifts, axis=0)))
        return list(energy(shifts))

    rules = SearchRules(tolerance=0.01, max_evaluations=40, batch=4)
    found = bayesian_search(space, objective, np.random.default_rng(0), rules)
    assert set(sizes[3:]) == {4} or sizes[-1] < 4
    shifts = np.array([e.shift for e in found.evaluations])
    assert len(np.unique(shifts, axis=0)) == len(shifts)
    assert found.best.outcome <= energy(space.candidates).min() + 0.05


@pytest.mark.parametrize("loss", ["mse", "evidence"])
def test_the_search_of_the_study_keeps_its_rules(loss) -> None:
    energy = bowl(np.array([[4.0, 0.0], [0.0, 4.0]]), np.array([1.0, 2.0]))
    found = study_search(study_grid(), plain(energy), np.random.default_rng(11), StudyRules(loss=loss))
    assert [e.reason for e in found.evaluations[:3]] == ["start"] * 3
    best = np.minimum.accumulate([e.outcome for e in found.evaluations])
    unchanged = [i for i in range(4, len(best)) if best[i] == best[i - 1] == best[i - 2]]
    assert unchanged == [len(best) - 1]  # it ends the first time the best stands for two steps
    assert found.n_candidates == 676


def test_the_same_seed_asks_for_the_same_shifts() -> None:
    for search in (
        lambda rng: study_search(study_grid(), plain(bowl(OBLIQUE)), rng),
        lambda rng: bayesian_search(space_of(OBLIQUE), plain(bowl(OBLIQUE)), rng, RULES),
    ):
        one, two = (search(np.random.default_rng(9)) for _ in range(2))
        assert [e.outcome for e in one.evaluations] == [e.outcome for e in two.evaluations]


def test_expected_improvement_is_the_mean_of_what_is_gained() -> None:
    rng = np.random.default_rng(0)
    mean, deviation = np.array([0.3, -0.2, 2.0]), np.array([0.5, 0.1, 1.0])
    draws = mean + deviation * rng.standard_normal((400_000, 3))
    sampled = np.maximum(0.1 - draws, 0).mean(axis=0)
    assert np.allclose(expected_improvement(mean, deviation, 0.1), sampled, atol=3e-3)
    far = expected_improvement(np.array([30.0]), np.array([1.0]), 0.0)
    assert 0 <= far[0] < 1e-100


def test_warping_keeps_order_and_is_plain_near_the_lowest() -> None:
    energies = np.linspace(-1, 50, 200)
    found = warped(energies, 0.0, 2.0)
    assert (np.diff(found) > 0).all()
    assert warped(np.array([0.01]), 0.0, 2.0)[0] == pytest.approx(0.01, rel=1e-2)
