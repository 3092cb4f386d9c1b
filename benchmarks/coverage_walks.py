"""Walks of known diffusion coefficient for `diffusion_coverage`. Lengths in Å, times in frames.

Truth is exact; of lattice gases it is the slope of the mean-square displacement of a run long enough for 0.3 %
(`long_run`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numba as nb
import numpy as np
from scipy.signal import lfilter

Rng = np.random.Generator
Walk = np.ndarray
HOP = 2.5


@dataclass(frozen=True)
class Model:
    """Walk of given size; `truth` is D in Å² a frame."""

    walk: Callable[[Rng], Walk]
    truth: Callable[[], float]


def exact(walk: Callable[[Rng], Walk], truth: float) -> Model:
    return Model(walk, lambda: truth)


def rattling(rng: Rng, frames: int, ions: int, time: float = 5, amplitude: float = 0.2) -> Walk:
    """Return ions that stay: an Ornstein–Uhlenbeck process of relaxation `time` and rms `amplitude`."""
    a = np.exp(-1 / time)
    kicks = rng.standard_normal((frames, ions, 3)) * (amplitude * np.sqrt(1 - a * a))
    kicks[0] = amplitude * rng.standard_normal((ions, 3))
    return np.asarray(lfilter([1], [1, -a], kicks, axis=0))


def vibrating(rng: Rng, frames: int, ions: int, period: float = 12, life: float = 60) -> Walk:
    """Return damped oscillators of `period` whose phase lasts `life`, rms 0.15 per direction."""
    a = np.exp(-1 / life)
    kicks = rng.standard_normal((frames + 300, ions, 3))
    root = a * np.cos(2 * np.pi / period)
    free = lfilter([1], [1, -2 * root, a * a], kicks, axis=0)[300:]
    return np.asarray(free * (0.15 / free.std()))


def rattled(walk: Callable[[Rng], Walk]) -> Callable[[Rng], Walk]:
    def run(rng: Rng) -> Walk:
        found = walk(rng)
        return found + rattling(rng, *found.shape[:2])

    return run


def brownian(frames: int, ions: int, diffusivity: float = 1.0, noise: float = 0.0) -> Model:
    def run(rng: Rng) -> Walk:
        walk = np.cumsum(rng.standard_normal((frames, ions, 3)) * np.sqrt(2 * diffusivity), axis=0)
        return walk + noise * rng.standard_normal(walk.shape) if noise else walk

    return exact(run, diffusivity)


@nb.njit(cache=True)
def _jumps(rng: Rng, frames: int, ions: int, rate: float, back: float) -> Walk:
    found = np.zeros((frames, ions, 3))
    at = np.zeros(3)
    for i in range(ions):
        at[:] = 0.0
        axis, sign = -1, 1.0
        next_hop = rng.exponential() / rate
        for t in range(frames):
            while next_hop < t:
                if axis >= 0 and rng.random() < back:
                    sign = -sign
                else:
                    axis, sign = rng.integers(0, 3), 2.0 * rng.integers(0, 2) - 1.0
                at[axis] += HOP * sign
                next_hop += rng.exponential() / rate
            found[t, i] = at
    return found


def hopping(frames: int, ions: int, rate: float, back: float = 0.0) -> Model:
    """Return hops on a cubic lattice, reversed with probability `back`: f = (1 − back)/(1 + back)."""
    f = (1 - back) / (1 + back)
    return exact(rattled(lambda rng: _jumps(rng, frames, ions, rate, back)), f * rate * HOP**2 / 6)


def strided(frames: int, ions: int, rate: float, stride: int, back: float = 0.0) -> Model:
    """Return the same, every `stride`-th frame only."""
    f = (1 - back) / (1 + back)

    def run(rng: Rng) -> Walk:
        fine = _jumps(rng, frames, ions, rate * stride, back)
        return fine + rattling(rng, frames, ions, 5 / stride)

    return exact(run, f * rate * stride * HOP**2 / 6)


def immobile(frames: int, ions: int, mobile: int, rate: float) -> Model:
    def run(rng: Rng) -> Walk:
        walk = rattling(rng, frames, ions)
        walk[:, :mobile] += _jumps(rng, frames, mobile, rate, 0.0)
        return walk

    return exact(run, mobile / ions * rate * HOP**2 / 6)


def groups(frames: int, number: int, size: int, rate: float) -> Model:
    """Return groups of `size` ions that always hop together."""

    def run(rng: Rng) -> Walk:
        return np.repeat(_jumps(rng, frames, number, rate, 0.0), size, axis=1)

    return exact(rattled(run), rate * HOP**2 / 6)


def one_direction(frames: int, ions: int, rate: float) -> Model:
    def run(rng: Rng) -> Walk:
        walk = _jumps(rng, frames, ions, rate, 0.0)
        walk[:, :, 1:] = 0.0
        return walk

    return exact(rattled(run), rate * HOP**2 / 18)


def double_well(frames: int, ions: int, rate: float, flips: float) -> Model:
    def run(rng: Rng) -> Walk:
        walk = _jumps(rng, frames, ions, rate, 0.0)
        walk[:, :, 0] += np.cumsum(rng.random((frames, ions)) < flips, axis=0) % 2 * HOP
        return walk

    return exact(rattled(run), rate * HOP**2 / 6)


def switching(
    frames: int, ions: int, on: float, off: float, step: float = 0.02, *, all_at_once: bool = False
) -> Model:
    """Ions that are mobile for `on` frames on average, then not for `off`, each for itself or all at once."""

    def run(rng: Rng) -> Walk:
        state = _states(rng, frames, 1 if all_at_once else ions, on, off)
        return np.cumsum(rng.standard_normal((frames, ions, 3)) * np.sqrt(step) * state[..., None], axis=0)

    return exact(rattled(run), step / 2 * on / (on + off))


@nb.njit(cache=True)
def _states(rng: Rng, frames: int, ions: int, on: float, off: float) -> Walk:
    found = np.zeros((frames, ions))
    for i in range(ions):
        mobile = rng.random() < on / (on + off)
        for t in range(frames):
            if rng.random() < 1 / (on if mobile else off):
                mobile = not mobile
            found[t, i] = 1.0 if mobile else 0.0
    return found


def two_mobilities(frames: int, ions: int, dwell: float, fast: float, slow: float) -> Model:
    """Ions that are now fast, now slow, for `dwell` frames on average; `fast` and `slow` are 2 D a frame."""

    def run(rng: Rng) -> Walk:
        state = _states(rng, frames, ions, dwell, dwell)
        size = np.sqrt(np.where(state > 0, fast, slow))
        return np.cumsum(rng.standard_normal((frames, ions, 3)) * size[..., None], axis=0)

    return exact(rattled(run), (fast + slow) / 4)


def drifting_mobility(frames: int, ions: int, time: float, spread: float, step: float) -> Model:
    """Ions of mobility exp(y − spread²/2), y an Ornstein–Uhlenbeck process of relaxation `time`, rms `spread`."""

    def run(rng: Rng) -> Walk:
        y = rattling(rng, frames, ions, time, spread)[..., 0]
        mobility = np.exp(y - spread**2 / 2)
        return np.cumsum(rng.standard_normal((frames, ions, 3)) * np.sqrt(step * mobility)[..., None], axis=0)

    return exact(rattled(run), step / 2)


def bursts(frames: int, ions: int, rate: float, hops: float, length: float) -> Model:
    """Bursts of 1 + Poisson(`hops`) hops within about `length` frames, at `rate` bursts a frame and ion."""

    def run(rng: Rng) -> Walk:
        found = np.zeros((frames, ions, 3))
        margin = round(10 * length)
        for ion in range(ions):
            starts = rng.uniform(-margin, frames, rng.poisson(rate * (frames + margin)))
            times = np.repeat(starts, 1 + rng.poisson(hops, len(starts)))
            times += rng.exponential(length, len(times))
            at = np.floor(times).astype(int)
            kept = at[(at >= 0) & (at < frames)]
            signs = HOP * rng.choice([-1.0, 1.0], len(kept))
            np.add.at(found[:, ion], (kept, rng.integers(3, size=len(kept))), signs)
        return np.cumsum(found, axis=0)

    return exact(rattled(run), rate * (1 + hops) * HOP**2 / 6)


def vibrating_hops(frames: int, ions: int, rate: float, period: float, life: float, back: float = 0.0) -> Model:
    """Hops as in `hopping`, of ions whose damped vibrations are resolved."""

    def run(rng: Rng) -> Walk:
        return _jumps(rng, frames, ions, rate, back) + vibrating(rng, frames, ions, period, life)

    return exact(run, (1 - back) / (1 + back) * rate * HOP**2 / 6)


def still(frames: int, ions: int, time: float, amplitude: float) -> Model:
    def run(rng: Rng) -> Walk:
        return rattling(rng, frames, ions) + rattling(rng, frames, ions, time, amplitude)

    return exact(run, 0.0)


def persistent(frames: int, ions: int, memory: float) -> Model:
    """Free ions whose velocity is forgotten in `memory` frames: D = v² times the sum of its autocorrelation."""
    a = float(np.exp(-1 / memory))

    def run(rng: Rng) -> Walk:
        return np.cumsum(rattling(rng, frames, ions, memory, 0.1), axis=0)

    return exact(run, 0.01 / 2 * (1 + a) / (1 - a))


def anisotropic(frames: int, ions: int, rates: tuple[float, float, float], *, vibrations: bool = False) -> Model:
    """Hops along three vectors of a sheared cell, each at a rate of its own."""
    vectors = np.array([[3.0, 0.0, 0.0], [1.0, 2.6, 0.0], [-0.7, 0.9, 2.2]])

    def run(rng: Rng) -> Walk:
        number = [rng.poisson(rate / 2, (2, frames, ions)) for rate in rates]
        walk = sum(np.cumsum(n[0] - n[1], axis=0)[..., None] * v for n, v in zip(number, vectors, strict=True))
        return np.asarray(walk + (vibrating if vibrations else rattling)(rng, frames, ions))

    return exact(run, float(sum(r * v @ v for r, v in zip(rates, vectors, strict=True)) / 6))


def chains(frames: int, ions: int, rate: float, longest: int) -> Model:
    """Neighbours on a ring, 1 to `longest` of them at random, hop together in a random direction."""

    def run(rng: Rng) -> Walk:
        return _chains(rng, frames, ions, rate * ions / ((1 + longest) / 2), longest)

    return exact(rattled(run), rate * HOP**2 / 6)


@nb.njit(cache=True)
def _chains(rng: Rng, frames: int, ions: int, events: float, longest: int) -> Walk:
    found = np.zeros((frames, ions, 3))
    at = np.zeros((ions, 3))
    for t in range(frames):
        for _ in range(rng.poisson(events)):
            axis, sign, start = rng.integers(0, 3), 2.0 * rng.integers(0, 2) - 1.0, rng.integers(0, ions)
            for k in range(rng.integers(1, longest + 1)):
                at[(start + k) % ions, axis] += HOP * sign
        found[t] = at
    return found


def alternating(frames: int, ions: int, fast: float, slow: float) -> Model:
    """Chains of sites along every axis whose bonds are fast and slow in turn; D is that of the harmonic mean."""

    def run(rng: Rng) -> Walk:
        return _alternating(rng, frames, ions, fast, slow)

    return exact(rattled(run), HOP**2 * 2 * fast * slow / (fast + slow))


@nb.njit(cache=True)
def _alternating(rng: Rng, frames: int, ions: int, fast: float, slow: float) -> Walk:
    found = np.zeros((frames, ions, 3))
    for i in range(ions):
        for axis in range(3):
            site = rng.integers(0, 2)
            origin, time = site, rng.exponential() / (fast + slow)
            for t in range(frames):
                while time < t:
                    up = fast if site % 2 == 0 else slow
                    site += 1 if rng.random() * (fast + slow) < up else -1
                    time += rng.exponential() / (fast + slow)
                found[t, i, axis] = (site - origin) * HOP
    return found


def traps(frames: int, ions: int, rate: float, deep: float, share: float) -> Model:
    """Cubic lattice of 5³ sites of which a `share`, ordered at random, is left `deep` times more slowly.

    A walk with waiting times: D = a²/(6 τ), τ the mean waiting time over the sites.
    """
    slow = np.random.default_rng(5).permutation(125) < round(share * 125)
    waits = np.where(slow, deep, 1.0) / rate
    stationary = np.cumsum(waits / waits.sum())

    def run(rng: Rng) -> Walk:
        return _trapped(rng, frames, ions, waits, stationary)

    return exact(rattled(run), HOP**2 / (6 * float(waits.mean())))


@nb.njit(cache=True)
def _trapped(rng: Rng, frames: int, ions: int, waits: Walk, stationary: Walk) -> Walk:
    found = np.zeros((frames, ions, 3))
    at = np.zeros(3, dtype=np.int64)
    for i in range(ions):
        start = np.searchsorted(stationary, rng.random())
        at[0], at[1], at[2] = start // 25, start // 5 % 5, start % 5
        origin = at.copy()
        site, time = start, 0.0
        time = rng.exponential() * waits[site]
        for t in range(frames):
            while time < t:
                at[rng.integers(0, 3)] += 2 * rng.integers(0, 2) - 1
                site = at[0] % 5 * 25 + at[1] % 5 * 5 + at[2] % 5
                time += rng.exponential() * waits[site]
            for a in range(3):
                found[t, i, a] = HOP * (at[a] - origin[a])
    return found


def lattice_gas(frames: int, edge: int, vacancies: int, rate: float) -> Model:
    """Ions on all but a few of edge³ sites; every vacancy exchanges with a random neighbour at `rate` a frame."""

    def run(rng: Rng) -> Walk:
        return _lattice_gas(rng, frames, edge, vacancies, rate)

    return Model(rattled(run), lambda: _long_gas(edge, vacancies, rate))


@functools.cache
def _long_gas(edge: int, vacancies: int, rate: float) -> float:
    ions = edge**3 - vacancies
    spacing = round(8 * ions / (rate * vacancies))  # frames in which an ion is asked 8 times to hop
    return long_run(lambda rng: _lattice_gas(rng, 40_000, edge, vacancies, rate * spacing)) / spacing


@nb.njit(cache=True)
def _lattice_gas(rng: Rng, frames: int, edge: int, vacancies: int, rate: float) -> Walk:
    sites = edge**3
    order = rng.permutation(sites)
    ion = np.full(sites, -1)
    for i in range(sites - vacancies):
        ion[order[i]] = i
    empty = order[sites - vacancies :].copy()
    at = np.zeros((sites - vacancies, 3))
    found = np.zeros((frames, sites - vacancies, 3))
    power = np.array([edge * edge, edge, 1])
    for t in range(frames):
        for _ in range(rng.poisson(rate * vacancies)):
            v, axis, sign = rng.integers(0, vacancies), rng.integers(0, 3), 2 * rng.integers(0, 2) - 1
            here = empty[v]
            place = here // power[axis] % edge
            there = here + ((place + sign) % edge - place) * power[axis]
            moved = ion[there]
            if moved >= 0:
                at[moved, axis] -= HOP * sign
                ion[here], ion[there] = moved, -1
                empty[v] = there
        found[t] = at
    return found


def cosine(frames: int, ions: int, barrier: float, substeps: int = 8) -> Model:
    """Overdamped ions in a cosine potential of `barrier` k_B T along every axis."""
    step = 0.01

    def run(rng: Rng) -> Walk:
        return _cosine(rng, frames, ions, barrier, step, substeps)

    return Model(run, lambda: substeps * _cosine_diffusivity(barrier, step))


@nb.njit(cache=True)
def _cosine(rng: Rng, frames: int, ions: int, barrier: float, step: float, substeps: int) -> Walk:
    """`step` is the free 2 D of a substep of the Euler–Maruyama scheme."""
    found = np.zeros((frames, ions, 3))
    wave, size = 2 * np.pi / HOP, np.sqrt(step)
    for i in range(ions):
        for a in range(3):
            x = 0.0
            for t in range(-50, frames):
                for _ in range(substeps):
                    x += size * rng.standard_normal() - step / 4 * barrier * wave * np.sin(wave * x)
                if t >= 0:
                    found[t, i, a] = x
    return found


def _cosine_diffusivity(barrier: float, step: float) -> float:
    """Return D per substep of the same scheme, exactly.

    D = ½ ⟨(x' + χ(x') − x − χ(x))²⟩ in the stationary state, χ the periodic solution of (1 − P) χ = drift.
    """
    x = np.arange(500) * HOP / 500
    drift = -step / 4 * barrier * 2 * np.pi / HOP * np.sin(2 * np.pi * x / HOP)
    moved = x[None] - x[:, None] + HOP * np.arange(-1, 2)[:, None, None]
    chance = np.exp(-((moved - drift[:, None]) ** 2) / (2 * step))
    chance /= chance.sum(axis=(0, 2), keepdims=True)
    kernel = chance.sum(axis=0)
    chi = np.linalg.lstsq(np.eye(500) - kernel, drift, rcond=None)[0]
    stationary = np.linalg.lstsq(
        np.vstack([np.eye(500) - kernel.T, np.ones(500)]), np.append(np.zeros(500), 1.0), rcond=None
    )[0]
    return float(0.5 * (stationary[:, None] * chance * (moved + chi[None] - chi[:, None]) ** 2).sum())


def long_run(walk: Callable[[Rng], Walk]) -> float:
    """Return D per frame from the slope of the mean-square displacement between 2 and 10 frames."""
    seen = walk(np.random.default_rng(99))
    near, far = (float(((seen[m:] - seen[:-m]) ** 2).sum(axis=2).mean()) for m in (2, 10))
    return (far - near) / (6 * 8)
