"""The learned level: a sparse-GP potential from a file that `ionscape train` wrote, named ``sgpr:FILE``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ionscape.errors import InputError, nearest
from ionscape.levels.registry import Provider
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.model_file import content_hash, read_model


class SparsePotentials:
    """The levels ``sgpr:FILE``."""

    def available(self) -> str | None:
        """Return None: the potentials come with ionscape."""
        return None

    def member(self, argument: str) -> tuple[str, Provider]:
        """Return the absolute path of a model file, and its provider.

        Raises
        ------
        InputError
            If no file is named, or it cannot be read as a model.
        """
        if not argument:
            raise InputError(
                "names no model file",
                where="level 'sgpr'",
                expected="sgpr:FILE, with a file that `ionscape train` wrote",
                remedy="Name the file behind a colon.",
            )
        path = Path(argument).expanduser().resolve()
        content_hash(path)
        return str(path), SparsePotential(path)


@dataclass(frozen=True)
class SparsePotential:
    """Provider of the potential in one file; settings are those of `CalculatorSettings`.

    Attributes
    ----------
    path
        The file.
    """

    path: Path

    def available(self) -> str | None:
        """Return None: what it needs comes with ionscape."""
        return None

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the hash of the file's content, for its name too, and how it is evaluated."""
        status = self.path.stat() if self.path.is_file() else None
        key = (status.st_mtime_ns, status.st_size) if status else (0, 0)
        content = _hash(self.path, *key)
        return {
            "name": f"sgpr:{content}",
            "model": "sparse Gaussian-process potential",
            "content_sha256": content,
            **_settings(settings).model_dump(mode="json"),
        }

    def calculator(self, settings: Mapping[str, Any], threads: int) -> PotentialCalculator:
        """Return the calculator of the potential."""
        return PotentialCalculator(read_model(self.path), _settings(settings), threads)


@functools.cache
def _hash(path: Path, modified: int, size: int) -> str:
    del modified, size  # part of the key of the cache only: a file that was written again is read again
    return content_hash(path)


def _settings(settings: Mapping[str, Any]) -> CalculatorSettings:
    try:
        return CalculatorSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{name} = {first['input']!r}",
            where="level 'sgpr'",
            expected=first["msg"].removeprefix("Input should be "),
            remedy=nearest(name, CalculatorSettings.model_fields),
        ) from None


PROVIDER = SparsePotentials()
