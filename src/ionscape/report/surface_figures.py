"""Figures of surfaces: γ against the thickness of the slabs, the Wulff shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from ionscape.report.records import StudyRecord
from ionscape.report.style import (
    FAINT,
    INK,
    MUTED,
    ONE_COLUMN,
    PALETTE,
    journal_style,
    look,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.surface_records import Shape, SurfacesRecord
from ionscape.report.typography import decimals, formula_math
from ionscape.units import Array

#: Direction from which a shape is looked at, azimuth and elevation, degrees.
VIEW = (32.0, 22.0)
#: Direction of the light.
LIGHT = (-0.4, -0.3, 0.85)


def layers_stem(role: str) -> str:
    """Return the stem of γ against thickness of the crystal in `role`."""
    return f"surface-energy-{role}"


def shape_stem(role: str) -> str:
    """Return the stem of the Wulff shape of the crystal in `role`."""
    return f"wulff-shape-{role}"


def surface_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    """Yield γ against thickness and the Wulff shape of every crystal whose surfaces were found."""
    for crystal in record.surfaces:
        if any(len(row.gammas) > 1 for row in crystal.rows):
            yield layers_stem(crystal.role), thickness_figure(crystal)
        if crystal.shape is not None:
            yield shape_stem(crystal.role), shape_figure(crystal.shape, crystal.formula)


def thickness_figure(crystal: SurfacesRecord, *, width: float = ONE_COLUMN) -> Figure:
    """γ (J/m²) of slabs of growing thickness with the energy of the crystal; dashed: from the line through them.

    Raises
    ------
    InputError
        If no termination has slabs of two thicknesses.
    """
    rows = [row for row in crystal.rows if len(row.gammas) > 1]
    if not rows:
        raise nothing_to_draw("slabs of several thicknesses")
    with journal_style():
        figure = new_figure(width, 0.78 * width)
        axes = figure.add_subplot()
        for k, row in enumerate(rows):
            style = look(k)
            label = f"{row.plane} {row.termination}"
            axes.plot(
                row.thicknesses_A, row.gammas, color=style.colour, marker=style.marker, label=label,
                mfc=style.colour if row.converged else "none",
            )  # fmt: skip
            if row.gamma is not None:
                axes.axhline(row.gamma, color=style.colour, lw=0.7, ls=(0, (3, 2)), zorder=0)
        axes.set_xlabel("thickness of the slab (Å)")
        axes.set_ylabel(f"surface energy of {formula_math(crystal.formula)}\nat {crystal.level} (J/m²)")
        axes.margins(y=0.15)
        figure.legend(loc="outside upper center", ncols=min(len(rows), 4), handlelength=1.6, columnspacing=1.0)
    return figure


def shape_figure(shape: Shape, formula: str, *, width: float = ONE_COLUMN) -> Figure:
    """Wulff shape in parallel projection, faces coloured by family, shares of the surface in the legend.

    Raises
    ------
    InputError
        If the shape has no face.
    """
    if not shape.faces:
        raise nothing_to_draw("faces of a Wulff shape")
    axes_of_view = _view()
    drawn = []
    for face in shape.faces:
        corners = face.corners @ axes_of_view.T
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
        normal = normal / np.linalg.norm(normal)
        outward = normal if normal @ corners.mean(axis=0) > 0 else -normal
        if outward[2] > 1e-6:  # towards the eye
            drawn.append((corners, face.family, float(outward @ _light())))
    shown = [k for k, share in enumerate(shape.shares) if share > 0]
    with journal_style():
        figure = new_figure(width, 0.85 * width)
        axes = figure.add_subplot(aspect="equal")
        for corners, family, light in drawn:
            colour = _shaded(PALETTE[shown.index(family) % len(PALETTE)], light)
            axes.add_patch(Polygon(corners[:, :2], fc=colour, ec=INK, lw=0.7, joinstyle="round"))
        reach = 1.08 * max(float(np.abs(face.corners).max()) for face in shape.faces)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
        axes.set_axis_off()
        patches = [Patch(fc=PALETTE[i % len(PALETTE)], ec="none") for i in range(len(shown))]
        labels = [f"{shape.planes[k]} {decimals(100 * shape.shares[k], 0)} %" for k in shown]
        figure.legend(patches, labels, loc="outside lower center", ncols=min(len(shown), 4), handlelength=1.2)
        figure.suptitle(formula_math(formula), fontsize=8, color=MUTED)
    return figure


def _view() -> Array:
    azimuth, elevation = np.radians(VIEW)
    eye = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.array([right, np.cross(eye, right), eye])


def _light() -> Array:
    light = np.array(LIGHT)
    return np.asarray(light / np.linalg.norm(light))


def _shaded(colour: str, light: float) -> tuple[float, ...]:
    """Return the colour of a face: full in the light, mixed with grey out of it."""
    full = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    grey = np.array([int(FAINT[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    share = 0.45 + 0.55 * max(light, 0.0)
    return tuple(float(x) for x in share * full + (1 - share) * (0.35 * full + 0.15 * grey))
