"""The level ``sgpr:FILE``: found by name, told apart by content, refused in one message."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from ionscape.errors import InputError
from ionscape.levels.registry import Level, availability
from ionscape.potential.calculator import PotentialCalculator
from ionscape.potential.model_file import write_model

sys.path.insert(0, str(Path(__file__).parents[1] / "potential"))
from made_frames import alloy, model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(model(), tmp_path / "alloy.sgpr")
    return tmp_path / "alloy.sgpr"


def energy(level: Level) -> float:
    atoms = alloy(5)
    atoms.calc = level.calculator(1)
    return float(atoms.get_potential_energy())


def test_name_finds_the_file_from_anywhere(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    level = Level.of("sgpr:alloy.sgpr")
    monkeypatch.chdir("/")
    assert isinstance(level.calculator(1), PotentialCalculator)
    assert Level.of(level.name) == level
    reference = alloy(5)
    reference.calc = PotentialCalculator(model())
    assert energy(level) == reference.get_potential_energy()


def test_identity_is_that_of_the_content_and_the_precision(path, tmp_path):
    level = Level.of(f"sgpr:{path}")
    first = level.identity()["content_sha256"]
    write_model(model(), tmp_path / "copy")
    copy = Level.of(f"sgpr:{tmp_path / 'copy'}")
    assert copy.identity() == level.identity()
    assert copy.name != level.name
    assert str(tmp_path) not in str(copy.identity())
    assert level.identity()["content_sha256"] == first
    double = Level.of(f"sgpr:{path}", {"precision": "double"}).identity()
    assert double["precision"] == "double" != level.identity()["precision"]
    assert {**double, "precision": "single"} == level.identity()


def test_file_that_is_written_again_is_read_again(path):
    level = Level.of(f"sgpr:{path}")
    first, before = level.identity(), energy(level)
    assert level.calculator(1) is level.calculator(1)
    write_model(dataclasses.replace(model(), offsets=model().offsets + 1), path)
    assert level.identity() != first
    assert energy(level) == pytest.approx(before + 8)


def test_own_calculator_is_shared_with_nobody(path):
    level = Level.of(f"sgpr:{path}")
    assert level.own_calculator(1) is not level.own_calculator(1)


@pytest.mark.parametrize(
    ("name", "told"),
    [("sgpr", "names no model file"), ("sgpr:", "names no model file"), ("sgpr:/no/such", "no such file")],
)
def test_level_without_a_model_is_refused(name, told):
    with pytest.raises(InputError, match=told):
        Level.of(name)


def test_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "frames.xyz").write_text("2\n\nCu 0 0 0\nAu 1 1 1\n")
    with pytest.raises(InputError, match="is not a model"):
        Level.of(f"sgpr:{tmp_path / 'frames.xyz'}")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"precison": "double"}, "Did you mean 'precision'"),
        ({"precision": "half"}, "'half'"),
        ({"watch_every": -1}, "-1"),
    ],
)
def test_wrong_settings_are_one_clear_error(settings, told, path):
    level = Level.of(f"sgpr:{path}", settings)
    with pytest.raises(InputError, match=told):
        level.calculator(1)


def test_level_is_listed_as_ready():
    assert availability()["sgpr"] == ""


def test_factories_are_still_found_by_module():
    assert energy(Level.of("ase.calculators.emt:EMT")) != 0
