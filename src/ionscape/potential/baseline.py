"""The mean function: energies of atoms, and a repulsion that keeps close contacts from exploding.

The repulsion is that of screened nuclei, universal and without a fit; it ends where covalent bonds begin, so that
it acts only where no data are. Ziegler, Biersack & Littmark, The Stopping and Range of Ions in Solids (1985).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from scipy import constants

from ionscape.units import COULOMB_EV_ANGSTROM, EnergyArray, ForceArray, Length, LengthArray

_BOHR = constants.physical_constants["Bohr radius"][0] * 1e10
_WEIGHTS = np.array([0.18175, 0.50986, 0.28022, 0.028171])
_EXPONENTS = np.array([3.19980, 0.94229, 0.40290, 0.20162])
#: Closer than this the repulsion goes on as a straight line, Å.
_INNERMOST = 0.3
NODES = 513


@dataclass(frozen=True)
class PairTable:
    """Pair energies on evenly spaced nodes from 0 to `cutoff`.

    Attributes
    ----------
    cutoff
        Å.
    values
        eV, (S, S, nodes).
    slopes
        eV/Å, (S, S, nodes).
    """

    cutoff: Length
    values: EnergyArray
    slopes: ForceArray


def screened_nuclei(species: tuple[str, ...], nodes: int = NODES) -> PairTable:
    r"""Return the repulsion of every pair of species.

    .. math::

        \varphi(r) = \frac{Z_1 Z_2 e^2}{4\pi\epsilon_0 r} \sum_k w_k e^{-x_k r / a}\; (1 - (r/b)^2)^3, \quad
        a = \frac{0.8854\, a_0}{Z_1^{0.23} + Z_2^{0.23}},

    zero beyond b, the sum of the covalent radii.
    """
    reach = np.array([[_bond(one, other) for other in species] for one in species])
    cutoff = float(reach.max())
    r = np.linspace(0.0, cutoff, nodes)
    tables = [[_repulsion(r, one, other) for other in species] for one in species]
    values, slopes = np.moveaxis(np.array(tables), 2, 0)
    return PairTable(cutoff, values, slopes)


def _bond(one: str, other: str) -> float:
    return float(covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])


def _repulsion(r: LengthArray, one: str, other: str) -> tuple[EnergyArray, ForceArray]:
    charges, reach = (atomic_numbers[one], atomic_numbers[other]), _bond(one, other)
    length = 0.8854 * _BOHR / (charges[0] ** 0.23 + charges[1] ** 0.23)
    x = np.maximum(r, _INNERMOST)
    terms = _WEIGHTS * np.exp(-_EXPONENTS * x[:, None] / length)
    nuclear = COULOMB_EV_ANGSTROM * charges[0] * charges[1] / x
    bare = nuclear * terms.sum(axis=1)
    bare_slope = -bare / x - nuclear * (terms * _EXPONENTS).sum(axis=1) / length
    part = np.maximum(1 - (x / reach) ** 2, 0.0)
    value = bare * part**3
    slope = bare_slope * part**3 - 6 * x / reach**2 * bare * part**2
    return value + slope * (r - x), slope
