r"""Wulff's construction: the shape of a crystal of least surface energy at a given volume.

The shape is what lies within the planes at distances proportional to their surface energies,

    { r :  r · n ≤ γ(n)  for every facet normal n }

(G. Wulff, Z. Kristallogr. 34, 449 (1901), doi:10.1524/zkri.1901.34.1.449).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from ionscape.interfaces.settings import Miller
from ionscape.results import Failure, frozen
from ionscape.units import Array, EnergyPerArea, Indices, Number, NumberArray, Unit

#: Vertices nearer to a plane than this, over the mean distance of planes, lie on it.
ON_PLANE = 1e-6


@dataclass(frozen=True)
class WulffFace:
    """One face of the shape.

    Attributes
    ----------
    family
        Number of its family among those given.
    normal
        Unit normal, Cartesian, (3,).
    corners
        Its vertices among those of the shape, in order around it.
    area
        Its area in units of the square of the mean distance of the planes.
    """

    family: Annotated[int, Unit("1")]
    normal: NumberArray
    corners: Indices
    area: Number


@dataclass(frozen=True)
class WulffShape:
    """The equilibrium shape of a crystal.

    Attributes
    ----------
    millers
        Families of facets that were given.
    vertices
        Its vertices, Cartesian, (n, 3), distances in units of γ.
    faces
        Its faces.
    area_fractions
        Share of each family in its surface, (number of families,).
    mean_gamma
        Surface energy averaged over its surface.
    """

    millers: tuple[Miller, ...]
    vertices: Annotated[Array, Unit("eV/Å²")]
    faces: tuple[WulffFace, ...]
    area_fractions: NumberArray
    mean_gamma: EnergyPerArea


def wulff_shape(
    millers: Sequence[Miller], normals: Sequence[Array], gammas: Sequence[EnergyPerArea]
) -> WulffShape | Failure:
    """Return the Wulff shape of families of facets.

    Parameters
    ----------
    millers
        One plane of each family.
    normals
        All unit normals of each family, (n, 3).
    gammas
        Surface energy of each, eV/Å².
    """
    if not gammas or min(gammas) <= 0:
        return Failure("no shape: not every surface energy is positive" if gammas else "no surface energies")
    planes = np.concatenate(normals)
    family = np.repeat(np.arange(len(normals)), [len(own) for own in normals])
    distances = np.repeat(np.asarray(gammas, dtype=float), [len(own) for own in normals])
    scale = float(distances.mean())
    if not _closed(planes):
        return Failure("no shape: the facets with energies do not enclose the crystal")
    try:
        corners = HalfspaceIntersection(np.column_stack([planes, -distances / scale]), np.zeros(3)).intersections
    except QhullError:
        return Failure("no shape: the facets with energies do not enclose the crystal")
    vertices = _distinct(corners)
    faces = []
    for plane, distance, kind in zip(planes, distances / scale, family, strict=True):
        on = np.flatnonzero(np.abs(vertices @ plane - distance) < ON_PLANE)
        if len(on) >= 3:
            order, area = _around(vertices[on], plane)
            faces.append(WulffFace(int(kind), frozen(plane), on[order], area))
    areas = np.bincount([f.family for f in faces], weights=[f.area for f in faces], minlength=len(normals))
    shares = areas / areas.sum()
    return WulffShape(
        millers=tuple(millers),
        vertices=frozen(vertices * scale),
        faces=tuple(faces),
        area_fractions=frozen(shares),
        mean_gamma=float(shares @ np.asarray(gammas)),
    )


def _closed(planes: Array) -> bool:
    """Return whether the origin lies inside the hull of the normals: then the planes enclose a volume."""
    try:
        hull = ConvexHull(planes)
    except QhullError:
        return False
    return bool(np.all(hull.equations[:, -1] < -1e-6))


def _distinct(points: Array) -> Array:
    kept: list[Array] = []
    for point in points:
        if not any(np.linalg.norm(point - other) < 10 * ON_PLANE for other in kept):
            kept.append(point)
    return np.array(kept)


def _around(points: Array, normal: Array) -> tuple[Indices, Number]:
    """Return the order of points around their plane, and the area of their polygon."""
    middle = points.mean(axis=0)
    first = points[0] - middle
    x = first / np.linalg.norm(first)
    flat = (points - middle) @ np.array([x, np.cross(normal, x)]).T
    order = np.argsort(np.arctan2(flat[:, 1], flat[:, 0]))
    x_, y_ = flat[order].T
    area = 0.5 * abs(float(np.sum(x_ * np.roll(y_, -1) - y_ * np.roll(x_, -1))))
    return order, area
