"""Drawing of a crystal structure as vectors: atoms, bonds, translucent coordination polyhedra, the unit cell.

The painter's algorithm: every piece is a flat shape with a depth, and the far ones are painted first.
"""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path as Outline
from pymatgen.core import Structure

from ionscape.report.crystal import DrawnAtom, Polyhedron, Scene, scene
from ionscape.report.style import INK, ONE_COLUMN, journal_style, new_figure
from ionscape.report.typography import formula_math
from ionscape.units import Array, LengthArray

#: Colours of the elements that batteries are made of, from Okabe & Ito's palette and shades of it.
COLOURS = {
    "Li": "#e8b53a", "Na": "#e69f00", "K": "#b79f00", "O": "#cf4a1f", "N": "#2f5fd0", "F": "#7fb069",
    "S": "#d9c62e", "Cl": "#5fa854", "Br": "#8c5a3c", "I": "#6b4c9a", "P": "#cc79a7", "H": "#d8d8d8",
    "C": "#5b5f66", "Zr": "#009e8e", "Co": "#1170ad", "Ni": "#4f9d69", "Mn": "#9c6aa8", "Fe": "#a65628",
    "La": "#56b4e9", "Y": "#7ec8d8", "Ti": "#7a8fa6", "Nb": "#3f8fb0", "Ta": "#8a7a5c", "Al": "#8fa3b8",
}  # fmt: skip
_OTHERS = ("#56b4e9", "#cc79a7", "#009e73", "#1170ad", "#e69f00", "#8c5a3c")
_LIGHT = np.array([-0.45, 0.65, 0.75]) / np.linalg.norm([-0.45, 0.65, 0.75])


@dataclass(frozen=True)
class Camera:
    """From where the crystal is seen.

    Attributes
    ----------
    along
        Lattice vector (0, 1, 2) that points at the reader, or -1 for the shortest.
    turn, tilt
        Rotation about the upright axis and about the horizontal one, degrees.
    distance
        Distance of the eye in diameters of the scene; a large one gives an orthographic view.
    """

    along: int = -1
    turn: float = 11.0
    tilt: float = 9.0
    distance: float = 5.0


@dataclass(frozen=True)
class _Shape:
    depth: float
    outline: Outline
    fill: tuple[float, float, float, float]
    edge: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    width: float = 0.0


@dataclass(frozen=True)
class _View:
    """Positions (Å) to the plane of the figure: coordinates right and up, and depth towards the reader."""

    rotation: Array
    centre: Array
    distance: float = field(default=1e6)

    def points(self, positions: LengthArray) -> tuple[Array, Array, Array]:
        """Return flat coordinates (n, 2), depths (n,) and scales (n,)."""
        turned = (np.atleast_2d(positions) - self.centre) @ self.rotation.T
        scale = self.distance / (self.distance - turned[:, 2])
        return turned[:, :2] * scale[:, None], turned[:, 2], scale


def element_colour(element: str) -> str:
    """Return the colour of an element; the same in every figure."""
    return COLOURS.get(element) or _OTHERS[atomic_numbers[element] % len(_OTHERS)]


def structure_figure(
    structure: Structure,
    polyhedra: Sequence[str] | None = None,
    *,
    camera: Camera | None = None,
    width: float = ONE_COLUMN,
    title: str = "",
) -> Figure:
    """Drawing of one unit cell of a crystal.

    Atoms on the faces of the cell are repeated, polyhedra are complete. Bonds: `crystal.coordination_shells`.

    Parameters
    ----------
    structure
        Any ordered crystal.
    polyhedra
        Elements at the centres of polyhedra, e.g. ``("Zr",)``; by default the framework's cation of highest
        charge, ``()`` for none.
    camera
        From where it is seen; by default nearly along the shortest lattice vector.
    width
        Width of the figure, inches.
    title
        Text above the drawing; formulas in it get subscripts.

    Raises
    ------
    InputError
        If `structure` has none of an element asked for.
    """
    with journal_style():
        figure, _, _ = structure_axes(
            structure, polyhedra, camera=camera, width=width, headroom=0.22 * bool(title)
        )
        if title:
            figure.suptitle(formula_math(title), fontsize=9)
    return figure


@dataclass(frozen=True)
class Ground:
    """How positions in a drawn crystal fall on the axes of the figure.

    Attributes
    ----------
    lattice
        Lattice vectors of the crystal as rows, (3, 3), Å.
    """

    lattice: LengthArray
    view: _View

    def flat(self, positions: LengthArray) -> Array:
        """Return positions (n, 3), Å, in the plane of the figure, (n, 2)."""
        return self.view.points(positions)[0]


