"""Surfaces and a coherent interface in a study at a toy level: stages, record, figures and page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure

from ionscape.report.page import build_page
from ionscape.structures.exchange import read_structure, write_cif
from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, StudyRun, run_study

HERE = Path(__file__).parent
STUDY = """
[study]
name = "faces"

[host]
structure = "host.cif"

[cathode]
structure = "cathode.cif"

[levels.cheap]
name = "toy_levels:SoftSpheres"

[relaxation]
move = "positions"
fmax_eV_per_A = 0.05

[surfaces.host]
millers = [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
min_thickness_A = 6.0
thicknesses = 2
max_thicknesses = 3
keep = 1

[surfaces.cathode]
max_index = 1
min_thickness_A = 6.0
thicknesses = 1
terminations = "non-polar"
relax = false

[match]
film_miller = [1, 1, 1]
substrate_miller = [1, 0, 0]
length_tolerance = 0.08
angle_tolerance = 0.06
slab_thickness_A = 5.0

[match.assembly]
fixed_thickness_A = 2.0

[[reference]]
quantity = "surface_energy"
target = "Li2O (1 1 1)"
value = 0.5
source = "a table"

[[reference]]
quantity = "mean_strain"
target = "Li2O (1 1 1) | LiF (1 0 0)"
value = 0.79
source = "text"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StudyRun, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("faces")
    oxide = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    write_cif(oxide, folder / "host.cif")
    write_cif(salt, folder / "cathode.cif")
    (folder / "s.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        patch.setenv("PYTHONPATH", str(HERE))
        options = RunOptions(out=folder / "out", engine="process", stages=["surfaces", "match"])
        run = run_study(folder / "s.toml", options, Progress())
        yield run, json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))


def test_both_stages_run_after_the_host(done: tuple[StudyRun, dict[str, Any]]) -> None:
    run, results = done
    assert {name: record.reason for name, record in run.stages.items()} == {
        "host": "",
        "surfaces": "",
        "match": "",
    }
    assert list(results["stages"]) == ["host", "surfaces", "match"]


def test_surfaces_carry_units_and_files(done: tuple[StudyRun, dict[str, Any]]) -> None:
    run, results = done
    host = results["stages"]["surfaces"]["crystals"]["host"]
    relaxed = [one for one in host["surfaces"] if one["relaxed"]]
    assert {tuple(one["slab"]["miller"]) for one in relaxed} == {(1, 1, 1), (1, 1, 0), (1, 0, 0)}
    assert all(one["gamma"]["unit"] == "eV/Å²" for one in relaxed)
    for one in relaxed:
        slab = read_structure(run.folder / one["structure_file"])
        assert len(slab) == one["n_atoms"]["value"]
    polar = [one for one in host["surfaces"] if not one["slab"]["stoichiometric"]]
    assert polar
    assert all("unavailable" in one["gamma"] for one in polar)  # the toy level has no competing phases
    cathode = results["stages"]["surfaces"]["crystals"]["cathode"]
    assert not any(one["relaxed"] or one["slab"]["polar"] for one in cathode["surfaces"])


def test_the_interface_is_that_of_the_lowest_surfaces(done: tuple[StudyRun, dict[str, Any]]) -> None:
    run, results = done
    match = results["stages"]["match"]
    host = results["stages"]["surfaces"]["crystals"]["host"]["surfaces"]
    lowest = min(
        (one for one in host if one["slab"]["miller"] == [1, 1, 1] and "value" in one["gamma"]),
        key=lambda one: one["gamma"]["value"],
    )
    film = match["interface"]["film"]
    assert film["termination"] == lowest["slab"]["termination"]
    least = min(one["mean_strain"]["value"] for one in match["matches"])
    assert match["chosen"]["mean_strain"]["value"] == pytest.approx(least, abs=1e-9)
    structure = read_structure(run.folder / match["interface"]["structure_file"])
    assert {site.specie.symbol for site in structure} == {"Li", "O", "F"}


def test_numbers_of_a_reference_study_stand_beside(done: tuple[StudyRun, dict[str, Any]]) -> None:
    rows = {row["quantity"]: row for row in done[1]["comparison"]}
    assert rows["surface_energy"]["ours"]["unit"] == "J/m²"
    assert rows["mean_strain"]["ours"]["unit"] == "%"


def test_page_shows_table_shape_and_interface(done: tuple[StudyRun, dict[str, Any]]) -> None:
    run, _ = done
    page = build_page(run.folder).read_text(encoding="utf-8")
    assert 'id="surfaces"' in page
    assert 'id="match"' in page
    assert "surface-energy-host" in {path.stem for path in (run.folder / "figures").glob("*.svg")}
    assert "No shape" in page  # spheres that only repel have no positive surface energy
