"""What the documentation shows is what the programs print: its commands and its notebooks are run."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[1]


def tool(name: str) -> ModuleType:
    """Return a module of ``tools/``."""
    sys.path.insert(0, str(PROJECT / "tools"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(PROJECT / "tools"))


examples, notebooks = tool("examples"), tool("notebooks")
needs_docs = pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="make install-docs")


def named(path: Path) -> str:
    return str(path.relative_to(PROJECT / "docs"))


@pytest.mark.slow
@pytest.mark.parametrize("page", examples.pages(), ids=named)
def test_commands_of_a_page_print_what_it_says(page: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as for a reader
        outcomes = list(examples.run_page(page, tmp_path))
    assert outcomes
    for one in outcomes:
        assert one.holds(), f"$ {one.command}\n{one.printed}"


def test_the_tutorial_and_the_how_tos_are_among_them() -> None:
    assert {"tutorial.md", "vasp-trajectory.md", "potential.md"} <= {page.name for page in examples.pages()}


@needs_docs
@pytest.mark.slow
@pytest.mark.parametrize("notebook", notebooks.notebooks(), ids=named)
def test_a_notebook_runs_and_prints_what_is_stored(notebook: Path) -> None:
    assert not list(notebooks.differences(notebook))


def test_there_are_notebooks() -> None:
    assert len(notebooks.notebooks()) >= 3


@pytest.mark.parametrize(
    ("written", "printed", "sampled", "expected"),
    [
        ("E_d  12.34\n", "E_d   12.35\n", False, True),
        ("E_d  12.34\n", "E_d   13.35\n", False, False),
        ("E_d  12.34\n", "E_d   13.35\n", True, True),
        ("Li2O 1.0\n", "Li3O 1.0\n", False, False),
        ("Li2O 1.0\n", "Li3O 1.0\n", True, False),
        ("a 1\n…\n", "a 1\nb 2\nc 3\n", False, True),
        ("a 1\n…\nc 3\n", "a 1\nb 2\nc 4\n", False, False),
        ("a 1\n", "a 1\nb 2\n", False, False),
        ("D 1.0e-06 to 2e-05\n", "D 1.0e-06 to 3e-05\n", False, False),
        ("x 0.000\n", "x 0.001\n", False, True),
    ],
)
def test_what_is_alike(written: str, printed: str, sampled: bool, expected: bool) -> None:
    assert examples.alike(written, printed, sampled=sampled) is expected


def test_commands_are_told_from_what_they_print() -> None:
    body = "$ one \\\n  --two 2\nsaid\n$ three\n"
    assert list(examples.commands_of(body)) == [("one    --two 2", "said\n"), ("three", "")]


def test_refreshing_writes_what_was_printed_and_leaves_the_rest() -> None:
    text = "# Title\n\n```console\n$ one\nold 1\n$ two\nkept 2\n```\nEnd.\n"
    outcomes = [
        examples.Printed("one", "old 1\n", "new 1\n", sampled=False),
        examples.Printed("two", "kept 2\n", "kept 2.01\n", sampled=False),
    ]
    assert examples.refreshed(text, outcomes) == text.replace("old", "new")


@needs_docs
def test_a_notebook_becomes_a_page(tmp_path: Path) -> None:
    page = tool("notebook_page").markdown_of(notebooks.notebooks()[0])
    assert page.startswith("# ")
    assert "```python" in page
    assert "```text" in page
