"""Where a band stands: its images, the forces that are left, and whether that counts as converged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ionscape.migration.profile import Profile, profile_of, tangent
from ionscape.migration.settings import BandSettings
from ionscape.units import Array, Count, Energy, Force

#: A path whose inner images lie above neither end by more than this has no saddle between them; eV.
NO_BARRIER = 1e-3


@dataclass(frozen=True)
class BandState:
    """A band as it stands.

    Attributes
    ----------
    profile
        Energies along it.
    climbing
        Index of the climbing image; None where none climbs.
    saddle_force
        Largest force on an atom of the climbing image; where none climbs, across the path in the highest image.
    path_force
        Largest force across the path on an atom of any image that does not climb.
    residual
        Length of the force on all atoms together that `saddle_force` is the largest part of.
    """

    profile: Profile
    climbing: Count | None
    saddle_force: Force
    path_force: Force
    residual: Force

    def is_converged(self, settings: BandSettings) -> bool:
        """Tell whether the forces are within the tolerances."""
        if self.climbing is None:
            return self.path_force <= settings.fmax_eV_per_A
        return self.saddle_force <= settings.fmax_eV_per_A and self.path_force <= settings.path_fmax_eV_per_A

    @property
    def saddle_error(self) -> Energy:
        """Estimated error of the energy of the highest image as that of the saddle.

        The larger of what the interpolation rises above it, and of what the residual force F can still change:
        F²/2κ with the curvature κ along the path, at most F times half the way to the nearer image. An estimate:
        what lies between images may still surprise.
        """
        profile = self.profile
        top = min(max(profile.highest, 1), len(profile.energies) - 2)
        half_way = float(np.diff(profile.coordinates)[top - 1 : top + 1].min()) / 2
        curvature = max(profile.curvature_at_top(), self.residual / (2 * half_way))
        left = self.residual**2 / (2 * curvature) if self.residual > 0 else 0.0
        return max(profile.excess()[0], left)


def climbing_image(energies: Array, *, climb: bool) -> int | None:
    """Return the index of the image that climbs: the highest inner one, if it lies above both ends."""
    top = 1 + int(np.argmax(energies[1:-1]))
    return top if climb and energies[top] > max(energies[0], energies[-1]) + NO_BARRIER else None


def band_state(images: list[Atoms], *, climb: bool) -> BandState:
    """Return the state of `images`, whose calculators answer for energies and forces (held atoms: none)."""
    positions = np.array([image.positions for image in images])
    energies = np.array([image.get_potential_energy() for image in images])
    forces = np.zeros_like(positions)
    for k in range(1, len(images) - 1):
        forces[k] = images[k].get_forces()
    climbing = climbing_image(energies, climb=climb)
    across = {
        k: largest_force(_across(forces[k], tangent(positions, energies, k)))
        for k in range(1, len(images) - 1)
        if k != climbing
    }
    profile = profile_of(positions, energies, forces)
    path_force = max(across.values(), default=0.0)
    top = min(max(profile.highest, 1), len(images) - 2)
    left = _across(forces[top], tangent(positions, energies, top)) if climbing is None else forces[climbing]
    return BandState(profile, climbing, largest_force(left), path_force, float(np.linalg.norm(left)))


def _across(forces: Array, along: Array) -> Array:
    left: Array = forces - np.vdot(forces, along) * along
    return left


def largest_force(forces: Array) -> Force:
    """Return the length of the largest of the forces (atoms, 3), eV/Å."""
    return float(np.sqrt((forces**2).sum(axis=1).max()))
