"""The stage of interfaces in a study, from its table to results.json and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main
from ionscape.errors import InputError
from ionscape.study.interfaces import InterfaceTable, check_interfaces
from ionscape.study.schema import read_study

STUDY = """
[study]
name = "metals"
seed = 3
[host]
structure = "ag.cif"
[cathode]
structure = "al.cif"
[levels.cheap]
name = "ase.calculators.emt:EMT"
[interface]
film_miller = [1, 1, 1]
substrate_miller = [1, 1, 1]
slabs = { min_thickness_A = 6.0, vacuum_A = 8.0 }
matching = { max_area_A2 = 20, length_tolerance = 0.05 }
registry = { scan_points = 30, max_evaluations = 4, min_evaluations = 2, lateral_step_A = 0.4 }
[[interface.also]]
film_miller = [1, 0, 0]
substrate_miller = [1, 1, 1]
[[reference]]
quantity = "work_of_adhesion"
target = "Ag (1 1 1) | Al (1 1 1)"
value = -1.2
source = "nowhere"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for symbol, parameter in (("Ag", 4.06), ("Al", 3.99)):
        metal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(parameter), [symbol], [[0, 0, 0]])
        metal.to_file(str(tmp_path / f"{symbol.lower()}.cif"))
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def test_a_study_with_contacts_is_recorded_and_shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "study.toml", "--out", "out", "--stages", "interface", "--engine", "process", "--json"]
    assert main(arguments) == 0
    results = json.loads((folder / "out" / "results.json").read_text())
    first, second = results["stages"]["interface"]["contacts"]
    assert first["name"] == "Ag (1 1 1) | Al (1 1 1)"
    assert first["work_of_adhesion"]["unit"] == "J/m²"
    assert -2.5 < first["work_of_adhesion"]["value"] < -0.5
    assert first["work_of_separation"]["value"] == -first["work_of_adhesion"]["value"]
    surfaces = first["film_surface_energy"]["value"] + first["substrate_surface_energy"]["value"]
    dupre = first["work_of_adhesion"]["value"] + surfaces
    assert first["interface_energy_strain_corrected"]["value"] == pytest.approx(dupre)
    assert len(first["search"]["trace"]["evaluations"]) <= 4
    assert (folder / "out" / first["structures"]["interface"]).is_file()
    assert "no coincident superlattices" in second["unavailable"]
    (row,) = results["comparison"]
    assert row["ours"] == {"value": first["work_of_adhesion"]["value"], "unit": "J/m²"}
    page = (folder / "out" / "report" / "index.html").read_text()
    assert "Ag (1 1 1) | Al (1 1 1)" in page
    assert "no coincident superlattices" in page
    for stem in ("registry-search", "work-of-adhesion", "interface-1"):
        assert (folder / "out" / "figures" / f"{stem}.svg").is_file()
    capfd.readouterr()
    assert main(arguments) == 0
    assert json.loads(capfd.readouterr().out)["stages"]["interface"]["state"] == "cached"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('[cathode]\nstructure = "al.cif"\n', ""), "cathode"),
        (("[interface]\n", '[interface]\nlevel = "dear"\n'), "no level 'dear'"),
        (("[interface]\n", "[interface]\nsegregation = { keep = 1 }\n"), r"\[doping\]"),
    ],
)
def test_what_is_missing_is_told_before_anything_runs(folder: Path, change, message) -> None:
    path = folder / "study.toml"
    path.write_text(STUDY.replace(*change))
    study = read_study(path).content
    with pytest.raises(InputError, match=message):
        check_interfaces(study, 2 if study.cathode else 1)


def test_the_contact_of_the_study_stands_first() -> None:
    table = InterfaceTable(film_miller=(1, 0, 4), also=({"film": "phase:LiNbO3"},))
    first, second = table.pairs()
    assert (first.film, first.substrate, first.film_miller) == ("host", "cathode", (1, 0, 4))
    assert second.film == "phase:LiNbO3"
