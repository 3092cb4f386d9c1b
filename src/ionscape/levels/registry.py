"""The registry of levels of theory: from a name in the study file to an ASE calculator.

A *level* is a name with settings; a *provider* knows how to make its calculator and what defines its energies.
Packages add providers through the entry-point group ``ionscape.levels``; ``module:factory`` names any importable
function that returns an ASE calculator.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ionscape.errors import InputError, nearest

ENTRY_POINT_GROUP = "ionscape.levels"


class Provider(Protocol):
    """What makes the calculators of one level of theory."""

    def available(self) -> str | None:
        """Return None if the level can be used here, else what to install."""
        ...

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what defines the level's energies (model, version, hash of weights, functional, …)."""
        ...

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        """Return an ASE calculator that uses at most `threads` threads."""
        ...


@dataclass(frozen=True)
class Level:
    """A level of theory as named in a study: a registered name or ``module:factory``, and its settings."""

    name: str
    settings: tuple[tuple[str, Any], ...] = field(default=())

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any] | None = None) -> Level:
        """Return the level `name` with `settings`, after checking that it exists and can be used here.

        Raises
        ------
        InputError
            If no such level is known, or what it needs is not installed.
        """
        provider = _provider(name)
        missing = provider.available()
        if missing is not None:
            raise InputError(
                f"level '{name}' cannot be used here",
                where="level of theory",
                expected="an installed level (see `ionscape levels`)",
                remedy=missing,
            )
        return cls(name, tuple(sorted((settings or {}).items())))

    def identity(self) -> dict[str, Any]:
        """Return what defines this level's energies; part of every key in the store."""
        return {**_provider(self.name).identity(dict(self.settings)), "name": self.name}

    def calculator(self, threads: int) -> Any:
        """Return the ASE calculator of this level; built once per process."""
        return _calculator(self.name, json.dumps(dict(self.settings), sort_keys=True), threads)


def providers() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the registered levels by name."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def availability() -> dict[str, str]:
    """Return for every registered level what must be installed before it can be used; empty if nothing."""
    return {name: _provider(name).available() or "" for name in sorted(providers())}


@functools.cache
def _provider(name: str) -> Provider:
    if ":" in name:
        return _Factory(name)
    known = providers()
    if name not in known:
        raise InputError(
            f"unknown level of theory '{name}'",
            where="level of theory",
            expected="a registered level or 'module:factory'",
            remedy=nearest(name, known),
        )
    provider: Provider = known[name].load()
    return provider


@functools.cache
def _calculator(name: str, settings: str, threads: int) -> Any:
    return _provider(name).calculator(json.loads(settings), threads)


@dataclass(frozen=True)
class _Factory:
    """A level given as ``module:factory``: any importable function that returns an ASE calculator."""

    path: str

    def available(self) -> str | None:
        self._load()
        return None

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"factory": self.path, "version": self._version(), "settings": dict(settings)}

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        del threads
        return self._load()(**settings)

    def _version(self) -> str:
        package = self.path.partition(":")[0].partition(".")[0]
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "unversioned"

    def _load(self) -> Any:
        module, _, name = self.path.partition(":")
        try:
            factory = getattr(importlib.import_module(module), name)
            if not callable(factory):
                raise TypeError(f"it is a {type(factory).__name__}")
            return factory
        except Exception as error:  # noqa: BLE001  the user's module may raise anything while it is imported
            raise InputError(
                f"'{self.path}' cannot be imported ({error})",
                where="level of theory",
                expected="'module:factory', importable, returning an ASE calculator",
                remedy="Check the spelling, and that the module is installed or on PYTHONPATH.",
            ) from None
