"""Jumps of ions between sites: occupations, residence times, rates, hop diffusion and its correlation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from ionscape.dynamics.trajectory import Chunk, Trajectory
from ionscape.dynamics.unwrapping import reduced_basis
from ionscape.errors import InputError
from ionscape.results import Failure, frozen
from ionscape.transport.diffusion_sites import DiffusionSites
from ionscape.units import Array, Count, Indices, Length, Number, Time, Unit

#: Part of the shortest distance between sites up to which an ion is in the core of a site. Cores do not touch: on
#: its way an ion leaves one and has to come well into the other.
CORE = 0.35
#: Blocks of the run from whose scatter the errors come.
BLOCKS = 16
#: Å²/fs in cm²/s.
CM2_PER_S = 0.1

Whole = Annotated[NDArray[np.int64], Unit("1")]


@dataclass(frozen=True)
class Jumps:
    """All jumps of a run.

    Attributes
    ----------
    sites
        The sites.
    core
        Radius of the cores, Å.
    ions, frames
        Number of ions, and of frames.
    frame_interval
        Time between frames, fs.
    events
        Every jump: ion, frame of arrival, site left, site entered, and the lattice translation between them as
        three whole numbers, (n, 7), in the order of frames.
    stay
        Frames that all ions together spent at every site, the way to the next one included, (sites,).
    outside
        Share of the frames in which an ion was in no core.
    """

    sites: DiffusionSites
    core: Length
    ions: Count
    frames: Count
    frame_interval: Time
    events: Whole = field(repr=False, metadata={"internal": True})
    stay: Whole
    outside: Number

    @property
    def occupations(self) -> Array:
        """Mean number of ions at every site, (sites,)."""
        return np.asarray(self.stay / self.frames)

    @property
    def vectors(self) -> Array:
        """Vector of every jump in the mean cell, Å, (n, 3)."""
        s = self.sites.fractional
        return np.asarray((s[self.events[:, 3]] + self.events[:, 4:] - s[self.events[:, 2]]) @ self.sites.cell)


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
    tracker = _Tracker(indices, sites, core)
    for chunk in trajectory.chunks():
        tracker.add(chunk)
    events = np.concatenate([np.zeros((0, 7), np.int64), *tracker.events])
    events.setflags(write=False)
    tracker.stay.setflags(write=False)
    outside = tracker.outside / max(tracker.frames * len(indices), 1)
    return Jumps(
        sites, core, len(indices), tracker.frames, trajectory.frame_interval, events, tracker.stay, float(outside)
    )


class _Tracker:
    """Follows every ion from core to core, over chunks; in the reduced basis, where rounding finds near images."""

    def __init__(self, indices: Indices, sites: DiffusionSites, core: float) -> None:
        reduced = reduced_basis(np.ascontiguousarray(sites.cell))
        self._basis = np.rint(reduced @ np.linalg.inv(sites.cell))
        self._to_reduced = np.linalg.inv(self._basis)
        self._indices, self._setting = indices, (np.ascontiguousarray(sites.fractional @ self._to_reduced), core)
        self._state = np.full((len(indices), 4), -1, np.int64)  # site, image
        self._last: tuple[Array, Array] | None = None
        self.stay, self.outside, self.frames = np.zeros(len(sites.fractional), np.int64), 0, 0
        self.events: list[Indices] = []

    def add(self, chunk: Chunk) -> None:
        """Follow the ions through the frames of `chunk`."""
        cells = np.ascontiguousarray(self._basis @ chunk.cells)
        self._check(cells)
        events, outside = _follow(
            self._path(chunk, cells), cells, self._setting, (self._state, self.stay), self.frames
        )
        events[:, 4:] = np.rint(events[:, 4:] @ self._basis)
        self.events.append(events)
        self.outside += outside
        self.frames += len(cells)

    def _path(self, chunk: Chunk, cells: Array) -> Array:
        """Return fractional positions in images that follow each other; the unwrapped displacements tell which."""
        place = np.asarray(chunk.folded(), dtype=float)[:, self._indices] @ self._to_reduced
        unwrapped = np.asarray(chunk.positions, dtype=float)[:, self._indices]
        before = (place[0], unwrapped[0]) if self._last is None else self._last
        steps = np.diff(place, axis=0, prepend=before[0][None])
        moved = np.diff(unwrapped, axis=0, prepend=before[1][None]) @ np.linalg.inv(cells)
        path = place - np.cumsum(np.rint(steps - moved), axis=0)
        self._last = path[-1], unwrapped[-1]
        return np.ascontiguousarray(path)

    def _check(self, cells: Array) -> None:
        smallest = float(1 / np.linalg.norm(np.linalg.inv(cells), axis=1).max())
        if self._setting[1] > smallest / 2:
            raise InputError(
                f"cores of {self._setting[1]:.2f} Å in a cell with lattice planes {smallest:.2f} Å apart",
                where="jumps",
                expected="cores smaller than half the distance of the lattice planes",
                remedy="Take a smaller core.",
            )


@njit(cache=True)
def _follow(path, cells, setting, state, first):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the jumps in a chunk, and the number of positions outside all cores; update the states."""
    sites, core = setting
    current, stay = state
    events = np.empty((path.shape[0] * path.shape[1], 7), np.int64)
    number, outside = 0, 0
    image = np.zeros(3, np.int64)
    for f in range(path.shape[0]):
        for i in range(path.shape[1]):
            here = _core_of(path[f, i], cells[f], sites, core, current[i, 0], image)
            old = current[i, 0]
            if here < 0:
                outside += 1
            elif here != old or np.any(image != current[i, 1:]):
                if old >= 0:
                    events[number, 0], events[number, 1] = i, first + f
                    events[number, 2], events[number, 3] = old, here
                    events[number, 4:] = image - current[i, 1:]
                    number += 1
                current[i, 0] = here
                current[i, 1:] = image
            if current[i, 0] >= 0:
                stay[current[i, 0]] += 1
    return events[:number].copy(), outside


