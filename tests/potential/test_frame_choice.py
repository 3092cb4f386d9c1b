"""The choice of frames: those that tell most by the definition, no frame twice, copies last."""

from __future__ import annotations

import numpy as np
import pytest
from made_frames import SMALL, alloys, frames

from ionscape.potential.errors_of_model import prediction_errors
from ionscape.potential.frame_choice import PRIOR, greedy, telling_frames
from ionscape.potential.frames import labelled_frames
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import train

SETTINGS = TrainingSettings(descriptor=SMALL, inducing=60, held_out=0.0)


def features(count, seed=0, atoms=5, size=12):
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(count, 2, atoms, size)) * rng.uniform(0.1, 2, size=(count, 1, 1, 1))
    return [[part / np.linalg.norm(part, axis=1, keepdims=True) for part in frame] for frame in made]


def plainly(made, count):
    """Look at every frame again at every step, with the determinants of the whole precision matrices."""
    chosen = []
    precisions = [PRIOR * np.eye(part.shape[1]) for part in made[0]]
    for _ in range(count):
        rest = [index for index in range(len(made)) if index not in chosen]

        def told(index, precisions=precisions):
            pairs = zip(made[index], precisions, strict=True)
            return sum(np.linalg.slogdet(a + p.T @ p)[1] - np.linalg.slogdet(a)[1] for p, a in pairs)

        best = max(rest, key=told)
        chosen.append(best)
        precisions = [a + p.T @ p for p, a in zip(made[best], precisions, strict=True)]
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_choice_is_that_of_the_definition(seed):
    made = features(9, seed)
    assert greedy(made, 6) == plainly(made, 6)


def test_all_are_chosen_once_where_all_are_asked_for():
    assert sorted(greedy(features(7), 20)) == list(range(7))
    assert greedy([], 3) == []


def test_copies_of_a_frame_come_last():
    made = features(4)
    assert set(greedy([made[0], made[0], made[1], made[0], made[2], made[3]], 4)) & {0, 1, 3} != {0, 1, 3}
    chosen = greedy([made[0], made[0], made[1], made[0], made[2], made[3]], 4)
    assert len({0, 1, 3} & set(chosen)) == 1


def test_permuted_frames_are_chosen_all_the_same():
    made = features(8, seed=5)
    order = np.random.default_rng(1).permutation(8)
    again = greedy([made[k] for k in order], 4)
    assert [int(order[k]) for k in again] == greedy(made, 4)


def test_chosen_frames_of_a_redundant_set_teach_more_than_the_first_ones():
    """Ten frames of a stretch that hardly moves, then different ones: the first ten are nearly one frame."""
    still = alloys(1)[0]
    stretch = []
    for seed in range(10):
        moved = still.copy()
        moved.positions += 0.002 * np.random.default_rng(seed).normal(size=(8, 3))
        stretch.append(moved)
    from made_frames import labelled

    taught = labelled_frames([labelled(one) for one in stretch], "stretch") + frames(20, 300)
    tests = frames(10, 400)
    chosen = telling_frames(taught, 10, SETTINGS)
    assert len(set(chosen) & set(range(10))) <= 2
    best = prediction_errors(train([taught[k] for k in chosen], SETTINGS), tests)
    first = prediction_errors(train(taught[:10], SETTINGS), tests)
    assert best["force_mae_eV_per_A"] < 0.8 * first["force_mae_eV_per_A"]
