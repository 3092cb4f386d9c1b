"""Local minima of an electron density on a grid, and its average in a sphere.

Both work on a periodic cubic spline of log ρ, which is smooth where ρ itself spans ten orders of magnitude; the
results then depend neither on where the grid points fall nor on the shape of the cell.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ionscape.structures.density import DensityGrid
from ionscape.units import Array, Length

#: First step of a descent, shorter than the basins of the density are wide; Å.
LONGEST_STEP = 0.06
#: Steps of one length after which a descent goes on with shorter ones.
LONGEST_WAY = 60


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
        self._vacuum = np.log(vacuum)
        self._to_grid = np.linalg.inv(self._matrix) * np.array(grid.values.shape)
        self._coefficients = ndimage.spline_filter(self._values, order=3, mode="grid-wrap")

    def at(self, positions: Array) -> Array:
        """Return log ρ (…) at Cartesian `positions` (…, 3)."""
        grid = np.moveaxis(positions @ self._to_grid, -1, 0)
        return np.asarray(
            ndimage.map_coordinates(self._coefficients, grid, order=3, mode="grid-wrap", prefilter=False)
        )

    def minima(self, seeds: Array) -> Array:
        """Return the local minima (n, 3) of the density outside vacuum, Cartesian, Å.

        Descents start at the grid points no higher than their 26 neighbours and at the `seeds` (k, 3), which catch
        basins too shallow for the grid; several may end in one minimum.
        """
        lowest = ndimage.minimum_filter(self._values, size=3, mode="wrap") == self._values
        start = np.argwhere(lowest & (self._values > self._vacuum)) / self._values.shape
        found = self.descend(np.concatenate([start @ self._matrix, seeds]))
        # the edge of vacuum is no minimum, whatever the spline does there
        return found[self.at(found) > self._vacuum + 1.0]

    def descend(self, positions: Array) -> Array:
        """Return the local minima (n, 3) downhill from `positions`, by a pattern search to 0.001 Å."""
        compass = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        compass /= np.maximum(np.linalg.norm(compass, axis=1, keepdims=True), 1.0)
        home = len(compass) // 2
        step = LONGEST_STEP
        while step > 1e-3:
            moving = np.arange(len(positions))
            for _ in range(LONGEST_WAY):
                around = positions[moving, None, :] + step * compass[None, :, :]
                level = self.at(around)
                level[:, home] -= 1e-12
                best = np.argmin(level, axis=1)
                positions[moving] = around[np.arange(len(moving)), best]
                moving = moving[best != home]
                if not len(moving):
                    break
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
