"""Surfaces and coherent interfaces as the report shows them, out of ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ionscape.report.typography import converted, decimals
from ionscape.report.values import plain, quantity
from ionscape.units import J_PER_M2_PER_EV_PER_A2, Array

Miller = tuple[int, ...]


@dataclass(frozen=True)
class SurfaceRow:
    """One row of the table of surface energies, J/m².

    Attributes
    ----------
    plane
        Miller indices as written, ``(0 0 1)``.
    gamma
        Surface energy; None if there is none, and then `reason` says why.
    unrelaxed
        That of the slab as cut; None if there is none.
    bounds
        Range over the chemical potentials, for slabs that are not stoichiometric.
    kind
        Tasker's type, with what else must be known of the slab.
    thicknesses_A, gammas
        Slabs of several thicknesses and γ of each with the energy of the crystal.
    """

    plane: str
    miller: Miller
    termination: int
    gamma: float | None
    reason: str
    unrelaxed: float | None
    bounds: tuple[float, float] | None
    kind: str
    symmetric: bool
    polar: bool
    relaxed: bool
    converged: bool
    n_atoms: int
    thicknesses_A: tuple[float, ...]
    gammas: tuple[float, ...]
    notes: tuple[str, ...]
    structure_file: str
    key: str


@dataclass(frozen=True)
class ShapeFace:
    """A face of the Wulff shape: its family and its corners, (k, 3), in J/m²."""

    family: int
    corners: Array


@dataclass(frozen=True)
class Shape:
    """A Wulff shape.

    Attributes
    ----------
    planes, shares, mean_gamma
        Families, their shares of the surface, and the mean γ, J/m².
    """

    planes: tuple[str, ...]
    shares: tuple[float, ...]
    mean_gamma: float
    faces: tuple[ShapeFace, ...]


@dataclass(frozen=True)
class SurfacesRecord:
    """The surfaces of one crystal; `shape` is None where there is none, and `no_shape` says why."""

    role: str
    formula: str
    level: str
    rows: tuple[SurfaceRow, ...]
    shape: Shape | None
    no_shape: str

    def reported_as(self, row: SurfaceRow) -> str:
        """Return the name under which a reference study's number of this row stands: the lowest of its plane."""
        plane = [one for one in self.rows if one.miller == row.miller and one.gamma is not None]
        lowest = min(plane, key=lambda one: one.gamma or 0.0, default=None)
        return f"{self.formula} ({' '.join(map(str, row.miller))})" if row is lowest else ""

    @property
    def shown(self) -> tuple[SurfaceRow, ...]:
        """The relaxed rows, lowest first; all rows where none was relaxed."""
        rows = [row for row in self.rows if row.relaxed] or list(self.rows)
        return tuple(sorted(rows, key=lambda row: (row.gamma is None, row.gamma or 0.0)))


@dataclass(frozen=True)
class MatchRow:
    """A coincidence: area, Å², and mean strain, %; matrices as text."""

    area: float
    mean_strain: float
    film: str
    substrate: str
    turned: bool


@dataclass(frozen=True)
class MatchRecord:
    """The coherent interface of a study."""

    name: str
    n_matches: int
    rows: tuple[MatchRow, ...]
    chosen: MatchRow
    formula: str
    gap: float
    structure_file: str


def surfaces_record(node: Mapping[str, Any]) -> tuple[SurfacesRecord, ...]:
    """Return the surfaces of every crystal; nothing if the stage was not run.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing or is no number.
    """
    return tuple(_crystal(role, table) for role, table in (node.get("crystals") or {}).items())


def match_record(node: Mapping[str, Any]) -> MatchRecord | None:
    """Return the coherent interface; None if the stage was not run; errors as `surfaces_record`."""
    if not node:
        return None
    return MatchRecord(
        name=str(node["name"]),
        n_matches=int(plain(node["n_matches"])),
        rows=tuple(map(_match, node["matches"])),
        chosen=_match(node["chosen"]),
        formula=str(node["interface"]["formula"]),
        gap=float(plain(node["interface"]["gap"])),
        structure_file=str(node["interface"].get("structure_file") or ""),
    )


