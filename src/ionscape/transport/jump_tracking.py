"""Follows ions from site to site along a run, and sums up their jumps.

What is held grows with the paths between sites and with the frames, not with the jumps, of which a long run of
many ions has more than fit into memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ionscape.dynamics.trajectory import Chunk
from ionscape.dynamics.unwrapping import reduced_basis
from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.transport.diffusion_sites import DiffusionSites
from ionscape.units import AreaArray, Array, Count, Indices, Length, Number, Time, Unit

#: Boxes along every lattice vector in which cores are looked up, at most.
MOST_BOXES = 128

Whole = Annotated[NDArray[np.int64], Unit("1")]


@dataclass(frozen=True)
class Jumps:
    """The jumps of a run, summed up by path.

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
    edges
        The paths along which ions jumped: site left, site entered, and the lattice translation between them as
        three whole numbers, (n, 5), in ascending order.
    counts
        Jumps along each of them, (n,).
    squares
        Sum of the squared lengths of the jumps that arrived in every frame, Å², (frames,).
    cosines
        Cosines of the angle between successive jumps of an ion: their sum, and their number.
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
    edges: Whole = field(repr=False, metadata={"internal": True})
    counts: Whole = field(repr=False, metadata={"internal": True})
    squares: AreaArray = field(repr=False, metadata={"internal": True})
    cosines: Annotated[tuple[float, int], Unit("1")] = field(repr=False, metadata={"internal": True})
    stay: Whole
    outside: Number

    @property
    def total(self) -> int:
        """Number of jumps."""
        return int(self.counts.sum())

    @property
    def occupations(self) -> Array:
        """Mean number of ions at every site, (sites,)."""
        return np.asarray(self.stay / self.frames)

    @property
    def vectors(self) -> Array:
        """Vector of every path in the mean cell, Å, (n, 3)."""
        return edge_vectors(self.sites, self.edges)


def edge_vectors(sites: DiffusionSites, edges: Indices) -> Array:
    """Return the vectors of paths between sites, (n, 5) as in `Jumps`, in the mean cell, Å, (n, 3)."""
    s = sites.fractional
    return np.asarray((s[edges[:, 1]] + edges[:, 2:] - s[edges[:, 0]]) @ sites.cell)


class JumpTracker:
    """Follows every ion from core to core, over chunks; in the reduced basis, where rounding finds near images.

    Parameters
    ----------
    indices
        The mobile atoms.
    sites
        The sites, in the mean cell; they follow the cells of the frames.
    core
        Radius of the cores, Å.
    """

    def __init__(self, indices: Indices, sites: DiffusionSites, core: Length) -> None:
        reduced = reduced_basis(np.ascontiguousarray(sites.cell))
        self._basis = np.rint(reduced @ np.linalg.inv(sites.cell))
        self._to_reduced = np.linalg.inv(self._basis)
        self._indices, self._sites, self._core = indices, sites, core
        self._places = np.ascontiguousarray(sites.fractional @ self._to_reduced)
        self._state = np.full((len(indices), 4), -1, np.int64)  # site, image
        self._last: tuple[Array, Array] | None = None
        self._stay, self._outside, self._frames = np.zeros(len(sites.fractional), np.int64), 0, 0
        self._counts: dict[tuple[int, ...], int] = {}
        self._squares: list[Array] = []
        self._directions = np.full((len(indices), 3), np.nan)  # of the last jump of every ion
        self._cosines, self._pairs = 0.0, 0

    def add(self, chunk: Chunk) -> None:
        """Follow the ions through the frames of `chunk`.

        Raises
        ------
        InputError
            If the cores are larger than half the cell.
        """
        cells = np.ascontiguousarray(self._basis @ chunk.cells)
        spacings = (1 / np.linalg.norm(np.linalg.inv(cells), axis=1)).min(axis=0)
        self._check(float(spacings.min()))
        setting = self._places, self._core, core_boxes(self._places, spacings / self._core)
        path = self._path(chunk, cells)
        events, outside = _follow(path, cells, setting, (self._state, self._stay))
        events[:, 4:] = np.rint(events[:, 4:] @ self._basis)
        self._sum_up(events, len(cells))
        self._outside += outside
        self._frames += len(cells)

    def finish(self, frame_interval: Time) -> Jumps:
        """Return the jumps of all frames, `frame_interval` fs apart."""
        edges = np.array(sorted(self._counts), dtype=np.int64).reshape(-1, 5)
        counts = np.array([self._counts[edge] for edge in sorted(self._counts)], dtype=np.int64)
        for values in (edges, counts, self._stay):
            values.setflags(write=False)
        return Jumps(
            sites=self._sites,
            core=self._core,
            ions=len(self._indices),
            frames=self._frames,
            frame_interval=frame_interval,
            edges=edges,
            counts=counts,
            squares=frozen(np.concatenate([np.zeros(0), *self._squares])),
            cosines=(self._cosines, self._pairs),
            stay=self._stay,
            outside=self._outside / max(self._frames * len(self._indices), 1),
        )

    def _sum_up(self, events: Indices, frames: int) -> None:
        """Add jumps (ion, frame of the chunk, then as `Jumps.edges`), in the order of frames."""
        vectors = edge_vectors(self._sites, events[:, 2:])
        squares = np.bincount(events[:, 1], weights=(vectors**2).sum(axis=1), minlength=frames)
        self._squares.append(squares.astype(float))
        edges, counts = np.unique(events[:, 2:], axis=0, return_counts=True)
        for edge, count in zip(map(tuple, edges.tolist()), counts.tolist(), strict=True):
            self._counts[edge] = self._counts.get(edge, 0) + count
        order = np.argsort(events[:, 0], kind="stable")
        ion, unit = events[order, 0], (vectors / np.linalg.norm(vectors, axis=1)[:, None])[order]
        first = np.append(True, ion[1:] != ion[:-1])[: len(ion)]
        before = np.where(first[:, None], self._directions[ion], np.roll(unit, 1, axis=0))
        cosines = (before * unit).sum(axis=1)
        self._cosines += float(np.nansum(cosines))
        self._pairs += int(np.count_nonzero(~np.isnan(cosines)))
        self._directions[ion] = unit  # of several jumps the last stays

    def _path(self, chunk: Chunk, cells: Array) -> Array:
        """Return fractional positions in images that follow each other; the unwrapped displacements tell which."""
        place = np.asarray(chunk.folded(), dtype=float)[:, self._indices] @ self._to_reduced
        unwrapped = np.asarray(chunk.positions, dtype=float)[:, self._indices]
        before = (place[0], unwrapped[0]) if self._last is None else self._last
        steps = np.diff(place, axis=0, prepend=before[0][None])
        moved = np.diff(unwrapped, axis=0, prepend=before[1][None]) @ np.linalg.inv(cells)
        path = place - np.cumsum(np.rint(steps - moved), axis=0)
        self._last = path[-1].copy(), unwrapped[-1].copy()
        return np.ascontiguousarray(path)

    def _check(self, smallest: Length) -> None:
        if self._core > smallest / 2:
            raise InputError(
                f"cores of {self._core:.2f} Å in a cell with lattice planes {smallest:.2f} Å apart",
                where="jumps",
                expected="cores smaller than half the distance of the lattice planes",
                remedy="Take a smaller core.",
            )


