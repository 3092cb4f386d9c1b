"""Electronic structure as the report shows it, read from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ionscape.report.quantity import Quantity
from ionscape.report.values import plain, quantity


@dataclass(frozen=True)
class LayerRow:
    """A layer: its atoms, height, edges and mean potential; None where there is none."""

    number: int
    formula: str
    height: Quantity
    valence_top: Quantity | None
    conduction_bottom: Quantity | None
    potential: Quantity | None


@dataclass(frozen=True)
class OffsetRow:
    """The offset of the bands of both sides: valence and conduction with their margins, and the verdict."""

    valence: Quantity
    valence_margin: Quantity
    conduction: Quantity
    conduction_margin: Quantity
    kind: str
    verdict: str


@dataclass(frozen=True)
class DifferenceRow:
    """What moved when two slabs met, or why it is not known."""

    moved: Quantity | None
    cube_file: str
    planar_file: str
    trouble: str


@dataclass(frozen=True)
class ElectronicRecord:
    """One case, or why it could not be read."""

    name: str
    source: str
    gap: Quantity | None
    owner: Mapping[str, Any]
    margin: Quantity | None
    layers: tuple[LayerRow, ...]
    offset: OffsetRow | None
    difference: DifferenceRow | None
    states_file: str
    trouble: str


def electronic_records(node: Mapping[str, Any]) -> tuple[ElectronicRecord, ...]:
    """Return the stage of electronic structure from its part of ``results.json``."""
    return tuple(map(_case, node.get("cases", ())))


def _case(node: Mapping[str, Any]) -> ElectronicRecord:
    owner = node.get("owner") or {}
    return ElectronicRecord(
        name=str(node["name"]),
        source=str(node.get("source", "")),
        gap=_known(node, "gap"),
        owner={name: plain(value) for name, value in owner.items()},
        margin=_known(owner, "margin"),
        layers=tuple(map(_layer, node.get("layers", ()))),
        offset=_offset(node["offset"]) if "offset" in node else None,
        difference=_difference(node["difference"]) if "difference" in node else None,
        states_file=str(node.get("states_file", "")),
        trouble=str(node.get("unavailable", "")),
    )


def _known(node: Mapping[str, Any], name: str) -> Quantity | None:
    return quantity(node[name], "eV") if node.get(name) is not None else None


def _layer(node: Mapping[str, Any]) -> LayerRow:
    return LayerRow(
        number=int(plain(node["layer"])),
        formula=str(node["formula"]),
        height=quantity(node["height"], "Å"),
        valence_top=_known(node, "valence_top"),
        conduction_bottom=_known(node, "conduction_bottom"),
        potential=_known(node, "potential"),
    )


def _offset(node: Mapping[str, Any]) -> OffsetRow:
    valence, conduction = node["valence"], node["conduction"]
    return OffsetRow(
        valence=quantity(valence["value"], "eV"),
        valence_margin=quantity(valence["margin"], "eV"),
        conduction=quantity(conduction["value"], "eV"),
        conduction_margin=quantity(conduction["margin"], "eV"),
        kind=str(node["kind"]),
        verdict=str(node["verdict"]),
    )


def _difference(node: Mapping[str, Any]) -> DifferenceRow:
    if "unavailable" in node:
        return DifferenceRow(None, "", "", str(node["unavailable"]))
    return DifferenceRow(quantity(node["moved"], "e"), str(node["cube_file"]), str(node["planar_file"]), "")
