"""The stage of electronic structure: finished calculations read, recorded and shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.outputs import Chgcar

from ionscape.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "electronic"))
from made_layers import structure, write_vasprun

STUDY = """
[study]
name = "states"
[host]
structure = "host.cif"
[levels.cheap]
name = "ase.calculators.emt:EMT"
[[electronic.cases]]
name = "clean"
output = "run"
sides = ["Co", "Zr"]
density = "AB.CHGCAR"
parts = ["A.CHGCAR", "B.CHGCAR"]
[[electronic.cases]]
name = "lost"
output = "nowhere/vasprun.xml"
"""
RUN = ["run", "study.toml", "--out", "out", "--stages", "electronic", "--engine", "process", "--json"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]]).to_file("host.cif")
    (tmp_path / "run").mkdir()
    write_vasprun(tmp_path / "run" / "vasprun.xml")
    whole = structure()
    parts = [Structure.from_sites(list(whole)[:6]), Structure.from_sites(list(whole)[6:])]
    rng = np.random.default_rng(2)
    values = [rng.random((6, 6, 20)) * 40 for _ in parts]
    moved = np.zeros((6, 6, 20))
    moved[..., 8], moved[..., 12] = 20.0, -20.0
    for name, one, density in zip(
        ("AB", "A", "B"), (whole, *parts), (values[0] + values[1] + moved, *values), strict=True
    ):
        Chgcar(one, {"total": density}).write_file(f"{name}.CHGCAR")
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def test_cases_are_recorded_and_shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(RUN) == 0
    out = folder / "out"
    clean, lost = json.loads((out / "results.json").read_text())["stages"]["electronic"]["cases"]
    assert clean["gap"] == {"value": pytest.approx(1.95, abs=1e-3), "unit": "eV"}
    assert clean["owner"]["species"] == "O"
    assert len(clean["layers"]) == 6
    assert clean["offset"]["kind"] == "straddling"
    assert clean["difference"]["moved"]["value"] == pytest.approx(1.0, abs=1e-3)
    assert (out / clean["difference"]["cube_file"]).is_file()
    assert "nowhere" in lost["unavailable"]
    page = (out / "report" / "index.html").read_text()
    assert "Electronic structure of interfaces" in page
    assert "the valence top is on the first side" in page
    for stem in ("states", "difference"):
        assert (out / "figures" / f"electronic-{stem}-clean.svg").is_file()


def test_a_stage_of_which_nothing_can_be_read_fails(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "study.toml").write_text(STUDY.replace('output = "run"', 'output = "none"'))
    assert main(RUN) == 2
    told = json.loads(capfd.readouterr().out)["stages"]["electronic"]
    assert told["state"] == "failed"
