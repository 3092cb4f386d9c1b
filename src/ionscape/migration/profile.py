"""The energy along a path: from energies and slopes at its images to barriers, and how well they are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionscape.results import frozen
from ionscape.units import Array, Count, Energy, EnergyArray, ForceArray, LengthArray


@dataclass(frozen=True)
class Profile:
    """Energies along a path.

    Between images the energy is the cubic that has the energies and slopes of both (Hermite): a guide to what the
    images do not show, never the source of a barrier.

    Attributes
    ----------
    coordinates
        Length of the path up to each image, √Σ |ΔR|² over all atoms, (images,).
    energies
        Energy of each image above the initial one, (images,).
    slopes
        Energy per length along the path at each image, −F·t, (images,); 0 at relaxed ends.
    """

    coordinates: LengthArray
    energies: EnergyArray
    slopes: ForceArray

    @property
    def highest(self) -> Count:
        """Index of the image of highest energy."""
        return int(np.argmax(self.energies))

    @property
    def forward(self) -> Energy:
        """Barrier from the initial end: E(highest image) − E(initial); 0 if the initial end is the highest."""
        return float(self.energies[self.highest] - self.energies[0])

    @property
    def backward(self) -> Energy:
        """Barrier from the final end: E(highest image) − E(final)."""
        return float(self.energies[self.highest] - self.energies[-1])

    def curve(self, points: int = 40) -> tuple[Array, Array]:
        """Return coordinates (Å) and energies (eV) of the interpolation, `points` to a segment, for figures."""
        t = np.linspace(0.0, 1.0, points, endpoint=False)
        parts = [self._segment(k, t) for k in range(len(self.energies) - 1)]
        ends = self.coordinates[-1:], self.energies[-1:]
        return (
            np.concatenate([*(s for s, _ in parts), ends[0]]),
            np.concatenate([*(e for _, e in parts), ends[1]]),
        )

    def _segment(self, k: int, t: Array) -> tuple[Array, Array]:
        h = self.coordinates[k + 1] - self.coordinates[k]
        e, g = self.energies[k : k + 2], self.slopes[k : k + 2] * h
        energy = (
            (2 * t**3 - 3 * t**2 + 1) * e[0]
            + (t**3 - 2 * t**2 + t) * g[0]
            + (3 * t**2 - 2 * t**3) * e[1]
            + (t**3 - t**2) * g[1]
        )
        return self.coordinates[k] + h * t, energy

    def excess(self) -> tuple[Energy, Count]:
        """Return how far the interpolation rises above the highest image, and the segment where it does."""
        t = np.linspace(0.0, 1.0, 101)
        tops = [float(self._segment(k, t)[1].max()) for k in range(len(self.energies) - 1)]
        segment = int(np.argmax(tops))
        return max(0.0, tops[segment] - float(self.energies.max())), segment

    def hollow(self) -> tuple[Energy, Count]:
        """Return how far the interpolation dips below both images of a segment, at most, and that segment."""
        t = np.linspace(0.0, 1.0, 101)
        dips = [
            float(min(self.energies[k : k + 2]) - self._segment(k, t)[1].min())
            for k in range(len(self.energies) - 1)
        ]
        segment = int(np.argmax(dips))
        return max(0.0, dips[segment]), segment

    def curvature_at_top(self) -> float:
        """Return |d²E/ds²| at the highest inner image from the energies and slopes beside it, eV/Å²."""
        k = min(max(self.highest, 1), len(self.energies) - 2)
        left, right = np.diff(self.coordinates)[k - 1 : k + 1]
        # the second derivatives of both cubics at the image, averaged
        e, g = self.energies, self.slopes
        before = (6 * (e[k - 1] - e[k]) / left + 2 * g[k - 1] + 4 * g[k]) / left
        after = (6 * (e[k + 1] - e[k]) / right - 4 * g[k] - 2 * g[k + 1]) / right
        return float(abs(before + after) / 2)


def profile_of(positions: Array, energies: Array, forces: Array) -> Profile:
    """Return the profile of images (n, atoms, 3) with energies (n,) and forces (n, atoms, 3).

    Slopes at the ends count as 0: ends are minima.
    """
    steps = np.linalg.norm((positions[1:] - positions[:-1]).reshape(len(positions) - 1, -1), axis=1)
    slopes = np.zeros(len(positions))
    for k in range(1, len(positions) - 1):
        slopes[k] = -float(np.vdot(forces[k], tangent(positions, energies, k)))
    relative = np.asarray(energies) - energies[0]
    return Profile(frozen(np.concatenate([[0.0], np.cumsum(steps)])), frozen(relative), frozen(slopes))


def tangent(positions: Array, energies: Array, k: int) -> Array:
    """Return the improved tangent (atoms, 3), of length 1, at inner image `k`.

    Towards the higher neighbour; at extrema a mean of both weighted by energy differences.
    Henkelman and Jónsson, J. Chem. Phys. 113, 9978 (2000), doi:10.1063/1.1323224.
    """
    forward, back = positions[k + 1] - positions[k], positions[k] - positions[k - 1]
    before, here, after = energies[k - 1 : k + 2]
    if after > here > before:
        direction = forward
    elif after < here < before:
        direction = back
    else:
        rise, fall = abs(after - here), abs(before - here)
        larger, smaller = max(rise, fall), min(rise, fall)
        weights = (larger, smaller) if after > before else (smaller, larger)
        direction = weights[0] * forward + weights[1] * back
        if not np.any(direction):
            direction = forward + back
    unit: Array = direction / np.linalg.norm(direction)
    return unit
