"""The compiled core is taken only if it is there, can be loaded, and was built from the sources beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ionscape.errors import InputError
from ionscape.potential import library


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    library.load.cache_clear()


@pytest.mark.skipif(bool(library.unavailable()), reason=library.unavailable())
def test_library_that_fits_is_loaded_once() -> None:
    assert library.load() is library.load()


@pytest.mark.skipif(bool(library.unavailable()), reason=library.unavailable())
def test_library_older_than_its_sources_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = shutil.copytree(library.SOURCES, tmp_path / "core")
    monkeypatch.setattr(library, "SOURCES", sources)
    assert library.unavailable() == ""
    with (sources / "neighbours.hpp").open("a") as file:
        file.write("// changed\n")
    with pytest.raises(InputError, match=r"older than its sources.*make install"):
        library.load()


@pytest.mark.skipif(bool(library.unavailable()), reason=library.unavailable())
def test_installed_library_needs_no_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SOURCES", tmp_path / "not-there")
    assert library.unavailable() == ""


def test_what_is_no_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "_core.so")
    with pytest.raises(InputError, match="not built"):
        library.load()
    (tmp_path / "_core.so").write_bytes(b"no library")
    with pytest.raises(InputError, match="cannot be loaded"):
        library.load()
