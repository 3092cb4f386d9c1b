"""What is known of a path once its band ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ionscape.migration.modes import SaddleModes
from ionscape.migration.profile import Profile
from ionscape.units import Count, Energy, Force, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure


@dataclass(frozen=True)
class MigrationPath:
    """A minimum-energy path between two sites, every energy of it the level's own.

    Attributes
    ----------
    profile
        Energies along the path.
    images
        Initial end, inner images, final end; atoms do not jump between periodic images along them.
    climbing
        Index of the climbing image; None where none climbed (not asked for, or no image above both ends).
    saddle_error
        Estimated error of the saddle's energy (`BandState.saddle_error`).
    saddle_force, path_force
        Forces left on the saddle and across the path.
    converged
        Whether they are within the tolerances.
    resolved
        Whether the images resolve the barrier to the resolution of the settings.
    state
        The same in words.
    iterations
        Iterations of the band; of a surrogate-assisted one, evaluations.
    n_force_calls, n_end_calls
        Evaluations of the level for the band (and the modes), and for the relaxation of the ends.
    initial_energy
        Energy of the initial end.
    modes
        Vibrations of the saddle; None if they were not asked for.
    """

    profile: Profile
    images: tuple[Structure, ...]
    climbing: Annotated[int | None, Unit("1")]
    saddle_error: Energy
    saddle_force: Force
    path_force: Force
    converged: bool
    resolved: bool
    state: str
    iterations: Count
    n_force_calls: Count
    n_end_calls: Count
    initial_energy: Energy
    modes: SaddleModes | None

    @property
    def forward(self) -> Energy:
        """Barrier from the initial site."""
        return self.profile.forward

    @property
    def backward(self) -> Energy:
        """Barrier from the final site."""
        return self.profile.backward

    @property
    def site_difference(self) -> Energy:
        """Energy of the final site above the initial one."""
        return float(self.profile.energies[-1])

    @property
    def saddle(self) -> Structure:
        """The highest image."""
        return self.images[self.profile.highest]
