"""Bottleneck edges: the distance between the two anions that a mobile ion passes on its way to the next site.

The edge of a path is spanned by the anion nearest to the path's middle and the nearest one across, seen from the
middle at more than a right angle from the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from ionscape.dynamics.trajectory import Trajectory
from ionscape.dynamics.unwrapping import reduced_basis
from ionscape.errors import InputError
from ionscape.transport.diffusion_sites import DiffusionSites
from ionscape.transport.jumps import Connection
from ionscape.transport.sampled_series import SampledSeries, sampled_series
from ionscape.units import Array, Count, FractionalArray


@dataclass(frozen=True)
class BottleneckEdges:
    """Edges that jumps cross, over the frames of a run.

    Attributes
    ----------
    edges
        One series for every path, Å.
    shortest
        The shortest edge of every frame, Å.
    average
        The mean over paths of every frame, Å.
    """

    edges: tuple[SampledSeries, ...]
    shortest: SampledSeries
    average: SampledSeries


def jump_middles(sites: DiffusionSites, network: Sequence[Connection]) -> FractionalArray:
    """Return the fractional middles of the paths of a jump network, each path once, (n, 3)."""
    s = sites.fractional
    ends = np.array([(one.start, one.end, *one.translation) for one in network], dtype=np.int64).reshape(-1, 5)
    middles = (s[ends[:, 0]] + s[ends[:, 1]] + ends[:, 2:]) / 2
    return np.unique(np.round(np.mod(middles, 1.0), 6) % 1.0, axis=0)


def neighbour_middles(sites: DiffusionSites, reach: float = 1.3) -> FractionalArray:
    """Return the fractional middles between sites up to `reach` times the shortest distance apart, (n, 3).

    For runs without jumps: the paths that there would be.
    """
    from pymatgen.core import Lattice

    s, middles = sites.fractional, []
    lattice = Lattice(sites.cell)
    for centre in s:
        near = lattice.get_points_in_sphere(s, centre @ sites.cell, reach * sites.separation)
        middles += [(centre + point) / 2 for point, distance, *_ in near if distance > 1e-3]
    return np.unique(np.round(np.mod(np.array(middles), 1.0), 6) % 1.0, axis=0)


def bottleneck_edges(
    trajectory: Trajectory, anions: Sequence[str], middles: FractionalArray, stride: Count = 10
) -> BottleneckEdges:
    """Return the edges between anions that the paths through `middles` cross, in every `stride`-th frame.

    Parameters
    ----------
    trajectory
        The run, read once, in chunks, the drift of the host taken out.
    anions
        Elements of the anions.
    middles
        Fractional middles of the paths, from `jump_middles` or `neighbour_middles`.
    stride
        Every so many frames.

    Raises
    ------
    InputError
        If there are fewer than two anions, no paths, or fewer than two frames.
    """
    rows = np.flatnonzero(np.isin(np.array(trajectory.symbols), list(anions)))
    if len(rows) < 2 or not len(middles):
        raise InputError(
            f"{len(rows)} anions, {len(middles)} paths",
            where="bottleneck edges",
            expected="at least two anions and one path",
            remedy="Name the elements of the anions; without jumps take the middles between neighbouring sites.",
        )
    found = []
    for chunk in trajectory.chunks():
        folded = chunk.folded()
        for k in range(len(chunk.cells)):
            if (chunk.first + k) % stride == 0:
                reduced = reduced_basis(np.ascontiguousarray(chunk.cells[k]))
                change = np.asarray(chunk.cells[k]) @ np.linalg.inv(reduced)
                found.append(_edges(folded[k][rows] @ change, middles @ change, reduced))
    edges = np.array(found)
    return BottleneckEdges(
        tuple(sampled_series(column) for column in edges.T),
        sampled_series(edges.min(axis=1)),
        sampled_series(edges.mean(axis=1)),
    )


@njit(cache=True)
def _edges(anions: FractionalArray, middles: FractionalArray, cell: Array) -> Array:
    """Return the edges around all middles in one frame, Å; `cell` is reduced, so that the next images suffice."""
    arms = np.empty((27 * len(anions), 3))
    out = np.empty(len(middles))
    for m in range(len(middles)):
        nearest, n = 0, 0
        for i in range(len(anions)):
            s = anions[i] - middles[m]
            s -= np.rint(s)
            for x in range(-1, 2):
                for y in range(-1, 2):
                    for z in range(-1, 2):
                        arms[n] = (s[0] + x) * cell[0] + (s[1] + y) * cell[1] + (s[2] + z) * cell[2]
                        if np.sum(arms[n] ** 2) < np.sum(arms[nearest] ** 2):
                            nearest = n
                        n += 1
        first, best = arms[nearest].copy(), np.inf
        for k in range(n):
            square = np.sum(arms[k] ** 2)
            if np.sum(arms[k] * first) < 0 and square < best:
                best = square
                out[m] = np.sqrt(np.sum((arms[k] - first) ** 2))
    return out
