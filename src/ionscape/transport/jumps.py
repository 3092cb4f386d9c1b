"""Jumps of ions between sites: occupations, residence times, rates, hop diffusion and its correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ionscape.dynamics.trajectory import Trajectory
from ionscape.errors import InputError
from ionscape.results import Failure, frozen
from ionscape.transport.diffusion_sites import DiffusionSites
from ionscape.transport.jump_tracking import Jumps, JumpTracker
from ionscape.units import Array, Count, Length, Number, Time, Unit

#: Part of the shortest distance between sites up to which an ion is in the core of a site. Cores do not touch: on
#: its way an ion leaves one and has to come well into the other.
CORE = 0.35
#: Blocks of the run from whose scatter the errors come.
BLOCKS = 16
#: Å²/fs in cm²/s.
CM2_PER_S = 0.1


@dataclass(frozen=True)
class Rate:
    """A rate with its 95 % interval, of events that are independent at a constant rate (Poisson, exact).

    Attributes
    ----------
    count
        Number of jumps.
    value, low, high
        Jumps per time at the site left, 1/fs.
    """

    count: Count
    value: Annotated[float, Unit("1/fs")]
    low: Annotated[float, Unit("1/fs")]
    high: Annotated[float, Unit("1/fs")]


@dataclass(frozen=True)
class ResidenceTime:
    """Mean time at a site between two jumps with its 95 % interval, fs: the inverse of the rate of leaving."""

    value: Time
    low: Time
    high: Time


@dataclass(frozen=True)
class Connection:
    """One edge of the jump network.

    Attributes
    ----------
    start, end
        Sites.
    translation
        Lattice translation of the end.
    distance
        Length of the jump, Å.
    rate
        Rate of the jumps from start to end.
    """

    start: Count
    end: Count
    translation: tuple[int, int, int]
    distance: Length
    rate: Rate


@dataclass(frozen=True)
class HopDiffusion:
    """Diffusion coefficient of uncorrelated jumps, and how correlated they were.

    Attributes
    ----------
    value, low, high
        D_hop, cm²/s, with the 95 % interval from the scatter of blocks of the run.
    tensor
        D_hop per direction, cm²/s, (3, 3).
    mean_cosine
        Mean cosine of the angle between successive jumps of an ion: −1 for jumps there and back, 0 uncorrelated.
    """

    value: Annotated[float, Unit("cm²/s")]
    low: Annotated[float, Unit("cm²/s")]
    high: Annotated[float, Unit("cm²/s")]
    tensor: Annotated[Array, Unit("cm²/s")]
    mean_cosine: Number | Failure


def find_jumps(trajectory: Trajectory, species: str, sites: DiffusionSites, core: Length | None = None) -> Jumps:
    """Return the jumps of the ions of `species` between `sites`.

    An ion belongs to the site whose core it was in last. It jumps when it enters the core of another site, or of
    another image of its own; crossing the boundary between two sites any number of times is no jump.

    Parameters
    ----------
    trajectory
        The run, read once, in chunks, the drift of the host taken out.
    species
        Element of the mobile ions.
    sites
        The sites, in the mean cell; they follow the cells of the frames.
    core
        Radius of the cores, Å; None: 0.35 times the shortest distance between sites.

    Raises
    ------
    InputError
        If there are no such ions, cores overlap, or are larger than half the cell.
    """
    indices = np.flatnonzero(np.array(trajectory.symbols) == species)
    if not len(indices):
        raise InputError(
            f"no {species} among {', '.join(sorted(set(trajectory.symbols)))}",
            where="jumps",
            expected="an element of the trajectory",
            remedy="Name the mobile element.",
        )
    core = CORE * sites.separation if core is None else core
    if not 0 < core <= sites.separation / 2:
        raise InputError(
            f"cores of {core:.2f} Å around sites {sites.separation:.2f} Å apart",
            where="jumps",
            expected="cores that do not overlap",
            remedy="Take a smaller core, or merge sites.",
        )
    tracker = JumpTracker(indices, sites, core)
    for chunk in trajectory.chunks():
        tracker.add(chunk)
    return tracker.finish(trajectory.frame_interval)


def residence_time(jumps: Jumps, site: int | None = None) -> ResidenceTime | Failure:
    """Return the mean time between jumps, of all sites or of one, with its interval.

    Time at the site over the number of jumps that left it, so that stays which the run cuts off count as they
    should. The interval is exact for a constant rate; jumps in groups make it too narrow.
    """
    count = jumps.total if site is None else int(jumps.counts[jumps.edges[:, 0] == site].sum())
    time = float(jumps.stay.sum() if site is None else jumps.stay[site]) * jumps.frame_interval
    rate = _rates(np.array([count]), np.array([time]))[0]
    if rate.count == 0:
        return Failure(
            f"no jumps in {time / 1000:.4g} ps of stay: the residence time is above {1e-3 / rate.high:.4g} ps"
            if time
            else "the site was never occupied"
        )
    return ResidenceTime(1 / rate.value, 1 / rate.high, 1 / rate.low)


def jump_network(jumps: Jumps) -> tuple[Connection, ...]:
    """Return the edges of the jump network with their rates, most frequent first.

    The rate is per ion at the site that it leaves.
    """
    lengths = np.linalg.norm(jumps.vectors, axis=1)
    rates = _rates(jumps.counts, np.asarray(jumps.stay[jumps.edges[:, 0]] * jumps.frame_interval, dtype=float))
    network = []
    for k in np.argsort(-jumps.counts, kind="stable"):
        start, end, *translation = (int(v) for v in jumps.edges[k])
        cell = (translation[0], translation[1], translation[2])
        network.append(Connection(start, end, cell, float(lengths[k]), rates[k]))
    return tuple(network)


def hop_diffusion(jumps: Jumps, dimensions: Count = 3) -> HopDiffusion | Failure:
    r"""Return the diffusion coefficient that the jumps would give without correlation.

    .. math:: D_\mathrm{hop} = \frac{1}{2d} \frac{\sum_k |v_k|^2}{N T}

    ========  =====================================
    v_k       vector of jump k in the mean cell, Å
    N, T      number of ions, length of the run
    d         dimensions
    ========  =====================================

    The correlation factor is f = D_tracer / D_hop, with D_tracer from the mean-squared displacement.

    Returns
    -------
    HopDiffusion or Failure
        A failure if there are fewer than two blocks of the run with jumps.
    """
    edges = np.linspace(0, jumps.frames, BLOCKS + 1)
    blocks = np.histogram(np.arange(jumps.frames), edges, weights=jumps.squares)[0]
    if np.count_nonzero(blocks) < 2:
        return Failure(f"{jumps.total} jumps in {jumps.frames} frames: too few for a diffusion coefficient")
    time = jumps.frames * jumps.frame_interval
    scale = CM2_PER_S / (2 * jumps.ions * time)
    value = float(blocks.sum()) * scale / dimensions
    half = float(stats.t.ppf(0.975, BLOCKS - 1) * blocks.std(ddof=1) * np.sqrt(BLOCKS)) * scale / dimensions
    vectors = jumps.vectors
    tensor = frozen((vectors * jumps.counts[:, None]).T @ vectors * scale)
    cosine = jumps.cosines[0] / jumps.cosines[1] if jumps.cosines[1] else Failure("no ion jumped twice")
    return HopDiffusion(value, max(value - half, 0.0), value + half, tensor, cosine)


def correlation_factor(hop: HopDiffusion, tracer: tuple[float, float, float]) -> tuple[Number, Number, Number]:
    """Return f = D_tracer / D_hop and the ends of its interval.

    Parameters
    ----------
    hop
        Diffusion of the jumps.
    tracer
        Tracer diffusion coefficient from displacements and the ends of its 95 % interval, cm²/s. Both intervals
        are taken as independent, on the logarithm; both come from the same run, so that the result is wide
        rather than narrow.
    """
    value, low, high = tracer
    spread = [
        np.hypot(np.log(one / value), np.log(other / hop.value))
        for one, other in ((low, hop.high), (high, max(hop.low, 1e-12 * hop.value)))
    ]
    f = value / hop.value
    return f, float(f * np.exp(-spread[0])), float(f * np.exp(spread[1]))


def _rates(counts: NDArray[np.int64], times: Array) -> list[Rate]:
    """Return the rates of `counts` jumps in `times` fs at the sites that they leave."""
    low = np.where(counts > 0, stats.chi2.ppf(0.025, np.maximum(2 * counts, 1)) / 2, 0.0)
    high = stats.chi2.ppf(0.975, 2 * counts + 2) / 2
    return [
        Rate(int(n), float(n / t), float(a / t), float(b / t))
        if t
        else Rate(0, 0.0, 0.0, float(np.finfo(float).max))
        for n, t, a, b in zip(counts, times, low, high, strict=True)
    ]
