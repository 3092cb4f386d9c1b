"""Unwrapped positions: the path of every atom through the periodic images, in any, also changing, cell.

A file holds each atom somewhere in the cell. Its path is found from one frame to the next: an atom went to that
image of its new place which is nearest. With fractional positions s, cells h (lattice vectors as rows) and the
nearest-image displacement Δs = [s(i) − s(i−1)]:

    peculiar   u(i) = u(i−1) + Δs · H(i),   H(i) = mean of h over the frames 0 … i
    toroidal   u(i) = u(i−1) + [w(i) − w(i−1)],   w = (s mod 1) · h

In a fixed cell both are the familiar unwrapping. In a changing one (constant pressure) they differ in the motion
that the barostat alone gives an atom: it moves every atom affinely, in proportion to its distance from the origin.

*toroidal* is the scheme TOR of Bullerjahn et al., here for triclinic cells: the displacement of the wrapped
position, affine motion included. It keeps the long-time diffusion coefficient. An atom that rattles across a face
of the cell has its affine motion switched on and off at every crossing, however, so that its path performs a
random walk: a host atom at the origin appears to diffuse. *peculiar* (the default) leaves the affine motion out,
as the equations of motion at constant pressure do (dr/dt = p/m + strain rate · r: diffusion is the time integral
of p/m). It does not depend on the choice of the origin, and an atom bound to a site stays bound for ever, since
H(i) becomes constant. Lengths are those of the mean cell.

Sources: von Bülow, Bullerjahn & Hummer, doi:10.1063/5.0008316; Kulke & Vermaas, doi:10.1021/acs.jctc.2c00327;
Bullerjahn, von Bülow, Heidari, Hénin & Hummer, doi:10.1021/acs.jctc.3c00308.
"""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple

import numpy as np
from numba import njit

from ionscape.dynamics.trajectory import TrajectoryWarning
from ionscape.errors import InputError
from ionscape.units import Array, CellArray, FractionalArray, Indices, LengthArray

Scheme = Literal["peculiar", "toroidal"]
#: A displacement this part of the way to the face where the nearest image changes is no longer sure.
SURE = 0.8
#: Part of all displacements that may be unsure before the path is refused; of the atoms of a single frame.
MOST_UNSURE, MOST_UNSURE_IN_FRAME = 1e-3, 0.1
#: Displacements after which `MOST_UNSURE` can be judged while reading.
JUDGED_AFTER = 100_000


class Doubt(NamedTuple):
    """How many atoms of a frame moved unsurely far, and the one that moved farthest."""

    frame: int
    atoms: int
    worst: int
    distance: float


