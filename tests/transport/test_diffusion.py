"""Diffusion coefficients: intervals cover known truth, runs that do not tell D are refused.

The full measurement, 1000 runs of every model, is ``benchmarks/displacement.py``; these are few and seeded.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import fft

from ionscape.errors import InputError
from ionscape.results import to_json
from ionscape.transport.diffusion import Diffusion, NotDiffusive, _band, collective_diffusion, diffusion
from ionscape.transport.dispersion import Dispersion, _normal_shape, dispersion
from ionscape.transport.extrapolation import PRIOR, extrapolated, limit, mode_dispersion
from ionscape.transport.relaxation import KINDS, observed
from ionscape.transport.spectrum import DisplacementSpectrum, bin_edges, displacement_spectrum, noise_shape

_spec = importlib.util.spec_from_file_location("walks", Path(__file__).parent / "walks.py")
walks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(walks)

Run = tuple[np.ndarray, float]


def brownian(rng: np.random.Generator) -> Run:
    return walks.brownian(rng, 200, 10), 1.0


def noisy(rng: np.random.Generator) -> Run:
    return walks.brownian(rng, 800, 8, 0.02) + 0.5 * rng.standard_normal((800, 8, 3)), 0.02


def hops(rng: np.random.Generator) -> Run:
    positions, truth = walks.hopping(rng, 2000, 16, 0.01)
    return positions + walks.rattling(rng, 2000, 16), truth


def back_jumps(rng: np.random.Generator) -> Run:
    positions, truth = walks.hopping(rng, 3000, 20, 0.03, back=0.5)
    return positions + walks.rattling(rng, 3000, 20), truth


def some_immobile(rng: np.random.Generator) -> Run:
    positions, truth = walks.hopping(rng, 2000, 18, 0.02)
    positions[:, 6:] = 0.0
    return positions + walks.rattling(rng, 2000, 18), truth / 3


def trios(rng: np.random.Generator) -> Run:
    positions, truth = walks.hopping(rng, 3000, 6, 0.02)
    return np.repeat(positions, 3, axis=1) + walks.rattling(rng, 3000, 18), truth


@pytest.mark.parametrize("model", [brownian, noisy, hops, back_jumps, some_immobile, trios])
def test_interval_holds_the_truth_and_is_not_wider_than_needed(
    model: Callable[[np.random.Generator], Run],
) -> None:
    rng = np.random.default_rng(11)
    found, truth = [], 1.0
    for _ in range(20):
        positions, truth = model(rng)
        run = diffusion(positions, 1.0)
        if isinstance(run, Diffusion):
            found.append((run.value, run.low95, run.high95))
    assert len(found) >= 18
    value, low, high = np.array(found).T
    # of 20 intervals of 95 %, fewer than 16 hold the truth once in 400 times
    assert np.mean((low <= truth) & (truth <= high)) >= 0.8
    assert np.mean((high - low) / 3.92) < 2.2 * max(np.std(value), 0.01 * truth)
    assert abs(np.mean(value) / truth - 1) < 4 * np.std(value) / truth / np.sqrt(20) + 0.02


@pytest.mark.parametrize(("time", "amplitude"), [(5, 0.2), (60, 0.4), (300, 0.5)])
def test_rattling_ions_have_a_bound_and_no_coefficient(time: float, amplitude: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(4):
        positions = walks.rattling(rng, 3000, 20) + walks.rattling(rng, 3000, 20, time, amplitude)
        found = diffusion(positions, 2.0)
        assert isinstance(found, NotDiffusive)
        assert 0 < found.upper_bound < amplitude**2 / 100
        assert found.needed >= found.run_time
        assert "ps needed" in found.reason


def test_bound_holds_where_hops_are_rare() -> None:
    rng = np.random.default_rng(5)
    for _ in range(8):
        positions, truth = walks.hopping(rng, 3000, 20, 1 / 60_000)
        found = diffusion(positions + walks.rattling(rng, 3000, 20), 1.0)
        assert isinstance(found, NotDiffusive)
        assert found.upper_bound >= truth


def test_units_scale() -> None:
    positions = walks.brownian(np.random.default_rng(1), 300, 5)
    one, other = diffusion(positions, 1.0), diffusion(3 * positions, 2.0)
    assert isinstance(one, Diffusion)
    assert isinstance(other, Diffusion)
    assert other.value == pytest.approx(4.5 * one.value, rel=1e-6)
    assert other.run_time == pytest.approx(598.0)


def test_tensor_shows_the_direction_of_motion() -> None:
    rng = np.random.default_rng(2)
    positions = walks.brownian(rng, 2000, 20) @ np.diag([1.0, 0.1, 0.1])
    run = diffusion(positions, 1.0)
    assert isinstance(run, Diffusion)
    assert np.trace(run.tensor) == pytest.approx(3 * run.value)
    assert np.diag(run.tensor) == pytest.approx([1.0, 0.01, 0.01], rel=0.1)
    along = diffusion(positions[..., :1], 1.0)
    assert isinstance(along, Diffusion)
    assert along.low95 < 1.0 < along.high95


def test_relaxation_delays_the_diffusive_regime() -> None:
    rng = np.random.default_rng(4)
    positions, _ = walks.hopping(rng, 6000, 30, 0.03, back=0.5)
    run, plain = diffusion(positions, 1.0), diffusion(walks.brownian(rng, 500, 10), 1.0)
    assert isinstance(run, Diffusion)
    assert isinstance(plain, Diffusion)
    # hops remember the last one: the memory decays with the rate s = 0.03 (1 + 0.5) per frame, and at lag 0 the
    # slope is 1/f = 3 times that of the long run: 2 exp(−s t) = 0.05
    assert run.begins_at == pytest.approx(np.log(40) / 0.045, rel=0.4)
    assert plain.begins_at == 1.0


def test_collective_coefficient_of_independent_ions_is_theirs_and_less_certain() -> None:
    positions = walks.brownian(np.random.default_rng(6), 3000, 30)
    run, alone = collective_diffusion(positions, np.ones(30), 1.0), diffusion(positions, 1.0)
    assert isinstance(run, Diffusion)
    assert isinstance(alone, Diffusion)
    assert run.low95 < 1.0 < run.high95
    assert run.log_error > 3 * alone.log_error


def test_groups_are_seen() -> None:
    rng = np.random.default_rng(8)
    positions = np.repeat(walks.brownian(rng, 2000, 5), 4, axis=1)
    run = diffusion(positions, 1.0)
    assert isinstance(run, Diffusion)
    assert run.group_size == pytest.approx(4.0, rel=0.3)


def test_result_is_plain_json() -> None:
    document = to_json(diffusion(walks.brownian(np.random.default_rng(1), 100, 5), 1.0))
    assert document["value"]["unit"] == "Å²/fs"


def test_short_runs_are_refused() -> None:
    with pytest.raises(InputError, match="15 frames"):
        diffusion(walks.brownian(np.random.default_rng(1), 15, 5), 1.0)
    with pytest.raises(InputError, match="interval"):
        diffusion(walks.brownian(np.random.default_rng(1), 50, 5), 0.0)


def test_sine_modes_of_a_noisy_walk_are_independent() -> None:
    n, noise, step = 31, 0.7, 1.3
    covariance = (step + 2 * noise) * np.eye(n) - noise * (np.eye(n, k=1) + np.eye(n, k=-1))
    modes = fft.dst(fft.dst(covariance, type=1, norm="ortho", axis=0), type=1, norm="ortho", axis=1)
    assert modes == pytest.approx(np.diag(step + noise * noise_shape(n)), abs=1e-12)


def test_spectrum_is_additive_over_blocks_and_conserves_power(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = walks.brownian(np.random.default_rng(9), 100, 6)
    whole = displacement_spectrum(positions)
    monkeypatch.setattr("ionscape.transport.spectrum.BLOCK", 700)
    parts = displacement_spectrum(positions.astype(np.float32))
    assert parts.power == pytest.approx(whole.power, rel=1e-4)
    assert whole.power.sum() == pytest.approx((np.diff(positions, axis=0) ** 2).sum() / 18)
    widths = np.diff(whole.edges)
    assert np.einsum("b,baa->", widths, whole.tensor) == pytest.approx(3 * whole.power.sum())
    assert whole.tensor == pytest.approx(whole.tensor.transpose(0, 2, 1))


@pytest.mark.parametrize("modes", [15, 16, 100, 4097])
def test_bins_cover_all_modes_once(modes: int) -> None:
    edges = bin_edges(modes)
    assert edges[0] == 0
    assert edges[-1] == modes
    assert np.all(np.diff(edges) > 0)


def scatter_of(positions: np.ndarray) -> Dispersion:
    spectrum = displacement_spectrum(positions)
    return dispersion(positions, spectrum, limit(spectrum).influence, mode_dispersion(spectrum))


def test_scatter_of_normal_walks_is_the_normal_one() -> None:
    rng = np.random.default_rng(10)
    for noise in (0.0, 1.5):
        positions = walks.brownian(rng, 3000, 10) + noise * rng.standard_normal((3000, 10, 3))
        found = scatter_of(positions)
        assert np.median(found.independent) < 0.15
        assert found.probability_of_groups + found.probability_of_turns < 0.3


def test_scatter_of_rare_hops_is_that_of_their_number() -> None:
    """The excess of the variance of ln D is 1 / number of hops: hops alike in length are a Poisson process."""
    rng = np.random.default_rng(12)
    excess, hops = [], 0.002 * 4000 * 24
    for _ in range(10):
        positions, truth = walks.hopping(rng, 4000, 24, 0.002)
        found = scatter_of(positions + walks.rattling(rng, 4000, 24))
        excess.append(np.median(found.independent) * found.normal / (2 * truth) ** 2)
    assert np.mean(excess) == pytest.approx(1 / hops, rel=0.25)


def test_ions_mobile_at_the_same_time_are_seen() -> None:
    rng = np.random.default_rng(13)
    mobile = np.repeat(rng.random(40) < 0.5, 100)[:, None, None]
    positions = np.cumsum(rng.standard_normal((4000, 12, 3)) * mobile, axis=0)
    found = scatter_of(positions)
    assert found.probability_of_groups + found.probability_of_turns > 0.9
    # of 40 periods, half of them on: Var/mean² = 1/40, over that of normal walkers
    assert np.median(found.in_turns) * found.normal / 0.5**2 == pytest.approx(1 / 40, rel=0.6)


def test_influence_is_the_derivative_of_the_limit() -> None:
    spectrum = displacement_spectrum(walks.brownian(np.random.default_rng(14), 400, 6) + 0.0)
    found = limit(spectrum)
    raised = dataclasses.replace(spectrum, power=spectrum.power * np.where(np.arange(399) < 40, 1.02, 1.0))
    change = limit(raised).mean - found.mean
    expected = 0.02 * float(found.influence[:40] @ spectrum.power[:40])
    assert change == pytest.approx(expected, rel=0.2)


def test_spectrum_of_normal_scatter_is_exact() -> None:
    """f(k) against the average over many normal spectra, for a steep power and a steep influence."""
    rng = np.random.default_rng(15)
    n = 63
    p = np.arange(1, n + 1)
    power, weight = 1 + (p / 8) ** 2, 1 / (1 + (p / 5) ** 2) - 0.1
    amplitude = rng.standard_normal((20_000, n)) * np.sqrt(power)
    moved, filtered = (fft.dst(a, type=1, norm="ortho", axis=1) for a in (amplitude, amplitude * weight))
    modes = (fft.dct(moved * filtered, type=2, norm="ortho", axis=1) ** 2).mean(axis=0)
    shape = _normal_shape(weight, power, 30)
    unit = 2 * float((weight * power) ** 2 @ np.ones(n)) / n
    assert modes[1:31] / unit == pytest.approx(shape[1:], rel=0.08)


def test_a_run_of_less_than_a_few_vibrations_tells_no_diffusion_coefficient():
    """Ions in harmonic wells at 1000 K, seen for 0.24 ps: the powers of all modes are those of vibrations."""
    rng = np.random.default_rng(5)
    frames, ions = 60, 24
    times = 4.0 * np.arange(frames)
    frequencies = 2 * np.pi * rng.uniform(0.003, 0.012, (ions, 3, 6))  # 3 to 12 THz, six modes each
    amplitudes = np.sqrt(0.03) * rng.standard_normal((ions, 3, 6))
    phases = rng.uniform(0, 2 * np.pi, (ions, 3, 6))
    waves = amplitudes * np.sin(frequencies * times[:, None, None, None] + phases)
    assert isinstance(diffusion(waves.sum(axis=3), 4.0), NotDiffusive)


@pytest.mark.parametrize(("ions", "frames", "period"), [(1, 30, 300), (4, 40, 100), (4, 100, 400), (20, 60, 300)])
def test_flights_tell_no_coefficient_and_are_no_lack_of_precision(ions: int, frames: int, period: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        rates = 2 * np.pi / period * (1 + 0.2 * rng.standard_normal((1, ions, 3)))
        phases = rng.uniform(0, 2 * np.pi, rates.shape)
        times = np.arange(frames)[:, None, None]
        found = diffusion(0.2 * rng.standard_normal(rates.shape) * np.cos(rates * times + phases), 1.0)
        assert isinstance(found, NotDiffusive)
        assert not found.imprecise  # so that no collective coefficient is told either


def test_persistent_walk_of_many_turns_is_told() -> None:
    rng = np.random.default_rng(9)
    memory = np.exp(-1 / 10)
    velocities = walks.rattling(rng, 2000, 10, 10, 0.1)
    found = diffusion(np.cumsum(velocities, axis=0), 1.0)
    assert isinstance(found, Diffusion)
    assert found.low95 < 0.005 * (1 + memory) / (1 - memory) < found.high95
    # the slope has come to within 5 % of its limit after ln 20 relaxation times
    assert found.begins_at == pytest.approx(30.0, rel=0.3)


@pytest.mark.parametrize(("share", "dwell"), [(0.5, 100), (0.25, 50), (0.1, 40)])
def test_neighbouring_modes_of_ions_that_rest_by_turns_count_as_one(share: float, dwell: int) -> None:
    rng = np.random.default_rng(1)
    frames, ions = 4000, 40
    mobile = np.zeros((frames, ions), dtype=bool)
    mobile[0] = rng.random(ions) < share
    for t in range(1, frames):
        stays = np.where(mobile[t - 1], 1 - 1 / dwell, 1 - share / (1 - share) / dwell)
        mobile[t] = np.where(rng.random(ions) < stays, mobile[t - 1], ~mobile[t - 1])
    steps = rng.standard_normal((frames, ions, 3)) * mobile[..., None] * 0.2
    positions = np.cumsum(steps, axis=0) + walks.rattling(rng, frames, ions)
    spectrum = displacement_spectrum(positions)
    found = limit(spectrum)
    scatter = dispersion(positions, spectrum, found.influence, mode_dispersion(spectrum))
    assert _band(spectrum, found, scatter) == pytest.approx(1 / share, rel=0.35)
    steady = displacement_spectrum(walks.brownian(rng, frames, ions, 0.01))
    steady_limit = limit(steady)
    calm = dispersion(
        walks.brownian(rng, frames, ions, 0.01), steady, steady_limit.influence, mode_dispersion(steady)
    )
    assert _band(steady, steady_limit, calm) == pytest.approx(1.0, abs=0.1)


def test_tail_of_dropped_vibrations_is_not_taken_for_diffusion() -> None:
    modes, ions = 3000, 100
    wave = np.arange(1, modes + 1) / (modes + 1) * 20  # in units of the frequency of a vibration of 40 frames
    power = 1 + 0.3 * wave**2 / ((1 - wave**2) ** 2 + 0.01 * wave**2)
    edges = bin_edges(modes)
    binned = np.add.reduceat(power, edges[:-1]) / np.diff(edges)
    spectrum = DisplacementSpectrum(
        power, binned[:, None, None] * np.eye(3), 6 * ions * power[1:] ** 2, edges, ions, 3
    )
    found = limit(spectrum)
    assert found.modes < modes // 20
    bins = int(np.searchsorted(edges, found.modes, side="right")) - 1
    freedom = 3 * ions / spectrum.binned(mode_dispersion(spectrum))[:bins]
    plain = extrapolated(observed(power, edges[: bins + 1], freedom), KINDS, PRIOR)
    low, high = (limit_.quantiles(np.array([0.025, 0.975])) for limit_ in (found, plain))
    assert abs(found.mean - 1) < 0.02
    assert low[0] < 1 < low[1]
    assert np.ptp(low) < 1.5 * np.ptp(high)
