"""Radial functions of the neighbour density: few, smooth, and weighted as distances matter.

What an atom feels of a neighbour falls off with distance, and varies smoothly with it. Both are put into the
metric of the descriptor here: the functions are orthonormal, then scaled down with distance and with their order.
An unscaled basis of the same span doubles the errors of the potential.

Sources: radial scaling of the density, Willatt, Musil & Ceriotti, doi:10.1039/C8CP05921G.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ionscape.potential.settings import DescriptorSettings
from ionscape.units import Array, LengthArray, NumberArray, Unit

#: Distance from which the functions are orthonormal, Å: closer than this atoms do not come.
CLOSEST = 1.0
#: Power with which the functions vanish at the cutoff: value and first two derivatives are continuous.
_SMOOTHNESS = 3
#: Nodes of the table between which cubics interpolate: their error is below 32-bit rounding.
NODES = 769


@dataclass(frozen=True)
class RadialTable:
    """Radial functions on evenly spaced nodes from 0 to the cutoff.

    Attributes
    ----------
    values
        R_n(r), (nodes, N).
    slopes
        dR_n/dr, 1/Å, (nodes, N).
    """

    values: NumberArray
    slopes: Annotated[Array, Unit("1/Å")]


def radial_table(settings: DescriptorSettings, nodes: int = NODES) -> RadialTable:
    r"""Return the radial functions of `settings` and their slopes on `nodes` nodes from 0 to the cutoff.

    .. math::

        R_n(r) = e^{-\gamma n^2}\, \frac{1}{1 + (r/r_0)^p}
            \sum_{k} T_{nk}\, (1 - r/r_c)^3\, \mathrm{T}_k\!\left(\frac{2(r - a)}{r_c - a} - 1\right),

    with Chebyshev polynomials T_k, k < N, made orthonormal on [a, r_c] by the triangular matrix T; a = 1 Å.

    =========== ========================= =====
    symbol      meaning                   unit
    =========== ========================= =====
    r_c         ``cutoff_A``              Å
    r_0, p      ``radial_scale_A``, ``_power``  Å, 1
    γ           ``radial_damping``        1
    =========== ========================= =====
    """
    r = np.linspace(0.0, settings.cutoff_A, nodes)
    raw, raw_slopes = _chebyshev(r, settings)
    to_orthonormal = _orthonormal(settings)
    x = (r / settings.radial_scale_A) ** settings.radial_power
    scale = 1 / (1 + x)
    inverse = np.divide(1.0, r, out=np.zeros_like(r), where=r > 0)
    scale_slope = -(scale**2) * settings.radial_power * x * inverse
    damping = np.exp(-settings.radial_damping * np.arange(settings.n_max) ** 2)
    shape, slope = raw @ to_orthonormal * damping, raw_slopes @ to_orthonormal * damping
    return RadialTable(scale[:, None] * shape, scale[:, None] * slope + scale_slope[:, None] * shape)


def _chebyshev(r: LengthArray, settings: DescriptorSettings) -> tuple[NumberArray, Array]:
    """Return Chebyshev polynomials times the cutoff function, and their slopes, (distances, N) each."""
    width = settings.cutoff_A - CLOSEST
    x = 2 * (r - CLOSEST) / width - 1
    part = 1 - r / settings.cutoff_A
    cut, cut_slope = part**_SMOOTHNESS, -_SMOOTHNESS / settings.cutoff_A * part ** (_SMOOTHNESS - 1)
    series = [np.polynomial.Chebyshev.basis(n) for n in range(settings.n_max)]
    values = np.stack([each(x) for each in series], axis=1)
    slopes = np.stack([each.deriv()(x) for each in series], axis=1) * 2 / width
    return cut[:, None] * values, cut[:, None] * slopes + cut_slope[:, None] * values


def _orthonormal(settings: DescriptorSettings) -> NumberArray:
    points, weights = np.polynomial.legendre.leggauss(200)
    r = CLOSEST + (settings.cutoff_A - CLOSEST) * (points + 1) / 2
    values, _ = _chebyshev(r, settings)
    weights = weights * (settings.cutoff_A - CLOSEST) / 2
    _, triangle = np.linalg.qr(values * np.sqrt(weights)[:, None])
    triangle *= np.sign(np.diag(triangle))[:, None]
    return np.asarray(np.linalg.inv(triangle))
