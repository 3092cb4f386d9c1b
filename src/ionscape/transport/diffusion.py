r"""Diffusion coefficient with an interval, or the reason why the run does not tell it.

    D = lim_{t→∞} ⟨|Δr(t)|²⟩ / 2 d t  =  lim_{p→0} S_p / 2 δ

S_p is the power of the displacements (`spectrum`), δ the time between frames, d the number of directions. The
limit and its posterior come from `extrapolation`, for normal and independent ions; they are widened by the
variance that the run itself shows beyond that (`dispersion`): few hops, groups that move together, mobility
that changes with time. What is estimated, how well its intervals cover known truth and where it fails:
``docs/concepts/diffusion.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ionscape.dynamics.series import release
from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.transport.dispersion import Dispersion, dispersion, shape_noise
from ionscape.transport.extrapolation import Limit, limit, mode_dispersion, quantiles
from ionscape.transport.spectrum import DisplacementSpectrum, displacement_spectrum
from ionscape.units import Array, Count, Diffusivity, DiffusivityArray, Number, Time

FEWEST_FRAMES = 16
#: Largest probability that nothing diffuses at which D is given.
MOST_STANDING = 0.1
#: Smallest ratio of the diffusive to the localised part of the mean-square displacement over the whole run.
LEAST_TRAVEL = 3.0
#: Largest ratio of the ends of the 95 % interval. Where many runs of a kind exceed it, those told are too high.
WIDEST = 10.0
#: Latest begin of the diffusive regime, as a share of the run.
SLOWEST_SHARE = 0.3
#: Distance between neighbouring sites, Å, and hops that may have happened, but did not, with 5 % probability:
#: for the upper bound of D where nothing hopped.
HOP_LENGTH, HOPS_MISSED = 3.0, 3.0
#: Probability of groups below which they are left out.
UNLIKELY = 0.1
#: Banded powers (`_band`) above which the limit is sought again.
BANDED = 1.2
#: Smallest mean-square displacement over half of the run, as a part of what D says of it, where many ions tell it.
LEAST_MOVED = 0.5
#: Growth of the mean-square displacement with the doubled time by which flights are known: 2 of a walk, 4 of
#: flights; and parts of the run, in one of which flights must end.
FLIGHT, FEWEST_TURNS = 3.2, 16
#: Positions that are looked at at a time.
CHECKED = 8_000_000
#: Quantiles by which a distribution is multiplied with another.
LEVELS, FINE_LEVELS = (np.arange(61) + 0.5) / 61, (np.arange(301) + 0.5) / 301
ONE_SIGMA = stats.norm.cdf([-1.0, 1.0])


@dataclass(frozen=True)
class Diffusion:
    """Diffusion coefficient of ions; 1 Å²/fs = 0.1 cm²/s.

    Attributes
    ----------
    value
        D, median of its posterior.
    low95, high95
        Ends of its 95 % interval, cut off equally at both ends.
    begins_at
        Time after which the slope of the mean-square displacement stays within 5 % of 2 d D; at least the time
        between frames.
    tensor
        D along and between the Cartesian axes, (d, d), of trace d · `value`; principal axes are its eigenvectors.
    group_size
        Variance of D over that of ions that move independently; about the number of ions that move together.
    hops_per_ion
        Effective number of independent hops per diffusing ion in the run; as many as windows where motion is
        normal.
    n_ions, n_frames
        Size of the sample.
    run_time
        Length of the run.
    """

    value: Diffusivity
    low95: Diffusivity
    high95: Diffusivity
    begins_at: Time
    tensor: DiffusivityArray
    group_size: Number
    hops_per_ion: Number
    n_ions: Count
    n_frames: Count
    run_time: Time

    @property
    def log_error(self) -> float:
        """Standard error of ln D, from the interval."""
        return math.log(self.high95 / self.low95) / (2 * stats.norm.ppf(0.975))


@dataclass(frozen=True)
class NotDiffusive:
    """A run that does not reach the diffusive regime.

    Attributes
    ----------
    upper_bound
        D is smaller than this with 95 % probability: given that something diffuses, and no less than what three
        hops of 3 Å among all ions would make (none is seen with 5 % probability where three are expected).
    reason
        Why no D is given, and how long a run is needed.
    needed
        A run shorter than this cannot tell D.
    run_time
        Length of the run.
    imprecise
        Whether the ions do diffuse, and only their number or that of their hops is too small to tell how fast.
    """

    upper_bound: Diffusivity
    reason: str
    needed: Time
    run_time: Time
    imprecise: bool = False


def diffusion(positions: Array, frame_interval: float, *, workers: int = 1) -> Diffusion | NotDiffusive:
    """Return the self-diffusion coefficient of ions.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions of the ions, drift removed, Å, (frames, ions, d), d = 1, 2 or 3 directions;
        at least 16 frames. A memory map will do.
    frame_interval
        δ, fs.
    workers
        Threads of the transforms.

    Raises
    ------
    InputError
        If positions are not finite, the ions never move, or there are fewer than 16 frames.
    """
    checked(positions, frame_interval)
    return _judged(positions, displacement_spectrum(positions, workers), frame_interval, workers)


def collective_diffusion(positions: Array, charges: Array, frame_interval: float) -> Diffusion | NotDiffusive:
    """Return the collective (charge) diffusion coefficient, lim ⟨|Σ z_i Δr_i|²⟩ / (2 d t Σ z_i²).

    One walker instead of N: its relative error is about √N times that of the self-diffusion coefficient. Arguments
    and errors as `diffusion`; `charges` z_i in e, (ions,).
    """
    checked(positions, frame_interval)
    walker = charge_positions(positions, charges)
    return _judged(walker, displacement_spectrum(walker), frame_interval)


def charge_positions(positions: Array, charges: Array) -> Array:
    """Return Σ z_i r_i / √(Σ z_i²), Å, (frames, 1, d): one walker whose displacement is that of the charge."""
    z = np.asarray(charges, dtype=float)
    if z.shape != (positions.shape[1],) or not np.any(z):
        raise InputError(
            f"charges of shape {z.shape}, {np.count_nonzero(z)} of them not zero",
            where="charges of the mobile ions",
            expected=f"{positions.shape[1]} charges, not all zero",
            remedy="Give one charge for every ion.",
        )
    origin = np.asarray(positions[0], dtype=float)
    walker = np.empty((len(positions), 1, positions.shape[2]))
    for start in range(0, len(positions), 4096):
        part = np.asarray(positions[start : start + 4096], dtype=float) - origin
        walker[start : start + 4096, 0] = np.einsum("tid,i->td", part, z)
        release(positions)
    return np.asarray(walker / np.sqrt((z**2).sum()))


def checked(positions: Array, frame_interval: float) -> None:
    """Raise `InputError` if positions (frames, ions, d) or the time between frames cannot be analysed."""
    remedy = "Give unwrapped Cartesian positions of the mobile ions of one run."
    found = None
    if positions.ndim != 3 or positions.shape[1] == 0 or positions.shape[2] not in {1, 2, 3}:
        found = f"positions of shape {positions.shape}"
    elif len(positions) < FEWEST_FRAMES:
        found, remedy = f"{len(positions)} frames", "Analyse a longer run, or write frames more often."
    elif not (math.isfinite(frame_interval) and frame_interval > 0):
        found, remedy = f"a frame interval of {frame_interval} fs", "Give the time between two frames, in fs."
    elif not _finite(positions):
        found, remedy = "positions that are not finite", "Look for the frame in which the run broke down."
    elif not (np.any(positions[-1] != positions[0]) or np.ptp(positions, axis=0).any()):
        found, remedy = "ions that never move", "Leave frozen ions out."
    if found is not None:
        raise InputError(
            found,
            where="trajectory of the mobile ions",
            expected=f"finite positions (at least {FEWEST_FRAMES} frames, ions, 1 to 3 directions)",
            remedy=remedy,
        )


def _finite(positions: Array) -> bool:
    """Return whether all positions are finite, ion by ion: maps of files are laid out so."""
    step = max(1, CHECKED // (len(positions) * positions.shape[2]))
    for start in range(0, positions.shape[1], step):
        if not math.isfinite(float(np.sum(positions[:, start : start + step], dtype=float))):
            return False
        release(positions)
    return True


@dataclass(frozen=True)
class _Evidence:
    """All that is known of one run: posterior of 2 D δ, and where it comes from."""

    draws: Array
    weights: Array
    limit: Limit
    scatter: Dispersion
    hops_per_ion: float

    @property
    def group_size(self) -> float:
        odds = self.scatter.probability_of_groups
        return 1 + odds * (self.scatter.group_size - 1)

    def quantile(self, level: float) -> float:
        return float(quantiles(self.draws, self.weights, np.array([level]))[0])


def _judged(
    positions: Array, spectrum: DisplacementSpectrum, frame_interval: float, workers: int = 1
) -> Diffusion | NotDiffusive:
    found = _evidence(positions, spectrum, workers)
    run_time = spectrum.modes * frame_interval
    refusal = _localised(found, spectrum.modes) or _flying(positions) or _unmoved(positions, found)
    refusal = refusal or _imprecise(found)  # last: who is only imprecise may have a collective coefficient
    if refusal is not None:
        needed = max(refusal.longer, 1.0) * run_time
        reason = f"{refusal.why}; more than {needed / 1000:.3g} ps needed"
        missed = HOPS_MISSED * HOP_LENGTH**2 / (2 * spectrum.dimensions * spectrum.ions * run_time)
        upper = found.quantile(0.95) / (2 * frame_interval)
        return NotDiffusive(max(upper, missed), reason, needed, run_time, refusal.imprecise)
    value = found.quantile(0.5) / (2 * frame_interval)
    return Diffusion(
        value=value,
        low95=found.quantile(0.025) / (2 * frame_interval),
        high95=found.quantile(0.975) / (2 * frame_interval),
        begins_at=max(found.limit.transient, 1.0) * frame_interval,
        tensor=frozen(_tensor(spectrum, found.limit) * value),
        group_size=found.group_size,
        hops_per_ion=found.hops_per_ion,
        n_ions=spectrum.ions,
        n_frames=len(positions),
        run_time=run_time,
    )


@dataclass(frozen=True)
class _Refusal:
    """Why D is not told, how many times longer a run is needed at least, and whether it is only too imprecise."""

    why: str
    longer: Number
    imprecise: bool = False


def _localised(found: _Evidence, modes: int) -> _Refusal | None:
    """Return why the run is too short for D, whatever its precision; None if it is not."""
    upper = found.quantile(0.95)
    travel = LEAST_TRAVEL * found.limit.offset / max(upper * modes, 1e-300)
    if found.limit.standing > MOST_STANDING:
        return _Refusal("the ions stay where they are: their displacements reach a plateau", max(travel, 2.0))
    if found.limit.mean * modes < LEAST_TRAVEL * found.limit.offset:
        return _Refusal("the ions have travelled less far than they rattle and jump back", travel)
    if found.limit.transient > SLOWEST_SHARE * modes:
        longer = found.limit.transient / (SLOWEST_SHARE * modes)
        return _Refusal("motion still relaxes at the end of the run", longer)
    if found.hops_per_ion < 1:
        return _Refusal("the ions have hopped less than once", 1 / found.hops_per_ion)
    return None


def _imprecise(found: _Evidence) -> _Refusal | None:
    """Return how much longer a run must be for an interval that says something; None if this one's does."""
    wide = math.log(found.quantile(0.975) / found.quantile(0.025)) / math.log(WIDEST)
    if wide <= 1:
        return None
    why = f"the 95 % interval spans a factor of more than {WIDEST:.0f}"
    return _Refusal(why, wide**2, imprecise=True)


