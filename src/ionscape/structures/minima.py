"""Local minima of an electron density on a grid, and its average in a sphere.

Both work on a periodic cubic spline of log ρ, which is smooth where ρ itself spans ten orders of magnitude; the
results then depend neither on where the grid points fall nor on the shape of the cell.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ionscape.structures.density import DensityGrid
from ionscape.units import Array, Length


class LogDensity:
    """Periodic cubic spline of log ρ, ρ in e/Å³, at Cartesian positions in Å.

    Parameters
    ----------
    grid
        The density.
    vacuum
        Smallest density told apart from zero, e/Å³; less counts as vacuum.
    """

    def __init__(self, grid: DensityGrid, vacuum: float) -> None:
        self._matrix = np.array(grid.structure.lattice.matrix)
        self._values = np.log(np.maximum(grid.values, vacuum))
        self._occupied = grid.values > vacuum
        self._spacing = grid.spacing
        self._to_grid = np.linalg.inv(self._matrix) * np.array(grid.values.shape)
        self._coefficients = ndimage.spline_filter(self._values, order=3, mode="grid-wrap")

    def at(self, positions: Array) -> Array:
        """Return log ρ (…) at Cartesian `positions` (…, 3)."""
        grid = np.moveaxis(positions @ self._to_grid, -1, 0)
        return np.asarray(
            ndimage.map_coordinates(self._coefficients, grid, order=3, mode="grid-wrap", prefilter=False)
        )

    def minima(self) -> Array:
        """Return the local minima (n, 3) of the density outside vacuum, Cartesian, Å.

        Every grid point no higher than its 26 neighbours starts a descent; several may end in one minimum.
        """
        lowest = ndimage.minimum_filter(self._values, size=3, mode="wrap") == self._values
        start = np.argwhere(lowest & self._occupied) / self._values.shape
        return self.descend(start @ self._matrix)

    def descend(self, positions: Array) -> Array:
        """Return the local minima (n, 3) downhill from `positions`, by a pattern search to 0.001 Å."""
        compass = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        lengths = np.maximum(np.linalg.norm(compass, axis=1, keepdims=True), 1.0)
        step = self._spacing
        while step > 1e-3 and len(positions):
            for _ in range(20):
                around = positions[:, None, :] + step * (compass / lengths)[None, :, :]
                level = self.at(around)
                level[:, len(compass) // 2] -= 1e-12
                best = np.argmin(level, axis=1)
                if np.all(best == len(compass) // 2):
                    break
                positions = around[np.arange(len(positions)), best]
            step /= 2
        return positions

    def sphere_average(self, positions: Array, radius: Length) -> Array:
        """Return the density (n,) in e/Å³ averaged in balls of `radius` Å about `positions` (n, 3)."""
        offsets, weights = ball_quadrature(radius)
        return np.exp(self.at(positions[:, None, :] + offsets[None, :, :])) @ weights


def ball_quadrature(radius: Length) -> tuple[Array, Array]:
    """Return points (n, 3) and weights (n,), Σ = 1, that average polynomials to degree 5 over a ball exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    r = 0.5 * (nodes + 1)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) / np.sqrt(3)
    directions = np.concatenate([axes, corners])
    angular = np.concatenate([np.full(6, 1 / 15), np.full(8, 3 / 40)])
    points = radius * r[:, None, None] * directions[None, :, :]
    return points.reshape(-1, 3), np.outer(1.5 * weights * r**2, angular).ravel()
