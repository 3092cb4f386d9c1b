"""The record of the stage of interfaces: numbers with units, energies per area in J/m², structure files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ionscape.interfaces.adhesion import Adhesion
from ionscape.interfaces.registry import RegistrySearch
from ionscape.interfaces.segregation import DopedLayer, Segregation
from ionscape.results import Failure, to_json, units_of
from ionscape.structures.exchange import write_cif
from ionscape.study.interfaces import FailedContact, StudiedContact
from ionscape.units import J_PER_M2_PER_EV_PER_A2

PER_AREA = "eV/Å²"


def interface_record(contacts: Sequence[StudiedContact | FailedContact], folder: Path) -> dict[str, Any]:
    """Return the record of all contacts; structures are written into `folder`."""
    return {"contacts": [_contact(one, number, folder) for number, one in enumerate(contacts)]}


def _contact(one: StudiedContact | FailedContact, number: int, folder: Path) -> dict[str, Any]:
    if isinstance(one, FailedContact):
        return {"name": one.name, "unavailable": one.reason}
    interface, search = one.interface, one.strength.search
    stem = f"interface-{number + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', one.name).strip('-')}"
    return {
        "name": one.name,
        "n_atoms": to_json(len(interface.structure), "1"),
        "area": to_json(interface.area, "Å²"),
        "n_interfaces": to_json(interface.n_interfaces, "1"),
        "mean_strain": to_json(interface.match.mean_strain, "1"),
        "gap": to_json(search.interface.gap, "Å"),
        "n_film_atoms": to_json(len(interface.film_sites), "1"),
        "provenance": to_json(dict(interface.provenance)),
        "search": _search(search),
        **_adhesion(one.strength.adhesion),
        **_segregation(one.segregation, stem, folder),
        "structures": {
            "joined": _cif(interface.structure, folder, f"{stem}-joined"),
            "interface": _cif(search.structure, folder, stem),
        },
    }


def _search(search: RegistrySearch) -> dict[str, Any]:
    data: dict[str, Any] = to_json(search)
    data["trace"]["evaluations"] = [
        {
            "shift": to_json([float(x) for x in one.shift], "Å"),
            "reason": one.reason,
            **(
                {"unavailable": one.outcome.reason}
                if isinstance(one.outcome, Failure)
                else {"energy": to_json(float(one.outcome), "eV")}
            ),
        }
        for one in search.trace.evaluations
    ]
    if search.scan is None:
        del data["scan"]
    return data


def _adhesion(adhesion: Adhesion | Failure) -> dict[str, Any]:
    """Return every energy per area in J/m², and every energy in eV."""
    names = units_of(Adhesion)
    if isinstance(adhesion, Failure):
        return {name: {"unavailable": adhesion.reason} for name, unit in names.items() if unit == PER_AREA}
    return {
        name: _value(getattr(adhesion, name), unit)
        for name, unit in names.items()
        if name not in ("area", "n_interfaces")
    }


def _value(value: Any, unit: str) -> Any:
    if isinstance(value, Failure):
        return {"unavailable": value.reason}
    if unit == PER_AREA:
        return to_json(value * J_PER_M2_PER_EV_PER_A2, "J/m²")
    return to_json(value, unit)


def _segregation(found: Segregation | Failure | None, stem: str, folder: Path) -> dict[str, Any]:
    if found is None:
        return {"segregation_energy_per_atom": {"unavailable": "dopants at the contact were not asked for"}}
    if isinstance(found, Failure):
        return {"segregation_energy_per_atom": {"unavailable": found.reason}}
    layers = [_layer(layer, f"{stem}-layer-{k}", folder) for k, layer in enumerate(found.layers, start=1)]
    return {
        "segregation_energy_per_atom": _value(found.segregation_energy_per_atom, "eV/atom"),
        "segregation": {
            "route": found.route,
            "formula": found.formula,
            "slab": found.slab,
            "segregation_energy": _value(found.segregation_energy, "eV"),
            "layers": layers,
        },
    }


def _layer(layer: DopedLayer, stem: str, folder: Path) -> dict[str, Any]:
    units = units_of(DopedLayer)
    data = {name: _value(getattr(layer, name), unit) for name, unit in units.items()}
    return data | ({} if layer.structure is None else {"structure_file": _cif(layer.structure, folder, stem)})


def _cif(structure: Any, folder: Path, name: str) -> str:
    return str(write_cif(structure, folder / "structures" / f"{name}.cif").relative_to(folder))
