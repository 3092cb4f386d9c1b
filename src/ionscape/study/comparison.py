"""Our numbers beside those of a reference study, which the study file lists under ``[[reference]]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from ionscape.settings import Settings
from ionscape.study.quantities import QUANTITIES, Found, Name, found_in

#: "within": the reported number lies in our interval, or differs by less than the tolerance.
Verdict = Literal["within", "differs", "unknown"]


class ReferenceValue(Settings):
    """A number that another study reports."""

    quantity: Name = Field(
        "decomposition_energy",
        description="What it is: a, b, c (Å), beta (°) of a relaxed crystal; decomposition_energy (meV/atom), "
        "reaction_energy (meV/atom), reduction_voltage, oxidation_voltage (V), surface_energy (J/m²), mean_strain "
        "(%), activation_energy (eV), extrapolated_conductivity (S/cm, at `at_K` of [transport]); of one run: "
        "conductivity (S/cm), tau1, tau2 (ps), xi, d1, d2 (Å); of a contact: work_of_adhesion (J/m²), "
        "segregation_energy (meV/atom), and of the lowest path of a class across it forward_barrier, "
        "backward_barrier (eV); migration_energy (eV) of a carrier in a crystal, from all its barriers; of the "
        "learned potential: energy_mae (meV/atom), force_mae (eV/Å), "
        "energy_r2, force_r2.",
    )
    target: str = Field(
        description="Of what: the name of the host, or 'ROUTE, COUNT'; 'CATHODE | PHASE' of a reaction; a "
        "surface, 'Li6Zr2O7 (0 0 1)'; a pair of them, film first, 'Li6Zr2O7 (0 0 1) | LiCoO2 (1 0 4)'; a "
        "class of paths, that and ', LiO5 → LiO5'; a carrier, 'Li2O, vacancy'; or 'potential'."
    )
    temperature_K: float | None = Field(
        None, gt=0, description="Temperature of the run, K, for quantities of one run."
    )
    voltage_V: float | None = Field(
        None, description="Voltage of the cathode, V, for reactions at a voltage; the closed system without it."
    )
    value: float = Field(description="The number, in the unit of the quantity.")
    tolerance: float | None = Field(
        None,
        gt=0,
        description="Difference up to which the two count as the same, in the unit of the quantity: the error "
        "that is known of the level, say. By default what the digits of the reported number leave open.",
    )
    source: str = Field(description="Where it is reported, e.g. 'Fig. 2a'.")
    note: str = Field("", description="Why it may differ from ours.")


@dataclass(frozen=True)
class Comparison:
    """One number beside the reference's.

    Attributes
    ----------
    ours, study
        The numbers with their unit; ours is ``{"unavailable": reason}`` where there is none.
    verdict
        Whether the reported number is within ours: its interval, or the tolerance.
    interval
        Ends of the 95 % interval of ours, if it has one.
    temperature
        Temperature of the run, if it belongs to one.
    """

    quantity: str
    target: str
    ours: Mapping[str, Any]
    study: Mapping[str, Any]
    verdict: Verdict
    source: str
    note: str
    interval: tuple[Mapping[str, Any], ...] = ()
    temperature: Mapping[str, Any] | None = None


def compare(references: Sequence[ReferenceValue], stages: Mapping[str, Any]) -> list[Comparison]:
    """Return the comparisons for which `stages` (as in ``results.json``) hold the number, or why there is none."""
    return [
        _comparison(reference, found)
        for reference in references
        for found in found_in(stages, reference.quantity, reference.target, _condition(reference))
    ]


def _condition(reference: ReferenceValue) -> float | None:
    return reference.temperature_K if QUANTITIES[reference.quantity].of_run else reference.voltage_V


def _comparison(reference: ReferenceValue, found: Found) -> Comparison:
    unit = QUANTITIES[reference.quantity].unit
    known = not isinstance(found.value, str)
    return Comparison(
        quantity=reference.quantity,
        target=reference.target,
        ours={"value": found.value, "unit": unit} if known else {"unavailable": found.value},
        study={"value": reference.value, "unit": unit},
        verdict=_verdict(reference, found),
        source=reference.source,
        note=reference.note,
        interval=tuple({"value": end, "unit": unit} for end in found.interval or ()),
        temperature=found.temperature,
    )


def _verdict(reference: ReferenceValue, found: Found) -> Verdict:
    if isinstance(found.value, str):
        return "unknown"
    open_digits = reference.tolerance or rounding_of(reference.value)
    low, high = found.interval or (found.value, found.value)
    return "within" if low - open_digits <= reference.value <= high + open_digits else "differs"


def rounding_of(value: float) -> float:
    """Return half a unit of the last digit of `value` as it is written, what rounding leaves open."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    written = int(exponent) if value != int(value) else 0
    return 0.5 * 10.0**written
