"""Migration paths drawn in their structure (Fig. 6a): the moving ion's images as a string of beads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pymatgen.core import Structure

from ionscape.report.structure_figure import Camera, Ground, structure_axes
from ionscape.report.style import INK, ONE_COLUMN, PALETTE, journal_style, nothing_to_draw
from ionscape.units import LengthArray


@dataclass(frozen=True)
class DrawnPath:
    """A path by its name: the structures of its images, initial to final, no atom jumping between them."""

    name: str
    images: Sequence[Structure]

    @property
    def tracks(self) -> list[LengthArray]:
        """Positions (images, 3) of every atom that goes at least half as far as the one that goes farthest."""
        positions = np.array([image.cart_coords for image in self.images])
        lengths = np.linalg.norm(positions[-1] - positions[0], axis=1)
        return [positions[:, k] for k in np.flatnonzero(lengths >= 0.5 * lengths.max())]

    def inside(self, lattice: LengthArray) -> Iterator[LengthArray]:
        """Yield the tracks, each moved by lattice vectors so that its middle lies in the cell."""
        for track in self.tracks:
            whole = np.floor(track.mean(axis=0) @ np.linalg.inv(lattice))
            yield track - whole @ lattice


def path_figure(paths: Sequence[DrawnPath], mobile: str, *, camera: Camera | None = None) -> Figure:
    """Return the structure of the first path's initial end with the ions' images along every path.

    Each path is drawn where it lies in the cell; beads are images, larger ones the ends, and the arrow points
    at the final one.

    Raises
    ------
    InputError
        If there is no path.
    """
    if not paths:
        raise nothing_to_draw("migration path")
    with journal_style():
        figure, axes, ground = structure_axes(paths[0].images[0], camera=camera, width=1.4 * ONE_COLUMN)
        for number, path in enumerate(paths):
            for track in path.inside(ground.lattice):
                _beads(axes, ground, track, PALETTE[number % len(PALETTE)], path.name)
        axes.set_title(f"{mobile} paths: beads are images, arrows point at the final sites", fontsize=7, color=INK)
    return figure


def _beads(axes: Axes, ground: Ground, track: LengthArray, colour: str, name: str) -> None:
    flat = ground.flat(track)
    axes.plot(*flat.T, color=colour, lw=1.0, zorder=5)
    axes.scatter(flat[1:-1, 0], flat[1:-1, 1], s=9, color=colour, edgecolors=INK, linewidths=0.3, zorder=6)
    ends = flat[[0, -1]]
    axes.scatter(
        ends[:, 0], ends[:, 1], s=20, facecolors=["white", colour], edgecolors=colour, linewidths=0.9, zorder=6
    )
    axes.annotate(
        "",
        flat[-1],
        flat[-2],
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.0, "shrinkB": 0},
        zorder=7,
    )
    axes.annotate(
        name, flat[len(flat) // 2], xytext=(4, 4), textcoords="offset points", fontsize=7, color=INK, zorder=8
    )
