"""The catalogue: the folders as a table, whatever happened to the index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ionscape.study import tasks
from ionscape.study.catalogue import Catalogue, Row
from ionscape.study.store import Store


@pytest.fixture
def filled(tmp_path: Path, toy: Callable, cells: Callable) -> tuple[Store, list[str]]:
    """Return a store of six single points at two levels, with their keys."""
    store, keys = Store(tmp_path / "store"), []
    for number, cell in enumerate(cells(6)):
        request = tasks.single_point_request(cell, toy(seconds=0.0 if number % 2 else 0.001))
        keys.append(tasks.request_key(request))
        assert tasks.perform(request, str(store.root), 1)["error"] == ""
    return store, sorted(keys)


def rows(store: Store) -> list[Row]:
    return list(Catalogue(store).rows())


def test_rows_are_those_of_the_folders(filled):
    store, keys = filled
    assert [row.key for row in rows(store)] == keys == list(store.finished())
    assert {(row.kind, row.level, row.formula, row.atoms, row.outcome, row.damage) for row in rows(store)} == {
        ("single-point", "toy_levels:SoftSpheres", "Li2ZrO", 4, "done", "")
    }


@pytest.mark.parametrize("harm", ["deleted", "cut", "bits", "noise", "doubled"])
def test_index_is_rebuilt_from_the_folders(filled, harm: str):
    store, _ = filled
    before = rows(store)
    for path in (store.root / "index").iterdir():
        content = bytearray(path.read_bytes())
        if harm == "deleted":
            path.unlink()
        elif harm == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif harm == "bits":
            content[len(content) // 2] ^= 4
            path.write_bytes(content)
        elif harm == "noise":
            path.write_bytes(b"\xff\x00\n{}\n[]\n0\n" * 9)
        else:
            path.write_bytes(content * 2)
    assert rows(store) == before
    assert rows(store) == before


def test_folders_that_come_go_or_lose_a_file_are_noticed(filled):
    store, keys = filled
    before = {row.key: row for row in rows(store)}
    shutil.rmtree(store.folder(keys[0]))
    (store.folder(keys[1]) / "result.json").unlink()
    now = {row.key: row for row in rows(store)}
    assert list(now) == keys[1:]
    assert "result.json" in now[keys[1]].damage
    assert {key: now[key] for key in keys[2:]} == {key: before[key] for key in keys[2:]}


def test_files_that_are_no_calculations_are_passed_over(filled):
    store, keys = filled
    (store.folder(keys[0]).parent / ".nfs0000000012").write_text("x")
    (store.root / "calculations" / ".DS_Store").write_text("x")
    (store.root / "working" / "note").write_text("x")
    assert [row.key for row in rows(store)] == keys == list(store.finished())
    assert store.unfinished() == []


def test_table_by_formula_level_and_kind(filled):
    store, keys = filled
    catalogue = Catalogue(store)
    assert list(catalogue.frame().index) == keys
    assert (
        list(catalogue.frame(formula="Li2ZrO", level="toy_levels:SoftSpheres", kind="single-point").index) == keys
    )
    for nothing in ({"formula": "Li2O"}, {"level": "chgnet"}, {"kind": "band"}):
        found = catalogue.frame(**nothing)
        assert len(found) == 0
        assert "formula" in found.columns
