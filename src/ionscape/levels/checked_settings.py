"""Settings of a level as its own type: checked whole, with one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ionscape.errors import InputError, nearest
from ionscape.settings import Settings

Kind = TypeVar("Kind", bound=Settings)


def checked_settings(kind: type[Kind], settings: Mapping[str, Any], where: str) -> Kind:
    """Return `settings` as `kind`; `where` names the level in the error.

    Raises
    ------
    InputError
        If a name is unknown or a value out of range.
    """
    try:
        return kind(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        known = kind.model_fields.get(str(first["loc"][0]))
        raise InputError(
            f"{name} = {first['input']!r}",
            where=where,
            expected=first["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
            remedy=(known.description if known else None) or nearest(name, kind.model_fields),
        ) from None