@njit(cache=True)
def _core_of(s, cell, sites, core, guess, image):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the site in whose core s lies, −1: none, and write its image; `guess` is tried first.

    The nearest image by rounding is the right one within half the distance of the lattice planes.
    """
    for k in range(-1, len(sites)):
        site = guess if k < 0 else k
        if site < 0:
            continue
        x, y, z = s[0] - sites[site, 0], s[1] - sites[site, 1], s[2] - sites[site, 2]
        a, b, c = np.rint(x), np.rint(y), np.rint(z)
        x, y, z = x - a, y - b, z - c
        square = 0.0
        for d in range(3):
            square += (x * cell[0, d] + y * cell[1, d] + z * cell[2, d]) ** 2
        if square <= core * core:
            image[0], image[1], image[2] = int(a), int(b), int(c)
            return site
    return -1


def residence_time(jumps: Jumps, site: int | None = None) -> ResidenceTime | Failure:
    """Return the mean time between jumps, of all sites or of one, with its interval.

    Time at the site over the number of jumps that left it, so that stays which the run cuts off count as they
    should. The interval is exact for a constant rate; jumps in groups make it too narrow.
    """
    rate = _rate(jumps, slice(None) if site is None else jumps.events[:, 2] == site, site)
    time = (jumps.stay.sum() if site is None else jumps.stay[site]) * jumps.frame_interval
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
    edges, index, counts = np.unique(jumps.events[:, 2:], axis=0, return_index=True, return_counts=True)
    lengths = np.linalg.norm(jumps.vectors[index], axis=1)
    network = []
    for k in np.argsort(-counts, kind="stable"):
        start, end, *translation = (int(v) for v in edges[k])
        rate = _rate(jumps, np.all(jumps.events[:, 2:] == edges[k], axis=1), start)
        cell = (translation[0], translation[1], translation[2])
        network.append(Connection(start, end, cell, float(lengths[k]), rate))
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
    squares, frames = np.sum(jumps.vectors**2, axis=1), jumps.events[:, 1]
    edges = np.linspace(0, jumps.frames, BLOCKS + 1)
    blocks = np.histogram(frames, edges, weights=squares)[0]
    if np.count_nonzero(blocks) < 2:
        return Failure(f"{len(squares)} jumps in {jumps.frames} frames: too few for a diffusion coefficient")
    time = jumps.frames * jumps.frame_interval
    scale = CM2_PER_S / (2 * jumps.ions * time)
    value = float(blocks.sum()) * scale / dimensions
    half = float(stats.t.ppf(0.975, BLOCKS - 1) * blocks.std(ddof=1) * np.sqrt(BLOCKS)) * scale / dimensions
    tensor = frozen(jumps.vectors.T @ jumps.vectors * scale)
    return HopDiffusion(value, max(value - half, 0.0), value + half, tensor, _mean_cosine(jumps))


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


def _mean_cosine(jumps: Jumps) -> float | Failure:
    order = np.lexsort((jumps.events[:, 1], jumps.events[:, 0]))
    unit = jumps.vectors[order] / np.linalg.norm(jumps.vectors[order], axis=1)[:, None]
    same = jumps.events[order[1:], 0] == jumps.events[order[:-1], 0]
    if not same.any():
        return Failure("no ion jumped twice")
    return float(np.sum(unit[1:] * unit[:-1], axis=1)[same].mean())


def _rate(jumps: Jumps, which: Array | slice, site: int | None) -> Rate:
    """Return the rate of the events `which` per time at the site they leave (None: at any)."""
    count = len(jumps.events[which])
    time = float(jumps.stay.sum() if site is None else jumps.stay[site]) * jumps.frame_interval
    if time == 0:
        return Rate(0, 0.0, 0.0, float(np.finfo(float).max))
    low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = stats.chi2.ppf(0.975, 2 * count + 2) / 2
    return Rate(count, count / time, float(low / time), float(high / time))
