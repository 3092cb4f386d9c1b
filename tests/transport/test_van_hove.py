"""Van Hove functions: against a plain count of all images, on walkers whose distribution is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import maxwell

from ionscape.dynamics.trajectory import Chunk
from ionscape.errors import InputError
from ionscape.transport.hopping_times import HoppingTime, concerted_onset, first_jump_time, jump_band
from ionscape.transport.van_hove import VanHove, van_hove
from ionscape.transport.van_hove_settings import VanHoveSettings

SHEARED = np.array([[6.0, 0.0, 0.0], [4.5, 5.5, 0.0], [-3.0, 2.5, 7.0]])


@dataclass
class Run:
    """A trajectory in memory."""

    fractional: np.ndarray
    cells: np.ndarray
    symbols: tuple[str, ...]
    frame_interval: float = 10.0
    temperature: float | None = None
    chunk: int = 37

    def chunks(self, frames: int = 512):
        mean = self.cells.mean(axis=0)
        for first in range(0, len(self.cells), self.chunk):
            rows = slice(first, first + self.chunk)
            yield Chunk(first, self.fractional[rows] @ mean, self.cells[rows], self.fractional[rows] % 1.0)


def walk(rng: np.random.Generator, frames: int, ions: int, step: float, cell: np.ndarray = SHEARED) -> Run:
    """Brownian ions in a fixed cell, `step` Å per frame and axis."""
    path = rng.random((1, ions, 3)) @ cell + np.cumsum(rng.normal(0, step, (frames, ions, 3)), axis=0)
    return Run(path @ np.linalg.inv(cell), np.repeat(cell[None], frames, 0), ("Li",) * ions)


def plain_distinct(run: Run, pair: tuple[np.ndarray, np.ndarray], lag: int, edges: np.ndarray) -> np.ndarray:
    """All separations and all images of them in a generous box, one by one."""
    span = np.arange(-5, 6)
    images = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    counts = np.zeros(len(edges) - 1, int)
    for t in range(len(run.cells) - lag):
        h = (run.cells[t] + run.cells[t + lag]) / 2
        for i in pair[0]:
            for j in pair[1]:
                s = (run.fractional[t + lag, j] - run.fractional[t, i]) % 1.0 + images
                r = np.linalg.norm(s @ h, axis=1)
                if i == j:
                    n = s - (run.fractional[t + lag, j] - run.fractional[t, i])
                    r = r[np.abs(n).max(axis=1) > 0.5]
                counts += np.histogram(r, edges)[0]
    return counts


@given(st.integers(0, 10**6), st.sampled_from([("Li", "Li"), ("Li", "O")]))
@settings(deadline=None, max_examples=4)
def test_every_image_is_counted_once_in_sheared_changing_cells(seed: int, species: tuple[str, str]) -> None:
    rng = np.random.default_rng(seed)
    frames = 8
    strain = np.eye(3) + np.cumsum(rng.normal(0, 0.02, (frames, 3, 3)), axis=0)
    fractional = rng.random((1, 5, 3)) + np.cumsum(rng.normal(0, 0.05, (frames, 5, 3)), axis=0)
    run = Run(fractional, SHEARED @ strain, ("Li", "O", "Li", "O", "Li"), chunk=3)
    setting = VanHoveSettings(
        longest_lag=5, lags=3, r_max=9.0, bin_width=0.5, pairs_per_origin=None, method="images"
    )
    result = van_hove(run, species, setting)
    pair = tuple(np.flatnonzero(np.array(run.symbols) == s) for s in species)
    counts = result.distinct_counts.sum(axis=(0, 1))
    assert result.blur == 0.0
    for k, lag in enumerate(setting.lag_frames()):
        plain = plain_distinct(run, pair, lag, result.edges)
        assert np.abs(counts[k, :-1] - plain).sum() <= 2  # single precision at the edge of a bin
        assert counts[k, -1] == (frames - lag) * len(pair[0]) * len(pair[1])
        moved = np.linalg.norm((fractional[lag:] - fractional[: frames - lag]) @ run.cells.mean(axis=0), axis=-1)
        own = np.histogram(moved[:, pair[0]], result.edges)[0]
        assert np.abs(result.self_counts.sum(axis=(0, 1))[k, :-1] - own).sum() <= 2


@pytest.mark.parametrize("method", ["images", "grid"])
@pytest.mark.parametrize("chunk", [1, 7, 400])
def test_chunks_do_not_matter(chunk: int, method: Literal["images", "grid"]) -> None:
    run = walk(np.random.default_rng(0), 300, 6, 0.2)
    setting = VanHoveSettings(longest_lag=40, lags=9, r_max=7.0, pairs_per_origin=9, method=method)
    whole = van_hove(run, ("Li", "Li"), setting)
    run.chunk = chunk
    parts = van_hove(run, ("Li", "Li"), setting)
    assert whole.thinning == 4
    for a, b in (
        (whole.distinct_counts, parts.distinct_counts),
        (whole.self_counts, parts.self_counts),
    ):
        assert np.abs(a.sum(axis=(0, 1)) - b.sum(axis=(0, 1))).sum() < 1e-3 * a.sum()  # single precision


def test_self_part_of_a_brownian_walk_is_gaussian_and_integrates_to_one() -> None:
    run = walk(np.random.default_rng(1), 20000, 12, 0.1)
    setting = VanHoveSettings(longest_lag=200, lags=5, r_max=12.0, bin_width=0.2, pairs_per_origin=4)
    result = van_hove(run, ("Li", "Li"), setting)
    weights = result.self_part * result.shells
    assert weights.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-9)
    for k, lag in enumerate((50, 100, 150, 200), start=1):
        expected = np.diff(maxwell.cdf(result.edges, scale=0.1 * np.sqrt(lag)))
        assert np.abs(np.cumsum(weights[k] - expected)).max() < 0.03


def test_distinct_part_of_an_ideal_gas_is_one() -> None:
    rng = np.random.default_rng(2)
    frames, ions = 400, 40
    run = Run(rng.random((frames, ions, 3)), np.repeat(SHEARED[None], frames, 0), ("Li",) * ions)
    result = van_hove(run, ("Li", "Li"), VanHoveSettings(10, 2, r_max=11.0, bin_width=1.0, pairs_per_origin=400))
    assert result.blur > 0
    # the others are uniform, its own images at the lattice vectors of t = 0: beyond, the whole is one
    near = result.edges[1:] <= 5.0
    assert result.distinct_part[0][near] == pytest.approx(1 - 1 / ions, abs=0.03)
    assert np.average(result.distinct_part[0], weights=result.shells) == pytest.approx(1.0, abs=0.01)
    assert np.average(result.distinct_part[1], weights=result.shells) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("method", ["images", "grid"])
def test_shells_of_a_lattice_are_complete_beyond_half_the_cell(method: Literal["images", "grid"]) -> None:
    """Simple cubic, a = 3.5 Å, in a 2×2×2 cell: 6, 12, 8, 6 and 24 neighbours up to 7.9 Å, a cell of 7 Å edges."""
    sites = np.stack(np.meshgrid(*[np.arange(2) / 2] * 3, indexing="ij"), -1).reshape(1, 8, 3)
    run = Run(np.repeat(sites, 4, 0), np.repeat(np.eye(3)[None] * 7.0, 4, 0), ("Li",) * 8)
    result = van_hove(run, ("Li", "Li"), VanHoveSettings(1, 2, r_max=8.5, bin_width=0.25, method=method))
    neighbours = result.distinct_part[0] * result.density * result.shells
    for distance, number in ((1, 6), (np.sqrt(2), 12), (np.sqrt(3), 8), (2, 6), (np.sqrt(5), 24)):
        band = np.abs(result.distances - 3.5 * distance) < 0.3
        assert neighbours[band].sum() == pytest.approx(number)
    assert neighbours.sum() == pytest.approx(56)


@pytest.mark.parametrize("strain", [0.0, 0.004])
def test_the_grid_agrees_with_the_exact_count_within_its_blur(strain: float) -> None:
    """Vibrating ions in a sheared, breathing cell: peaks of g(r) 0.2 Å wide, all pairs at all origins."""
    rng = np.random.default_rng(4)
    frames, cell = 400, SHEARED * 1.3
    fractional = rng.random((1, 8, 3)) + rng.normal(0, 0.14, (frames, 8, 3)) @ np.linalg.inv(cell)
    cells = cell * (1 + strain * rng.normal(size=frames))[:, None, None]
    run = Run(fractional, cells, ("Li",) * 8, chunk=100)
    grid = {"longest_lag": 50, "lags": 3, "r_max": 9.0, "bin_width": 0.1, "pairs_per_origin": None}
    exact = van_hove(run, ("Li", "Li"), VanHoveSettings(**grid, method="images"))
    fast = van_hove(run, ("Li", "Li"), VanHoveSettings(**grid, method="grid"))
    assert exact.blur == 0.0
    assert strain * 9.0 < fast.blur < 0.12
    assert np.array_equal(fast.distinct_counts[..., -1], exact.distinct_counts[..., -1])
    cumulative = [np.cumsum(one.distinct_part * one.shells * one.density, axis=1) for one in (exact, fast)]
    # coordination numbers, up to 80: what a blur of 0.1 Å moves over the edge of a bin
    assert np.abs(cumulative[0] - cumulative[1]).max() < 0.25
    assert np.abs(cumulative[0] - cumulative[1]).mean() < 0.05


def test_cells_that_change_too_much_for_the_grid_are_counted_exactly() -> None:
    run = walk(np.random.default_rng(3), 300, 6, 0.1)
    run.cells = run.cells * np.linspace(0.9, 1.1, 300)[:, None, None]
    assert van_hove(run, ("Li", "Li"), VanHoveSettings(40, 3, r_max=8.0)).blur == 0.0
    assert van_hove(run, ("Li", "Li"), VanHoveSettings(40, 3, r_max=8.0, method="grid")).blur > 0.1


def test_short_runs_of_known_length_are_counted_exactly() -> None:
    run = walk(np.random.default_rng(3), 300, 30, 0.1)
    result = van_hove(run, ("Li", "Li"), VanHoveSettings(40, 3, r_max=8.0), frames=300)
    assert (result.blur, result.thinning) == (0.0, 1)


def test_thinning_is_unbiased() -> None:
    run = walk(np.random.default_rng(3), 3000, 12, 0.15)
    grid = {"longest_lag": 60, "lags": 3, "r_max": 7.0, "bin_width": 0.5}
    whole = van_hove(run, ("Li", "Li"), VanHoveSettings(**grid, pairs_per_origin=None))
    thin = van_hove(run, ("Li", "Li"), VanHoveSettings(**grid, pairs_per_origin=20))
    assert (whole.thinning, thin.thinning) == (1, 8)
    far = result_error = np.abs(thin.distinct_part - whole.distinct_part)[:, 4:]
    assert far.max() < 0.1
    assert result_error.mean() < 0.02


# ------------------------------------------------------------------------------------------- characteristic times


def hops(rng: np.random.Generator, frames: int, residence: float, chain: bool) -> Run:
    """Ions on a ring of ten sites 3 Å apart along z, vibrating; they hop on after `residence` frames on average.

    In a `chain` all go together; else there is one ion in each of the many cells, alone.
    """
    ions = 10 if chain else 1
    cell = np.diag([12.0, 12.0, 30.0])
    z = np.arange(ions) * 3.0 + 3.0 * np.cumsum(rng.random(frames) < 1 / residence)[:, None]
    path = np.stack([np.full_like(z, 6.0), np.full_like(z, 6.0), z], -1) + rng.normal(0, 0.15, (*z.shape, 3))
    return Run(path @ np.linalg.inv(cell), np.repeat(cell[None], frames, 0), ("Li",) * ions, chunk=1000)


def hop_functions(chain: bool, seed: int = 0, residence: float = 40.0) -> VanHove:
    run = hops(np.random.default_rng(seed), 12000, residence, chain)
    return van_hove(run, ("Li", "Li"), VanHoveSettings(longest_lag=120, lags=61, r_max=5.0))


def test_first_jump_time_is_the_residence_time_of_a_hopper() -> None:
    functions = hop_functions(chain=True)
    band = jump_band(functions)
    assert band.peak == pytest.approx(3.0, abs=0.2)
    time = first_jump_time(functions, np.random.default_rng(0))
    assert isinstance(time, HoppingTime)
    # w0 = exp(-t/40 frames), 10 fs each; hops of a whole chain are one event: 300 of them, 6 %
    assert time.low < 400.0 < time.high
    assert time.high - time.low < 200.0


def test_concerted_chain_builds_up_at_the_origin() -> None:
    functions = hop_functions(chain=True)
    at_origin = functions.distinct_part[:, functions.edges[1:] <= 0.6].mean(axis=1)
    assert at_origin[0] == 0.0
    assert at_origin[-1] > 10.0
    onset = concerted_onset(functions, np.random.default_rng(0))
    assert isinstance(onset, HoppingTime)
    assert onset.value < 400.0


def test_shared_sites_tell_no_concerted_onset() -> None:
    """Ions that hop without regard to one another are on one site from the beginning: nothing builds up there."""
    rng, frames, ions = np.random.default_rng(4), 1500, 20
    steps = np.eye(3)[rng.integers(0, 3, (frames, ions))] * rng.choice([-1.0, 1.0], (frames, ions, 1))
    steps *= (rng.random((frames, ions)) < 1 / 40)[..., None]
    sites = rng.integers(0, 4, (ions, 3)) + np.cumsum(steps, axis=0)
    path = 3.0 * sites + rng.normal(0, 0.2, sites.shape)
    run = Run(path / 12.0, np.repeat(12.0 * np.eye(3)[None], frames, 0), ("Li",) * ions, chunk=1000)
    functions = van_hove(run, ("Li", "Li"), VanHoveSettings(longest_lag=120, lags=31, r_max=5.0))
    assert isinstance(first_jump_time(functions, rng, 50), HoppingTime)
    onset = concerted_onset(functions, rng, 50)
    assert not isinstance(onset, HoppingTime)
    assert "at the origin at t = 0 already" in onset.reason


def test_no_jumps_no_times() -> None:
    run = hops(np.random.default_rng(0), 3000, 1e9, chain=True)
    functions = van_hove(run, ("Li", "Li"), VanHoveSettings(longest_lag=100, lags=21))
    jump, onset = (f(functions, np.random.default_rng(0)) for f in (first_jump_time, concerted_onset))
    assert not isinstance(jump, HoppingTime)
    assert "no jumps" in jump.reason
    assert not isinstance(onset, HoppingTime)


def test_slow_jumps_are_told_with_a_bound() -> None:
    jump = first_jump_time(hop_functions(chain=True, residence=1000.0), np.random.default_rng(0))
    assert not isinstance(jump, HoppingTime)
    assert "still" in jump.reason


def test_brownian_walk_has_no_first_neighbour_band() -> None:
    functions = van_hove(
        walk(np.random.default_rng(5), 4000, 20, 0.1),
        ("Li", "Li"),
        VanHoveSettings(longest_lag=400, lags=41, pairs_per_origin=1),
    )
    jump = first_jump_time(functions, np.random.default_rng(0))
    assert not isinstance(jump, HoppingTime)


@pytest.mark.parametrize(
    "change", [{"longest_lag": 0}, {"lags": 0}, {"r_max": 0.0}, {"bin_width": -1.0}, {"threads": 0}]
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        VanHoveSettings(**{"longest_lag": 10, **change})


def test_unknown_species_and_short_runs_are_refused() -> None:
    run = walk(np.random.default_rng(0), 20, 3, 0.1)
    with pytest.raises(InputError, match="no Na"):
        van_hove(run, ("Na", "Li"), VanHoveSettings(10))
    with pytest.raises(InputError, match="20 frames"):
        van_hove(run, ("Li", "Li"), VanHoveSettings(20))
