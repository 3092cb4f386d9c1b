r"""Where a crystal can be cut parallel to a plane, and what the cuts have to do with one another.

Atoms are grouped into atomic planes by their heights; a cut lies in the middle of a gap between two of them. The
*termination* of a cut is the surface of the crystal that ends below it. Operations h → h + t take a cut into one with
the same termination; those of h → t − h take the termination of the cut at g into the surface of a crystal that
begins above t − g. A slab from t − g − n up to g therefore has two equivalent faces, and a slab from g − n k⁻¹ (k
equivalent planes in d) whole formula units.

Polarity (P. W. Tasker, J. Phys. C 12, 4977 (1979), doi:10.1088/0022-3719/12/22/036): type I, neutral atomic planes;
type II, charged ones in a repeat unit without dipole; type III, a repeat unit with a dipole

    μ = Σ qᵢ zᵢ,    sum over the atoms between g − 1 and g

which in a thick crystal costs an energy that grows with the thickness. Type belongs to the cut: a crystal can have
terminations of types II and III on the same plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from ionscape.interfaces.orientation import Orientation, fold
from ionscape.units import Area, Array, Length, Number, Unit

Tasker = Literal["I", "II", "III"]
#: Charge of an atomic plane below which it is neutral, e.
NEUTRAL = 1e-3
#: Dipole of a repeat unit over its area above which a cut is polar, e/Å.
POLAR = 2e-3


@dataclass(frozen=True)
class Cut:
    """A termination of a crystal on one of its planes.

    Attributes
    ----------
    index
        Its number on this plane, by the height of the cut.
    height
        Height of the cut, in units of the spacing, in [0, 1).
    gap
        Distance of the atomic planes on its two sides.
    bottoms
        Heights below which a slab that ends at this cut has an equivalent face, modulo 1; none if the crystal
        has no operation that exchanges the two sides.
    tasker
        Type of the polarity.
    dipole
        Dipole of the repeat unit along the normal, over its area.
    """

    index: Annotated[int, Unit("1")]
    height: Number
    gap: Length
    bottoms: Annotated[tuple[float, ...], Unit("1")]
    tasker: Tasker
    dipole: Annotated[float, Unit("e/Å")]

    @property
    def polar(self) -> bool:
        """Whether a crystal that ends here, cut into whole repeat units, has a dipole along the normal."""
        return self.tasker == "III"


def cuts(crystal: Orientation, charges: Mapping[str, float], tolerance: Length = 0.1) -> tuple[Cut, ...]:
    """Return the symmetry-distinct cuts of `crystal` parallel to its plane, by height.

    Parameters
    ----------
    crystal
        The crystal along the normal.
    charges
        Formal charges by element, e; empty: everything is neutral.
    tolerance
        Atoms whose heights differ by less are one atomic plane, Å. Planes are chains of such atoms, shortened where
        a chain would leave no gap.
    """
    heights, gaps = gaps_of(crystal.heights, tolerance / crystal.spacing)
    found: list[Cut] = []
    for height, gap in zip(heights, gaps, strict=True):
        images = np.mod(height + crystal.preserving, 1.0)
        known = [cut.height for cut in found]
        if any(same_height(image, other, crystal.spacing) for image in images for other in known):
            continue
        bottoms = np.sort(np.mod(crystal.reversing - height, 1.0))
        tasker, dipole = _polarity(crystal, charges, height, bottoms, heights)
        found.append(Cut(len(found), height, gap * crystal.spacing, tuple(map(float, bottoms)), tasker, dipole))
    return tuple(found)


def gaps_of(heights: Array, tolerance: Number) -> tuple[list[Number], list[Number]]:
    """Return middles and widths of the gaps between atomic planes, both in units of d, by the height of the middle.

    Parameters
    ----------
    heights
        Heights of atoms, modulo 1, (n,).
    tolerance
        Least width of a gap; if none is that wide, the widest are taken.
    """
    levels = np.sort(np.mod(heights, 1.0))
    widths = np.diff(levels, append=levels[0] + 1.0)
    wide = widths > min(tolerance, 0.999 * float(widths.max()))
    middles = [fold(level + width / 2) for level, width in zip(levels[wide], widths[wide], strict=True)]
    order = np.argsort(middles)
    return [middles[k] for k in order], [float(widths[wide][k]) for k in order]


def same_height(one: Number, other: Number, spacing: Length) -> bool:
    """Return whether two heights are the same modulo 1, within 0.02 Å."""
    apart = float(np.mod(one - other + 0.5, 1.0) - 0.5)
    return abs(apart) * spacing < 0.02


def charges_of(crystal: Orientation, charges: Mapping[str, float]) -> Array:
    """Return the charges of the atoms, e, (n,)."""
    return np.array([charges.get(symbol, 0.0) for symbol in crystal.symbols])


def _polarity(
    crystal: Orientation, charges: Mapping[str, float], height: Number, bottoms: Array, all_heights: list[Number]
) -> tuple[Tasker, float]:
    q = charges_of(crystal, charges)
    dipole = _dipole(crystal, q, height, crystal.area)
    if any(
        same_height(bottom, image, crystal.spacing)
        for bottom in bottoms
        for image in np.mod(height + crystal.preserving, 1.0)
    ):
        dipole = 0.0  # by symmetry
    if abs(dipole) > POLAR:
        return "III", dipole
    return ("I" if _planes_neutral(crystal, q, all_heights) else "II"), dipole


def _dipole(crystal: Orientation, q: Array, height: Number, area: Area) -> float:
    inside = np.mod(crystal.heights - height, 1.0)
    return float(q @ inside) * crystal.spacing / area


def _planes_neutral(crystal: Orientation, q: Array, cut_heights: list[Number]) -> bool:
    plane = np.searchsorted(np.array(cut_heights), np.mod(crystal.heights, 1.0)) % len(cut_heights)
    return bool(np.all(np.abs(np.bincount(plane, weights=q, minlength=len(cut_heights))) < NEUTRAL))
