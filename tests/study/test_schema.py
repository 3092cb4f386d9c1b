"""The study file: defaults of the source study, every key documented, misspelt keys met with the right name."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ionscape.errors import InputError
from ionscape.settings import Settings
from ionscape.study.reference import study_file_page
from ionscape.study.schema import Study, described, fields_at, key_path, read_study

PROJECT = Path(__file__).parents[2]
STUDIES = sorted((PROJECT / "studies").glob("*.toml"))
#: A whole study in dotted keys, so that a key can be added to any table by one more line or one more entry.
DOTTED = """
study.name = "t"
host.structure = "phase:Li2O"
doping.routes = [{{ name = "r"{route} }}]
reference = [{{ target = "r, 1", value = 1.0, source = "s"{reference} }}]
{line}
"""
#: Floats whose unit is told by the description, since the key is named after what it holds.
UNIT_IN_WORDS = {
    "charges", "insert", "remove", "shell_ratio", "value", "closest_approach", "hottest", "host_melts_at",
    "volume_factor", "radial_power", "radial_damping", "angular_damping", "powers", "held_out", "far", "softening",
    "environment_loss", "environment_share", "refit_growth", "force_r2", "production_ps_at",
    "held_share", "length_tolerance", "angle_tolerance", "tolerance", "limit",
}  # fmt: skip

Location = tuple[str, ...]


def nested(annotation: Any) -> Iterator[type[Settings]]:
    """Yield the tables in an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from nested(argument)


def tables(location: Location = (), table: type[Settings] = Study) -> Iterator[tuple[Location, type[Settings]]]:
    """Yield every table of the study file with its location."""
    yield location, table
    for name, field in table.model_fields.items():
        for below in nested(field.annotation):
            yield from tables((*location, name), below)


TABLES = dict(tables())
LISTED = {
    (*location, name)
    for location, table in TABLES.items()
    for name, field in table.model_fields.items()
    if any(nested(field.annotation)) and "tuple" in str(field.annotation)
}
KEYS = [(*location, name) for location, table in TABLES.items() for name in table.model_fields]


def written(tmp_path: Path, **parts: str) -> Path:
    file = tmp_path / "s.toml"
    file.write_text(DOTTED.format(**{"route": "", "reference": "", "line": "", **parts}))
    return file


def with_key(tmp_path: Path, location: Location, name: str, value: str = "1") -> Path:
    """Return a study file in which the table at `location` has one more key."""
    inside = {("doping", "routes"): "route", ("reference",): "reference"}
    if location in inside:
        return written(tmp_path, **{inside[location]: f", {name} = {value}"})
    listed = next((end for end in range(1, len(location) + 1) if location[:end] in LISTED), None)
    if listed is not None:  # a table among several, written in brackets
        key = ".".join((*location[listed:], name))
        return written(tmp_path, line=f"{'.'.join(location[:listed])} = [{{ {key} = {value} }}]")
    return written(tmp_path, line=f"{'.'.join((*location, name))} = {value}")


def test_the_walk_reaches_every_depth() -> None:
    assert {(), ("study",), ("levels", "cheap"), ("doping", "routes"), ("reference",), ("engine",)} <= set(TABLES)
    assert ("doping", "routes", "counts") in KEYS


def test_defaults_are_those_of_the_source_study(tmp_path: Path) -> None:
    """0.01 eV/Å, a 1 × 2 × 1 cell, 500 configurations of which 5 are relaxed; sites from the electron density."""
    study = read_study(written(tmp_path)).content
    assert study.relaxation.fmax_eV_per_A == 0.01
    assert study.relaxation.move == "positions+cell"
    assert study.voids.method == "density"
    assert study.doping is not None
    assert study.doping.supercell == (1, 2, 1)
    assert (study.doping.samples, study.doping.keep, study.doping.keep_dear) == (500, 5, 0)
    assert study.doping.search == "random"
    assert study.levels.cheap.name == "chgnet"
    assert study.levels.dear is None
    assert study.cathode is None


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_shipped_studies_are_valid(path: Path) -> None:
    file = read_study(path)
    assert file.folder == path.parent.resolve()
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.content.study.name == path.stem


