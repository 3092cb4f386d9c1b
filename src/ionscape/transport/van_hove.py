"""Van Hove functions: where an ion is, and where the others are, a time after it was at the origin."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ionscape.dynamics.trajectory import Chunk, Trajectory
from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.transport.frame_window import FrameWindow, PhasedFrames
from ionscape.transport.pair_grid import VoxelTable, Words, fold, grid_blur, grid_histogram, voxel_table, words
from ionscape.transport.pair_histograms import displacement_histogram, pair_histogram
from ionscape.transport.van_hove_settings import VanHoveSettings
from ionscape.units import (
    Array,
    Count,
    Indices,
    Length,
    LengthArray,
    NumberArray,
    Time,
    TimeArray,
    Unit,
)

#: Blocks of consecutive origins, and groups of ions, that are counted apart for the bootstrap.
TIME_BLOCKS, ION_GROUPS = 16, 8
#: Positions of ions that are gathered before they are counted.
BATCH = 5_000_000
#: Beside a grid, an ion and its own images are counted at one in so many of the origins of the other pairs.
OWN_THINNING = 32
CountArray = Annotated[NDArray[np.int64], Unit("1")]


@dataclass(frozen=True)
class VanHove:
    """Van Hove functions of a pair of species.

    G_self integrates to one, ∫ 4πr² G_self dr = 1; what lies beyond `edges` is missing from it. G_distinct is
    relative to the number density of the second species and tends to 1; at t = 0 it is g(r).

    Attributes
    ----------
    species
        First and second species; G_self is that of the first.
    times
        Times, fs, (n,).
    edges
        Edges of the distance bins, Å, (m + 1,).
    self_part
        G_self(r, t), Å⁻³, (n, m).
    distinct_part
        G_distinct(r, t) / ρ, (n, m).
    density
        Mean number density ρ of the second species, Å⁻³.
    ions
        Number of ions of both species.
    origins
        Number of time origins of every time, (n,).
    thinning
        m: each pair of ions took one origin in m (1: all).
    blur
        Standard deviation of counted from true distances at the farthest distance, Å; 0 for an exact count.
    self_counts
        Displacements by block of origins and group of ions, (blocks, groups, n, m + 1); the last column holds
        those beyond `edges`.
    distinct_counts
        Distances by block of origins, (blocks, 1, n, m + 1); the last column holds the (pair, origin) samples.
    """

    species: tuple[str, str]
    times: TimeArray
    edges: LengthArray
    self_part: Annotated[Array, Unit("Å⁻³")]
    distinct_part: NumberArray
    density: Annotated[float, Unit("Å⁻³")]
    ions: Annotated[tuple[int, int], Unit("1")]
    origins: CountArray
    thinning: Count
    blur: Length
    self_counts: CountArray = field(repr=False, metadata={"internal": True})
    distinct_counts: NumberArray = field(repr=False, metadata={"internal": True})

    @property
    def distances(self) -> Array:
        """Centres of the distance bins, Å."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def shells(self) -> Array:
        """Volumes of the distance bins, Å³."""
        return 4 * np.pi / 3 * np.diff(self.edges**3)


def self_weights(counts: CountArray) -> Array:
    """Return the fraction of displacements in each bin, (n, m), from counts (n, m + 1)."""
    return counts[:, :-1] / np.maximum(counts.sum(axis=1), 1)[:, None]


def distinct_ratios(counts: Array, shells: Array, per_volume: float) -> Array:
    """Return counts over what independent, uniform ions would give, (n, m), from counts (n, m + 1).

    `per_volume` is the mean of 1/V, Å⁻³.
    """
    return counts[:, :-1] / (np.maximum(counts[:, -1], 1)[:, None] * shells * per_volume)


@dataclass(frozen=True)
class _Prepared:
    """Frames as the kernels read them; without a grid all pairs are counted exactly."""

    phased: PhasedFrames
    table: VoxelTable | None
    words: tuple[Words, Words] | None


