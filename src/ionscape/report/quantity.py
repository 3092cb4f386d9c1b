"""A number and its unit, as the report shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A number and its unit."""

    value: float
    unit: str
