"""Inducing environments: the few from which all others can be told.

Pivoted Cholesky factorisation of the kernel matrix: each step takes the environment whose variance, given those
taken before, is largest. Fine & Scheinberg, J. Mach. Learn. Res. 2 (2001) 243; for atoms, doi:10.1063/1.5024611.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ionscape.potential.kernel import DotProductKernel
from ionscape.units import Count, Indices, Number, NumberArray

#: An environment with less of the kernel's own variance left than this part of it is no news.
LEAST_VARIANCE = 1e-10


class PivotedCholesky:
    """Pivoted Cholesky factorisation of the kernel matrix of environments, a pivot at a time.

    Parameters
    ----------
    features
        Normalised features of the environments, (environments, D).
    kernel
        The kernel.
    most
        Pivots at most.
    """

    def __init__(self, features: NumberArray, kernel: DotProductKernel, most: Count) -> None:
        self._features, self._kernel = features, kernel
        self._factor = np.empty((min(most, len(features)), len(features)))
        self._left = np.full(len(features), kernel.variance())
        self.chosen: list[int] = []

    @property
    def largest(self) -> Number:
        """The largest variance that is left; 0 when every environment is taken."""
        return float(self._left.max(initial=0.0)) if len(self.chosen) < len(self._factor) else 0.0

    def take(self) -> None:
        """Take the environment with the largest variance left."""
        done, pivot = len(self.chosen), int(self._left.argmax())
        row = (
            self._kernel(self._features @ self._features[pivot]) - self._factor[:done, pivot] @ self._factor[:done]
        )
        row /= np.sqrt(self._left[pivot])
        self._factor[done] = row
        self._left = np.maximum(self._left - row**2, 0.0)
        self._left[pivot] = 0.0
        self.chosen.append(pivot)


def shared_choice(
    features: Sequence[NumberArray], kernel: DotProductKernel, most: Count, least: Number = LEAST_VARIANCE
) -> list[Indices]:
    """Return the inducing environments of every species, as rows of its `features`, at most `most` in all.

    Each step takes the environment of largest variance left among all species: a species of few but various
    environments is not crowded out by one of many alike. Ends early when no environment has anything new.
    """
    each = [PivotedCholesky(one, kernel, most) for one in features]
    for _ in range(most):
        next_one = max(each, key=lambda one: one.largest)
        if next_one.largest <= least * kernel.variance():
            break
        next_one.take()
    return [np.array(one.chosen, dtype=np.int64) for one in each]
