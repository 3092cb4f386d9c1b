"""Surfaces and coherent interfaces in ``results.json``, and the structure files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ionscape.interfaces.facets import miller_text
from ionscape.interfaces.match_stage import MatchedPair
from ionscape.interfaces.surfaces import Surface, SurfaceTable
from ionscape.results import Failure, to_json
from ionscape.structures.exchange import write_cif


def surfaces_record(found: Mapping[str, SurfaceTable], folder: Path) -> dict[str, Any]:
    """Return the surfaces of every crystal, and the lowest of every plane, as they stand in ``results.json``."""
    crystals = {role: _table(table, role, folder) for role, table in found.items()}
    return {
        "crystals": crystals,
        "lowest": [row for table in found.values() for row in _lowest(table)],
    }


def match_record(found: MatchedPair, folder: Path) -> dict[str, Any]:
    """Return the coincidences and the interface as they stand in ``results.json``."""
    data: dict[str, Any] = _told(to_json(found))
    data["pairs"] = [{"name": found.name, "mean_strain": to_json(found.chosen.mean_strain, "1")}]
    data["interface"]["formula"] = to_json(found.interface.structure)
    data["interface"]["structure_file"] = _cif(found.interface.structure, folder, "interface-joined")
    return data


def warnings_of_surfaces(found: Mapping[str, SurfaceTable] | None) -> list[str]:
    """Return what restricts surface energies: those not converged, and crystals without chemical potentials."""
    told = []
    for table in (found or {}).values():
        if table.reservoir:
            told.append(
                f"Surfaces of {table.formula} that are not stoichiometric have no energy: {table.reservoir}"
            )
        told += [
            f"Surface energy of {_name(table, one)}, termination {one.slab.termination}: {note}."
            for one in table.surfaces
            for note in one.notes
            if one.relaxed and note.startswith(("γ still", "a thickness gave"))
        ]
    return told


def _table(table: SurfaceTable, role: str, folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = _told(to_json(table))
    for node, one in zip(data["surfaces"], table.surfaces, strict=True):
        node["n_atoms"] = to_json(len(one.slab.structure), "1")
        if one.relaxed:
            name = f"{role}-{'_'.join(map(str, one.slab.miller))}-{one.slab.termination}"
            node["structure_file"] = _cif(one.structure, folder, f"slab-{name}")
    return data


def _lowest(table: SurfaceTable) -> list[dict[str, Any]]:
    rows = []
    for miller in dict.fromkeys(one.slab.miller for one in table.surfaces):
        one = table.lowest(miller)
        if one is not None and not isinstance(one.gamma, Failure):
            rows.append({"name": _name(table, one), "gamma": to_json(one.gamma, "eV/Å²")})
    return rows


def _name(table: SurfaceTable, one: Surface) -> str:
    return f"{table.formula} {miller_text(one.slab.miller)}"


def _told(node: Any) -> Any:
    """Return `node` without the keys under which there is nothing, failures as what is unavailable."""
    if isinstance(node, dict):
        if set(node) == {"reason", "key"}:
            return {"unavailable": node["reason"]}
        return {key: _told(value) for key, value in node.items() if value is not None}
    return [_told(value) for value in node] if isinstance(node, list) else node


def _cif(structure: Any, folder: Path, name: str) -> str:
    return str(write_cif(structure, folder / "structures" / f"{name}.cif").relative_to(folder))
