"""Numbers of ``results.json``: each stands as ``{"value", "unit"}`` or bare, in the unit that its key implies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ionscape.report.quantity import Quantity


def quantity(node: Any, unit: str = "") -> Quantity:
    """Return ``{"value", "unit"}`` or a bare number (with the unit given) as a quantity."""
    if isinstance(node, Mapping):
        return Quantity(float(node["value"]), str(node["unit"]))
    return Quantity(float(node), unit)


def known(node: Any, unit: str = "") -> Quantity | None:
    """Return the quantity, or nothing where nothing is recorded."""
    return None if node is None else quantity(node, unit)


def plain(node: Any) -> Any:
    """Return the value without its unit."""
    return node["value"] if isinstance(node, Mapping) and "value" in node else node