def _unmoved(positions: Array, found: _Evidence) -> _Refusal | None:
    """Return why D is not told if the ions move less far than it says; None if they move as far.

    In a run shorter than a few vibrations all modes are those of vibrations and flights, whose powers have no
    plateau to see. But the mean-square displacement over half of the run, 2 d D t where ions diffuse and more
    where they rattle beside, is then far too small. Its relative variance is 4 / 3 N d for N ions, d directions.
    """
    half, ions, directions = len(positions) // 2, positions.shape[1], positions.shape[2]
    share = _moved(positions, half) / max(found.quantile(0.5) * directions * half, 1e-300)
    if share >= LEAST_MOVED * (1 - 2 * math.sqrt(4 / (3 * ions * directions))):
        return None
    return _Refusal(
        "the ions move less far than they would if they diffused: the run shows no more than flights", 4.0
    )


def _flying(positions: Array) -> _Refusal | None:
    """Return why D is not told if the run is no longer than flights; None if it is.

    While ions fly, their mean-square displacement grows fourfold when the time doubles. If it does so, nearly, up
    to a sixteenth of the run, the turns that make a walk of it are too few to be counted.
    """
    lag, longest = 1, max(len(positions) // FEWEST_TURNS, 1)
    before = _moved(positions, lag)
    while lag <= longest:
        after = _moved(positions, 2 * lag)
        if after < FLIGHT * before:
            return None
        lag, before = 2 * lag, after
    return _Refusal("the ions fly on as they did when the run began: the run shows no more than flights", 4.0)


def _moved(positions: Array, lag: int) -> float:
    """Return the mean-square displacement over `lag` frames from at most 256 origins, Å²."""
    origins = np.linspace(0, len(positions) - lag - 1, min(len(positions) - lag, 256)).astype(int)
    moved = np.asarray(positions[origins + lag], dtype=float) - positions[origins]
    return float((moved**2).sum(axis=2).mean())


def _evidence(positions: Array, spectrum: DisplacementSpectrum, workers: int) -> _Evidence:
    """Return the posterior of 2 D δ: if ions move independently, in groups and by turns, by their odds."""
    long_time, phi = limit(spectrum), mode_dispersion(spectrum)
    scatter = dispersion(positions, spectrum, long_time.influence, phi, workers)
    noise = shape_noise(dispersion(positions, spectrum, long_time.unseen, phi, workers))
    band = max(_band(spectrum, long_time, scatter), noise)
    if band > BANDED:
        long_time = limit(spectrum, band)
        scatter = dispersion(positions, spectrum, long_time.influence, phi, workers)
    else:
        band = 1.0
    if scatter.probability_of_groups > UNLIKELY:
        grouped = limit(spectrum, scatter.group_size * band)
        scatter = dispersion(positions, spectrum, grouped.influence, phi, workers)
    alone = 1 - scatter.probability_of_groups - scatter.probability_of_turns
    parts = [(alone, long_time, scatter.independent, 1.0)]
    if scatter.probability_of_turns > UNLIKELY:
        parts.append((scatter.probability_of_turns, long_time, scatter.in_turns, 1.0))
    if scatter.probability_of_groups > UNLIKELY:
        parts.append((scatter.probability_of_groups, grouped, scatter.independent, scatter.group_size))
        long_time = grouped if scatter.probability_of_groups > 0.5 else long_time
    # what the posterior of banded powers holds already is not added again
    draws = [
        _widened(limit_, np.maximum((1 + excess) / band - 1, 0.0), scatter.normal * size * band)
        for _, limit_, excess, size in parts
    ]
    weights = [np.full(len(values), part[0]) for values, part in zip(draws, parts, strict=True)]
    excess = _variance(long_time, scatter.normal) * float(np.median(scatter.independent))
    hops = float(phi[0]) / (spectrum.ions * max(excess, 1e-300))
    return _Evidence(np.concatenate(draws), np.concatenate(weights), long_time, scatter, min(hops, spectrum.modes))


def _band(spectrum: DisplacementSpectrum, long_time: Limit, scatter: Dispersion) -> float:
    """Return κ = Σ_k ⟨m̂(k)²⟩/⟨m⟩² ≥ 1, the number of neighbouring modes whose powers count as one.

    Where the mobility m(t) of an ion fluctuates slowly, the powers of modes p and q have the covariance 2 m̂(p−q)²:
    a wide bin of them knows κ times less than its modes. The relative power of m at frequency k > 0 is what
    `dispersion` finds to fall there, in units of the relative variance of one normal walker. It takes ions for
    independent: 1 where they are more probably in groups.
    """
    if scatter.probability_of_groups > 0.5:
        return 1.0
    one = spectrum.ions * scatter.normal / max(long_time.mean, 1e-300) ** 2
    return 1 + one * scatter.banded


def _variance(long_time: Limit, normal: float) -> float:
    """Return the variance of ln D of normal walkers: that of small changes, or of the posterior if it is less."""
    low, high = np.log(np.maximum(long_time.quantiles(ONE_SIGMA), 1e-300))
    return float(min(((high - low) / 2) ** 2, normal / max(long_time.mean, 1e-300) ** 2))


def _widened(long_time: Limit, excess: Array, normal: float) -> Array:
    """Return equally likely values of 2 D δ.

    To the variance of ln D that `long_time` has, `excess` (quantiles) times that of normal walkers is added.
    """
    middle = long_time.quantiles(FINE_LEVELS)
    added = np.minimum(excess * _variance(long_time, normal), 1.0)
    moved = np.sort((np.sqrt(added)[:, None] * stats.norm.ppf(LEVELS)).ravel())
    factors = np.exp(np.interp(LEVELS, (np.arange(len(moved)) + 0.5) / len(moved), moved))
    return np.asarray((middle[:, None] * factors).ravel())


def _tensor(spectrum: DisplacementSpectrum, long_time: Limit) -> Array:
    """Return the diffusion tensor over its mean, (d, d), from the modes slower than the relaxations."""
    slow = spectrum.modes / (2 * long_time.transient) if long_time.transient else long_time.modes
    bins = max(int(np.searchsorted(spectrum.edges, min(max(slow, 8), long_time.modes), side="right")) - 1, 1)
    widths = np.diff(spectrum.edges)[:bins]
    power = np.einsum("b,bij->ij", widths, spectrum.tensor[:bins])
    return np.asarray(power * spectrum.dimensions / np.trace(power))
