"""Structures that turn in the page: what is drawn of them, as plain data for its viewer.

Atoms, bonds and polyhedra are those of the drawings (`crystal.scene`), in the same colours, so the viewer guesses
no bond. Lengths are in Å, rounded to 0.001.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from scipy.ndimage import zoom

from ionscape.report.crystal import Scene, scene
from ionscape.report.density_figures import CONTOURS, DensityMap
from ionscape.report.migration_figures import drawn_paths
from ionscape.report.path_figure import DrawnPath
from ionscape.report.records import StudyRecord
from ionscape.report.run_figures import drawn_runs, maps_of_runs
from ionscape.report.structure_figure import ball_radius, element_colour
from ionscape.report.style import PALETTE
from ionscape.report.typography import significant
from ionscape.structures.exchange import read_structure
from ionscape.units import LengthArray

#: Most points of a density along a lattice vector.
_GRID = 36


@dataclass(frozen=True)
class Model:
    """A structure that turns.

    Attributes
    ----------
    name
        What it is.
    data
        What the viewer draws it from.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)


def models(record: StudyRecord) -> dict[str, list[Model]]:
    """Return the structures of every section of the page that has any, in their order."""
    parts: dict[str, list[Model | None]] = {
        "host": [_from_file(record, one.name or one.formula, one.structure_file) for one in record.crystals],
        "doping": list(_doped(record)),
        "surfaces": list(_slabs(record)),
        "match": [_from_file(record, record.match.name, record.match.structure_file)] if record.match else [],
        "interface": list(_contacts(record)),
        "transport": list(_densities(record)),
        "migration": list(_paths(record)),
    }
    found = {section: [one for one in several if one is not None] for section, several in parts.items()}
    return {section: several for section, several in found.items() if several}


def _from_file(record: StudyRecord, name: str, file: str) -> Model | None:
    path = record.file(file)
    return None if path is None else Model(name, drawn(scene(read_structure(path))))


def _doped(record: StudyRecord) -> Iterator[Model | None]:
    for cell in record.doping:
        name = f"{cell.route}, x = {significant(cell.x_per_formula_unit)}: {cell.formula}"
        yield _from_file(record, name, cell.lowest.structure_file)


def _slabs(record: StudyRecord) -> Iterator[Model | None]:
    for crystal in record.surfaces:
        for row in crystal.shown:
            yield _from_file(
                record, f"{crystal.formula} {row.plane}, termination {row.termination}", row.structure_file
            )


def _contacts(record: StudyRecord) -> Iterator[Model | None]:
    for contact in record.interfaces:
        yield _from_file(record, contact.name, contact.structure_file)
        for layer in contact.segregation.layers if contact.segregation else ():
            name = f"{contact.name}, doped at {significant(layer.distance.value, 3)} Å"
            yield _from_file(record, name, layer.structure_file)


def _paths(record: StudyRecord) -> Iterator[Model]:
    for crystal in record.migration.crystals if record.migration else ():
        paths = drawn_paths(record, crystal)
        if paths:
            yield with_paths(f"{crystal.name}: {len(paths)} paths of lowest barrier", paths)


def with_paths(name: str, paths: Sequence[DrawnPath]) -> Model:
    """Return the structure at the start of the first path with the moving ions' images along every path."""
    ground = drawn(scene(paths[0].images[0]))
    lattice = paths[0].images[0].lattice.matrix
    tracks = [
        {"name": path.name, "colour": PALETTE[k % len(PALETTE)], "points": _rounded(track)}
        for k, path in enumerate(paths)
        for track in path.inside(lattice)
    ]
    return Model(name, ground | {"paths": tracks})


def _densities(record: StudyRecord) -> Iterator[Model]:
    if record.transport is not None:
        for _, _, densities in maps_of_runs(drawn_runs(record), record.transport):
            yield from map(with_density, densities)


def with_density(one: DensityMap) -> Model:
    """Return the host with the trajectory density on a coarse grid that repeats its first planes at the end.

    The grid holds 255 √(ρ/ρ_highest) in a byte each, fast index last; surfaces of equal density are the same.
    """
    lattice = Lattice(np.asarray(one.cell, dtype=float))
    host = Structure(lattice, list(one.host_symbols), np.asarray(one.host_fractional, dtype=float).reshape(-1, 3))
    density = np.clip(np.asarray(one.values, dtype=float), 0, None)
    coarse = zoom(density, [min(1.0, _GRID / n) for n in density.shape], order=1, mode="grid-wrap", grid_mode=True)
    whole = np.pad(coarse, ((0, 1),) * 3, mode="wrap")
    peak = float(whole.max()) or 1.0
    grid = {
        "n": list(whole.shape),
        "bytes": base64.b64encode(np.rint(255 * np.sqrt(whole / peak)).astype(np.uint8).tobytes()).decode(),
        "levels": [{"share": share, "density": f"{share * peak:.2g} Å⁻³"} for share in CONTOURS],
    }
    return Model(one.label, (drawn(scene(host)) if len(host) else _empty(lattice)) | {"grid": grid})


def _empty(lattice: Lattice) -> dict[str, Any]:
    return {"atoms": [], "kinds": {}, "bonds": [], "solids": [], "cell": _rounded(lattice.matrix)}


def drawn(shown: Scene) -> dict[str, Any]:
    """Return atoms (element and position), elements (colour, radius), bonds, polyhedra and cell of a drawing."""
    kinds = {e: {"colour": element_colour(e), "radius": round(ball_radius(e), 3)} for e in shown.elements}
    return {
        "atoms": [[atom.element, *_rounded(atom.position)] for atom in shown.atoms],
        "kinds": kinds,
        "bonds": shown.bonds.tolist(),
        "solids": [
            {"colour": element_colour(solid.element), "faces": [_rounded(face) for face in solid.faces]}
            for solid in shown.polyhedra
            if solid.faces
        ],
        "cell": _rounded(shown.lattice),
    }


def _rounded(positions: LengthArray) -> list[Any]:
    return list(np.round(positions, 3).tolist())
