r"""Where a crystal can be cut parallel to a plane, and what the cuts have to do with one another.

Atoms are grouped into atomic planes by their heights; a cut lies in the middle of a gap between two of them. The
*termination* of a cut is the surface of the crystal that ends below it. Operations h → h + t take a cut into one
with the same termination; those of h → t − h take the termination of the cut at g into the surface of a crystal
that begins above t − g. A slab from t − g − n up to g therefore has two equivalent faces, and a slab from g − n/k
(k equivalent planes in d) whole formula units.

Polarity (P. W. Tasker, J. Phys. C 12, 4977 (1979), doi:10.1088/0022-3719/12/22/036): type I, neutral atomic
planes; type II, charged ones in a repeat unit without dipole; type III, a repeat unit with a dipole

    μ = Σ qᵢ zᵢ,    sum over the atoms between g − 1 and g

which in a thick crystal costs an energy that grows with the thickness. The type belongs to the cut: a crystal can
have terminations of types II and III on the same plane. Where all cuts between planes are polar, others go through
planes (`ionscape.interfaces.split_planes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from ionscape.interfaces.orientation import Orientation, fold
from ionscape.interfaces.split_planes import SplitPlane, split_planes
from ionscape.units import Array, Indices, Length, Number, Unit

Tasker = Literal["I", "II", "III"]
#: Charge of an atomic plane below which it is neutral, e.
NEUTRAL = 1e-3
#: Dipole of a repeat unit over its area above which a cut is polar, e/Å.
POLAR = 2e-3
#: Heights that differ by less are the same, Å.
SAME_HEIGHT = 0.02


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
        Distance of the atomic planes on its two sides; 0 for a cut through a plane.
    bottoms
        Heights below which a slab that ends at this cut has an equivalent face, modulo 1; none if the crystal
        has no operation that exchanges the two sides.
    tasker
        Type of the polarity.
    dipole
        Dipole of the repeat unit along the normal, over its area.
    split
        The atomic plane through which the cut goes, if it goes through one.
    """

    index: Annotated[int, Unit("1")]
    height: Number
    gap: Length
    bottoms: Annotated[tuple[float, ...], Unit("1")]
    tasker: Tasker
    dipole: Annotated[float, Unit("e/Å")]
    split: SplitPlane | None = None

    @property
    def polar(self) -> bool:
        """Whether a crystal that ends here, cut into whole repeat units, has a dipole along the normal."""
        return abs(self.dipole) > POLAR


def cuts(
    crystal: Orientation, charges: Mapping[str, float], tolerance: Length = 0.1, split_cells: int = 2
) -> tuple[Cut, ...]:
    """Return the symmetry-distinct cuts of `crystal` parallel to its plane, by height.

    Parameters
    ----------
    crystal
        The crystal along the normal.
    charges
        Formal charges by element, e; empty: everything is neutral.
    tolerance
        Atoms whose heights differ by less are one atomic plane, Å.
    split_cells
        Where all cuts between planes are polar: largest surface cell, in primitive ones, in which planes are
        split; the smallest that gives a cut without dipole is taken. 0: none is split.
    """
    heights, gaps = gaps_of(crystal.heights, tolerance / crystal.spacing)
    between = [
        _cut(crystal, charges, height, gap * crystal.spacing, heights)
        for height, gap in zip(heights, gaps, strict=True)
    ]
    planes = planes_between(crystal.heights, heights)
    polar = [plane for k, plane in enumerate(planes) if between[k].polar and between[(k + 1) % len(between)].polar]
    through: list[Cut] = []
    for cells in range(1, split_cells + 1):
        if not through and all(cut.polar for cut in between):
            through = [_through(split) for split in split_planes(crystal, polar, cells)]
    found: list[Cut] = []
    for cut in sorted([*_distinct(between, crystal), *through], key=lambda cut: cut.height):
        found.append(replace(cut, index=len(found)))
    return tuple(found)


def gaps_of(heights: Array, tolerance: Number) -> tuple[list[Number], list[Number]]:
    """Return middles and widths of the gaps between atomic planes, in units of d, by height.

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


def planes_between(heights: Array, cut_heights: list[Number]) -> list[Indices]:
    """Return the atoms of each atomic plane; plane k lies between the cuts k and k + 1."""
    plane = (np.searchsorted(np.array(cut_heights), np.mod(heights, 1.0)) - 1) % len(cut_heights)
    return [np.flatnonzero(plane == k) for k in range(len(cut_heights))]


def same_height(one: Number, other: Number, spacing: Length) -> bool:
    """Return whether two heights are the same modulo 1, within 0.02 Å."""
    apart = float(np.mod(one - other + 0.5, 1.0) - 0.5)
    return abs(apart) * spacing < SAME_HEIGHT


def _through(split: SplitPlane) -> Cut:
    """Return the cut through a plane: of type II in the primitive surface cell, else a reconstruction."""
    return Cut(0, split.height, 0.0, (split.height,), "II" if split.cells == 1 else "III", 0.0, split)


def _distinct(found: list[Cut], crystal: Orientation) -> list[Cut]:
    kept: list[Cut] = []
    for cut in found:
        images = np.mod(cut.height + crystal.preserving, 1.0)
        if not any(same_height(image, other.height, crystal.spacing) for image in images for other in kept):
            kept.append(cut)
    return kept


def _cut(
    crystal: Orientation, charges: Mapping[str, float], height: Number, gap: Length, heights: list[Number]
) -> Cut:
    bottoms = tuple(float(bottom) for bottom in np.sort(np.mod(crystal.reversing - height, 1.0)))
    q = np.array([charges.get(symbol, 0.0) for symbol in crystal.symbols])
    images = np.mod(height + crystal.preserving, 1.0)
    dipole = float(q @ np.mod(crystal.heights - height, 1.0)) * crystal.spacing / crystal.area
    if any(same_height(bottom, image, crystal.spacing) for bottom in bottoms for image in images):
        dipole = 0.0  # by symmetry: a repeat unit that ends here is its own mirror image
    charged = [abs(q[plane].sum()) > NEUTRAL for plane in planes_between(crystal.heights, heights)]
    tasker: Tasker = "III" if abs(dipole) > POLAR else "II" if any(charged) else "I"
    return Cut(0, height, gap, bottoms, tasker, dipole)
