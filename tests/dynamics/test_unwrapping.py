"""Unwrapped paths equal the true ones, in sheared and changing cells, whatever the chunks."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.dynamics.drift import seen_from_host, some_atoms
from ionscape.dynamics.trajectory import Chunk, TrajectoryWarning, folded
from ionscape.dynamics.unwrapping import Unwrapping, nearest_images, reduced_basis
from ionscape.errors import InputError

SEEDS = st.integers(0, 2**32 - 1)


def sheared_cell(rng: np.random.Generator, *, shear: int = 3) -> np.ndarray:
    """Return a triclinic cell, some lattice vectors replaced by long equivalent ones."""
    cell = np.diag(rng.uniform(6, 12, 3)) + rng.uniform(-2, 2, (3, 3))
    cell[1] += rng.integers(-shear, shear + 1) * cell[0]
    cell[2] += rng.integers(-shear, shear + 1) * cell[1] + rng.integers(-shear, shear + 1) * cell[0]
    return cell


def breathing(rng: np.random.Generator, cell: np.ndarray, frames: int, amplitude: float) -> np.ndarray:
    """Return cells that change in size and shape from frame to frame, (frames, 3, 3)."""
    strain = rng.normal(0, amplitude, (frames, 3, 3))
    return cell @ (np.eye(3) + strain)


def walk(rng: np.random.Generator, cell: np.ndarray, frames: int, atoms: int) -> np.ndarray:
    """Return unwrapped fractional random walks whose steps are at most 0.6 Å, (frames, atoms, 3)."""
    steps = rng.uniform(-0.35, 0.35, (frames, atoms, 3)) @ np.linalg.inv(cell)
    steps[0] = rng.uniform(0, 1, (atoms, 3))
    return np.cumsum(steps, axis=0)


def peculiar_path(fractional: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The plain reference: sum of the true fractional steps, each in the mean of the cells so far."""
    path = [fractional[0] @ cells[0]]
    for i in range(1, len(cells)):
        path.append(path[-1] + (fractional[i] - fractional[i - 1]) @ cells[: i + 1].mean(axis=0))
    return np.array(path)


