"""Whether the host stays where it is: the displacement of its elements."""

from __future__ import annotations

from dataclasses import dataclass

from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.diffusion import NotDiffusive, diffusion
from ionscape.units import Area, Array, Diffusivity

#: Mean-square displacement by diffusion over the run from which on an element counts as moving, Å².
LEAST_TRAVEL = 1.0


@dataclass(frozen=True)
class HostMobility:
    """What the atoms of one element of the host do.

    Attributes
    ----------
    is_flat
        Whether their mean-square displacement stays flat: no diffusion coefficient can be told, or one that moves
        them less than 1 Å in the run.
    diffusivity
        D of an element that moves, or the bound of D of one that does not.
    displacement
        6 D times the length of the run: how far they diffused, or at most could have.
    """

    is_flat: bool
    diffusivity: Diffusivity
    displacement: Area


def host_mobility(positions: Array, frame_interval: float) -> HostMobility | Failure:
    """Return what atoms of the host do, or why it cannot be told.

    Parameters
    ----------
    positions
        Unwrapped Cartesian positions, drift removed, Å, (frames, atoms, 3).
    frame_interval
        Time between frames, fs.
    """
    try:
        found = diffusion(positions, frame_interval)
    except InputError as error:
        return Failure(str(error))
    value = found.upper_bound if isinstance(found, NotDiffusive) else found.value
    travel = 6 * value * found.run_time
    return HostMobility(isinstance(found, NotDiffusive) or travel < LEAST_TRAVEL, value, travel)
