"""Our numbers beside those of a reference study, which the study file lists under ``[[reference]]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from ionscape.settings import Settings

#: What can be compared: where it stands in ``results.json`` and the factor from its unit to the reference's.
QUANTITIES = {"decomposition_energy": ("stability", "targets", "e_d", "meV/atom", 1000.0)}


class ReferenceValue(Settings):
    """A number that another study reports."""

    quantity: Literal["decomposition_energy"] = Field(
        "decomposition_energy", description="What it is; one of: decomposition_energy (meV/atom)."
    )
    target: str = Field(description="Of what: the name of the host, or 'ROUTE, COUNT'.")
    value: float = Field(description="The number, in the unit of the quantity.")
    source: str = Field(description="Where it is reported, e.g. 'Fig. 2a'.")
    note: str = Field("", description="Why it may differ from ours.")


@dataclass(frozen=True)
class Comparison:
    """One number beside the reference's; each is a number with its unit."""

    quantity: str
    target: str
    ours: Mapping[str, Any]
    study: Mapping[str, Any]
    source: str
    note: str


def compare(references: Sequence[ReferenceValue], stages: Mapping[str, Any]) -> list[Comparison]:
    """Return the comparisons for which `stages` (as in ``results.json``) hold the number."""
    rows = []
    for reference in references:
        stage, table, key, unit, factor = QUANTITIES[reference.quantity]
        for row in stages.get(stage, {}).get(table, []):
            if row["name"] == reference.target:
                ours = {"value": factor * row[key]["value"], "unit": unit}
                theirs = {"value": reference.value, "unit": unit}
                rows.append(
                    Comparison(
                        reference.quantity, reference.target, ours, theirs, reference.source, reference.note
                    )
                )
    return rows
