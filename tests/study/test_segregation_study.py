"""Dopants layer by layer in a study: the profile recorded, shown, and beside the reference."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "interfaces"))
from contact_levels import SLOPE

STUDY = """
[study]
name = "segregation"
[host]
structure = "lithia.cif"
[cathode]
structure = "lithia.cif"
[levels.cheap]
name = "contact_levels:Sloped"
[doping]
supercell = [1, 1, 1]
samples = 5
keep = 1
[[doping.routes]]
name = "N on O"
replace = { O = "N" }
insert = { Li = 1 }
counts = [1]
[interface]
film_miller = [1, 1, 0]
substrate_miller = [1, 1, 0]
relaxation = { fmax_eV_per_A = 1.0, move = "positions", max_steps = 3 }
slabs = { min_thickness_A = 9.0, vacuum_A = 8.0 }
matching = { max_area_A2 = 20 }
adhesion = { own_lattices = false, bulk = false }
registry = { evaluation = "rigid", scan = false, max_evaluations = 1, min_evaluations = 1, lateral_step_A = 2.0 }
segregation = { route = "N on O", keep = 1, max_layers = 3 }
[[reference]]
quantity = "segregation_energy"
target = "Li2O (1 1 0) | Li2O (1 1 0)"
value = 3.6
source = "text on Fig. 3b, c"
"""


def test_the_profile_is_recorded_and_stands_beside_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The level falls by SLOPE for every Å that the dopant lies deeper."""
    monkeypatch.chdir(tmp_path)
    oxide = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    oxide.to_file("lithia.cif")
    Path("study.toml").write_text(STUDY)
    assert (
        main(["run", "study.toml", "--out", "out", "--stages", "interface", "--engine", "process", "--json"]) == 0
    )
    results = json.loads(Path("out/results.json").read_text())
    (contact,) = results["stages"]["interface"]["contacts"]
    layers = contact["segregation"]["layers"]
    distances = [layer["distance"]["value"] for layer in layers]
    assert len(layers) == 3
    assert distances == sorted(distances)
    for layer, distance in zip(layers, distances, strict=True):
        assert layer["relative"]["value"] == pytest.approx(SLOPE * (distance - distances[-1]), abs=0.05)
        assert (Path("out") / layer["structure_file"]).is_file()
    per_atom = contact["segregation_energy_per_atom"]["value"]
    assert per_atom > 0, "positive: the dopant prefers the bulk"
    (row,) = results["comparison"]
    assert row["ours"] == {"value": pytest.approx(1000 * per_atom), "unit": "meV/atom"}
    page = Path("out/report/index.html").read_text()
    assert "segregation" in page.lower()
    assert list(Path("out/figures").glob("*segregation*.svg"))
