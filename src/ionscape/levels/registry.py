"""The registry of levels of theory: from a name in the study file to an ASE calculator.

A *level* is a name with settings; a *provider* knows how to make its calculator and what defines its energies.
Packages add providers through the entry-point group ``ionscape.levels``. A registered level may need an argument,
as in ``sgpr:FILE``; otherwise ``module:factory`` names any importable function that returns an ASE calculator.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ionscape.errors import InputError, nearest

if TYPE_CHECKING:
    from ionscape.levels.batches import BatchedForces

ENTRY_POINT_GROUP = "ionscape.levels"


class Provider(Protocol):
    """What makes the calculators of one level of theory."""

    def available(self) -> str | None:
        """Return None if the level can be used here, else what to install."""
        ...

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what defines the level's energies (model, version, hash of weights, functional, …).

        A ``name`` among it takes the place of the level's own.
        """
        ...

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        """Return an ASE calculator of energy, forces and stress that uses at most `threads` threads."""
        ...


@runtime_checkable
class Family(Protocol):
    """Levels of one kind, told apart by the argument behind the colon of their name."""

    def available(self) -> str | None:
        """Return None if such levels can be used here, else what to install."""
        ...

    def member(self, argument: str) -> tuple[str, Provider]:
        """Return the argument as it is the same everywhere (a path: absolute), and the provider that it names.

        Raises
        ------
        InputError
            If the argument is missing or names none.
        """
        ...


@dataclass(frozen=True)
class Level:
    """A level of theory as named in a study, and its settings.

    The name is a registered one, one with its argument (``sgpr:FILE``), or ``module:factory``.
    """

    name: str
    settings: tuple[tuple[str, Any], ...] = field(default=())

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any] | None = None) -> Level:
        """Return the level `name` with `settings`, after checking that it exists and can be used here.

        Providers with a method ``validate(settings)`` check their settings here, before anything runs.

        Raises
        ------
        InputError
            If no such level is known, what it needs is not installed, or a setting is refused.
        """
        name = _full_name(name)
        missing = _provider(name).available()
        if missing is not None:
            raise InputError(
                f"level '{name}' cannot be used here",
                where="level of theory",
                expected="an installed level (see `ionscape levels`)",
                remedy=missing,
            )
        validate = getattr(_provider(name), "validate", None)
        if validate is not None:
            validate(settings or {})
        return cls(name, tuple(sorted((settings or {}).items())))

    @property
    def address(self) -> str:
        """Name by which another process makes this level."""
        return self.name

    def identity(self) -> dict[str, Any]:
        """Return what defines this level's energies; part of every key in the store.

        Its ``name`` is that of the level, unless that tells where a file lies: then the provider gives another.
        """
        return {"name": self.name, **_provider(self.name).identity(dict(self.settings))}

    def calculator(self, threads: int) -> Any:
        """Return the ASE calculator of this level; built once per process, and again if what defines it changed.

        Raises
        ------
        InputError
            If the calculator cannot be made, whatever its package or factory raises.
        """
        identity = json.dumps(self.identity(), sort_keys=True, default=str)
        return _calculator(self.name, json.dumps(dict(self.settings), sort_keys=True), threads, identity)

    def check(self, atoms: Any) -> None:
        """Raise `InputError` if the level can tell beforehand that it cannot compute ASE `atoms`.

        Levels whose provider has a method ``check(atoms, settings)`` can.
        """
        check = getattr(_provider(self.name), "check", None)
        if check is not None:
            check(atoms, dict(self.settings))

    def device(self) -> str:
        """Return on which device the level is evaluated here: ``cpu`` unless its provider tells another.

        Levels whose provider has a method ``device(settings)`` tell.
        """
        device = getattr(_provider(self.name), "device", None)
        return "cpu" if device is None else str(device(dict(self.settings)))

    def check_batched(self, where: str) -> None:
        """Raise `InputError` if this level evaluates no batches of cells here; `where` tells what asks for them.

        Levels whose provider has a method ``torchsim_model(settings, threads)`` do, where TorchSim is installed;
        one with a method ``check_batched(settings)`` refuses settings that batches cannot have.
        """
        from ionscape.potential.torchsim_model import require_torchsim

        if getattr(_provider(self.name), "torchsim_model", None) is None:
            raise InputError(
                f"level '{self.name}', which has no model of TorchSim here",
                where=where,
                expected="a level that evaluates batches of cells, such as sgpr:FILE",
                remedy="Run without batches: runs then go side by side over the engine.",
            )
        require_torchsim(where)
        check = getattr(_provider(self.name), "check_batched", None)
        if check is not None:
            check(dict(self.settings))

    def batched(self, threads: int) -> BatchedForces:
        """Return this level as it evaluates many cells at once, on at most `threads` threads of a processor.

        Raises
        ------
        InputError
            As `check_batched`, or if the model cannot be made.
        """
        from ionscape.levels.batches import BatchedForces

        self.check_batched("batch of cells")
        provider: Any = _provider(self.name)
        return BatchedForces(provider.torchsim_model(dict(self.settings), threads))

    def own_calculator(self, threads: int) -> Any:
        """Return a new ASE calculator of this level, which has evaluated nothing and which nothing else uses.

        Raises
        ------
        InputError
            As `calculator`.
        """
        return _new_calculator(self.name, json.dumps(dict(self.settings), sort_keys=True), threads)


