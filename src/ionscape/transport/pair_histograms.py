"""Histograms of displacements and of pair distances between frames: the kernels of the van Hove functions.

Time is the innermost index: for one ion or pair and one lag, the distances of a block of origins are computed
together, and which periodic images can come within reach is decided once for the block, from the box that holds
its separations. No minimum image is taken: every image within reach is counted, in cells of any shape.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ionscape.units import Array, Indices

#: Origins that are treated together: of pairs, whose separations should stay in a small box, and of ions.
BLOCK, LONG_BLOCK = 256, 2048


@njit(nogil=True, cache=True)
def displacement_histogram(
    positions: Array, lag: int, span: tuple[int, int], scale: float, counts: Indices
) -> None:
    """Add the displacements of every ion over `lag` frames, from all origins in `span`, to `counts`.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions, Å, (ions, 3, frames), float32.
    lag
        Frames between origin and end.
    span
        First origin, and the one after the last.
    scale
        Bins per Å.
    counts
        (groups, bins + 1); the last bin takes all that is farther. Ion i of n counts in group i·groups // n.
    """
    ions = positions.shape[0]
    groups, top = counts.shape[0], counts.shape[1] - 1
    bins = np.empty(LONG_BLOCK, np.int32)
    tally = np.zeros((4, top + 1), np.int64)
    for i in range(ions):
        tally[:] = 0
        for first in range(span[0], span[1], LONG_BLOCK):
            n = min(LONG_BLOCK, span[1] - first)
            _displacement_bins(positions[i], (first, lag), (scale, top), bins[:n])
            _count(bins[:n], tally)
        _flush(tally, counts[i * groups // ions])


@njit(nogil=True, fastmath=True, cache=True)
def _displacement_bins(path, origins, binning, bins):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    first, lag = origins
    scale, top = np.float32(binning[0]), np.float32(binning[1])
    n = len(bins)
    start, end = path[:, first : first + n], path[:, first + lag : first + lag + n]
    for q in range(n):
        x, y, z = end[0, q] - start[0, q], end[1, q] - start[1, q], end[2, q] - start[2, q]
        bins[q] = np.int32(min(np.sqrt(x * x + y * y + z * z) * scale, top))


@njit(nogil=True, cache=True)
def pair_histogram(
    ions: tuple[Array, Array], cells: Array, lag: int, span: tuple[int, int], geometry: Array, counts: Indices
) -> None:
    """Add the distances from every ion at an origin to the other ions and their images `lag` frames later.

    The separation of frames t and t' is (s_j(t') − s_i(t) + n) · ½(h(t) + h(t')), s the fractional coordinates, n
    whole numbers, h the cell; an ion is not paired with itself, but with its images. With m phases, the
    pair (i, j) takes the origins t ≡ i N + j (mod m): every origin is used, by one pair in m.

    Parameters
    ----------
    ions
        Fractional positions of both species, (m, ions, 3, frames / m), float32; frame t is at [t % m, …, t // m].
    cells
        Lattice vectors as rows, Å, (frames, 3, 3).
    lag
        Frames between origin and end.
    span
        First origin, and the one after the last.
    geometry
        (bins per Å, farthest distance in Å, pairs: 0 all, 1 all but an ion with itself, 2 only ions with their own
        images).
    counts
        (groups, bins + 1); the last bin takes the number of (pair, origin) samples. Ion i of n counts in group
        i·groups // n.
    """
    phases, others, top = ions[0].shape[0], ions[1].shape[1], counts.shape[1] - 1
    frame, spread, reach = np.empty((6, BLOCK), np.float32), np.empty((2, 6)), np.empty(3)
    tally = np.zeros((4, top + 1), np.int64)
    for phase in range(phases):
        if geometry[2] == 2 and not _has_own_pair(phase, phases, others):
            continue
        start = (span[0] - phase + phases - 1) // phases
        stop = (span[1] - phase + phases - 1) // phases
        for first in range(start, stop, BLOCK):
            n = min(BLOCK, stop - first)
            _mid_cells(cells, (first * phases + phase, phases, n), lag, frame, reach)
            _spread(frame[:, :n], spread)
            reach *= geometry[1]
            for i in range(ions[0].shape[1]):
                row = counts[i * counts.shape[0] // ions[0].shape[1]]
                tally[:] = 0
                for j in range((phase - i * others) % phases, others, phases):
                    if geometry[2] == 2 and i != j:
                        continue
                    excluded = geometry[2] > 0 and i == j
                    metric = (frame, spread, reach, geometry, excluded)
                    _count_pair(ions, (i, j), (phase, lag, first, n), metric, tally)
                    row[top] += n
                _flush(tally[:, :top], row)


@njit(nogil=True, cache=True)
def _has_own_pair(phase, phases, ions):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for i in range(ions):  # noqa: SIM110  numba knows no generators
        if (i * ions + i) % phases == phase:
            return True
    return False


@njit(nogil=True, cache=True)
def _count_pair(ions, pair, place, metric, tally):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Count the distances of one pair over one block of origins, all images within reach."""
    phase, lag, first, n = place
    frame, spread, reach, geometry, excluded = metric
    phases, top = ions[0].shape[0], tally.shape[1] - 1
    later, shift = (phase + lag) % phases, (phase + lag) // phases
    separation, bins = np.empty((3, n), np.float32), np.empty(n, np.int32)
    low, high = np.empty(3), np.empty(3)
    for k in range(3):
        a, b = ions[0][phase, pair[0], k], ions[1][later, pair[1], k]
        for q in range(n):
            separation[k, q] = b[first + q + shift] - a[first + q]
        low[k], high[k] = separation[k].min(), separation[k].max()
        if high[k] - low[k] > 1.0:  # positions that follow no path: the nearest images make a smaller box
            for q in range(n):
                separation[k, q] -= np.rint(separation[k, q])
            low[k], high[k] = separation[k].min(), separation[k].max()
    for x in range(math.ceil(-reach[0] - high[0]), math.floor(reach[0] - low[0]) + 1):
        for y in range(math.ceil(-reach[1] - high[1]), math.floor(reach[1] - low[1]) + 1):
            for z in range(math.ceil(-reach[2] - high[2]), math.floor(reach[2] - low[2]) + 1):
                if excluded and x == 0 and y == 0 and z == 0:
                    continue
                if _nearest(low, high, (x, y, z), spread) > geometry[1]:
                    continue
                _distance_bins(separation, (x, y, z), frame, (geometry[0], top), bins)
                _count(bins, tally)


@njit(nogil=True, cache=True)
def _nearest(low, high, image, spread):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return a lower bound on the length of all separations in a box that is moved by `image`.

    With s = c + δ, |δ| ≤ e, and cells M + D, |D| ≤ E: |s(M + D)| ≥ |cM| − |e|M|| − |(|c| + e)E|.
    """
    centre, half, far = np.empty(3), np.empty(3), np.empty(3)
    for k in range(3):
        centre[k], half[k] = (low[k] + high[k]) / 2 + image[k], (high[k] - low[k]) / 2
        far[k] = abs(centre[k]) + half[k]
    rounding = 1e-3
    return _length(spread[0], centre) - _length(np.abs(spread[0]), half) - _length(spread[1], far) - rounding


@njit(nogil=True, cache=True)
def _length(m, s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    a = m[0] * s[0] + m[1] * s[1] + m[3] * s[2]
    b = m[2] * s[1] + m[4] * s[2]
    return math.sqrt(a * a + b * b + (m[5] * s[2]) ** 2)


@njit(nogil=True, cache=True)
def _spread(frame, spread):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the middle and the half range of the cells of a block."""
    for k in range(6):
        low, high = frame[k].min(), frame[k].max()
        spread[0, k], spread[1, k] = (low + high) / 2, (high - low) / 2


@njit(nogil=True, fastmath=True, cache=True)
def _distance_bins(separation, image, frame, binning, bins):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the bin of every separation, moved by `image`; `frame` holds triangular cells, see `_mid_cells`."""
    scale, top = np.float32(binning[0]), np.float32(binning[1])
    x0, y0, z0 = np.float32(image[0]), np.float32(image[1]), np.float32(image[2])
    for q in range(separation.shape[1]):
        x, y, z = separation[0, q] + x0, separation[1, q] + y0, separation[2, q] + z0
        a = frame[0, q] * x + frame[1, q] * y + frame[3, q] * z
        b = frame[2, q] * y + frame[4, q] * z
        c = frame[5, q] * z
        bins[q] = np.int32(min(np.sqrt(a * a + b * b + c * c) * scale, top))


@njit(nogil=True, cache=True)
def _count(bins, tally):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    # neighbouring frames often share a bin: four tallies keep one addition from waiting for the last
    whole = len(bins) // 4 * 4
    for q in range(0, whole, 4):
        tally[0, bins[q]] += 1
        tally[1, bins[q + 1]] += 1
        tally[2, bins[q + 2]] += 1
        tally[3, bins[q + 3]] += 1
    for q in range(whole, len(bins)):
        tally[0, bins[q]] += 1


@njit(nogil=True, cache=True)
def _flush(tally, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for b in range(tally.shape[1]):
        counts[b] += tally[0, b] + tally[1, b] + tally[2, b] + tally[3, b]


@njit(nogil=True, cache=True)
def _mid_cells(cells, origins, lag, frame, reach):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the triangular form (xx, yx, yy, zx, zy, zz) of ½(h(t) + h(t + lag)), and 1 / the plane spacings.

    |s·h| depends on the metric h hᵀ only, whose Cholesky factor is triangular: six products instead of nine.
    """
    first, stride, n = origins
    reach[:] = 0.0
    for q in range(n):
        t = first + q * stride
        h = (cells[t] + cells[t + lag]) * 0.5
        xx = math.sqrt(h[0, 0] ** 2 + h[0, 1] ** 2 + h[0, 2] ** 2)
        yx = (h[0, 0] * h[1, 0] + h[0, 1] * h[1, 1] + h[0, 2] * h[1, 2]) / xx
        zx = (h[0, 0] * h[2, 0] + h[0, 1] * h[2, 1] + h[0, 2] * h[2, 2]) / xx
        yy = math.sqrt(h[1, 0] ** 2 + h[1, 1] ** 2 + h[1, 2] ** 2 - yx * yx)
        zy = (h[1, 0] * h[2, 0] + h[1, 1] * h[2, 1] + h[1, 2] * h[2, 2] - yx * zx) / yy
        zz = math.sqrt(max(h[2, 0] ** 2 + h[2, 1] ** 2 + h[2, 2] ** 2 - zx * zx - zy * zy, 0.0))
        # columns of the inverse
        across, far = -yx / (xx * yy), (yx * zy - yy * zx) / (xx * yy * zz)
        reach[0] = max(reach[0], math.sqrt(1 / xx**2 + across**2 + far**2))
        reach[1] = max(reach[1], math.sqrt(1 / yy**2 + (zy / (yy * zz)) ** 2))
        reach[2] = max(reach[2], 1 / zz)
        frame[0, q], frame[1, q], frame[2, q] = xx, yx, yy
        frame[3, q], frame[4, q], frame[5, q] = zx, zy, zz
