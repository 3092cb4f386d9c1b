"""Where a band needs more images, and bands with images added there."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ionscape.migration.settings import BandSettings
from ionscape.migration.state import BandState


def unresolved(images: list[Atoms], state: BandState, settings: BandSettings) -> list[int]:
    """Return the segments (k: between images k and k + 1) that need an image between; none if all is resolved.

    A segment where the interpolated energy rises above the highest image, or dips below both its ends, by more
    than the resolution; both segments beside a saddle whose energy is not known to it; both beside an image
    where the path turns back.
    """
    profile, allowed = state.profile, settings.resolution_eV
    found = set()
    rises, where = profile.excess()
    if rises > allowed:
        found.add(where)
    dips, where = profile.hollow()
    if dips > allowed:
        found.add(where)
    top = min(max(profile.highest, 1), len(images) - 2)
    if state.saddle_error > allowed and not found:
        found |= {top - 1, top}
    for k in range(1, len(images) - 1):
        before = images[k].positions - images[k - 1].positions
        after = images[k + 1].positions - images[k].positions
        if np.vdot(before, after) < 0:
            found |= {k - 1, k}
    room = settings.max_images - (len(images) - 2)
    return sorted(found)[: max(room, 0)]


def refined(images: list[Atoms], segments: list[int]) -> list[Atoms]:
    """Return the images with one more in the middle of each of `segments`; the new ones have no calculator."""
    grown = []
    for k, image in enumerate(images):
        grown.append(image)
        if k in segments:
            middle = image.copy()
            positions = (image.positions + images[k + 1].positions) / 2
            middle.set_positions(positions, apply_constraint=False)
            grown.append(middle)
    return grown