def structure_axes(
    structure: Structure,
    polyhedra: Sequence[str] | None = None,
    *,
    camera: Camera | None = None,
    width: float = ONE_COLUMN,
    headroom: float = 0.0,
) -> tuple[Figure, Axes, Ground]:
    """Return the drawing of a crystal as `structure_figure` makes it, its axes, and where positions fall on them.

    Call it inside `style.journal_style`; `headroom` inches are kept above the drawing.
    """
    drawn = scene(structure, polyhedra)
    view = _view(drawn, camera or Camera())
    shapes = sorted(_shapes(drawn, view), key=lambda shape: shape.depth)
    corners = np.concatenate([shape.outline.vertices for shape in shapes])
    low, high = corners.min(axis=0) - np.array([1.1, 0.7]), corners.max(axis=0) + np.array([0.5, 0.3])
    height = width * float((high - low)[1] / (high - low)[0]) + 0.35 + headroom
    figure = new_figure(width, min(height, 1.5 * width))
    axes = figure.add_subplot()
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.axis("off")
    _paint(axes, shapes)
    _compass(axes, drawn.lattice, view, low)
    _legend(figure, drawn)
    return figure, axes, Ground(drawn.lattice, view)


def _view(drawn: Scene, camera: Camera) -> _View:
    lengths = np.linalg.norm(drawn.lattice, axis=1)
    along = int(np.argmin(lengths)) if camera.along < 0 else camera.along
    across = 0 if along else 1
    up = 3 - along - across
    toward = drawn.lattice[along] / lengths[along]
    upright = drawn.lattice[up] - (drawn.lattice[up] @ toward) * toward
    upright /= np.linalg.norm(upright)
    right = np.cross(upright, toward)
    if right @ drawn.lattice[across] < 0:  # the view from the other side shows the axis to the right
        toward, right = -toward, -right
    rotation = _turned(camera) @ np.array([right, upright, toward])
    centre = drawn.lattice.sum(axis=0) / 2
    size = float(np.linalg.norm(drawn.lattice, axis=1).max())
    return _View(rotation, centre, camera.distance * size)


def _turned(camera: Camera) -> Array:
    a, b = np.radians([camera.turn, camera.tilt])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return tilt @ turn


def _shapes(drawn: Scene, view: _View) -> Iterator[_Shape]:
    yield from _cell(drawn, view)
    for solid in drawn.polyhedra:
        yield from _polyhedron(solid, view)
    yield from _bonds(drawn, view)
    for atom in drawn.atoms:
        yield from _ball(atom, view)


def ball_radius(element: str) -> float:
    """Return the radius of the ball that stands for an atom, Å."""
    return 0.28 * float(np.sqrt(covalent_radii[atomic_numbers[element]]))


def _cell(drawn: Scene, view: _View) -> Iterator[_Shape]:
    """Edges of the cell in pieces, so that each may pass behind what is nearer; none inside an atom."""
    ink = (*to_rgb(INK), 1.0)
    for axis in range(3):
        one, two = (drawn.lattice[other] for other in range(3) if other != axis)
        for start in (0 * one, one, two, one + two):
            for piece in _outside_atoms(start, drawn.lattice[axis], drawn.atoms):
                flat, depth, _ = view.points(piece)
                yield _Shape(float(depth.mean()), Outline(flat), (0, 0, 0, 0), ink, 0.6)


def _outside_atoms(start: LengthArray, edge: LengthArray, atoms: Sequence[DrawnAtom]) -> Iterator[LengthArray]:
    """Cut an edge at even steps and at the surfaces of atoms; yield the ends of the pieces outside, (2, 3)."""
    length = float(np.linalg.norm(edge))
    centres = np.array([atom.position for atom in atoms]) - start
    radii = np.array([ball_radius(atom.element) for atom in atoms])
    middle = centres @ edge / length
    squares = radii**2 - (centres**2).sum(axis=1) + middle**2
    half = np.sqrt(squares[squares > 0])
    low, high = (middle[squares > 0] - half) / length, (middle[squares > 0] + half) / length
    cuts = np.unique(np.clip(np.concatenate([np.linspace(0, 1, 13), low, high]), 0, 1))
    for one, two in itertools.pairwise(cuts):
        if not ((low < (one + two) / 2) & ((one + two) / 2 < high)).any():
            yield start + np.array([[one], [two]]) * edge


def _polyhedron(solid: Polyhedron, view: _View) -> Iterator[_Shape]:
    if not solid.faces:
        return
    middle = np.concatenate(solid.faces).mean(axis=0)
    base = element_colour(solid.element)
    for face in solid.faces:
        flat, depth, _ = view.points(face)
        normal = np.cross(face[1] - face[0], face[2] - face[0])
        outward = normal * np.sign(normal @ (face.mean(axis=0) - middle) or 1.0)
        facing = view.rotation @ (outward / np.linalg.norm(outward))
        front = facing[2] > 0
        fill = to_rgb(_shaded(base, 0.78 + 0.42 * float(facing @ _LIGHT)))
        edge = (*to_rgb(_shaded(base, 0.62)), 0.9 if front else 0.45)
        outline = Outline(np.vstack([flat, flat[:1]]), closed=True)
        yield _Shape(float(depth.mean()), outline, (*fill, 0.42 if front else 0.30), edge, 0.55 if front else 0.35)


def _bonds(drawn: Scene, view: _View) -> Iterator[_Shape]:
    """Bonds, each in two halves in the colours of its atoms, from the surface of one ball to the other."""
    for pair in drawn.bonds:
        atoms = [drawn.atoms[k] for k in pair]
        middle = (atoms[0].position + atoms[1].position) / 2
        for atom in atoms:
            along = (middle - atom.position) / np.linalg.norm(middle - atom.position)
            yield _half_bond(atom, atom.position + 0.9 * ball_radius(atom.element) * along, middle, view)


