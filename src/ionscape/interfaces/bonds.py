r"""How near two faces come: the gap at which facing atoms touch like bonded ones.

The sum of radii is a bond length for a pair that attracts; the gap is the smallest at which no pair across the
interface is closer than its bond length, so that at most one pair touches and nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ionscape.units import Array, Length

#: Share of the sum of covalent radii at which two atoms touch.
TOUCHING = 1.0


def contact_gap(
    lower: Sequence[str], lower_positions: Array, upper: Sequence[str], upper_positions: Array
) -> Length:
    """Return the gap in Å between two facing slabs: the mean bond length of the atoms at their faces.

    Parameters
    ----------
    lower, upper
        Elements of the two slabs.
    lower_positions, upper_positions
        Their positions, (n, 3), Å; the lower slab's highest atoms meet the upper slab's lowest.
    """
    faces = []
    for symbols, heights in ((lower, -lower_positions[:, 2]), (upper, upper_positions[:, 2])):
        facing = heights <= heights.min() + 0.5
        faces.append([radius(symbol) for symbol, here in zip(symbols, facing, strict=True) if here])
    return TOUCHING * float(np.mean(faces[0]) + np.mean(faces[1]))


def radius(symbol: str) -> Length:
    """Return the covalent radius of an element, Å (B. Cordero et al. 2008, doi:10.1039/b801115j)."""
    from ase.data import atomic_numbers, covalent_radii

    return float(covalent_radii[atomic_numbers[symbol]])
