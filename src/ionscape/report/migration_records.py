"""Migration barriers as the report shows them, read from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ionscape.migration.profile import Profile
from ionscape.report.quantity import Quantity
from ionscape.report.values import plain, quantity
from ionscape.results import frozen


@dataclass(frozen=True)
class SiteKind:
    """A class of symmetry-equivalent sites."""

    label: str
    occupied: bool
    multiplicity: int


@dataclass(frozen=True)
class HopRecord:
    """A hop with its path, or why there is none.

    Attributes
    ----------
    profile
        Energies along the path; None where there is no path.
    trouble
        Why there is no path, or that it did not converge, in words; empty if all is well.
    """

    name: str
    mechanism: str
    start: str
    end: str
    length: Quantity
    symmetric: bool
    forward: Quantity | None
    backward: Quantity | None
    site_difference: Quantity | None
    saddle_error: Quantity | None
    profile: Profile | None
    force_calls: int
    path_file: str
    key: str
    converged: bool
    trouble: str


@dataclass(frozen=True)
class Diffusivity:
    """Diffusivity of one carrier at a temperature: exact, and by Monte Carlo with its interval."""

    temperature: Quantity
    exact: Quantity
    walked: Quantity
    low95: Quantity
    high95: Quantity


@dataclass(frozen=True)
class CarrierRecord:
    """What the network of a carrier tells, or why it tells nothing."""

    carrier: str
    percolation: Mapping[str, Quantity | str]
    activation: Quantity | None
    diffusivity: tuple[Diffusivity, ...]
    missing: tuple[str, ...]
    unavailable: str


@dataclass(frozen=True)
class CrystalHops:
    """Migration in one crystal, or across one contact; why there is none in `trouble`, else empty."""

    name: str
    formula: str
    repeats: tuple[int, ...]
    sites: tuple[SiteKind, ...]
    hops: tuple[HopRecord, ...]
    carriers: tuple[CarrierRecord, ...]
    trouble: str = ""

    @property
    def drawn(self) -> tuple[HopRecord, ...]:
        """Hops whose path can be drawn."""
        return tuple(hop for hop in self.hops if hop.profile is not None)


@dataclass(frozen=True)
class MigrationRecord:
    """The stage: crystals, and contacts with the hops across them (no sites, no carriers)."""

    mobile: str
    level: str
    crystals: tuple[CrystalHops, ...]
    contacts: tuple[CrystalHops, ...] = ()

    @property
    def places(self) -> tuple[CrystalHops, ...]:
        """Crystals, then contacts."""
        return self.crystals + self.contacts


def migration_record(node: Mapping[str, Any]) -> MigrationRecord | None:
    """Return the migration stage from its part of ``results.json``; None if the study has none."""
    if not node:
        return None
    return MigrationRecord(
        mobile=str(node["mobile"]),
        level=str(node["level"]),
        crystals=tuple(map(_crystal, node["crystals"])),
        contacts=tuple(map(_crystal, node.get("contacts", []))),
    )


def _crystal(node: Mapping[str, Any]) -> CrystalHops:
    return CrystalHops(
        name=str(node["name"]),
        formula=str(node["formula"]),
        repeats=tuple(int(n) for n in node["repeats"]),
        sites=tuple(
            SiteKind(str(s["label"]), bool(s["occupied"]), int(plain(s["multiplicity"])))
            for s in node.get("sites", [])
        ),
        hops=tuple(map(_hop, node["hops"])),
        carriers=tuple(map(_carrier, node.get("carriers", []))),
        trouble=str(node.get("unavailable") or ""),
    )


def _hop(node: Mapping[str, Any]) -> HopRecord:
    found = "energies" in node
    return HopRecord(
        name=str(node["name"]),
        mechanism=str(node["mechanism"]),
        start=str(node["start"]),
        end=str(node["end"]),
        length=quantity(node["length"], "Å"),
        symmetric=bool(node.get("symmetric")),
        forward=quantity(node["forward"], "eV") if found else None,
        backward=quantity(node["backward"], "eV") if found else None,
        site_difference=quantity(node["site_difference"], "eV") if found else None,
        saddle_error=quantity(node["saddle_error"], "eV") if found else None,
        profile=_profile(node) if found else None,
        force_calls=int(plain(node.get("force_calls", 0))),
        path_file=str(node.get("path_file") or ""),
        key=str(node.get("key") or ""),
        converged=found and "unconverged" not in node,
        trouble=str(node.get("unavailable") or node.get("unconverged") or ""),
    )


def _profile(node: Mapping[str, Any]) -> Profile:
    arrays = [frozen(np.array(plain(node[name]))) for name in ("coordinates", "energies", "slopes")]
    return Profile(*arrays)


def _carrier(node: Mapping[str, Any]) -> CarrierRecord:
    if "unavailable" in node:
        return CarrierRecord("", {}, None, (), (), str(node["unavailable"]))
    return CarrierRecord(
        carrier=str(node["carrier"]),
        percolation={
            str(axis): str(value["unavailable"]) if "unavailable" in value else quantity(value, "eV")
            for axis, value in node["percolation"].items()
        },
        activation=quantity(node["activation"], "eV"),
        diffusivity=tuple(map(_diffusivity, node["diffusivity"])),
        missing=tuple(map(str, node["missing"])),
        unavailable="",
    )


def _diffusivity(node: Mapping[str, Any]) -> Diffusivity:
    walked, unit = node["walked"], str(node["walked"]["unit"])
    return Diffusivity(
        temperature=quantity(node["temperature"], "K"),
        exact=quantity(node["exact"], unit),
        walked=Quantity(float(walked["value"]), unit),
        low95=Quantity(float(walked["low95"]), unit),
        high95=Quantity(float(walked["high95"]), unit),
    )
