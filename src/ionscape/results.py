"""What results are made of: frozen dataclasses whose numbers carry units, estimates and failures.

Every field of a result that holds a number is annotated with its unit (`ionscape.units`). `to_json` turns any
result into plain JSON in which each such number stands beside its unit.
"""

from __future__ import annotations

import builtins
import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from ionscape.units import Array, Unit


@dataclass(frozen=True)
class Failure:
    """A calculation of a batch that gave no usable result; it stands where its result would stand.

    Attributes
    ----------
    reason
        What went wrong, in one sentence.
    key
        Key of the calculation in the store, empty if it never got one.
    """

    reason: str
    key: str = ""


def frozen(array: Array) -> Array:
    """Return a read-only copy of `array`, as results hold it."""
    copy = np.array(array, dtype=float)
    copy.setflags(write=False)
    return copy


def units_of(kind: type) -> dict[str, str]:
    """Return the unit of every field of the result type `kind` that is annotated with one."""
    units = {}
    for name, hint in get_type_hints(kind, localns=_names_of(kind), include_extras=True).items():
        for note in _annotations(hint):
            if isinstance(note, Unit):
                units[name] = note.symbol
    return units


class _Names(dict[str, Any]):
    """Names in whose scope a type was written; those that only type checkers import stand for anything."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        return Any


def _names_of(kind: type) -> _Names:
    names = _Names()
    for base in reversed(kind.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    return names


def _annotations(hint: Any) -> list[Any]:
    own = list(getattr(hint, "__metadata__", ()))
    for argument in getattr(hint, "__args__", ()):
        own += _annotations(argument)
    return own


def to_json(result: Any, unit: str | None = None) -> Any:
    """Return `result` as plain JSON data; numbers whose unit is known become ``{"value", "unit"}``.

    Structures become their chemical formula: the files beside ``results.json`` hold the coordinates.
    """
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        units = units_of(type(result))
        return {
            field.name: to_json(getattr(result, field.name), units.get(field.name))
            for field in dataclasses.fields(result)
            if not field.metadata.get("internal", False)
        }
    if isinstance(result, Mapping):
        return {str(key): to_json(value, unit) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [to_json(value, unit) for value in result]
    return _leaf(result, unit)


def _leaf(value: Any, unit: str | None) -> Any:
    if hasattr(value, "composition"):
        return value.composition.formula.replace(" ", "")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        message = f"a result holds {value}: an unknown number must be told, not stored"
        raise ValueError(message)
    if unit is None or isinstance(value, str | bool) or value is None:
        return value
    return {"value": value, "unit": unit}
