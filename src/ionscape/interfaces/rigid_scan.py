"""Energies of two rigid slabs over the displacements that are not the same, and what they say of every shift.

The scan is coarse in the plane and along the normal: energies of a contact are smooth, and the waves of the
displacement lattice (`covariance`) interpolate them. Along the normal a parabola through the lowest three energies
gives the distance at which the rigid slabs would rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ionscape.interfaces.assembly import Interface, shifted
from ionscape.interfaces.covariance import LateralWaves
from ionscape.interfaces.displacements import DisplacementCell
from ionscape.interfaces.shifts import Mask, overlapping, reduced_grid, shortest_distances
from ionscape.levels.calculation import SinglePoint
from ionscape.results import frozen
from ionscape.units import Array, EnergyArray, Length, LengthArray

if TYPE_CHECKING:
    from ionscape.interfaces.contact_bench import ContactBench
    from ionscape.interfaces.registry_settings import RegistrySettings

#: Finest and coarsest lateral step of a scan, Å.
FINEST, COARSEST = 0.4, 1.0
#: Correlation length of the interpolation in lateral steps of the scan, and its noise relative to the spread.
LENGTH, NOISE = 1.5, 1e-3


@dataclass(frozen=True)
class RigidScan:
    """What a scan of rigid energies found.

    Attributes
    ----------
    shifts, energies
        All shifts that were evaluated, (n, 3), and their energies, (n,).
    lateral, lowest, normal
        Lateral shifts (m, 2), the lowest energy over the distance at each, (m,), and the normal shift of it, (m,).
    step
        Lateral step of the scan.
    """

    shifts: LengthArray
    energies: EnergyArray
    lateral: LengthArray
    lowest: EnergyArray
    normal: LengthArray
    step: Length


def scan_rigid(
    interface: Interface, cell: DisplacementCell, settings: RegistrySettings, bench: ContactBench
) -> RigidScan | None:
    """Return the scan of an interface, or nothing if no rigid energy could be computed.

    Shifts at which atoms overlap are left out.
    """
    normals = settings.scan_normal_shifts_A
    grid, step = scan_grid(cell, normals, settings.scan_points)
    free = grid[~clashes(interface, grid)]
    structures = [at(interface, shift).structure for shift in free]
    answers = bench.lab.evaluate(structures, bench.cheap) if structures else []
    done = [(s, one.energy) for s, one in zip(free, answers, strict=True) if isinstance(one, SinglePoint)]
    if not done:
        return None
    shifts, energies = np.array([s for s, _ in done]), np.array([e for _, e in done])
    lateral, lowest, normal = along_normal(shifts, energies)
    return RigidScan(frozen(shifts), frozen(energies), frozen(lateral), frozen(lowest), frozen(normal), step)


def scan_grid(cell: DisplacementCell, normals: Sequence[float], most: int) -> tuple[LengthArray, Length]:
    """Return the finest grid of at most `most` shifts, and its lateral step, between `FINEST` and `COARSEST`."""
    step = FINEST
    grid = reduced_grid(cell, normals, step)
    while len(grid) > most and step < COARSEST:
        step = min(step * 1.1, COARSEST)
        grid = reduced_grid(cell, normals, step)
    return grid, step


def at(interface: Interface, shift: Array) -> Interface:
    """Return the interface with its film moved by a Cartesian shift (3,), Å."""
    return shifted(interface, (float(shift[0]), float(shift[1])), float(shift[2]))


def clashes(interface: Interface, shifts: Array) -> Mask:
    """Return at which shifts of its film atoms of an interface overlap, (m,), booleans."""
    film = np.isin(np.arange(len(interface.structure)), interface.film_sites)
    shortest = shortest_distances(interface.film_slab, interface.substrate_slab)
    return overlapping(interface.structure, film, shifts, shortest, 2.0 * (interface.n_interfaces - 1))


def along_normal(shifts: Array, energies: Array) -> tuple[LengthArray, EnergyArray, LengthArray]:
    """Return the distinct lateral shifts, the lowest energy over the normal shift at each, and that normal shift.

    The lowest is the vertex of the parabola through the lowest energy and its neighbours; where it lies at an end
    of those known, it is that end.
    """
    keys = np.round(shifts[:, :2], 6)
    lateral, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.ravel()
    rested = [_rest(shifts[group == k, 2], energies[group == k]) for k in range(len(lateral))]
    return lateral, np.array([e for e, _ in rested]), np.array([z for _, z in rested])


def _rest(normals: Array, energies: Array) -> tuple[float, float]:
    order = np.argsort(normals)
    z, e = normals[order], energies[order]
    k = int(np.argmin(e))
    if 0 < k < len(z) - 1:
        a, b, c = np.polyfit(z[k - 1 : k + 2] - z[k], e[k - 1 : k + 2], 2)
        if a > 0:
            return float(c - b**2 / (4 * a)), float(z[k] - b / (2 * a))
    return float(e[k]), float(z[k])


def interpolated(cell: DisplacementCell, known: Array, values: Array, asked: Array, step: Length) -> Array:
    """Return values at lateral shifts `asked` (m, 2) from those at `known` (n, 2), periodic and with the symmetry.

    Parameters
    ----------
    cell
        The cell of displacements.
    known, values
        Lateral shifts, Å, and what is known there.
    asked
        Lateral shifts, Å.
    step
        Distance of the known ones, Å.
    """
    mean = values.mean()
    if len(known) < 3:
        return np.full(len(asked), mean)
    features = LateralWaves(cell, np.vstack([known, asked]), LENGTH * step).features(LENGTH * step)
    own, other = features[: len(known)], features[len(known) :]
    weights = np.linalg.solve(own @ own.T + NOISE * np.eye(len(known)), values - mean)
    result: Array = other @ (own.T @ weights) + mean
    return result
