"""The study file: TOML, checked whole before anything runs.

Unknown keys, wrong types and values out of range are refused with the path of the key, the value found and, for a
misspelt key, the nearest valid one. Every field carries its unit in its name, a default and one line of
documentation, from which the reference page is made.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from ionscape.doping.settings import DopingRoute, DopingSettings, Repeats
from ionscape.dynamics.learning_plan import LearningPlan
from ionscape.dynamics.settings import DynamicsPlan
from ionscape.errors import InputError, nearest
from ionscape.files import Wanted, text_of
from ionscape.interfaces.settings import MatchPlan, SurfacesPlan
from ionscape.levels.calculation import RelaxationSettings
from ionscape.migration.plan import MigrationPlan
from ionscape.potential.gate import GateSettings
from ionscape.settings import Settings
from ionscape.stability.settings import ContactSettings, StabilitySettings, WindowSettings
from ionscape.structures.voids import VoidSettings
from ionscape.study.claims import Claim
from ionscape.study.comparison import ReferenceValue
from ionscape.study.electronic import ElectronicTable
from ionscape.study.interfaces import InterfaceTable
from ionscape.study.resources import EngineSettings
from ionscape.transport.plan import TransportPlan

STUDY = Wanted("a text", "a study file (TOML)", "Check the path; examples are in studies/.", largest_MB=4)


class About(Settings):
    """What the study is called and where its randomness starts."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Short name, used for folders.")
    title: str = Field("", description="Title of the report; the name if empty.")
    seed: int = Field(0, ge=0, description="Seed of all random choices; one stream per stage is spawned from it.")


class Crystal(Settings):
    """A crystal of the study."""

    structure: str = Field(
        description="A structure file (relative paths start at the study file), or 'phase:NAME' for one of the "
        "packaged phases (`ionscape phases` lists them)."
    )
    charges: dict[str, float] = Field(
        default_factory=dict, description="Element = formal charge, e, where the guess would be wrong."
    )


class LevelTable(Settings):
    """A level of theory."""

    name: str = Field("chgnet", description="Registered level (`ionscape levels`) or 'module:factory'.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the level.")

    @field_validator("settings")
    @classmethod
    def _plain(cls, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(settings, allow_nan=False)  # they are part of the key of every calculation
        except (TypeError, ValueError, RecursionError):
            raise ValueError(
                "Value should be finite numbers, texts, booleans, lists and tables of these"
            ) from None
        return settings


class Levels(Settings):
    """The levels of the study: the cheap one explores, the dear one decides, the fast one runs for long.

    Dear and fast ones are optional.
    """

    cheap: LevelTable = Field(default_factory=LevelTable, description="Level of every stage.")
    dear: LevelTable | None = Field(None, description="Level of the last step of funnels.")
    fast: LevelTable | None = Field(
        None, description="Level of long runs, such as a learned potential; [dynamics] asks for it by `level`."
    )

    def tables(self) -> dict[str, LevelTable]:
        """Return the levels that are given, by what they are for."""
        given = {role: getattr(self, role) for role in type(self).model_fields}
        return {role: table for role, table in given.items() if table is not None}


class DopingTable(DopingSettings):
    """The doping stage: its settings and its routes."""

    routes: Annotated[tuple[DopingRoute, ...], Field(min_length=1, strict=False)] = Field(
        description="The routes by which dopants enter."
    )


class DynamicsTable(DynamicsPlan):
    """The stage of molecular dynamics: which materials at which temperatures, and how atoms are moved."""

    level: Literal["cheap", "dear", "fast", "learned"] = Field(
        "cheap", description="Which one of [levels] gives the forces; 'learned' is the potential of [potential]."
    )
    compositions: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = Field(
        ("host",), description="Materials: 'host', or a content of [doping] as 'ROUTE, COUNT'."
    )
    supercell: Annotated[tuple[Repeats, Repeats, Repeats] | None, Field(strict=False)] = Field(
        None,
        description="Repeats of the host cell in which all materials are run; without it those of [doping]. Doped "
        "cells are repeated where they fit into it, else the same contents are searched anew in it.",
    )
    keep: int = Field(
        5, ge=1, le=1000, description="Configurations relaxed where a doped cell is searched anew in `supercell`."
    )
    gate: GateSettings = Field(
        default_factory=GateSettings,
        description="With a learned potential: what it must keep on dear frames of every run, or "
        "the numbers of the run are refused.",
    )


class PotentialTable(LearningPlan):
    """The stage that learns a potential on the fly, for all materials of [dynamics] together."""

    level: Literal["cheap", "dear"] = Field("cheap", description="Which one of [levels] teaches.")


class TransportTable(TransportPlan):
    """The stage of ion transport: what is read off every run of [dynamics]."""


class MigrationTable(MigrationPlan):
    """The migration stage: barriers of all distinct hops of the host and the cathode."""

    level: Literal["cheap", "dear"] = Field("cheap", description="Which one of [levels] gives the barriers.")


class Study(Settings):
    """A study file."""

    study: About = Field(description="Name and seed.")
    host: Crystal = Field(description="The crystal that is doped and coated with.")
    cathode: Crystal | None = Field(None, description="The cathode it touches.")
    levels: Levels = Field(default_factory=Levels, description="Levels of theory.")
    relaxation: RelaxationSettings = Field(
        default_factory=RelaxationSettings, description="How structures are relaxed."
    )
    voids: VoidSettings = Field(default_factory=VoidSettings, description="How empty sites are found.")
    doping: DopingTable | None = Field(None, description="How the host is doped.")
    stability: StabilitySettings = Field(
        default_factory=StabilitySettings, description="Against which phases stability is judged."
    )
    contact: ContactSettings | None = Field(
        None, description="Mutual reactions of cathodes with the host, doped cells and other phases."
    )
    window: WindowSettings | None = Field(
        None, description="Electrochemical windows of the host, doped cells and other phases."
    )
    surfaces: SurfacesPlan | None = Field(None, description="Surface energies of host and cathode.")
    match: MatchPlan | None = Field(None, description="A coherent interface of host and cathode.")
    interface: InterfaceTable | None = Field(
        None, description="Contacts of two crystals: registry, work of adhesion, dopants near them."
    )
    potential: PotentialTable | None = Field(None, description="A potential learned for the molecular dynamics.")
    dynamics: DynamicsTable | None = Field(None, description="Molecular dynamics of the host and doped cells.")
    transport: TransportTable | None = Field(None, description="Ion transport in the runs of [dynamics].")
    migration: MigrationTable | None = Field(None, description="Migration barriers of the mobile ion.")
    electronic: ElectronicTable | None = Field(
        None, description="Electronic structure of interfaces, from finished calculations of GPAW or VASP."
    )
    reference: Annotated[tuple[ReferenceValue, ...], Field(strict=False)] = Field(
        (), description="Numbers of another study, to stand beside ours."
    )
    claim: Annotated[tuple[Claim, ...], Field(strict=False)] = Field(
        (), description="Statements of another study, to be judged by our numbers."
    )
    engine: EngineSettings = Field(default_factory=EngineSettings, description="Where it runs.")


@dataclass(frozen=True)
class StudyFile:
    """A checked study file: its content, its folder, and the SHA-256 of its text."""

    content: Study
    folder: Path
    sha256: str


def read_study(path: str | Path) -> StudyFile:
    """Return the checked study file at `path`.

    Raises
    ------
    InputError
        If the file is missing, is not TOML, or holds an unknown key, a missing key, a wrong type or a value out of
        range; the message names the key's path, what was found, what was expected and the nearest valid name.
    """
    text, data = _toml(path)
    try:
        content = Study.model_validate(data)
    except ValidationError as error:
        raise _refusal(error, path) from None
    return StudyFile(content, Path(path).resolve().parent, hashlib.sha256(text.encode()).hexdigest())


def read_engine(path: str | Path) -> EngineSettings:
    """Return the table [engine] of the TOML file at `path`: a study file, or one with nothing else.

    Raises
    ------
    InputError
        As `read_study`; also if there is no such table.
    """
    _, data = _toml(path)
    if not isinstance(data.get("engine"), dict):
        raise InputError(
            "no table [engine]",
            where=str(path),
            expected='a table [engine], such as kind = "slurm"',
            remedy="Add it, or leave --engine out.",
        )
    try:
        return EngineSettings.model_validate(data["engine"])
    except ValidationError as error:
        raise _refusal(error, path, ("engine",)) from None


def _toml(path: str | Path) -> tuple[str, dict[str, Any]]:
    text = text_of(Path(path), STUDY)
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not valid TOML ({error})",
            where=str(path),
            expected="TOML: [tables], key = value, strings in quotes",
            remedy="Mend the line named.",
        ) from None


