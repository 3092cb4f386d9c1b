"""What the report shows of interfaces: records, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ionscape.report.quantity import Quantity
from ionscape.report.values import known, plain, quantity

#: Works and energies per area, in the order in which they are shown, with what they are called.
WORKS = {
    "work_of_adhesion": "work of adhesion",
    "cleavage": "with frozen slabs (cleavage)",
    "strain_corrected": "strain-corrected",
    "elastic_energy": "elastic energy of the misfit",
    "film_surface_energy": "surface energy of the film",
    "substrate_surface_energy": "surface energy of the substrate",
    "interface_energy": "interface energy",
    "interface_energy_strain_corrected": "interface energy without the elastic energy",
}


@dataclass(frozen=True)
class SearchStep:
    """One evaluated shift (Å): its energy, or why there is none, and why it was chosen."""

    shift: tuple[float, ...]
    energy: Quantity | None
    failure: str
    reason: str


@dataclass(frozen=True)
class DopedLayerRecord:
    """A dopant in a layer: distance from the contact, energy above the bulk region, or why there is none."""

    distance: Quantity
    relative_per_atom: Quantity | None
    relative: Quantity | None
    failure: str
    n_configurations: int
    structure_file: str


@dataclass(frozen=True)
class SegregationRecord:
    """A dopant layer by layer; `per_atom` is None where it is not known."""

    route: str
    formula: str
    slab: str
    per_atom: Quantity | None
    layers: tuple[DopedLayerRecord, ...]


@dataclass(frozen=True)
class InterfaceRecord:
    """A contact that was joined and searched.

    Attributes
    ----------
    unavailable
        Why there is none; then everything else is empty.
    n_rigid
        Rigid energies that were scanned before the search.
    works
        Works and energies per area by name; a text where one is not known.
    """

    name: str
    unavailable: str
    n_atoms: int = 0
    n_interfaces: int = 0
    area: Quantity | None = None
    mean_strain: float = 0.0
    gap: Quantity | None = None
    level: str = ""
    algorithm: str = ""
    evaluation: str = ""
    stopped: str = ""
    n_candidates: int = 0
    n_excluded: int = 0
    n_rigid: int = 0
    displacement_area: Quantity | None = None
    best_shift: tuple[float, ...] = ()
    energy: Quantity | None = None
    steps: tuple[SearchStep, ...] = ()
    works: Mapping[str, Quantity | str] | None = None
    segregation: SegregationRecord | None = None
    why_no_segregation: str = ""
    structure_file: str = ""
    joined_file: str = ""

    @property
    def n_failed(self) -> int:
        """Evaluations that gave no energy."""
        return sum(step.energy is None for step in self.steps)

    def work(self, name: str) -> Quantity | None:
        """Return a work or energy per area, None where it is not known."""
        found = (self.works or {}).get(name)
        return found if isinstance(found, Quantity) else None


def interface_records(node: Mapping[str, Any]) -> tuple[InterfaceRecord, ...]:
    """Return the contacts of the stage ``interface``."""
    return tuple(map(_contact, node.get("contacts", ())))


def _contact(node: Mapping[str, Any]) -> InterfaceRecord:
    if "unavailable" in node:
        return InterfaceRecord(str(node["name"]), str(node["unavailable"]))
    search, files = node["search"], node.get("structures") or {}
    trace, segregation = search["trace"], node.get("segregation")
    return InterfaceRecord(
        name=str(node["name"]),
        unavailable="",
        n_atoms=int(plain(node["n_atoms"])),
        n_interfaces=int(plain(node["n_interfaces"])),
        area=quantity(node["area"], "Å²"),
        mean_strain=float(plain(node["mean_strain"])),
        gap=quantity(node["gap"], "Å"),
        level=str(search["level"]),
        algorithm=str(search["algorithm"]),
        evaluation=str(search["evaluation"]),
        stopped=str(trace["stopped"]),
        n_candidates=int(plain(trace["n_candidates"])),
        n_excluded=int(plain(trace["n_excluded"])),
        n_rigid=len(plain(search["scan"]["energies"])) if search.get("scan") else 0,
        displacement_area=quantity(search["displacement_area"], "Å²"),
        best_shift=tuple(float(x) for x in plain(search["best_shift"])),
        energy=quantity(search["energy"], "eV"),
        steps=tuple(map(_step, trace["evaluations"])),
        works={name: _work(node[name]) for name in WORKS if name in node},
        segregation=_segregation(segregation, node) if segregation else None,
        why_no_segregation=str((node.get("segregation_energy_per_atom") or {}).get("unavailable") or ""),
        structure_file=str(files.get("interface") or ""),
        joined_file=str(files.get("joined") or ""),
    )


def _work(node: Any) -> Quantity | str:
    return str(node["unavailable"]) if "unavailable" in node else quantity(node, "J/m²")


def _step(node: Mapping[str, Any]) -> SearchStep:
    return SearchStep(
        shift=tuple(float(plain(x)) for x in plain(node["shift"])),
        energy=known(node.get("energy"), "eV"),
        failure=str(node.get("unavailable") or ""),
        reason=str(node.get("reason") or ""),
    )


def _segregation(node: Mapping[str, Any], contact: Mapping[str, Any]) -> SegregationRecord:
    per_atom = contact["segregation_energy_per_atom"]
    return SegregationRecord(
        route=str(node["route"]),
        formula=str(node["formula"]),
        slab=str(node["slab"]),
        per_atom=None if "unavailable" in per_atom else quantity(per_atom, "eV/atom"),
        layers=tuple(map(_layer, node["layers"])),
    )


def _layer(node: Mapping[str, Any]) -> DopedLayerRecord:
    relative, per_atom = node["relative"], node["relative_per_atom"]
    missing = str(relative["unavailable"]) if "unavailable" in relative else ""
    return DopedLayerRecord(
        distance=quantity(node["distance"], "Å"),
        relative_per_atom=None if missing else quantity(per_atom, "eV/atom"),
        relative=None if missing else quantity(relative, "eV"),
        failure=missing,
        n_configurations=int(plain(node["n_configurations"])),
        structure_file=str(node.get("structure_file") or ""),
    )