class VanHoveCounter:
    """Counts displacements and pair distances of a trajectory that comes in chunks, in bounded memory.

    It holds the positions of both species over the longest time and one chunk.

    Parameters
    ----------
    indices
        Atoms of the first and of the second species; the same array twice for one species.
    settings
        Times, distances, thinning.
    frames
        Number of frames to come, if known: it sets the blocks of origins, and short runs are counted exactly.
    """

    def __init__(self, indices: tuple[Indices, Indices], settings: VanHoveSettings, frames: int = 0) -> None:
        self._indices, self._settings = indices, settings
        self.lags = settings.lag_frames()
        pairs = len(indices[0]) * len(indices[1])
        self.thinning = settings.thinning(pairs, frames)
        self._exact = settings.method == "images" or settings.is_small(pairs, frames)
        shape = (len(self.lags), len(settings.edges()))
        groups = min(ION_GROUPS, len(indices[0]))
        self.counts = np.zeros((TIME_BLOCKS, groups, *shape), np.int64), np.zeros((TIME_BLOCKS, 1, *shape))
        self.blur = 0.0
        self._table: VoxelTable | None = None
        self.frames, self._inverse_volumes = 0, 0.0
        self._block = self.thinning * max(32, -(-frames // (TIME_BLOCKS * self.thinning)))
        self._begin = 0  # first origin that is not yet counted
        self._held: list[FrameWindow] = []

    def add(self, chunk: Chunk) -> None:
        """Count what the frames of `chunk`, which follow those before, complete."""
        self._held.append(FrameWindow.of(chunk, self._indices, self._held[-1] if self._held else None))
        self.frames += len(chunk.positions)
        self._inverse_volumes += float(np.sum(1 / np.abs(np.linalg.det(chunk.cells))))
        ready = self.frames - int(self.lags[-1]) - self._begin
        batch = BATCH // len(np.union1d(*self._indices))
        if ready >= max(self._settings.longest_lag, batch, 16 * self.thinning):
            self._count(self._begin + ready // self.thinning * self.thinning)

    def finish(self, species: tuple[str, str], frame_interval: Time) -> VanHove:
        """Count the last origins, which see only some of the times, and return the functions.

        Raises
        ------
        InputError
            If there are fewer than two frames, or the longest time is not reached.
        """
        if self.frames <= self.lags[-1]:
            raise InputError(
                f"{self.frames} frames and a longest time of {self.lags[-1]} frames",
                where="van Hove functions",
                expected="a longest time shorter than the trajectory",
                remedy="Lower longest_lag, or give a longer trajectory.",
            )
        self._count(self.frames)
        return self._result(species, frame_interval)

    def _result(self, species: tuple[str, str], frame_interval: Time) -> VanHove:
        edges, per_volume = self._settings.edges(), self._inverse_volumes / self.frames
        shells = 4 * np.pi / 3 * np.diff(edges**3)
        whole = [counts.sum(axis=(0, 1)) for counts in self.counts]
        for counts in self.counts:
            counts.setflags(write=False)
        return VanHove(
            species=species,
            times=frozen(self.lags.astype(float) * frame_interval),
            edges=frozen(edges),
            self_part=frozen(self_weights(whole[0]) / shells),
            distinct_part=frozen(distinct_ratios(whole[1], shells, per_volume)),
            density=len(self._indices[1]) * per_volume,
            ions=(len(self._indices[0]), len(self._indices[1])),
            origins=self.frames - self.lags,
            thinning=self.thinning,
            blur=self.blur,
            self_counts=self.counts[0],
            distinct_counts=self.counts[1],
        )

    def _count(self, end: int) -> None:
        """Count the origins up to `end`, block by block, and drop the frames that are no longer needed."""
        held = FrameWindow.joined(self._held)
        while end > TIME_BLOCKS * self._block:
            for counts in self.counts:
                counts[: TIME_BLOCKS // 2] = counts[::2] + counts[1::2]
                counts[TIME_BLOCKS // 2 :] = 0
            self._block *= 2
        first, last = self._begin // self._block, (end - 1) // self._block
        spans = [
            (max(self._begin, k * self._block) - held.first, min(end, (k + 1) * self._block) - held.first)
            for k in range(first, last + 1)
        ]
        frames = self._prepared(held)
        with ThreadPoolExecutor(self._settings.threads) as pool:
            tasks = [pool.submit(self._count_lag, frames, spans, first, k) for k in range(len(self.lags))]
            for task in tasks:
                task.result()
        self._begin = end
        self._held = [held.after(end)]

    def _prepared(self, held: FrameWindow) -> _Prepared:
        """Return the frames laid out for the kernels, with a grid unless they are counted exactly."""
        edges, settings = self._settings.edges(), self._settings
        if not self._exact:
            blur = grid_blur(held.cells, float(edges[-1]))
            if blur <= (settings.bin_width if settings.method == "auto" else edges[-1]):
                cell = held.cells.mean(axis=0)
                if self._table is None or not self._table.serves(cell, 0.1 * settings.bin_width, edges[-1]):
                    self._table = voxel_table(cell, edges)
                self.blur = max(self.blur, blur)
                # an ion and its own images: few pairs, counted exactly, at fewer origins
                own = held.phases(OWN_THINNING * self.thinning)
                return _Prepared(own, self._table, words(held, self._table, self.thinning))
        return _Prepared(held.phases(self.thinning), None, None)

    def _count_lag(self, frames: _Prepared, spans: list[tuple[int, int]], first: int, k: int) -> None:
        """Count one lag from the origins in `spans`, which are blocks `first` and the following."""
        lag, counts = int(self.lags[k]), self.counts[1][first : first + len(spans), 0, k]
        end = len(frames.phased.cells) - lag
        spans = [(start, max(start, min(stop, end))) for start, stop in spans]
        for block, span in enumerate(spans, start=first):
            displacement_histogram(
                frames.phased.positions, lag, span, 1 / self._settings.bin_width, self.counts[0][block, :, k]
            )
        if frames.words is not None and frames.table is not None:
            self._count_on_grid((frames.words, frames.table), lag, spans, counts)
        same = np.array_equal(*self._indices)
        if frames.words is None or same:
            self._count_images(frames, lag, spans, counts)

    def _count_on_grid(
        self, grid: tuple[tuple[Words, Words], VoxelTable], lag: int, spans: list[tuple[int, int]], counts: Array
    ) -> None:
        ions, table = grid
        same = np.array_equal(*self._indices)
        voxels = np.zeros((len(spans), len(table.starts) - 1), np.int32)
        for block, span in enumerate(spans):
            counts[block, -1] += grid_histogram(ions, table.bits, lag, span, same, voxels[block])
        folded = np.zeros((counts.shape[1] - 1, len(spans)))
        fold(voxels, (table.starts, table.bins, table.weights), folded)
        counts[:, :-1] += folded.T

    def _count_images(self, frames: _Prepared, lag: int, spans: list[tuple[int, int]], counts: Array) -> None:
        """Count all pairs exactly, or beside a grid only those of an ion with its own images."""
        edges = self._settings.edges()
        same, on_grid = np.array_equal(*self._indices), frames.words is not None
        geometry = np.array([1 / self._settings.bin_width, edges[-1], 2.0 if on_grid else float(same)])
        for block, span in enumerate(spans):
            exact = np.zeros((1, len(edges)), np.int64)
            pair_histogram(frames.phased.fractional, frames.phased.cells, lag, span, geometry, exact)
            if not on_grid:
                counts[block] += exact[0]
            elif exact[0, -1]:  # for all that the other pairs' thinning leaves
                samples = len(self._indices[0]) * (span[1] - span[0]) / self.thinning
                counts[block] += exact[0] * (samples / exact[0, -1])


def van_hove(
    trajectory: Trajectory,
    species: tuple[str, str],
    settings: VanHoveSettings,
    frames: int = 0,
) -> VanHove:
    r"""Return the van Hove functions of a pair of species, from all time origins.

    .. math::
        G_\mathrm{self}(r, t) = \frac{1}{4πr²} ⟨ δ(r - |r_i(t_0 + t) - r_i(t_0)|) ⟩

        G_\mathrm{distinct}(r, t) = \frac{1}{4πr² ρ_b} ⟨ \sum_{(j, n) ≠ (i, 0)} δ(r - |r_{ij} + n·h|) ⟩

    ========  =====================================================================================
    r_i       unwrapped position of ion i of the first species, Å
    r_ij      separation of ion j of the second species at t0 + t from ion i at t0, Å: the difference of the
              fractional positions in the mean of the two frames' cells h
    n         whole numbers: all periodic images count, also those of ion i itself, in cells of any shape
    ρ_b       mean number density of the second species, 1/Å³
    ========  =====================================================================================

    A finite ideal gas of N ions has G_distinct = 1 − 1/N below the shortest lattice vector (an ion is not its own
    neighbour), the rest of the count lies at the lattice vectors.

    Parameters
    ----------
    trajectory
        The run, read once, in chunks.
    species
        Elements of the ion at the origin and of the others.
    settings
        Times and distances.
    frames
        Number of frames of the run, if known; short runs are then counted exactly.

    Raises
    ------
    InputError
        If a species is not in the run, or the longest time is not shorter than it.

    References
    ----------
    L. van Hove, Phys. Rev. 95, 249 (1954), doi:10.1103/PhysRev.95.249.
    """
    counter = VanHoveCounter(species_indices(trajectory.symbols, species), settings, frames)
    for chunk in trajectory.chunks():
        counter.add(chunk)
    return counter.finish(species, trajectory.frame_interval)


def species_indices(symbols: tuple[str, ...], species: tuple[str, str]) -> tuple[Indices, Indices]:
    """Return the atoms of both species.

    Raises
    ------
    InputError
        If there are none.
    """
    found = [np.flatnonzero(np.array(symbols) == name) for name in species]
    for name, rows in zip(species, found, strict=True):
        if not len(rows):
            raise InputError(
                f"no {name} among {', '.join(sorted(set(symbols)))}",
                where="species of the van Hove functions",
                expected="elements of the trajectory",
                remedy="Name two of its elements, or one twice.",
            )
    return found[0], found[1]