class Unwrapping:
    """Unwraps frame after frame, whatever the chunks they come in.

    Parameters
    ----------
    scheme
        See the module.
    where
        Name of the trajectory in messages.

    Raises
    ------
    InputError
        From `advance` and `finish`, if the atoms moved so far between frames that their paths are ambiguous: more
        than a tenth of the atoms of one frame, or more than one in a thousand of all displacements, went 0.8 of
        the way to where another image would be nearer. Rarer cases are told as a `TrajectoryWarning`.
    """

    def __init__(self, scheme: Scheme = "peculiar", where: str = "trajectory") -> None:
        self._toroidal = scheme == "toroidal"
        self._where = where
        self._fractional: Array | None = None
        self._position = np.zeros((0, 3))
        self._cells = np.zeros((3, 3))
        self._frames = 0
        self._unsure = 0
        self._worst: Doubt | None = None

    def advance(self, fractional: FractionalArray, cells: CellArray, *, wrapped: bool = True) -> LengthArray:
        """Return the unwrapped Cartesian positions of the next frames, Å, (frames, atoms, 3).

        Parameters
        ----------
        fractional
            Fractional positions in any image, (frames, atoms, 3).
        cells
            Lattice vectors as rows, Å, (frames, 3, 3).
        wrapped
            Whether the images have to be found; False for positions that are unwrapped already, which are never
            unwrapped twice.
        """
        fractional = np.ascontiguousarray(fractional, dtype=float)
        cells = np.ascontiguousarray(cells, dtype=float)
        out = np.empty_like(fractional)
        if self._fractional is None:
            self._fractional = fractional[0].copy()
            self._position = (fractional[0] - (np.floor(fractional[0]) if self._toroidal else 0.0)) @ cells[0]
            self._previous = cells[0].copy()
        unsure, worst, distance = _advance(
            (fractional, cells),
            (self._fractional, self._position, self._previous, self._cells, self._frames),
            (wrapped, self._toroidal),
            out,
        )
        self._judge(unsure, worst, distance)
        self._frames += len(fractional)
        return out

    def _judge(self, unsure: Indices, worst: Indices, distance: Array) -> None:
        for frame in np.flatnonzero(unsure):
            doubt = Doubt(self._frames + int(frame), int(unsure[frame]), int(worst[frame]), float(distance[frame]))
            self._unsure += doubt.atoms
            if self._worst is None or doubt.distance > self._worst.distance:
                self._worst = doubt
            displacements = doubt.frame * len(self._position)
            many_at_once = doubt.atoms >= max(2, MOST_UNSURE_IN_FRAME * len(self._position))
            if many_at_once or (displacements > JUDGED_AFTER and self._unsure > MOST_UNSURE * displacements):
                raise self._ambiguous(doubt)

    def finish(self) -> None:
        """Judge the whole run once the last frame was given: raise `InputError`, warn, or do nothing."""
        if self._worst is None:
            return
        if self._unsure > MOST_UNSURE * self._frames * len(self._position):
            raise self._ambiguous(self._worst)
        warnings.warn(
            f"{self._where}: {self._unsure} displacements between frames came near the half of the cell "
            f"({_described(self._worst)}): the paths of these atoms are not sure",
            TrajectoryWarning,
            stacklevel=2,
        )

    def _ambiguous(self, doubt: Doubt) -> InputError:
        many = f" and {doubt.atoms - 1} more atoms" if doubt.atoms > 1 else ""
        return InputError(
            f"frames too far apart: {_described(doubt)}{many}; which periodic image an atom went to is ambiguous",
            where=self._where,
            expected="atoms that move much less than half the cell between frames, and keep their order",
            remedy="Write frames more often, write unwrapped positions (LAMMPS: xu yu zu or ix iy iz), or leave "
            "out the file that does not continue the run.",
        )


def _described(doubt: Doubt) -> str:
    return f"atom {doubt.worst} moved {doubt.distance:.2f} Å between frames {doubt.frame - 1} and {doubt.frame}"


def nearest_images(displacements: LengthArray, cell: CellArray) -> LengthArray:
    """Return the shortest periodic images of displacements, Å, (n, 3), in a cell of any shape.

    The search runs over the neighbours of the rounded image in the Minkowski-reduced basis, which is exact in
    three dimensions; plain rounding is not in skewed cells.

    Parameters
    ----------
    displacements
        Cartesian displacements, Å, (n, 3).
    cell
        Lattice vectors as rows, Å, (3, 3).
    """
    reduced = reduced_basis(np.ascontiguousarray(cell, dtype=float))
    inverse = np.linalg.inv(reduced)
    out = np.array(displacements, dtype=float)
    for row in out:
        _shorten(row, reduced, inverse)
    return out


@njit(cache=True, nogil=True)
def reduced_basis(cell):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the Minkowski-reduced lattice vectors of a cell as rows, shortest first, Å, (3, 3)."""
    basis = cell.copy()
    changed = True
    while changed:
        changed = False
        for i in range(3):
            for j in range(3):
                if i != j:
                    n = np.rint(np.dot(basis[i], basis[j]) / np.dot(basis[j], basis[j]))
                    if n != 0.0 and _shorter(basis, i, -n * basis[j]):
                        changed = True
            j, k = (i + 1) % 3, (i + 2) % 3
            for x in range(-1, 2):
                for y in range(-1, 2):
                    if _shorter(basis, i, x * basis[j] + y * basis[k]):
                        changed = True
    lengths = np.array([np.dot(basis[i], basis[i]) for i in range(3)])
    return basis[np.argsort(lengths)]


@njit(cache=True, nogil=True)
def _shorter(basis, i, change):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add `change` to vector i if that makes it shorter, by more than rounding; return whether it did."""
    new = basis[i] + change
    if np.dot(new, new) < np.dot(basis[i], basis[i]) * (1.0 - 1e-10):
        basis[i] = new
        return True
    return False