def _half_bond(atom: DrawnAtom, start: LengthArray, end: LengthArray, view: _View) -> _Shape:
    flat, depth, scale = view.points(np.array([start, end]))
    along = flat[1] - flat[0]
    side = np.array([-along[1], along[0]]) / (np.linalg.norm(along) + 1e-9) * 0.055
    corners = [flat[0] + side * scale[0], flat[1] + side * scale[1]]
    corners += [flat[1] - side * scale[1], flat[0] - side * scale[0]]
    colour = _shaded(element_colour(atom.element), 1.25)
    edge = (*to_rgb(_shaded(colour, 0.6)), 0.7)
    return _Shape(
        float(depth.mean()), Outline([*corners, corners[0]], closed=True), (*to_rgb(colour), 1.0), edge, 0.2
    )


def _ball(atom: DrawnAtom, view: _View) -> Iterator[_Shape]:
    flat, depth, scale = view.points(atom.position)
    radius = ball_radius(atom.element) * float(scale[0])
    colour = element_colour(atom.element)
    z = float(depth[0])
    edge = (*to_rgb(_shaded(colour, 0.45)), 1.0)
    yield _Shape(z, _disc(flat[0], radius), (*to_rgb(_shaded(colour, 0.86)), 1.0), edge, 0.4)
    # Three lighter discs towards the light make the disc a ball.
    for k, (size, light) in enumerate(((0.80, 1.0), (0.54, 1.16), (0.24, 1.5)), start=1):
        shift = np.array([-0.30, 0.34]) * radius * (1 - size)
        yield _Shape(z + 1e-4 * k, _disc(flat[0] + shift, radius * size), (*to_rgb(_shaded(colour, light)), 1.0))


def _disc(centre: Array, radius: float) -> Outline:
    circle = Outline.unit_circle()
    return Outline(np.asarray(circle.vertices) * radius + centre, circle.codes)


def _shaded(colour: str, factor: float) -> str:
    """Return `colour` darker (factor < 1) or lighter (> 1)."""
    hue, light, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    light = light * factor if factor <= 1 else 1 - (1 - light) / factor
    return str(to_hex(colorsys.hls_to_rgb(hue, min(light, 1.0), saturation)))


def _paint(axes: Axes, shapes: Sequence[_Shape]) -> None:
    axes.add_collection(
        PathCollection(
            [shape.outline for shape in shapes],
            facecolors=[shape.fill for shape in shapes],
            edgecolors=[shape.edge for shape in shapes],
            linewidths=[shape.width for shape in shapes],
            joinstyle="round",
            capstyle="round",
        ),
        autolim=False,
    )


def _compass(axes: Axes, lattice: LengthArray, view: _View, low: Array) -> None:
    """Draw the directions of a, b and c in the lower left corner."""
    units = lattice / np.linalg.norm(lattice, axis=1)[:, None]
    arrows = (units @ view.rotation.T)[:, :2] * 1.25
    tips = arrows + 0.4 * arrows / (np.linalg.norm(arrows, axis=1)[:, None] + 1e-9)
    origin = low + 0.35 - np.minimum(tips, 0).min(axis=0)
    for name, arrow, tip in zip("abc", arrows, tips, strict=True):
        axes.add_patch(
            FancyArrowPatch(
                origin, origin + arrow, arrowstyle="-|>", mutation_scale=5, lw=0.8, color=INK, shrinkA=0, shrinkB=0
            )
        )
        axes.annotate(
            name, origin + tip, annotation_clip=False, ha="center", va="center", style="italic", color=INK
        )


def _legend(figure: Figure, drawn: Scene) -> None:
    handles = [
        Line2D(
            [], [], ls="", marker="o", label=element, markerfacecolor=element_colour(element),
            markeredgecolor=_shaded(element_colour(element), 0.45), markeredgewidth=0.5,
            markersize=5.2 * float(np.sqrt(covalent_radii[atomic_numbers[element]])),
        )
        for element in drawn.elements
    ]  # fmt: skip
    handles += [
        Line2D(
            [], [], ls="", marker="h", label=formula_math(label), markerfacecolor=(*to_rgb(colour), 0.4),
            markeredgecolor=_shaded(colour, 0.62), markeredgewidth=0.6, markersize=8,
        )
        for label, colour in _polyhedron_labels(drawn)
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 6), handletextpad=0.2,
        columnspacing=1.2, labelcolor=INK,
    )  # fmt: skip


def _polyhedron_labels(drawn: Scene) -> list[tuple[str, str]]:
    """Return label and colour for each kind of polyhedron; those of one centre share a label if there are many."""
    labels: dict[str, set[str]] = {}
    for solid in drawn.polyhedra:
        labels.setdefault(solid.element, set()).add(solid.label)
    return [
        (" / ".join(sorted(kinds)) if len(kinds) < 3 else f"{element} polyhedra", element_colour(element))
        for element, kinds in labels.items()
    ]