def toroidal_path(fractional: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Eq. of the TOR scheme on Cartesian wrapped positions, images by exhaustive search."""
    wrapped = [folded(f) @ h for f, h in zip(fractional, cells, strict=True)]
    shifts = np.array(list(itertools.product(range(-9, 10), repeat=3)))
    path = [wrapped[0]]
    for i in range(1, len(cells)):
        moved = wrapped[i] - wrapped[i - 1]
        images = moved[:, None] + (shifts @ cells[i])[None]
        best = np.linalg.norm(images, axis=2).argmin(axis=1)
        path.append(path[-1] + images[np.arange(len(moved)), best])
    return np.array(path)


def unwrapped(fractional, cells, sizes=(10**9,), **options):
    unwrapping, pieces, start = Unwrapping(options.pop("scheme", "peculiar")), [], 0
    for size in itertools.cycle(sizes):
        if start >= len(cells):
            break
        span = slice(start, start + size)
        pieces.append(unwrapping.advance(fractional[span], cells[span], **options))
        start += size
    unwrapping.finish()
    return np.concatenate(pieces)


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_nearest_image_is_the_nearest_of_all(seed):
    rng = np.random.default_rng(seed)
    cell = sheared_cell(rng)
    displacements = rng.normal(0, 20, (20, 3))
    found = nearest_images(displacements, cell)
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ reduced_basis(cell)
    shortest = np.linalg.norm(found[:, None] + shifts[None], axis=2).min(axis=1)
    assert np.linalg.norm(found, axis=1) == pytest.approx(shortest, abs=1e-9)
    whole = (displacements - found) @ np.linalg.inv(cell)
    assert whole == pytest.approx(np.rint(whole), abs=1e-6)


def test_rounding_fractions_would_be_wrong_in_a_sheared_cell():
    """The property above can fail: plain rounding, used elsewhere, does."""
    cell = np.array([[5.0, 0, 0], [12.0, 5, 0], [0, 0, 5]])
    displacement = np.array([[2.0, 2.2, 0.0]])
    fractional = displacement @ np.linalg.inv(cell)
    plain = (fractional - np.rint(fractional)) @ cell
    assert np.linalg.norm(plain) > np.linalg.norm(nearest_images(displacement, cell)) - 1e-12
    cell = np.array([[5.0, 0, 0], [2.4, 5, 0], [2.4, 2.4, 5]])
    displacement = np.array([[0.49, 0.49, 0.49]]) @ cell
    assert np.linalg.norm(nearest_images(displacement, cell)) < np.linalg.norm(displacement) - 1.0


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, amplitude=st.sampled_from([0.0, 1e-3, 0.01]))
def test_wrapped_walks_are_unwrapped_to_the_truth(seed, amplitude):
    rng = np.random.default_rng(seed)
    cells = breathing(rng, sheared_cell(rng), 120, amplitude)
    truth = walk(rng, cells[0], 120, 7)
    images = rng.integers(-3, 4, truth.shape)
    found = unwrapped(folded(truth) + images, cells, sizes=(7, 1, 30))
    assert np.abs(truth - truth[0]).max() > 0.3
    shift = images[0] - np.floor(truth[0])
    assert found == pytest.approx(peculiar_path(truth + shift, cells), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_a_fixed_cell_gives_the_walk_itself(seed):
    rng = np.random.default_rng(seed)
    cell = sheared_cell(rng)
    truth = walk(rng, cell, 200, 5)
    found = unwrapped(folded(truth), np.broadcast_to(cell, (200, 3, 3)))
    assert found - found[0] == pytest.approx((truth - truth[0]) @ cell, abs=1e-9)
    again = unwrapped(found @ np.linalg.inv(cell), np.broadcast_to(cell, (200, 3, 3)))
    assert again == pytest.approx(found, abs=1e-9)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_the_toroidal_scheme_is_that_of_the_paper(seed):
    rng = np.random.default_rng(seed)
    cells = breathing(rng, sheared_cell(rng, shear=0), 60, 2e-3)
    truth = walk(rng, cells[0], 60, 5)
    found = unwrapped(folded(truth), cells, sizes=(13,), scheme="toroidal")
    assert found == pytest.approx(toroidal_path(truth, cells), abs=1e-9)
    known = unwrapped(truth, cells, scheme="toroidal", wrapped=False)
    assert known == pytest.approx(found, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_chunks_do_not_matter_to_the_last_bit(seed, sizes):
    rng = np.random.default_rng(seed)
    cells = breathing(rng, sheared_cell(rng), 90, 5e-3)
    wrapped = folded(walk(rng, cells[0], 90, 4))
    for scheme in ("peculiar", "toroidal"):
        assert np.array_equal(
            unwrapped(wrapped, cells, sizes, scheme=scheme), unwrapped(wrapped, cells, scheme=scheme)
        )


def test_unwrapped_positions_are_not_unwrapped_twice():
    """Steps of a whole cell are kept where the file says that it holds unwrapped positions."""
    cells = np.broadcast_to(np.diag([5.0, 6.0, 7.0]), (4, 3, 3))
    path = np.arange(4.0)[:, None, None] * np.ones((4, 2, 3)) * 0.9
    assert unwrapped(path, cells, wrapped=False)[-1, 0] == pytest.approx([13.5, 16.2, 18.9])
    with pytest.raises(InputError, match="too far apart"):
        unwrapped(path * 0.49 / 0.9, cells)


def test_a_bound_atom_at_the_origin_stays_bound_in_a_breathing_cell():
    """The reason for the default: the toroidal path of an atom that rattles across a face diffuses."""
    rng = np.random.default_rng(3)
    frames = 20_000
    cells = breathing(rng, sheared_cell(rng, shear=0), frames, 0.01)
    site = np.array([[0.0, 0.0, 0.0], [0.4, 0.3, 0.6]])
    rattle = rng.normal(0, 0.1, (frames, 2, 3)) @ np.linalg.inv(cells[0])
    wrapped = folded(site + rattle)
    bound = unwrapped(wrapped, cells)
    assert np.abs(bound - bound[0]).max() < 1.5
    toroidal = unwrapped(wrapped, cells, scheme="toroidal")
    assert np.abs(toroidal - toroidal[0])[:, 0].max() > 5.0
    assert np.abs(toroidal - toroidal[0])[:, 1].max() < 1.5


def test_a_hop_through_a_breathing_cell_has_the_length_of_the_mean_cell():
    rng = np.random.default_rng(4)
    cells = breathing(rng, np.diag([9.0, 10.0, 11.0]), 4000, 0.01)
    path = np.repeat(np.arange(100), 40)[:, None, None] * np.array([0.1, 0.0, 0.0])
    found = unwrapped(folded(path), cells)
    assert found[-1, 0] - found[0, 0] == pytest.approx(9.9 * cells.mean(axis=0)[0], rel=2e-3, abs=0.05)


def test_frames_too_far_apart_are_refused_and_rare_doubts_are_told():
    rng = np.random.default_rng(5)
    cell = np.diag([6.0, 7.0, 8.0])
    with pytest.raises(
        InputError, match=r"frames too far apart: atom \d+ moved .* between frames 0 and 1"
    ) as told:
        unwrapped(rng.uniform(0, 1, (5, 20, 3)), np.broadcast_to(cell, (5, 3, 3)))
    assert "xu yu zu" in told.value.remedy
    path = walk(rng, cell, 500, 10)
    path[300:, 4, 0] += 0.45
    with pytest.warns(TrajectoryWarning, match="1 displacements .*atom 4 moved"):
        unwrapped(folded(path), np.broadcast_to(cell, (500, 3, 3)))


def test_a_long_axis_does_not_make_frames_too_far_apart():
    """Half the shortest height is no limit along a long axis: only the nearest faces count."""
    cell = np.diag([4.0, 4.0, 30.0])
    path = np.zeros((20, 3, 3))
    path[:, :, 2] = np.arange(20)[:, None] * 0.2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = unwrapped(folded(path), np.broadcast_to(cell, (20, 3, 3)))
    assert found[-1, 0, 2] == pytest.approx(19 * 6.0)


class Synthetic:
    """A trajectory in memory."""

    def __init__(self, symbols, positions, cells, fractional=None):
        self.symbols, self.frame_interval, self.temperature = symbols, 1.0, None
        self._data = positions, cells, fractional

    def chunks(self, frames=16):
        positions, cells, fractional = self._data
        for first in range(0, len(cells), frames):
            span = slice(first, first + frames)
            yield Chunk(first, positions[span], cells[span], None if fractional is None else fractional[span])


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_drift_of_the_host_is_taken_out(seed):
    rng = np.random.default_rng(seed)
    cell = sheared_cell(rng)
    still = walk(rng, cell, 50, 6) @ cell
    symbols = ("Li", "Zr", "O", "O", "Li", "O")
    host, masses = [1, 2, 3, 5], np.array([91.224, 15.999, 15.999, 15.999])
    weights = (masses / masses.sum())[None, :, None]
    still[:, host] -= ((still[:, host] - still[0, host]) * weights).sum(axis=1, keepdims=True)
    drift = np.cumsum(rng.normal(0.02, 0.05, (50, 1, 3)), axis=0)
    cells = np.broadcast_to(cell, (50, 3, 3))
    moved = still + drift - drift[0]
    inside = folded(moved @ np.linalg.inv(cell))
    seen = seen_from_host(Synthetic(symbols, moved, cells, inside), "Li")
    chunks = list(seen.chunks(7))
    assert np.concatenate([c.positions for c in chunks]) == pytest.approx(still, abs=1e-9)
    again = np.concatenate([c.folded() for c in chunks]) - still @ np.linalg.inv(cell)
    assert again == pytest.approx(np.rint(again), abs=1e-9)
    lithium = next(iter(some_atoms(seen, ["Li"]).chunks(7)))
    assert np.array_equal(lithium.positions, chunks[0].positions[:, [0, 4]])


def test_a_drift_needs_a_host_and_the_mobile_element():
    cells = np.broadcast_to(5 * np.eye(3), (2, 3, 3))
    alone = Synthetic(("Li",), np.zeros((2, 1, 3)), cells)
    with pytest.raises(InputError, match="no host: all atoms are Li"):
        seen_from_host(alone, "Li")
    with pytest.raises(InputError, match="no atom of Na"):
        seen_from_host(alone, "Na")
