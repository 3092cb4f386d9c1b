"""Figures of paths: trajectory density seen along the lattice vectors, jump network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ionscape.errors import InputError
from ionscape.report.style import INK, MUTED, TWO_COLUMNS, journal_style, look, new_figure
from ionscape.report.typography import formula_math
from ionscape.units import Array

_AXES = ("a", "b", "c")
#: Contours at these parts of the highest projected density: where an isosurface would lie.
CONTOURS = (0.02, 0.1, 0.4)
#: The colour scale reaches down to this part of the highest density.
_LOWEST = 1e-3


@dataclass(frozen=True)
class DensityMap:
    """Trajectory density on a grid of the cell, with the host.

    Attributes
    ----------
    label
        Material, ion and temperature.
    values
        Probability density at the fractional positions (i/n₁, j/n₂, k/n₃), (n₁, n₂, n₃), Å⁻³.
    cell
        Lattice vectors as rows, Å, (3, 3).
    host_symbols, host_fractional
        Elements, (atoms,), and fractional positions, (atoms, 3), of the host; empty: not drawn.
    """

    label: str
    values: ArrayLike
    cell: ArrayLike
    host_symbols: Sequence[str] = ()
    host_fractional: ArrayLike = ()


@dataclass(frozen=True)
class JumpMap:
    """Sites and the jumps between them.

    Attributes
    ----------
    label
        Material, ion and temperature.
    cell
        Lattice vectors as rows, Å, (3, 3).
    fractional
        Fractional positions of the sites, (sites, 3).
    occupations
        Mean number of ions at every site, (sites,).
    edges
        Start, end and lattice translation of every connection, (n, 5).
    counts
        Number of jumps along it, (n,).
    """

    label: str
    cell: ArrayLike
    fractional: ArrayLike
    occupations: ArrayLike
    edges: ArrayLike
    counts: ArrayLike


def density_figure(maps: Sequence[DensityMap], *, axes: str = "abc", width: float = TWO_COLUMNS) -> Figure:
    """Trajectory density projected along lattice vectors, mean over the depth, on a logarithmic scale, Å⁻³.

    Contours lie at 2, 10 and 40 % of the highest projected density; circles are the host's atoms. A path that
    connects shows as a band through the whole cell.

    Parameters
    ----------
    maps
        One row for each.
    axes
        Lattice vectors to look along, of "abc".
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    if not maps or not axes or set(axes) - set(_AXES):
        raise InputError(
            f"{len(maps)} densities along {axes!r}",
            where="figure",
            expected="at least one density, and lattice vectors of abc",
            remedy="Analyse a run first.",
        )
    with journal_style():
        figure = new_figure(width, len(maps) * (0.9 * width / len(axes) + 0.15) + 0.25)
        grid = figure.subplots(len(maps), len(axes), squeeze=False)
        marks = _host_marks(maps)
        for row, one in zip(grid, maps, strict=True):
            peak = max(float(np.asarray(one.values).mean(axis=_AXES.index(axis)).max()) for axis in axes)
            for panel, axis in zip(row, axes, strict=True):
                _draw_projection(panel, one, _AXES.index(axis), max(peak, 1e-12))
                _draw_host(panel, one, _AXES.index(axis), marks)
            row[len(axes) // 2].set_title(formula_math(one.label), fontsize=7.5, pad=12)
        meshes = grid[0][0].collections[0]
        bar = figure.colorbar(meshes, ax=grid[:, -1], aspect=24, pad=0.02)
        bar.set_label("probability density (Å$^{-3}$)", fontsize=7.5)
        bar.outline.set_visible(False)
        if marks:
            figure.legend(
                handles=list(marks.values()), loc="outside lower center", ncols=len(marks), handletextpad=0.1
            )
    return figure


def _host_marks(maps: Sequence[DensityMap]) -> dict[str, Line2D]:
    """Return the mark of every element of the hosts, the same in all maps."""
    names = list(dict.fromkeys(name for one in maps for name in one.host_symbols))
    return {
        name: Line2D([], [], ls="", marker="o", ms=3.2, mfc=look(k).colour, mec="white", mew=0.4, label=name)
        for k, name in enumerate(names)
    }


def projected_plane(cell: Array, along: int) -> Array:
    """Return the plane seen along a lattice vector: where the three lattice vectors end in it, Å, (3, 2)."""
    depth = cell[along] / np.linalg.norm(cell[along])
    first = cell[(along + 1) % 3] - (cell[(along + 1) % 3] @ depth) * depth
    first = first / np.linalg.norm(first)
    return np.asarray(cell @ np.stack([first, np.cross(depth, first)], axis=1))


def _draw_projection(axes: Axes, one: DensityMap, along: int, peak: float) -> None:
    cell, values = np.asarray(one.cell, dtype=float), np.asarray(one.values, dtype=float)
    plane, others = projected_plane(cell, along), [(along + 1) % 3, (along + 2) % 3]
    flat = values.mean(axis=along)
    flat = flat if others[0] < others[1] else flat.T
    closed = np.pad(flat, [(0, 1), (0, 1)], mode="wrap")
    u, v = np.meshgrid(*(np.linspace(0, 1, n) for n in closed.shape), indexing="ij")
    x, y = (u * plane[others[0], d] + v * plane[others[1], d] for d in range(2))
    norm = LogNorm(_LOWEST * peak, peak, clip=True)
    axes.pcolormesh(x, y, closed, cmap="magma_r", norm=norm, shading="gouraud", rasterized=True)
    if closed.max() > CONTOURS[0] * peak:
        axes.contour(x, y, closed, levels=[level * peak for level in CONTOURS], colors=INK, linewidths=0.4)
    _draw_frame(axes, plane, others)


def _draw_host(axes: Axes, one: DensityMap, along: int, marks: Mapping[str, Line2D]) -> None:
    plane = projected_plane(np.asarray(one.cell, dtype=float), along)
    inside = np.asarray(one.host_fractional, dtype=float).reshape(-1, 3)
    for name in dict.fromkeys(one.host_symbols):
        place, mark = inside[[symbol == name for symbol in one.host_symbols]] @ plane, marks[name]
        axes.plot(*place.T, ls="", marker="o", ms=3.2, mfc=mark.get_markerfacecolor(), mec="white", mew=0.4)


def _draw_frame(axes: Axes, plane: Array, others: Sequence[int]) -> None:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ plane[list(others)]
    axes.plot(*corners.T, color=MUTED, lw=0.6)
    for k, place in zip(others, (corners[1], corners[3]), strict=True):
        axes.annotate(rf"$\mathit{{{_AXES[k]}}}$", place, fontsize=8, xytext=(3, 3), textcoords="offset points")
    axes.set_aspect("equal")
    axes.set_axis_off()


def jump_figure(jumps: JumpMap, *, axes: str = "abc", width: float = TWO_COLUMNS) -> Figure:
    """Jump network seen along lattice vectors: area of a site by its occupation, line by the number of jumps.

    A line that leaves the cell ends in the next one.

    Parameters
    ----------
    jumps
        Sites and connections.
    axes
        Lattice vectors to look along, of "abc".
    width
        Width of the figure, inches.

    Raises
    ------
    InputError
        If there are no sites.
    """
    sites = np.asarray(jumps.fractional, dtype=float).reshape(-1, 3)
    if not len(sites) or not axes or set(axes) - set(_AXES):
        raise InputError(
            f"{len(sites)} sites along {axes!r}",
            where="figure",
            expected="at least one site, and lattice vectors of abc",
            remedy="Analyse a run first.",
        )
    with journal_style():
        figure = new_figure(width, width / len(axes) + 0.35)
        for panel, axis in zip(figure.subplots(1, len(axes), squeeze=False)[0], axes, strict=True):
            _draw_network(panel, jumps, sites, _AXES.index(axis))
        if jumps.label:
            figure.suptitle(formula_math(jumps.label), fontsize=7.5)
    return figure


def _draw_network(axes: Axes, jumps: JumpMap, sites: Array, along: int) -> None:
    plane = projected_plane(np.asarray(jumps.cell, dtype=float), along)
    edges, counts = np.asarray(jumps.edges, dtype=int).reshape(-1, 5), np.asarray(jumps.counts, dtype=float)
    most = float(counts.max(initial=1.0))
    lines = np.stack([sites[edges[:, 0]] @ plane, (sites[edges[:, 1]] + edges[:, 2:]) @ plane], axis=1)
    widths = list(0.3 + 1.7 * counts / most)
    axes.add_collection(LineCollection(list(lines), colors=look(0).colour, linewidths=widths, alpha=0.7))
    share = np.clip(np.asarray(jumps.occupations, dtype=float), 0.02, None)
    x, y = (sites @ plane).T
    axes.scatter(x, y, s=28 * share, color=look(1).colour, edgecolors="white", lw=0.4, zorder=3)
    _draw_frame(axes, plane, [(along + 1) % 3, (along + 2) % 3])
