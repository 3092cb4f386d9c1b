"""The command neb --hops: hops of a crystal and across an interface, their barriers; continued after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main
from ionscape.errors import InputError
from ionscape.structures.exchange import write_cif
from ionscape.structures.sides import first_side

LEVELS = str(Path(__file__).parents[1] / "study")
BAND = ["--level", "toy_levels:Washboard", "--images", "3", "--width-A", "3"]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(LEVELS)
    monkeypatch.setenv("PYTHONPATH", LEVELS)


@pytest.fixture
def crystal(tmp_path: Path) -> str:
    """Return the file of Li2O in a sheared cell, every atom in a well of the washboard."""
    cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    shear = np.array([[1.0, 0.12, -0.07], [0.0, 1.02, 0.09], [0.0, 0.0, 0.97]])
    return str(
        write_cif(Structure(cubic.lattice.matrix @ shear, cubic.species, cubic.frac_coords), Path("li2o.cif"))
    )


def interface() -> Structure:
    """Return two slabs, one with Co below one with Zr, each with lithium."""
    sites = [
        ("Co", [1, 1, 2.0]), ("O", [3, 1, 2.5]), ("Li", [3, 3, 4.0]),
        ("Li", [3, 3.5, 6.6]), ("O", [1, 3, 7.0]), ("Zr", [1, 1, 8.2]), ("Li", [3, 1, 9.5]),
    ]  # fmt: skip
    symbols, places = zip(*sites, strict=True)
    return Structure(Lattice([[5, 0, 0], [1, 5, 0], [0.3, 0.2, 16]]), symbols, places, coords_are_cartesian=True)


def test_hops_are_listed_without_calculating(ionscape, crystal) -> None:
    data = ionscape("neb", crystal, "--hops", "--list", "--longest-A", "2.6", "--level", "toy_levels:Washboard")
    assert data["mobile"] == "Li"
    assert {site["label"] for site in data["sites"]} == {"LiO4"}
    lengths = [hop["length_A"] for hop in data["hops"]]
    assert lengths == sorted(lengths)
    assert max(lengths) <= 2.6
    assert not any("forward_eV" in hop for hop in data["hops"])
    assert not Path(".ionscape").exists()


def test_hops_of_a_crystal_have_barriers_and_a_network(ionscape, crystal) -> None:
    data = ionscape("neb", crystal, "--hops", "--longest-A", "2.6", "--per-site", "3", "--method", "plain", *BAND)
    assert len(data["hops"]) >= 2
    for hop in data["hops"]:
        assert hop["forward_eV"] == pytest.approx(0.15, abs=2e-3)
        assert hop["backward_eV"] == pytest.approx(0.15, abs=2e-3)
        assert hop["symmetric"]
        assert Path(hop["path"]).is_file()
    (carrier,) = data["carriers"]
    assert carrier["carrier"] == "vacancy"
    connected = [one for one in carrier["percolation_eV"].values() if isinstance(one, float)]
    assert connected == pytest.approx([0.15] * len(connected), abs=3e-3)
    assert connected


def test_one_hop_alone(ionscape, crystal) -> None:
    data = ionscape("neb", crystal, "--hops", "--longest-A", "2.6", "--only", "V2", *BAND)
    assert [hop["name"] for hop in data["hops"]] == ["V2"]


def test_hops_across_an_interface_are_named(ionscape) -> None:
    interface().to(filename="pair.vasp", fmt="poscar")
    data = ionscape("neb", "pair.vasp", "--hops", "--list", "--from", "Co", "--to", "Zr")
    assert [hop["name"] for hop in data["hops"]] == ["I1-1"]
    (hop,) = data["hops"]
    assert (hop["start_site"], hop["end_site"]) == (2, 3)
    back = ionscape("neb", "pair.vasp", "--hops", "--list", "--from", "Zr", "--to", "Co")["hops"][0]
    assert (back["start_site"], back["end_site"]) == (3, 2)
    assert back["length_A"] == hop["length_A"]


def test_sides_follow_the_nearest_mark_or_the_numbers_given() -> None:
    expected = [True, True, True, False, False, False, False]
    for marks in (("Co", "Zr"), ("0-2", "Zr"), ("Co", "3-6"), ("0,1,2", "3,4-6")):
        assert first_side(interface(), *marks).tolist() == expected
    shifted = interface()
    shifted.translate_sites(range(7), [0.4, 0.2, 0.6])
    assert first_side(shifted, "Co", "Zr").tolist() == expected


@pytest.mark.parametrize(
    ("marks", "told"), [(("Ni", "Zr"), "'Ni'"), (("Li", "Li"), "3 of them both"), (("0-9", "90"), "'90' 0")]
)
def test_marks_that_mark_nothing_are_refused(marks, told) -> None:
    with pytest.raises(InputError, match=told):
        first_side(interface(), *marks)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "one structure; expected both ends"),
        (["li2o.cif", "--hops"], "two structures; expected one structure"),
        (["--hops", "--from", "Li"], "one of --from and --to"),
        (["--hops", "--mobile", "Na"], "no Na in Li2O"),
        (["--hops", "--only", "V99", "--longest-A", "2.6"], "no hop 'V99'"),
        (["--hops", "--longest-A", "0"], "longest_A"),
    ],
)
def test_bad_input_is_one_message(capfd, crystal, arguments, told) -> None:
    assert main(["neb", crystal, *arguments, *BAND]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert told in error
    assert "Traceback" not in error


def test_a_killed_command_continues_and_pays_nothing_twice(ionscape, crystal) -> None:
    """The evaluations of the killed run that were recorded are not asked for again."""
    diary = Path("diary").absolute()
    setting = f"--level-setting=diary={diary}"
    slow = [*BAND, setting, "--method", "plain", "--longest-A", "2.6", "--only", "V1"]
    arguments = ["neb", crystal, "--hops", *slow]
    whole = ionscape(*arguments, "--store", "whole")
    calls = len(diary.read_text().splitlines())
    diary.unlink()
    command = [sys.executable, "-m", "ionscape", *arguments, "--level-setting=seconds=0.1", "--store", "cut"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    while not diary.exists() or len(diary.read_text().splitlines()) < calls // 2:
        assert run.poll() is None, "killed in the middle"
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    again = ionscape(*arguments, "--level-setting=seconds=0.1", "--store", "cut")
    assert len(diary.read_text().splitlines()) <= calls + 1, "the evaluation that was under way is made again"
    assert again["hops"][0]["energies_eV"] == whole["hops"][0]["energies_eV"]
