"""Hops across the contact that the stage of interfaces made: found, calculated, recorded and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main

STUDY = """
[study]
name = "crossing"
seed = 3
[host]
structure = "film.cif"
[cathode]
structure = "substrate.cif"
[levels.cheap]
name = "ase.calculators.emt:EMT"
[interface]
film_miller = [1, 1, 1]
substrate_miller = [1, 1, 1]
slabs = { min_thickness_A = 6.0, vacuum_A = 8.0 }
matching = { max_area_A2 = 30, length_tolerance = 0.05 }
adhesion = { own_lattices = false, bulk = false }
registry = { evaluation = "rigid", scan = false, max_evaluations = 2, min_evaluations = 1, lateral_step_A = 1.0 }
[[interface.also]]
film_miller = [1, 0, 0]
substrate_miller = [1, 1, 1]
[migration]
mobile = "Cu"
mechanisms = ["vacancy"]
only = ["I1-1", "I1-2"]
width_A = 4.0
crossing = { longest_A = 4.5, per_start = 2 }
[migration.band]          # loose: what is tested is the way from the contact to the page
method = "plain"
adaptive = false
ends_fmax_eV_per_A = 0.5
fmax_eV_per_A = 0.5
path_fmax_eV_per_A = 2.0
[[reference]]
quantity = "forward_barrier"
target = "Cu (1 1 1) | Cu3Au (1 1 1), CuAu3 → CuAu"
value = 0.4
source = "nowhere"
"""
RUN = ["run", "study.toml", "--out", "out", "--stages", "migration", "--engine", "process", "--json"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("crossing")
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
    alloy = Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.72), ["Au", "Cu"], [[0, 0, 0], [0.5, 0.5, 0]])
    copper.to_file(str(folder / "film.cif"))
    alloy.to_file(str(folder / "substrate.cif"))
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(RUN) == 0
    return {"folder": folder / "out", **json.loads((folder / "out" / "results.json").read_text())}


def test_hops_across_the_first_contact_have_barriers(results: dict[str, Any]) -> None:
    (contact,) = results["stages"]["migration"]["contacts"]
    assert contact["name"] == "Cu (1 1 1) | Cu3Au (1 1 1)"
    assert [hop["name"] for hop in contact["hops"]] == ["I1-1", "I1-2"]
    for hop in contact["hops"]:
        assert hop["start"].startswith("CuAu"), "copper of the alloy has gold about it"
        assert 0 <= hop["backward"]["value"] < 2
        gained = hop["forward"]["value"] - hop["backward"]["value"]
        assert gained == pytest.approx(hop["site_difference"]["value"], abs=1e-9)


def test_the_ion_leaves_the_substrate_into_the_film(results: dict[str, Any]) -> None:
    """The substrate lies below the film: the ion goes up, across the height between the two."""
    (contact,) = results["stages"]["migration"]["contacts"]
    for hop in contact["hops"]:
        first, *_, last = read(results["folder"] / hop["path_file"], index=":")
        moved = last.positions - first.positions
        ion = int(np.argmax(np.linalg.norm(moved, axis=1)))
        assert moved[ion, 2] > 1.0
        gold = first.positions[first.numbers == 79, 2]
        assert last.positions[ion, 2] > gold.max()


def test_the_lowest_path_of_a_class_stands_beside_the_reference(results: dict[str, Any]) -> None:
    (row,) = results["comparison"]
    hops = results["stages"]["migration"]["contacts"][0]["hops"]
    lowest = min(hop["forward"]["value"] for hop in hops if (hop["start"], hop["end"]) == ("CuAu3", "CuAu"))
    assert row["ours"] == {"value": lowest, "unit": "eV"}


def test_the_page_shows_the_contact(results: dict[str, Any]) -> None:
    page = (results["folder"] / "report" / "index.html").read_text()
    assert "Hops across the contact into a vacant site" in page
    for kind in ("profiles", "paths"):
        stem = f"migration-{kind}-Cu-1-1-1-Cu3Au-1-1-1"
        assert (results["folder"] / "figures" / f"{stem}.svg").is_file()


def test_a_hop_that_does_not_exist_is_told(results: dict[str, Any], monkeypatch, capfd) -> None:
    folder: Path = results["folder"].parent
    monkeypatch.chdir(folder)
    (folder / "wrong.toml").write_text(STUDY.replace('"I1-2"]', '"I7-1"]'))
    assert main(["run", "wrong.toml", *RUN[2:]]) == 2
    assert "no hop 'I7-1'" in capfd.readouterr().err
