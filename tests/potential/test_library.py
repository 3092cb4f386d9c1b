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


#: Where the C allocator returns what it is given at once, so that the limit bites.
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
FULL = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from made_frames import model
from ionscape.errors import CalculationError
from ionscape.potential.uncollapsed import potential_of

atoms, limits = 200_000, resource.getrlimit(resource.RLIMIT_AS)
x = 50.0 * np.stack(np.unravel_index(np.arange(atoms), (60, 60, 60)), axis=1)  # nobody has a neighbour
place = (x, np.zeros((3, 3)), np.zeros(atoms, dtype=np.int32), (False, False, False))

def listed_in_a_full_machine(*arguments):
    found = listed(*arguments)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 8 * atoms + 2_000_000, limits[1]))  # what is returned fits
    return found

for threads in (1, 3):
    potential = potential_of(model(), threads=threads)
    listed, potential._listed_of = potential._listed_of, listed_in_a_full_machine
    try:
        potential.evaluate(*place)
    except CalculationError as error:
        assert "there is no memory" in str(error), error
    else:
        raise AssertionError("it was evaluated without memory")
    resource.setrlimit(resource.RLIMIT_AS, limits)
    potential._listed_of = listed
    found, alone = potential.evaluate(*place), potential_of(model(), threads=threads).evaluate(*place)
    assert np.array_equal(found.atom_energies, alone.atom_energies)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="the size of a process is not told here")
@pytest.mark.skipif(bool(library.unavailable()), reason=library.unavailable())
def test_evaluation_without_memory_is_one_message_and_no_crash() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FULL, str(Path(__file__).parent)]
    full = {**os.environ, **AT_ONCE}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=full)
    assert done.returncode == 0, done.stderr