def _refusal(error: ValidationError, path: str | Path, above: tuple[str, ...] = ()) -> InputError:
    problems = error.errors()
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    location, kind = above + tuple(first["loc"]), first["type"]
    more = f" ({len(problems) - 1} more in this file.)" if len(problems) > 1 else ""
    where = f"{path}: {key_path(location)}"
    if kind == "extra_forbidden":
        hint = nearest(str(location[-1]), fields_at(location[:-1]))
        return InputError("unknown key", where=where, expected="a key of this table", remedy=hint + more)
    if kind == "missing":
        return InputError(
            "missing", where=where, expected="a value", remedy=f"Add it: {described(location)}{more}"
        )
    return InputError(
        f"{first['input']!r}",
        where=where,
        expected=re.sub(r"^(Input|Value|String|Tuple|List) should (be|have) ", "", first["msg"]),
        remedy=f"{described(location)}{more}",
    )


def key_path(location: tuple[Any, ...]) -> str:
    """Return a location as written in a study file: ``doping.routes[0].counts``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".")


def fields_at(location: tuple[Any, ...]) -> list[str]:
    """Return the names of the keys that the table at `location` may hold."""
    table = _table_at(location)
    return list(table.model_fields) if table is not None else []


def described(location: tuple[Any, ...]) -> str:
    """Return the line of documentation of the key at `location`, or of the nearest key above it."""
    for end in range(len(location), 0, -1):
        table = _table_at(location[: end - 1])
        if table is not None and location[end - 1] in table.model_fields:
            return table.model_fields[location[end - 1]].description or ""
    return "See the reference of the study file."


def _table_at(location: tuple[Any, ...]) -> type[Settings] | None:
    table: type[Settings] = Study
    for part in location:
        if isinstance(part, int):
            continue
        if part not in table.model_fields:
            return None
        below = _table_type(table.model_fields[part].annotation)
        if below is None:
            return None
        table = below
    return table


def _table_type(annotation: Any) -> type[Settings] | None:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _table_type(argument)
        if found is not None:
            return found
    return None