def providers() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the registered levels by name."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def availability() -> dict[str, str]:
    """Return for every registered level what must be installed before it can be used; empty if nothing."""
    return {name: entry.load().available() or "" for name, entry in sorted(providers().items())}


def _full_name(name: str) -> str:
    family = _family(name)
    if family is None:
        return name
    prefix, _, argument = name.partition(":")
    return f"{prefix}:{family.member(argument)[0]}"


def _family(name: str) -> Family | None:
    """Return the family that `name` asks for, if it asks for one."""
    entry = providers().get(name.partition(":")[0])
    loaded = None if entry is None else entry.load()
    return loaded if isinstance(loaded, Family) else None


@functools.cache
def _provider(name: str) -> Provider:
    family = _family(name)
    if family is not None:
        return family.member(name.partition(":")[2])[1]
    if ":" in name:
        return _Factory(name)
    known = providers()
    if name not in known:
        raise InputError(
            f"unknown level of theory '{name}'",
            where="level of theory",
            expected="a registered level, 'sgpr:FILE' or 'module:factory'",
            remedy=nearest(name, known),
        )
    provider: Provider = known[name].load()
    return provider


@functools.cache
def _calculator(name: str, settings: str, threads: int, identity: str) -> Any:
    del identity  # part of the key of the cache only
    return _new_calculator(name, settings, threads)


def _new_calculator(name: str, settings: str, threads: int) -> Any:
    try:
        return _provider(name).calculator(json.loads(settings), threads)
    except InputError:
        raise
    except Exception as error:  # packages and factories raise anything; one clear error leaves here
        reason = " ".join(str(error).split())
        raise InputError(
            f"its calculator cannot be made ({type(error).__name__}: {reason[:200]})",
            where=f"level '{name}' with settings {settings}",
            expected="settings with which the level gives an ASE calculator",
            remedy="Check the settings of the level, and that its weights and what it needs are on this machine.",
        ) from error


def refuse_unknown(settings: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raise `InputError` if `settings` holds a name that is not in `known`."""
    unknown = set(settings) - set(known)
    if unknown:
        name = min(unknown)
        raise InputError(
            f"unknown setting '{name}'",
            where=where,
            expected=f"the setting{'s' * (len(known) > 1)} {', '.join(repr(each) for each in known)}",
            remedy=nearest(name, known),
        )


@dataclass(frozen=True)
class _Factory:
    """A level given as ``module:factory``: any importable function that returns an ASE calculator."""

    path: str

    def available(self) -> str | None:
        self._load()
        return None

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        self._load()
        return {"factory": self.path, "settings": dict(settings), **_origin(self.path.partition(":")[0])}

    def calculator(self, settings: Mapping[str, Any], threads: int) -> Any:
        del threads
        return self._load()(**settings)

    def _load(self) -> Any:
        module, _, name = self.path.partition(":")
        try:
            factory = getattr(importlib.import_module(module), name)
            if not callable(factory):
                raise TypeError(f"it is a {type(factory).__name__}")
            return factory
        except (Exception, SystemExit) as error:  # noqa: BLE001  the user's module may raise anything when imported
            raise InputError(
                f"'{self.path}' cannot be imported ({error})",
                where="level of theory",
                expected="'module:factory', importable, returning an ASE calculator",
                remedy="Check the spelling, and that the module is installed or on PYTHONPATH.",
            ) from None


@functools.cache
def _origin(module: str) -> dict[str, str]:
    """Return the version of the distribution that `module` belongs to, else the hash of its source file."""
    source = getattr(sys.modules[module], "__file__", None)
    if source is None:  # built into the interpreter
        return {"version": "unversioned"}
    for name in importlib.metadata.packages_distributions().get(module.partition(".")[0], []):
        distribution = importlib.metadata.distribution(name)
        if Path(source).is_relative_to(str(distribution.locate_file(""))):  # else another module of the same name
            return {"version": distribution.version}
    return {"version": "unversioned", "source_sha256": hashlib.sha256(Path(source).read_bytes()).hexdigest()}