def core_boxes(places: Array, widths: Array) -> tuple[Indices, Indices, Indices]:
    """Return sites sorted into boxes: boxes along each axis (3,), first entry of every box, and the sites.

    Parameters
    ----------
    places
        Fractional positions, (sites, 3).
    widths
        Distances of the lattice planes over the radius of the cores, (3,): boxes are no narrower than a core, so
        that the core of a position lies in its own box or one beside.
    """
    number = np.clip(np.floor(widths), 1, MOST_BOXES).astype(np.int64)
    box = (np.floor(np.mod(places, 1.0) * number).astype(np.int64)) % number
    flat = np.asarray(np.ravel_multi_index((box[:, 0], box[:, 1], box[:, 2]), tuple(number)), dtype=np.int64)
    starts = np.searchsorted(np.sort(flat), np.arange(int(number.prod()) + 1))
    return number, starts, np.argsort(flat, kind="stable")


@njit(cache=True)
def _follow(path, cells, setting, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the jumps in a chunk, and the number of positions outside all cores; update the states."""
    current, stay = state
    events = np.empty((1024, 7), np.int64)
    number, outside = 0, 0
    image = np.zeros(3, np.int64)
    for f in range(path.shape[0]):
        for i in range(path.shape[1]):
            here = _core_of(path[f, i], cells[f], setting, current[i, 0], image)
            old = current[i, 0]
            if here < 0:
                outside += 1
            elif here != old or np.any(image != current[i, 1:]):
                if old >= 0:
                    if number == len(events):
                        events = np.concatenate((events, np.empty_like(events)))
                    events[number, 0], events[number, 1] = i, f
                    events[number, 2], events[number, 3] = old, here
                    events[number, 4:] = image - current[i, 1:]
                    number += 1
                current[i, 0] = here
                current[i, 1:] = image
            if current[i, 0] >= 0:
                stay[current[i, 0]] += 1
    return events[:number].copy(), outside


@njit(cache=True)
def _core_of(s, cell, setting, guess, image):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the site in whose core s lies, −1: none, and write its image; `guess` is tried first."""
    sites, core, (boxes, starts, members) = setting
    if guess >= 0 and _inside(s, sites[guess], cell, core, image):
        return guess
    first, count = np.empty(3, np.int64), np.empty(3, np.int64)
    for k in range(3):
        first[k] = int(np.floor((s[k] - np.floor(s[k])) * boxes[k])) - (1 if boxes[k] > 2 else 0)
        count[k] = min(boxes[k], 3)
    for a in range(count[0]):
        for b in range(count[1]):
            for c in range(count[2]):
                x, y, z = (first[0] + a) % boxes[0], (first[1] + b) % boxes[1], (first[2] + c) % boxes[2]
                box = (x * boxes[1] + y) * boxes[2] + z
                for m in range(starts[box], starts[box + 1]):
                    if _inside(s, sites[members[m]], cell, core, image):
                        return members[m]
    return -1


@njit(cache=True)
def _inside(s, site, cell, core, image):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether s lies in the core of the nearest image of a site, and write which it is.

    The nearest image by rounding is the right one within half the distance of the lattice planes.
    """
    x, y, z = s[0] - site[0], s[1] - site[1], s[2] - site[2]
    a, b, c = np.rint(x), np.rint(y), np.rint(z)
    x, y, z = x - a, y - b, z - c
    square = 0.0
    for d in range(3):
        square += (x * cell[0, d] + y * cell[1, d] + z * cell[2, d]) ** 2
    if square > core * core:
        return False
    image[0], image[1], image[2] = int(a), int(b), int(c)
    return True
