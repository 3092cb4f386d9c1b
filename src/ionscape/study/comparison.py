"""Our numbers beside those of a reference study, which the study file lists under ``[[reference]]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from ionscape.settings import Settings
from ionscape.units import J_PER_M2_PER_EV_PER_A2, Number

Name = Literal[
    "decomposition_energy",
    "surface_energy",
    "mean_strain",
    "activation_energy",
    "extrapolated_conductivity",
    "conductivity",
    "tau1",
    "tau2",
    "xi",
    "d1",
    "d2",
    "work_of_adhesion",
    "segregation_energy",
    "forward_barrier",
    "backward_barrier",
]


@dataclass(frozen=True)
class Quantity:
    """What can be compared: where it stands in ``results.json``, and its unit in the study file.

    Attributes
    ----------
    stage, table, name, key
        Stage, list in it, what tells whose number a row holds, and the number in a row.
    unit, factor
        Unit of the reference, and the factor to it from the unit of the results.
    of_run
        Whether it belongs to a run at a temperature.
    """

    stage: str
    table: str
    name: str
    key: str
    unit: str
    factor: Number = 1.0
    of_run: bool = False


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "decomposition_energy": Quantity("stability", "targets", "name", "e_d", "meV/atom", 1000.0),
        "surface_energy": Quantity("surfaces", "lowest", "name", "gamma", "J/m²", J_PER_M2_PER_EV_PER_A2),
        "mean_strain": Quantity("match", "pairs", "name", "mean_strain", "%", 100.0),
        "activation_energy": Quantity("transport", "laws", "material", "Ea", "eV"),
        "extrapolated_conductivity": Quantity("transport", "laws", "material", "sigma", "S/cm"),
        "conductivity": Quantity("transport", "runs", "material", "sigma", "S/cm", of_run=True),
        "tau1": Quantity("transport", "runs", "material", "tau1", "ps", of_run=True),
        "tau2": Quantity("transport", "runs", "material", "tau2", "ps", of_run=True),
        "xi": Quantity("transport", "runs", "material", "xi", "Å", of_run=True),
        "d1": Quantity("transport", "runs", "material", "d1", "Å", of_run=True),
        "d2": Quantity("transport", "runs", "material", "d2", "Å", of_run=True),
        "work_of_adhesion": Quantity("interface", "contacts", "name", "work_of_adhesion", "J/m²"),
        "segregation_energy": Quantity(
            "interface", "contacts", "name", "segregation_energy_per_atom", "meV/atom", 1000.0
        ),
        "forward_barrier": Quantity("migration", "classes", "name", "forward", "eV"),
        "backward_barrier": Quantity("migration", "classes", "name", "backward", "eV"),
    }
)


class ReferenceValue(Settings):
    """A number that another study reports."""

    quantity: Name = Field(
        "decomposition_energy",
        description="What it is: decomposition_energy (meV/atom), surface_energy (J/m²), mean_strain (%), "
        "activation_energy (eV), "
        "extrapolated_conductivity (S/cm, at `at_K` of [transport]); of one run: conductivity (S/cm), tau1, tau2 "
        "(ps), xi, d1, d2 (Å); of a contact: work_of_adhesion (J/m²), segregation_energy (meV/atom); of the "
        "lowest path of a class across it: forward_barrier, backward_barrier (eV).",
    )
    target: str = Field(
        description="Of what: the name of the host, or 'ROUTE, COUNT'; a surface, 'Li6Zr2O7 (0 0 1)'; a pair "
        "of them, film first, 'Li6Zr2O7 (0 0 1) | LiCoO2 (1 0 4)'; a class of paths, that and ', LiO5 → LiO5'."
    )
    temperature_K: float | None = Field(
        None, gt=0, description="Temperature of the run, K, for quantities of one run."
    )
    value: float = Field(description="The number, in the unit of the quantity.")
    source: str = Field(description="Where it is reported, e.g. 'Fig. 2a'.")
    note: str = Field("", description="Why it may differ from ours.")


@dataclass(frozen=True)
class Comparison:
    """One number beside the reference's.

    Attributes
    ----------
    ours, study
        The numbers with their unit; ours is ``{"unavailable": reason}`` where there is none.
    interval
        Ends of the 95 % interval of ours, if it has one.
    temperature
        Temperature of the run, if it belongs to one.
    """

    quantity: str
    target: str
    ours: Mapping[str, Any]
    study: Mapping[str, Any]
    source: str
    note: str
    interval: tuple[Mapping[str, Any], ...] = ()
    temperature: Mapping[str, Any] | None = None


def compare(references: Sequence[ReferenceValue], stages: Mapping[str, Any]) -> list[Comparison]:
    """Return the comparisons for which `stages` (as in ``results.json``) hold the number, or why there is none."""
    return [_comparison(reference, row) for reference in references for row in _rows(reference, stages)]


def _rows(reference: ReferenceValue, stages: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    quantity = QUANTITIES[reference.quantity]
    for row in stages.get(quantity.stage, {}).get(quantity.table, []):
        same_run = not quantity.of_run or _asked(row) == reference.temperature_K
        if row[quantity.name] == reference.target and same_run:
            yield row


def _asked(row: Mapping[str, Any]) -> float:
    """Return the temperature that a run was asked for, K: without a thermostat its mean is another."""
    return float(row.get("asked_temperature", row["temperature"])["value"])


def _comparison(reference: ReferenceValue, row: Mapping[str, Any]) -> Comparison:
    quantity = QUANTITIES[reference.quantity]
    ours, interval = _ours(row, quantity)
    return Comparison(
        quantity=reference.quantity,
        target=reference.target,
        ours=ours,
        study={"value": reference.value, "unit": quantity.unit},
        source=reference.source,
        note=reference.note,
        interval=interval,
        temperature=row["temperature"] if quantity.of_run else None,
    )


def _ours(row: Mapping[str, Any], quantity: Quantity) -> tuple[Mapping[str, Any], tuple[Mapping[str, Any], ...]]:
    def scaled(node: Mapping[str, Any]) -> dict[str, Any]:
        return {"value": quantity.factor * node["value"], "unit": quantity.unit}

    found = row.get(quantity.key, row)  # a row without the number says itself why it has none
    if "unavailable" in found:
        return {"unavailable": found["unavailable"]}, ()
    if isinstance(found["value"], Mapping):
        return scaled(found["value"]), (scaled(found["low95"]), scaled(found["high95"]))
    return scaled(found), ()
