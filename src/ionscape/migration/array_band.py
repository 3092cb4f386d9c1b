"""A nudged elastic band on arrays, for surfaces that answer in microseconds.

The same forces as those of ASE's band that the level is relaxed with (improved tangents, climbing image),
without the cost of its objects; FIRE moves the images (Bitzek et al., doi:10.1103/PhysRevLett.97.170201).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ionscape.migration.plain import CLIMB_BELOW
from ionscape.migration.profile import tangent
from ionscape.migration.state import climbing_image
from ionscape.units import Array

#: FIRE: first and longest time step, and the longest step of a coordinate, Å.
_STEP, _LONGEST_STEP, _MOST = 0.1, 0.5, 0.1


def band_forces(points: Array, energies: Array, gradients: Array, spring: float, climbing: int | None) -> Array:
    """Return the forces (n − 2, …) on the inner images of a band of points (n, …).

    Springs along the improved tangent, the surface's force across it; on the climbing image the whole force of the
    surface, reversed along the tangent.
    """
    forces = np.empty_like(points[1:-1])
    for k in range(1, len(points) - 1):
        along = tangent(points, energies, k)
        slope = float(np.vdot(gradients[k], along))
        if k == climbing:
            forces[k - 1] = -gradients[k] + 2 * slope * along
            continue
        apart = np.linalg.norm(points[k + 1] - points[k]) - np.linalg.norm(points[k] - points[k - 1])
        forces[k - 1] = -gradients[k] + (slope + spring * apart) * along
    return forces


def relax_band(
    points: Array,
    surface: Callable[[Array], tuple[Array, Array]],
    spring: float,
    steps: int,
    climb: bool,
    watch: Callable[[Array, int | None, Array], bool],
) -> Array:
    """Return the points of a band relaxed on `surface`, until `watch` tells to stop.

    Parameters
    ----------
    points
        Ends and inner images, (n, p), Å.
    surface
        Energies (n,) and gradients (n, p) of points (n, p).
    spring
        eV/Å².
    steps
        Most steps.
    climb
        Whether the highest image climbs once the forces are small.
    watch
        Given points, the climbing image and the forces on the inner images; true ends the relaxation.
    """
    points = points.copy()
    velocity, step, mixing, downhill = np.zeros_like(points[1:-1]), _STEP, 0.1, 0
    climbs = False
    for _ in range(steps):
        energies, gradients = surface(points)
        climbing = climbing_image(energies, climb=climbs)
        forces = band_forces(points, energies, gradients, spring, climbing)
        if climb and not climbs and float(np.abs(forces).max()) < CLIMB_BELOW:
            climbs = True
            continue
        if watch(points, climbing, forces):
            break
        power = float(np.vdot(forces, velocity))
        if power > 0:
            scale = np.linalg.norm(velocity) / max(float(np.linalg.norm(forces)), 1e-12)
            velocity = (1 - mixing) * velocity + mixing * scale * forces
            downhill += 1
            if downhill > 5:
                step, mixing = min(1.1 * step, _LONGEST_STEP), 0.99 * mixing
        else:
            velocity, step, mixing, downhill = np.zeros_like(velocity), 0.5 * step, 0.1, 0
        velocity = velocity + step * forces
        move = step * velocity
        points[1:-1] += move * min(1.0, _MOST / max(float(np.abs(move).max()), 1e-12))
    return points
