"""The kernel between environments: a polynomial of the dot product of their normalised power spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionscape.units import Number, NumberArray


@dataclass(frozen=True)
class DotProductKernel:
    r"""The kernel :math:`k(p, q) = \sum_\zeta a_\zeta (p \cdot q)^\zeta`, ζ = 1, 2, ….

    Attributes
    ----------
    amplitudes
        a₁, a₂, …, none negative: a sum of kernels is one.
    """

    amplitudes: tuple[Number, ...]

    def __call__(self, products: NumberArray) -> NumberArray:
        """Return the kernel of dot products, of any shape."""
        total = np.zeros_like(products)
        for amplitude in reversed(self.amplitudes):  # Horner
            total = (total + amplitude) * products
        return total

    def variance(self) -> Number:
        """Return the kernel of an environment with itself."""
        return float(sum(self.amplitudes))