@njit(cache=True, nogil=True)
def _shorten(d, reduced, inverse):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901
    """Replace `d` by its shortest image; return its part of the way to the nearest face of the Voronoi cell."""
    for a in range(3):
        n = np.rint(d[0] * inverse[0, a] + d[1] * inverse[1, a] + d[2] * inverse[2, a])
        if n != 0.0:
            # The coefficients of the other two vectors do not change: the order of the three does not matter.
            for c in range(3):
                d[c] -= n * reduced[a, c]
    way = 2.0
    while way > 1.0 + 1e-12:  # beyond a face: step over it; ends since the length falls
        way, best = 0.0, np.zeros(3)
        for i in range(-1, 2):
            for j in range(-1, 2):
                for k in range(-1, 2):
                    if i == 0 and j == 0 and k == 0:
                        continue
                    v = i * reduced[0] + j * reduced[1] + k * reduced[2]
                    part = 2.0 * np.dot(d, v) / np.dot(v, v)
                    if part > way:
                        way, best = part, v
        if way > 1.0 + 1e-12:
            for c in range(3):
                d[c] -= best[c]
    return way


@njit(cache=True, nogil=True)
def _nearest(ds, d, metric):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Make `ds` the fractional and `d` the Cartesian nearest image; return the part of the way to another one."""
    h, inverse, reduced, inverse_reduced, inner = metric
    for c in range(3):
        ds[c] -= np.rint(ds[c])
    square = 0.0
    for c in range(3):
        d[c] = ds[0] * h[0, c] + ds[1] * h[1, c] + ds[2] * h[2, c]
        square += d[c] * d[c]
    if square <= SURE * SURE * inner:  # well inside the sphere in the Voronoi cell
        return 0.0
    way = _shorten(d, reduced, inverse_reduced)
    for c in range(3):
        ds[c] = d[0] * inverse[0, c] + d[1] * inverse[1, c] + d[2] * inverse[2, c]
    return way


@njit(cache=True, nogil=True)
def _metric(h):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return what `_nearest` needs of a cell; last the square of the radius of the sphere in the Voronoi cell."""
    reduced = reduced_basis(h)
    return h, np.linalg.inv(h), reduced, np.linalg.inv(reduced), 0.25 * np.dot(reduced[0], reduced[0])


@njit(cache=True, nogil=True)
def _advance(frames, state, flags, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901
    """Unwrap frames into `out`; update the state; return per frame the unsure atoms, the worst, its distance."""
    fractional, cells = frames
    last, position, previous, total, count = state
    wrapped, toroidal = flags
    unsure, worst = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=np.int64)
    distance = np.zeros(len(cells))
    metric = _metric(cells[0])
    ds, d = np.zeros(3), np.zeros(3)
    for f in range(len(cells)):
        h = cells[f]
        if f > 0 and not np.array_equal(h, cells[f - 1]):
            metric = _metric(h)
        total += h
        change = h - previous
        carried = h if toroidal else total / (count + f + 1)
        for a in range(fractional.shape[1]):
            for c in range(3):
                ds[c] = fractional[f, a, c] - last[a, c]
            if wrapped and _nearest(ds, d, metric) > SURE:
                unsure[f] += 1
                length = np.sqrt(np.dot(d, d))
                if length > distance[f]:
                    worst[f], distance[f] = a, length
            for c in range(3):
                position[a, c] += ds[0] * carried[0, c] + ds[1] * carried[1, c] + ds[2] * carried[2, c]
                if toroidal:  # the wrapped position moves with the cell as well
                    for b in range(3):
                        position[a, c] += (last[a, b] - np.floor(last[a, b])) * change[b, c]
                out[f, a, c] = position[a, c]
            for c in range(3):
                last[a, c] = fractional[f, a, c]
        previous[:] = h
    return unsure, worst, distance