def test_there_are_shipped_studies() -> None:
    assert STUDIES


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_misspelt_keys_are_met_with_the_right_name(key: Location, tmp_path: Path) -> None:
    location, name = key[:-1], key[-1]
    place = random.Random(name).randrange(1, len(name) - 1)
    wrong = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    if wrong in TABLES[location].model_fields or wrong == name:
        wrong = f"{name}x"
    with pytest.raises(InputError) as refused:
        read_study(with_key(tmp_path, location, wrong))
    assert refused.value.found == "unknown key"
    assert f"Did you mean '{name}'?" in refused.value.remedy
    told = refused.value.where.rpartition(": ")[2]
    assert re.sub(r"\[\d+\]", "", told) == ".".join((*location, wrong))


def test_a_forgotten_unit_is_found(tmp_path: Path) -> None:
    for location, table in TABLES.items():
        for name in table.model_fields:
            bare = re.sub(
                r"_(A2?|e|eV|meV_per_atom|eV_per_A3?|e_per_A3|J_per_m2|K|bar|V|GPa|THz|deg|percent|fs|ps|per_ps|s|min|GB)$",
                "",
                name,
            )
            if bare not in table.model_fields:
                with pytest.raises(InputError, match=f"Did you mean '{name}'"):
                    read_study(with_key(tmp_path, location, bare))


def test_wrong_values_are_told_with_the_meaning_of_their_key(tmp_path: Path) -> None:
    for key in [("relaxation", "max_steps"), ("doping", "samples"), ("doping", "routes", "counts")]:
        with pytest.raises(InputError) as refused:
            read_study(with_key(tmp_path, key[:-1], key[-1], '"many"'))
        assert described(key) in refused.value.remedy
        assert "'many'" in refused.value.found


def test_paths_of_keys_are_written_as_in_the_file() -> None:
    assert key_path(("doping", "routes", 0, "counts", 2)) == "doping.routes[0].counts[2]"
    assert key_path(("study",)) == "study"
    assert key_path(("reference", 3)) == "reference[3]"


def test_descriptions_are_found_at_every_depth() -> None:
    for key in KEYS:
        assert described(key) == TABLES[key[:-1]].model_fields[key[-1]].description
    assert described(("doping", "routes", 0, "counts", 2)) == described(("doping", "routes", "counts"))
    assert described(("host", "charges", "Li")) == described(("host", "charges"))
    assert described(("nothing",))


def test_names_of_keys_are_found_at_every_depth() -> None:
    for location, table in TABLES.items():
        assert fields_at(location) == list(table.model_fields)
    assert fields_at(("doping", "routes", 0)) == fields_at(("doping", "routes"))
    assert fields_at(("nothing",)) == []


@pytest.mark.parametrize("location", TABLES, ids=lambda location: ".".join(location) or "top")
def test_every_key_is_documented_with_its_unit(location: Location) -> None:
    table = TABLES[location]
    assert (table.__doc__ or "").strip()
    for name, field in table.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert "\n" not in field.description
        if "float" in str(field.annotation):
            assert (
                re.search(
                    r"_(A2?|e|eV|meV_per_atom|eV_per_A3?|e_per_A3|J_per_m2|K|bar|V|GPa|THz|deg|percent|fs|ps|per_ps|s|min|GB)$",
                    name,
                )
                or name in UNIT_IN_WORDS
            ), name


def test_a_study_cannot_be_changed(tmp_path: Path) -> None:
    file = read_study(written(tmp_path))
    assert file.content.doping is not None
    for table in (file.content, file.content.study, file.content.doping, file.content.doping.routes[0]):
        name = next(iter(type(table).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(table, name, getattr(table, name))
    with pytest.raises(FrozenInstanceError):
        file.folder = tmp_path  # type: ignore[misc]


def test_reference_page_tells_every_key() -> None:
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", study_file_page(), re.MULTILINE | re.DOTALL))
    assert len(sections) == len(TABLES)
    by_path = {heading.strip("[]"): text for heading, text in sections.items()}
    for location, table in TABLES.items():
        section = by_path[".".join(location) or "top level"]
        rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) \| (.+) \|$", section, re.MULTILINE)
        assert [row[0] for row in rows] == list(table.model_fields)
        for name, _, default, meaning in rows:
            field = table.model_fields[name]
            assert meaning == field.description
            assert bool(default) != field.is_required()
    assert "[[doping.routes]]" in sections
    assert "[[reference]]" in sections


def test_reference_pages_on_disk_are_those_of_the_code() -> None:
    command = [sys.executable, str(PROJECT / "tools" / "reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
