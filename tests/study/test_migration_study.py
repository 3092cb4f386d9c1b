"""Migration in a study: barriers of known height from the study file to results, figures and page."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read
from pymatgen.core import Lattice, Structure

from ionscape.errors import InputError
from ionscape.report.page import build_page
from ionscape.structures.exchange import write_cif
from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, StudyRun, run_study

HERE = Path(__file__).parent
STUDY = """
[study]
name = "hops"
seed = 3

[host]
structure = "host.cif"
charges = { Li = 1, O = -2 }

[levels.cheap]
name = "toy_levels:Washboard"

[relaxation]
move = "positions"

[migration]
width_A = 3.0
at_K = [500, 900]
walkers = 400
hops = { longest_A = 2.7, per_site = 6 }
band = { images = 3, adaptive = false }

[[reference]]
quantity = "migration_energy"
target = "Li2O, vacancy"
value = 0.15
tolerance = 0.003
source = "how the potential is made"
"""


def antifluorite() -> Structure:
    """Return Li2O in a sheared cell, every atom on the site where `toy_levels.Washboard` has its wells."""
    cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    shear = np.array([[1.0, 0.12, -0.07], [0.0, 1.02, 0.09], [0.0, 0.0, 0.97]])
    return Structure(cubic.lattice.matrix @ shear, cubic.species, cubic.frac_coords)


def begin(folder: Path, text: str = STUDY, **options: Any) -> StudyRun:
    folder.mkdir(parents=True, exist_ok=True)
    write_cif(antifluorite(), folder / "host.cif")
    (folder / "s.toml").write_text(text)
    chosen = {"stages": ["migration"], "engine": "process", **options}
    return run_study(folder / "s.toml", RunOptions(out=folder / "out", **chosen), Progress())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyRun]:
    """Return the study after its run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        patch.setenv("PYTHONPATH", str(HERE))
        yield begin(tmp_path_factory.mktemp("hops"))


def stage_of(run: StudyRun) -> dict[str, Any]:
    return json.loads((run.folder / "results.json").read_text(encoding="utf-8"))["stages"]["migration"]


def test_every_hop_has_the_barrier_of_the_washboard(run: StudyRun) -> None:
    (crystal,) = stage_of(run)["crystals"]
    assert len(crystal["hops"]) >= 3
    for hop in crystal["hops"]:
        assert hop["forward"]["value"] == pytest.approx(0.15, abs=2e-3)
        assert hop["backward"]["value"] == pytest.approx(0.15, abs=2e-3)
        assert hop["start"] == hop["end"]
        assert "unconverged" not in hop
        images = read(run.folder / hop["path_file"], index=":")
        assert len(images) == 5
        steps = [np.linalg.norm(b.positions - a.positions, axis=1).max() for a, b in itertools.pairwise(images)]
        assert max(steps) < 1.5


def test_the_network_follows_from_the_barriers(run: StudyRun) -> None:
    (crystal,) = stage_of(run)["crystals"]
    (law,) = crystal["carriers"]
    assert law["carrier"] == "vacancy"
    assert set(law["percolation"]) == {"a", "b", "c"}
    for energy in law["percolation"].values():
        assert energy["value"] == pytest.approx(0.15, abs=3e-3)
    assert law["activation"]["value"] == pytest.approx(0.15, abs=3e-3)
    for row in law["diffusivity"]:
        assert row["walked"]["low95"] < 1.05 * row["exact"]["value"]
        assert row["walked"]["high95"] > 0.95 * row["exact"]["value"]


def test_another_study_can_tell_the_energy_of_a_carrier(run: StudyRun) -> None:
    (row,) = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))["comparison"]
    assert row["verdict"] == "within"
    assert row["ours"] == stage_of(run)["crystals"][0]["carriers"][0]["activation"]


def test_the_page_shows_paths_profiles_and_both_activation_energies(run: StudyRun) -> None:
    page = build_page(run.folder)
    text = page.read_text(encoding="utf-8")
    assert "Migration barriers" in text
    assert "Network of the vacancy" in text
    for stem in ("migration-profiles-Li2O", "migration-paths-Li2O"):
        assert (run.folder / "figures" / f"{stem}.svg").is_file()


def test_the_methods_are_cited(run: StudyRun) -> None:
    data = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    found = {reference["doi"] for reference in data["references"]}
    assert {"10.1063/1.1329672", "10.1063/1.1323224", "10.1103/PhysRevLett.122.156001"} <= found


def test_a_second_run_computes_nothing(run: StudyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    before = (run.folder / "results.json").read_bytes()
    again = begin(run.folder.parent)
    assert again.stages["migration"].state == "cached"
    assert (again.folder / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'mobile = "Na"',
            "migration.mobile: 'Na', which no crystal that is searched holds; expected one of Li, O",
        ),
        ('level = "dear"', "migration.level: no level 'dear' in this study"),
        ("imags = 3", "migration.imags: unknown key"),
        ('mechanisms = ["teleport"]', "migration.mechanisms"),
    ],
)
def test_bad_tables_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    with pytest.raises(InputError) as refusal:
        begin(tmp_path, STUDY.replace("[migration]\n", f"[migration]\n{line}\n"))
    assert told in str(refusal.value)
