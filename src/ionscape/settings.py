"""The base of all settings: tables of the study file, arguments of stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ionscape.errors import InputError, nearest


class Settings(BaseModel):
    """Base of every table of the study file: unknown keys and wrong types are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Kind = TypeVar("Kind", bound=Settings)


def checked_settings(kind: type[Kind], values: Mapping[str, Any], where: str) -> Kind:
    """Return `values` as settings of `kind`; `where` says in the error where they were given.

    Raises
    ------
    InputError
        If a name is unknown or a value out of range.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        known = kind.model_fields.get(str(first["loc"][0])) if first["loc"] else None
        raise InputError(
            f"{name} = {first['input']!r}",
            where=where,
            expected=first["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
            remedy=(known.description if known else None) or nearest(name, kind.model_fields),
        ) from None
