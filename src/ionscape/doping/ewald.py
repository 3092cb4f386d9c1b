"""Ewald energies of many charge configurations on one set of sites, from one site-interaction matrix.

The Coulomb energy of a periodic cell is quadratic in the charges, ``E = ½ qᵀ M q``. `interaction_matrix` sums
the lattice once; every configuration of charges on the same sites is then a handful of look-ups.

Convention: conducting ("tin-foil") boundary at infinity, and the term of a uniform neutralising background in
every element, so that M does not depend on how the sum was split. The energy of a charged cell would still
depend on that background, and is refused.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ionscape.errors import InputError
from ionscape.units import COULOMB_EV_ANGSTROM, Array, Indices

#: Sites closer than this are one site written twice; Å.
COINCIDENCE = 0.01
#: Net charge up to which a cell counts as neutral; e.
NEUTRALITY = 1e-6
#: Largest tail of the truncated sums, relative to k_e e^{-reach²} / V^⅓, with a margin.
TAIL = 10.0
#: Time of one term of the real-space sum over one term of the reciprocal sum (a call of erfc over two fused
#: multiply-adds of a matrix product). It balances the two sums; the result does not depend on it.
TERM_COST_RATIO = 40.0


def interaction_matrix(lattice: Array, fractional: Array, *, tolerance: float = 1e-10) -> Array:
    r"""Return the electrostatic interaction of the sites of a periodic cell, eV/e².

    .. math::
        M_{ij} = k_e \Big[ \sum_L' \frac{\mathrm{erfc}(α |r_{ij} + L|)}{|r_{ij} + L|}
        + \frac{4π}{V} \sum_{G≠0} \frac{e^{-G²/4α²}}{G²} \cos(G·r_{ij})
        - \frac{2α}{\sqrt{π}} δ_{ij} - \frac{π}{V α²} \Big]

    ========  =====================================================================
    k_e       e²/4πε0, 14.40 eV Å
    L, G      lattice vectors and reciprocal lattice vectors (with 2π)
    α         splitting parameter, 1/Å, chosen here so that both sums cost the same
    V         volume of the cell, Å³
    ========  =====================================================================

    Parameters
    ----------
    lattice
        Lattice vectors as rows, (3, 3), Å; any shape of cell, sheared ones included.
    fractional
        Fractional coordinates of the n sites, (n, 3).
    tolerance
        Truncation error of an element, relative to k_e / V^⅓.

    Returns
    -------
    Array
        M, (n, n), symmetric; ``½ qᵀ M q`` is the energy of a neutral cell with charges q.

    Raises
    ------
    InputError
        If the cell has no volume, or two sites coincide.

    References
    ----------
    P. P. Ewald, Ann. Phys. 369, 253 (1921), doi:10.1002/andp.19213690304.
    """
    lattice = np.ascontiguousarray(lattice, dtype=float)
    fractional = np.ascontiguousarray(np.asarray(fractional, dtype=float) % 1.0)
    volume = _volume(lattice)
    alpha = (2 * math.pi**3 * TERM_COST_RATIO) ** (1 / 6) / volume ** (1 / 3)
    # Both tails are e^{-reach²} times k_e / V^⅓ times a number of the order of one, at most TAIL.
    reach = math.sqrt(math.log(TAIL / tolerance))
    real, nearest = _real_space(lattice, np.linalg.inv(lattice), fractional, alpha, reach / alpha)
    _refuse_coincidence(nearest)
    matrix = real + _reciprocal_space(lattice, fractional, alpha, 2 * alpha * reach)
    matrix[np.diag_indices(len(matrix))] -= 2 * alpha / math.sqrt(math.pi)
    return COULOMB_EV_ANGSTROM * (matrix - math.pi / (volume * alpha**2))


def energies(matrix: Array, charges: Array) -> Array:
    """Return the Ewald energy of every configuration of charges, ``½ qᵀ M q``, eV.

    Parameters
    ----------
    matrix
        Interaction of the n sites, (n, n), eV/e².
    charges
        Charges of m configurations, (m, n), e; 0 at an empty site.

    Returns
    -------
    Array
        Energies, (m,), eV.

    Raises
    ------
    InputError
        If a configuration is not neutral.
    """
    charges = np.atleast_2d(np.asarray(charges, dtype=float))
    _refuse_net_charge(charges.sum(axis=1))
    return 0.5 * np.einsum("ij,ij->i", charges @ matrix, charges)


def changed_energies(matrix: Array, charges: Array, sites: Indices, changes: Array) -> Array:
    """Return the Ewald energy of configurations that differ from one in the charges of a few sites, eV.

    ``E(q + Δ) = E(q) + Δ·V + ½ ΔᵀMΔ`` with V = M q: k² look-ups for k changed sites, whatever the size of the
    cell.

    Parameters
    ----------
    matrix
        Interaction of the n sites, (n, n), eV/e².
    charges
        Charges q of the configuration all others are made from, (n,), e.
    sites
        The k changed sites of each of m configurations, (m, k); distinct within a row.
    changes
        Change of charge Δ in each column, (k,), e; the same for all configurations.

    Returns
    -------
    Array
        Energies, (m,), eV.

    Raises
    ------
    InputError
        If the changed configurations are not neutral.
    """
    charges, changes = np.asarray(charges, dtype=float), np.asarray(changes, dtype=float)
    _refuse_net_charge(np.array([charges.sum() + changes.sum()]))
    potential = matrix @ charges
    return _changed(matrix, 0.5 * charges @ potential, potential, np.asarray(sites, dtype=np.int64), changes)


@njit(cache=True, nogil=True)
def _changed(matrix: Array, base: float, potential: Array, sites: Indices, changes: Array) -> Array:
    total = np.empty(len(sites))
    for m in range(len(sites)):
        energy = base
        for a in range(len(changes)):
            i = sites[m, a]
            field = potential[i] + 0.5 * changes[a] * matrix[i, i]
            for b in range(a):
                field += changes[b] * matrix[i, sites[m, b]]
            energy += changes[a] * field
        total[m] = energy
    return total


@njit(cache=True, nogil=True)
def _real_space(
    lattice: Array, inverse: Array, fractional: Array, alpha: float, cutoff: float
) -> tuple[Array, tuple[float, int, int]]:
    # |f_k + n_k| <= cutoff / height_k bounds the images along each axis exactly, in cells of any shape.
    reach = cutoff * np.sqrt((inverse**2).sum(axis=0))
    total = np.zeros((len(fractional), len(fractional)))
    nearest = (math.inf, 0, 0)
    for i in range(len(fractional)):
        for j in range(i, len(fractional)):
            f, g, h = fractional[i] - fractional[j]
            for a in range(math.ceil(-reach[0] - f), math.floor(reach[0] - f) + 1):
                for b in range(math.ceil(-reach[1] - g), math.floor(reach[1] - g) + 1):
                    for c in range(math.ceil(-reach[2] - h), math.floor(reach[2] - h) + 1):
                        if i == j and a == 0 and b == 0 and c == 0:
                            continue
                        u, v, w = f + a, g + b, h + c
                        x = u * lattice[0, 0] + v * lattice[1, 0] + w * lattice[2, 0]
                        y = u * lattice[0, 1] + v * lattice[1, 1] + w * lattice[2, 1]
                        z = u * lattice[0, 2] + v * lattice[1, 2] + w * lattice[2, 2]
                        square = x * x + y * y + z * z
                        if 0 < square < cutoff * cutoff:
                            total[i, j] += math.erfc(alpha * math.sqrt(square)) / math.sqrt(square)
                        if square < nearest[0] and i != j:
                            nearest = (square, i, j)
            total[j, i] = total[i, j]
    return total, nearest


def _reciprocal_space(lattice: Array, fractional: Array, alpha: float, cutoff: float) -> Array:
    """Σ_G w_G cos(G·r_ij) with ±G counted together: a product of the sites' cosines and sines."""
    reciprocal = 2 * math.pi * np.linalg.inv(lattice).T
    reach = np.floor(cutoff * np.linalg.norm(lattice, axis=1) / (2 * math.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[len(grid) // 2 + 1 :]  # in this order the second half holds the negatives of the first
    square = ((grid @ reciprocal) ** 2).sum(axis=1)
    grid, square = grid[square <= cutoff**2], square[square <= cutoff**2]
    weight = 8 * math.pi / _volume(lattice) * np.exp(-square / (4 * alpha**2)) / square
    # e^{iG·r} is a product of one factor for each axis, of which there are few.
    factors = [
        np.exp(2j * math.pi * np.outer(x, np.arange(-n, n + 1))) for x, n in zip(fractional.T, reach, strict=True)
    ]
    waves = np.sqrt(weight) * math.prod(f[:, g + n] for f, g, n in zip(factors, grid.T, reach, strict=True))
    parts = np.hstack([waves.real, waves.imag])
    return parts @ parts.T


def _volume(lattice: Array) -> float:
    volume = float(abs(np.linalg.det(lattice)))
    if volume < 1e-6:
        raise InputError(
            f"a cell of volume {volume:.3g} Å³",
            where="Ewald sum",
            expected="three linearly independent lattice vectors",
            remedy="Check the lattice of the structure.",
        )
    return volume


def _refuse_coincidence(nearest: tuple[float, int, int]) -> None:
    square, first, second = nearest
    if square < COINCIDENCE**2:
        raise InputError(
            f"sites {first} and {second} coincide ({math.sqrt(square):.2g} Å apart)",
            where="Ewald sum",
            expected="distinct sites",
            remedy="List every site once; species that share a site are alternatives of that site.",
        )


def _refuse_net_charge(net: Array) -> None:
    worst = float(net[np.argmax(np.abs(net))]) if len(net) else 0.0
    if abs(worst) > NEUTRALITY:
        raise InputError(
            f"a net charge of {worst:+g} e in the cell",
            where="Ewald sum",
            expected="a neutral cell; the energy of a charged one depends on an arbitrary background",
            remedy="Compensate the charge (insert, remove or replace ions), or correct the formal charges.",
        )