def plane_text(miller: Miller) -> str:
    """Return Miller indices as crystallographers write them: minus signs above."""
    return "(" + " ".join(f"{abs(index)}\u0305" if index < 0 else f"{index}" for index in miller) + ")"


def _crystal(role: str, node: Mapping[str, Any]) -> SurfacesRecord:
    shape = node["wulff"]
    return SurfacesRecord(
        role=role,
        formula=str(node["formula"]),
        level=str(node["level"]),
        rows=tuple(map(_row, node["surfaces"])),
        shape=None if "unavailable" in shape else _shape(shape),
        no_shape=str(shape.get("unavailable") or ""),
    )


def _row(node: Mapping[str, Any]) -> SurfaceRow:
    slab, bounds, fit = node["slab"], node.get("range"), node.get("fit")
    miller = tuple(int(index) for index in slab["miller"])
    return SurfaceRow(
        plane=plane_text(miller),
        miller=miller,
        termination=int(plain(slab["termination"])),
        gamma=_tension(node["gamma"]),
        reason=str(node["gamma"].get("unavailable") or ""),
        unrelaxed=_tension(node["unrelaxed"]),
        bounds=None if bounds is None else (_joule(bounds["low"]), _joule(bounds["high"])),
        kind=_kind(slab),
        symmetric=bool(slab["symmetric"]),
        polar=bool(slab["polar"]),
        relaxed=bool(node["relaxed"]),
        converged=bool(node["converged"]),
        n_atoms=int(plain(node["n_atoms"])),
        thicknesses_A=tuple(map(float, plain(node["thicknesses"]))),
        gammas=tuple(J_PER_M2_PER_EV_PER_A2 * float(x) for x in plain(fit["gammas"])) if fit else (),
        notes=tuple(map(str, node["notes"])),
        structure_file=str(node.get("structure_file") or ""),
        key=str(node.get("key") or ""),
    )


def _kind(slab: Mapping[str, Any]) -> str:
    words = [str(slab["tasker"]), "polar" if slab["polar"] else "", "split plane" if slab["split"] else ""]
    excess = ", ".join(f"{element} +{decimals(float(plain(n)), 1)}" for element, n in _excess(slab).items())
    return ", ".join(word for word in (*words, excess) if word)


def _excess(slab: Mapping[str, Any]) -> Mapping[str, Any]:
    node = slab.get("excess") or {}
    return node.get("value", node) if isinstance(node, Mapping) else {}


def _tension(node: Any) -> float | None:
    return None if isinstance(node, Mapping) and "unavailable" in node else _joule(node)


def _joule(node: Any) -> float:
    return J_PER_M2_PER_EV_PER_A2 * converted(quantity(node, "eV/Å²"), "eV/Å²")


def _shape(node: Mapping[str, Any]) -> Shape:
    vertices = J_PER_M2_PER_EV_PER_A2 * np.array(plain(node["vertices"]), dtype=float)
    return Shape(
        planes=tuple(plane_text(tuple(int(index) for index in miller)) for miller in node["millers"]),
        shares=tuple(map(float, plain(node["area_fractions"]))),
        mean_gamma=_joule(node["mean_gamma"]),
        faces=tuple(
            ShapeFace(int(plain(face["family"])), vertices[np.array(face["corners"], dtype=int)])
            for face in node["faces"]
        ),
    )


def _match(node: Mapping[str, Any]) -> MatchRow:
    return MatchRow(
        area=converted(quantity(node["area"], "Å²"), "Å²"),
        mean_strain=100.0 * float(plain(node["mean_strain"])),
        film=_matrix(node["film_matrix"]),
        substrate=_matrix(node["substrate_matrix"]),
        turned=bool(node["mirrored"]),
    )


def _matrix(node: Any) -> str:
    return " / ".join(" ".join(str(int(x)) for x in row) for row in plain(node))
