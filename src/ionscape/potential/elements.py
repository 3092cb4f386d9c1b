r"""Compression of elements: fewer channels than elements, each a fixed mixture of them.

The density of an environment has one channel for every element and radial function; the power spectrum has the
products of all pairs of channels and grows with the square of the number of elements. Mixed channels

.. math:: c_{knlm} = \sum_s W_{ks} \, c_{snlm}, \qquad k = 1 … K \le S

make it grow with the square of K (J. P. Darby, J. R. Kermode, G. Csányi, npj Comput. Mater. 8, 166 (2022),
doi:10.1038/s41524-022-00847-y). Rows of W are orthonormal, so that with K = S the kernel is that of separate
elements: the scalar product of two power spectra does not change when channels are rotated.

Which mixtures are kept is told by the periodic table, after M. J. Willatt, F. Musil, M. Ceriotti, Phys. Chem.
Chem. Phys. 20, 29661 (2018), doi:10.1039/C8CP05921G: elements are as alike as

.. math:: κ_{ss'} = \exp(-(Δ\text{period})^2 / 2 w_p^2 - (Δ\text{group})^2 / 2 w_g^2)

and W spans the rows of κ of K elements that represent the others best (pivoted Cholesky decomposition). No
eigenvalue problem is solved, whose vectors could have other signs, or be other ones, on another machine.
"""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.units import Array, Count, NumberArray

#: Atomic number of the last element of every period.
_PERIODS = (0, 2, 10, 18, 36, 54, 86, 118)
#: w_p and w_g: differences of periods and groups beyond which elements have little in common.
PERIOD_WIDTH, GROUP_WIDTH = 1.5, 3.0


def element_map(species: tuple[str, ...], channels: Count) -> NumberArray:
    """Return W, the mixtures of elements that stand for `species`, (channels, S), with orthonormal rows.

    Parameters
    ----------
    species
        Symbols of the elements.
    channels
        K, from 1 to the number of elements.

    Raises
    ------
    InputError
        If there are fewer elements than channels.
    """
    if not 1 <= channels <= len(species):
        raise InputError(
            f"{channels} element channels of {len(species)} elements",
            where="descriptor, element_channels",
            expected=f"1 to {len(species)}",
            remedy="Take fewer channels, or none of this setting: then every element has its own.",
        )
    alike = alikeness(species)
    rows = np.empty((channels, len(species)))
    for k, pivot in enumerate(_representatives(alike, channels)):
        rest = alike[pivot]
        for _ in range(2):  # twice is enough against rounding
            rest = rest - rows[:k].T @ (rows[:k] @ rest)
        rows[k] = rest / np.linalg.norm(rest)
    return frozen(rows)


def alikeness(species: tuple[str, ...]) -> NumberArray:
    """Return κ, how alike elements are by their places in the periodic table, (S, S), 1 for the same."""
    place = np.array([_place(symbol) for symbol in species])
    apart = (place[:, None] - place[None]) / [PERIOD_WIDTH, GROUP_WIDTH]
    return np.asarray(np.exp(-0.5 * (apart**2).sum(axis=2)))


def _place(symbol: str) -> tuple[int, int]:
    """Return period and group of an element; the f elements stand in group 3."""
    number = atomic_numbers[symbol]
    period = int(np.searchsorted(_PERIODS, number))
    after, before = number - _PERIODS[period - 1], _PERIODS[period] + 1 - number
    if number == 2 or (period > 1 and before <= 6):  # helium, and p elements
        return period, 19 - before
    if after <= 2:
        return period, after
    return period, max(19 - before, 3)


def _representatives(alike: Array, count: Count) -> list[int]:
    """Return elements of which each is least like the ones before, by pivoted Cholesky decomposition."""
    left, factors, chosen = np.diag(alike).copy(), np.zeros((0, len(alike))), []
    for _ in range(count):
        pivot = int(np.argmax(np.round(left, 9)))  # of equal ones the first, whatever the rounding
        row = (alike[pivot] - factors[:, pivot] @ factors) / np.sqrt(left[pivot])
        factors = np.vstack([factors, row])
        left = left - row**2
        left[pivot] = -1.0
        chosen.append(pivot)
    return chosen
