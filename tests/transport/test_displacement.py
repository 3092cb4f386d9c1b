"""Displacements by Fourier transform equal those by definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.errors import InputError
from ionscape.transport.displacement import (
    collective_displacement,
    element_displacements,
    ion_displacements,
    mean_squared_displacement,
)


def by_definition(positions: np.ndarray) -> np.ndarray:
    """Return the mean-square displacement tensor, (frames, d, d), by two loops."""
    frames, ions, d = positions.shape
    found = np.zeros((frames, d, d))
    for lag in range(1, frames):
        moved = positions[lag:] - positions[:-lag]
        found[lag] = np.einsum("tia,tib->ab", moved, moved) / (ions * (frames - lag))
    return found


def walk(seed: int, frames: int = 40, ions: int = 3, d: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal((frames, ions, d)) @ rng.standard_normal((d, d)), axis=0) + 1000.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(16, 60), st.integers(1, 5), st.integers(1, 3))
def test_tensor_is_that_of_the_definition(seed: int, frames: int, ions: int, d: int) -> None:
    positions = walk(seed, frames, ions, d)
    found = mean_squared_displacement(positions, 2.0)
    assert found.tensor == pytest.approx(by_definition(positions), abs=1e-8)
    assert found.times == pytest.approx(2.0 * np.arange(frames))
    assert found.total == pytest.approx(found.directions.sum(axis=1))


def test_blocks_of_ions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = walk(1, 50, 7)
    whole = mean_squared_displacement(positions, 1.0).tensor
    monkeypatch.setattr("ionscape.transport.displacement.BLOCK", 1)
    assert mean_squared_displacement(positions, 1.0).tensor == pytest.approx(whole, rel=1e-12)


def test_single_precision_far_from_the_origin_loses_nothing() -> None:
    positions = walk(2).astype(np.float32)
    assert mean_squared_displacement(positions, 1.0).tensor == pytest.approx(
        by_definition(positions.astype(float)), abs=1e-8
    )


def test_rotation_turns_the_tensor() -> None:
    positions = walk(3)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    before, after = (mean_squared_displacement(x, 1.0).tensor for x in (positions, positions @ turn.T))
    assert after == pytest.approx(turn @ before @ turn.T, abs=1e-7)


def test_ions_and_elements_average_to_the_whole() -> None:
    positions, symbols = walk(4, ions=6), ("Li", "O", "Li", "O", "Li", "O")
    every = ion_displacements(positions, np.arange(40))
    whole = mean_squared_displacement(positions, 1.0)
    elements = element_displacements(positions, symbols, 1.0)
    assert every.mean(axis=1) == pytest.approx(whole.total, abs=1e-7)
    assert every[:, ::2].mean(axis=1) == pytest.approx(elements["Li"].total, abs=1e-7)
    assert (elements["Li"].total + elements["O"].total) / 2 == pytest.approx(whole.total, abs=1e-7)


def test_collective_displacement_is_that_of_the_charge() -> None:
    positions, charges = walk(5, ions=4), np.array([1.0, 1.0, -2.0, 3.0])
    moved = np.einsum("tia,i->ta", positions - positions[0], charges)[:, None] / np.sqrt(15.0)
    found = collective_displacement(positions, charges, 1.0)
    assert found.tensor == pytest.approx(by_definition(moved), abs=1e-7)


def test_ions_that_move_as_one_have_n_times_the_collective_displacement() -> None:
    positions = np.repeat(walk(6, ions=1), 5, axis=1)
    alone = mean_squared_displacement(positions, 1.0).total
    assert collective_displacement(positions, np.ones(5), 1.0).total == pytest.approx(5 * alone, abs=1e-6)


def test_standard_error_is_that_of_random_walks() -> None:
    rng = np.random.default_rng(7)
    runs = [
        mean_squared_displacement(np.cumsum(rng.standard_normal((100, 4, 3)), axis=0), 1.0) for _ in range(400)
    ]
    spread = np.std([run.total for run in runs], axis=0)
    expected = np.mean([run.standard_error for run in runs], axis=0)
    # at long lags the few displacements seem less isotropic than they are, which makes the error seem larger
    assert expected[1:20] == pytest.approx(spread[1:20], rel=0.15)
    assert np.all(expected[20:70] > 0.95 * spread[20:70])
    assert np.all(expected[20:70] < 1.35 * spread[20:70])


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        (np.zeros((20, 3)), "shape"),
        (np.zeros((5, 3, 3)), "5 frames"),
        (np.zeros((20, 3, 3)), "never move"),
        (np.full((20, 3, 3), np.nan), "not finite"),
    ],
)
def test_what_cannot_be_analysed_is_refused(positions: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        mean_squared_displacement(positions, 1.0)


def test_symbols_and_charges_must_fit() -> None:
    with pytest.raises(InputError, match="symbols"):
        element_displacements(walk(1), ("Li",), 1.0)
    with pytest.raises(InputError, match="charges"):
        collective_displacement(walk(1), np.zeros(3), 1.0)
