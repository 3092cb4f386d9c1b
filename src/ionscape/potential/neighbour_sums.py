"""Sums over neighbours in Numba: densities, power spectra and what leads back from them to forces.

Plain loops over atoms, neighbours, channels and harmonics lm = l (l + 1) + m, for `ionscape.potential.fallback`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ionscape.units import Array, Count, Indices, Length

#: Freedom to reorder sums; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "nsz", "arcp"}


class Pairs(NamedTuple):
    """Neighbours of all atoms: those of atom i are ``start[i] : start[i + 1]``."""

    start: Indices
    neighbour: Indices
    vectors: Array
    species: Indices


class Basis(NamedTuple):
    """Radial tables, (intervals, 4, N), and factors of the harmonics."""

    cutoff: Length
    l_max: Count
    radial: Array
    up: Array
    down: Array
    slope: Array


def hermite_cells(cutoff: Length, values: Array, slopes: Array) -> Array:
    """Return coefficients of cubic Hermite interpolants, (nodes - 1, 4, …), from values and slopes (nodes, …)."""
    h = cutoff / (len(values) - 1)
    a, b, da, db = values[:-1], values[1:], h * slopes[:-1], h * slopes[1:]
    return np.stack([a, da, 3 * (b - a) - 2 * da - db, 2 * (a - b) + da + db], axis=1)


def harmonic_factors(l_max: Count) -> tuple[Array, Array, Array]:
    """Return the factors of the recurrence of K_lm P_l^(m) in l (the first, l = m, in `up`) and of its slope."""
    k = np.zeros((l_max + 1, l_max + 2))
    for degree in range(l_max + 1):
        for m in range(degree + 1):
            ratio = math.factorial(degree - m) / math.factorial(degree + m) * (2 if m else 1)
            k[degree, m] = math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio)
    up, down, slope = np.zeros((3, l_max + 1, l_max + 1))
    for m in range(l_max + 1):
        up[m, m] = k[m, m] * math.prod(range(1, 2 * m, 2))
        for degree in range(m + 1, l_max + 1):
            up[degree, m] = k[degree, m] / k[degree - 1, m] * (2 * degree - 1) / (degree - m)
            slope[degree, m] = k[degree, m] / k[degree, m + 1]
            if degree > m + 1:
                down[degree, m] = k[degree, m] / k[degree - 2, m] * (degree + m - 1) / (degree - m)
    return up, down, slope


@njit(cache=True, fastmath=_FAST)
def _harmonics(basis: Basis, unit: tuple[float, float, float], p: Array, y: Array, dy: Array) -> None:
    """Fill K_lm P_l^(m), Y_lm of a unit vector and the gradients of the polynomials, (3, lm)."""
    for m in range(basis.l_max + 1):
        p[m, m] = basis.up[m, m]
        for l in range(m + 1, basis.l_max + 1):  # noqa: E741 # the field's name
            p[l, m] = basis.up[l, m] * unit[2] * p[l - 1, m] - basis.down[l, m] * p[max(l - 2, 0), m]
    c, s, c_less, s_less = y.dtype.type(1), y.dtype.type(0), y.dtype.type(0), y.dtype.type(0)
    for m in range(basis.l_max + 1):  # c + i s = (x + i y)^m
        for l in range(m, basis.l_max + 1):  # noqa: E741
            plus, minus = l * l + l + m, l * l + l - m
            slope = basis.slope[l, m] * p[l, m + 1] if l > m else y.dtype.type(0)
            y[minus], dy[2, minus] = p[l, m] * s, slope * s
            dy[0, minus], dy[1, minus] = m * p[l, m] * s_less, m * p[l, m] * c_less
            y[plus], dy[2, plus] = p[l, m] * c, slope * c
            dy[0, plus], dy[1, plus] = m * p[l, m] * c_less, -m * p[l, m] * s_less
        c_less, s_less = c, s
        c, s = unit[0] * c_less - unit[1] * s_less, unit[0] * s_less + unit[1] * c_less


@njit(cache=True, fastmath=_FAST)
def _radials(basis: Basis, r: Length, values: Array, slopes: Array) -> None:
    """Fill the radial functions at distance r and their derivatives."""
    over = len(basis.radial) / basis.cutoff
    k = min(int(r * over), len(basis.radial) - 1)
    t = r * over - k
    for n in range(basis.radial.shape[2]):
        a, b, c, d = basis.radial[k, 0, n], basis.radial[k, 1, n], basis.radial[k, 2, n], basis.radial[k, 3, n]
        values[n] = a + t * (b + t * (c + t * d))
        slopes[n] = over * (b + t * (2 * c + 3 * t * d))


@njit(cache=True, fastmath=_FAST)
def densities(pairs: Pairs, basis: Basis, n_species: Count) -> Array:
    """Return c, (atoms, S N, lm)."""
    n, lm, kind = basis.radial.shape[2], (basis.l_max + 1) ** 2, basis.radial.dtype
    c = np.zeros((len(pairs.species), n_species * n, lm), kind)
    p, y, dy = np.zeros_like(basis.up), np.empty(lm, kind), np.empty((3, lm), kind)
    values, slopes = np.empty(n, kind), np.empty(n, kind)
    for i in range(len(c)):
        for pair in range(pairs.start[i], pairs.start[i + 1]):
            vector = pairs.vectors[pair]
            r = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
            if r >= basis.cutoff:
                continue
            _radials(basis, r, values, slopes)
            _harmonics(basis, (vector[0] / r, vector[1] / r, vector[2] / r), p, y, dy)
            first = pairs.species[pairs.neighbour[pair]] * n
            for k in range(n):
                for m in range(lm):
                    c[i, first + k, m] += values[k] * y[m]
    return c


@njit(cache=True, fastmath=_FAST)
def mix(mixing: Array, species: Indices, c: Array) -> Array:
    """Return d, (atoms, Q, lm), from c (atoms, channels, lm) and U (species, Q, channels, lm).

    With U of (species, channels, Q, lm): dE/dc from dE/dd.
    """
    d = np.zeros((len(c), mixing.shape[1], c.shape[2]), c.dtype)
    for i in range(len(c)):
        for q in range(d.shape[1]):
            for k in range(c.shape[1]):
                for m in range(c.shape[2]):
                    d[i, q, m] += mixing[species[i], q, k, m] * c[i, k, m]
    return d


@njit(cache=True, fastmath=_FAST)
def spectra(d: Array, l_max: Count) -> Array:
    """Return p, (atoms, features)."""
    channels, root = d.shape[1], d.dtype.type(np.sqrt(2))
    p = np.empty((len(d), (l_max + 1) * channels * (channels + 1) // 2), d.dtype)
    for i in range(len(d)):
        at = 0
        for l in range(l_max + 1):  # noqa: E741
            for q in range(channels):
                for r in range(q, channels):
                    total = d.dtype.type(0)
                    for m in range(l * l, (l + 1) ** 2):
                        total += d[i, q, m] * d[i, r, m]
                    p[i, at] = total if q == r else root * total
                    at += 1
    return p


@njit(cache=True, fastmath=_FAST)
def spectra_adjoint(d: Array, gradient: Array, l_max: Count) -> Array:
    """Return dE/dd, (atoms, Q, lm), from dE/dp (atoms, features)."""
    h, root = np.zeros_like(d), d.dtype.type(np.sqrt(2))
    for i in range(len(d)):
        at = 0
        for l in range(l_max + 1):  # noqa: E741
            for q in range(d.shape[1]):
                for r in range(q, d.shape[1]):
                    g = gradient[i, at] if q == r else root * gradient[i, at]
                    at += 1
                    for m in range(l * l, (l + 1) ** 2):
                        h[i, q, m] += g * d[i, r, m]
                        h[i, r, m] += g * d[i, q, m]
    return h


@njit(cache=True, fastmath=_FAST)
def add_forces(pairs: Pairs, basis: Basis, h: Array, forces: Array, virial: Array) -> None:
    """Add forces and virial of dE/dc, (atoms, S N, lm)."""
    n, lm, kind = basis.radial.shape[2], (basis.l_max + 1) ** 2, basis.radial.dtype
    p, y, dy = np.zeros_like(basis.up), np.empty(lm, kind), np.empty((3, lm), kind)
    values, slopes = np.empty(n, kind), np.empty(n, kind)
    across, t, dt = np.empty(3, kind), np.empty(lm, kind), np.empty(lm, kind)
    for i in range(len(h)):
        for pair in range(pairs.start[i], pairs.start[i + 1]):
            vector = pairs.vectors[pair]
            r = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
            if r >= basis.cutoff:
                continue
            unit = (vector[0] / r, vector[1] / r, vector[2] / r)
            _radials(basis, r, values, slopes)
            _harmonics(basis, unit, p, y, dy)
            first = pairs.species[pairs.neighbour[pair]] * n
            t[:], dt[:] = 0, 0
            for k in range(n):
                for m in range(lm):
                    t[m] += values[k] * h[i, first + k, m]
                    dt[m] += slopes[k] * h[i, first + k, m]
            along, beyond = kind.type(0), kind.type(0)
            for m in range(lm):
                along += dt[m] * y[m]
            for a in range(3):
                across[a] = 0
                for m in range(lm):
                    across[a] += t[m] * dy[a, m]
                beyond += across[a] * unit[a]
            for a in range(3):
                f = along * unit[a] + (across[a] - beyond * unit[a]) / r
                _push(forces, virial, (i, pairs.neighbour[pair], a, f), vector)


@njit(cache=True)
def _push(forces: Array, virial: Array, pull: tuple[int, int, int, float], vector: Array) -> None:
    """Add the force of dE/dr = f along direction a on the vector from atom i to j."""
    i, j, a, f = pull
    forces[i, a] += f
    forces[j, a] -= f
    for b in range(3):
        virial[b, a] -= vector[b] * f


@njit(cache=True, fastmath=_FAST)
def displacements(vectors: Array, basis: Basis) -> Array:
    """Return d(R_n Y_lm)/dr of pairs, (pairs, 3, N, lm)."""
    n, lm, kind = basis.radial.shape[2], (basis.l_max + 1) ** 2, basis.radial.dtype
    p, y, dy = np.zeros_like(basis.up), np.empty(lm, kind), np.empty((3, lm), kind)
    values, slopes = np.empty(n, kind), np.empty(n, kind)
    out = np.zeros((len(vectors), 3, n, lm), kind)
    for k in range(len(vectors)):
        vector = vectors[k]
        r = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
        if r >= basis.cutoff:
            continue
        unit = (vector[0] / r, vector[1] / r, vector[2] / r)
        _radials(basis, r, values, slopes)
        _harmonics(basis, unit, p, y, dy)
        for m in range(lm):
            beyond = unit[0] * dy[0, m] + unit[1] * dy[1, m] + unit[2] * dy[2, m]
            for a in range(3):
                for i in range(n):
                    out[k, a, i, m] = slopes[i] * unit[a] * y[m] + values[i] * (dy[a, m] - beyond * unit[a]) / r
    return out


@njit(cache=True, fastmath=_FAST)
def add_pairs(pairs: Pairs, cutoff: Length, cells: Array, results: tuple[Array, Array, Array]) -> None:
    """Add half the pair energies of either atom, (S, S, intervals, 4), to energies, forces and virial."""
    energies, forces, virial = results
    over = cells.shape[2] / cutoff
    for i in range(len(energies)):
        for pair in range(pairs.start[i], pairs.start[i + 1]):
            vector, j = pairs.vectors[pair], pairs.neighbour[pair]
            r = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
            if r >= cutoff:
                continue
            k = min(int(r * over), cells.shape[2] - 1)
            t, c = r * over - k, cells[pairs.species[i], pairs.species[j], k]
            energies[i] += (c[0] + t * (c[1] + t * (c[2] + t * c[3]))) / 2
            for a in range(3):
                f = over * (c[1] + t * (2 * c[2] + 3 * t * c[3])) / 2 * vector[a] / r
                _push(forces, virial, (i, j, a, f), vector)
