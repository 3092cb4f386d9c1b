"""The compiled core is taken only if it is there, can be loaded, and was built from the sources beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ionscape.errors import CalculationError, InputError
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


def test_what_the_core_could_not_make_is_told() -> None:
    assert library.made(64, "a potential") == 64
    for null in (0, None):
        with pytest.raises(CalculationError, match="a potential could not be made: there is no memory"):
            library.made(null, "a potential")


FORKED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from made_frames import alloy, model
from ionscape.potential.calculator import PotentialCalculator

atoms, calculator = alloy(5), PotentialCalculator(model(), threads=3)
atoms.calc = calculator
energy = atoms.get_potential_energy()
child = os.fork()
if not child:
    signal.alarm(20)  # a child that waits for threads it has not ends here
    calculator.reset()
    same = atoms.get_potential_energy() == energy
    del calculator, atoms.calc
    sys.exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
calculator.reset()
assert atoms.get_potential_energy() == energy
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.skipif(bool(library.unavailable()), reason=library.unavailable())
def test_potential_with_several_threads_survives_a_fork() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
