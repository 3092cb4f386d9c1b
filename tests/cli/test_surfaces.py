"""The commands surfaces and match: their JSON, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main
from ionscape.structures.exchange import read_structure, write_cif


@pytest.fixture
def salt(tmp_path: Path) -> str:
    crystal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return str(write_cif(crystal, tmp_path / "LiF.cif"))


@pytest.fixture
def metal(tmp_path: Path) -> str:
    return str(
        write_cif(
            Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.05), ["Al"], [[0, 0, 0]]), tmp_path / "Al.cif"
        )
    )


def test_match_lists_coincidences_that_coincide(salt: str, metal: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["match", metal, salt, "--film-miller", "1,1,1", "--substrate-miller", "1,0,0", "--max-area-A2", "150"]
    assert main([*words, "--length-tolerance", "0.05", "--angle-tolerance", "0.05", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    film, substrate = np.array(found["film_vectors_A"]), np.array(found["substrate_vectors_A"])
    assert found["n_matches"] == len(found["matches"]) > 0
    strains = [one["mean_strain_percent"] for one in found["matches"]]
    assert np.all(np.diff(strains) > -1e-6)
    for one in found["matches"]:
        a = np.linalg.norm(np.array(one["film_matrix"]) @ film, axis=1)
        b = np.linalg.norm(np.array(one["substrate_matrix"]) @ substrate, axis=1)
        assert np.all(np.abs(b / a - 1) <= 0.05 + 1e-9)
        assert one["area_A2"] == pytest.approx(abs(np.linalg.det(np.array(one["substrate_matrix"]) @ substrate)))


def test_surfaces_of_a_salt_as_cut(
    salt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "study"))
    words = [
        "surfaces",
        salt,
        "--no-relax",
        "--thickness-A",
        "6",
        "--thicknesses",
        "1",
        "--out",
        "slabs",
        "--json",
    ]
    assert main([*words, "--level", "toy_levels:SoftSpheres"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [plane["miller"] for plane in found["planes"]] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    for one in found["surfaces"]:
        assert {"miller", "termination", "gamma_J_per_m2", "symmetric", "polar"} <= set(one)
        assert len(read_structure(one["structure"])) == one["n_atoms"]
    polar = {tuple(one["miller"]) for one in found["surfaces"] if one["polar"]}
    assert polar == {(1, 1, 1)}
    assert "unavailable" in found["wulff"]  # spheres that only repel


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--film-miller", "0,0,0", "--substrate-miller", "1,0,0"], "three integers, not all zero"),
        (["--film-miller", "1,x,0", "--substrate-miller", "1,0,0"], "three integers"),
        (["--film-miller", "1,0", "--substrate-miller", "1,0,0"], "three integers"),
        (["--film-miller", "1,1,1", "--substrate-miller", "1,0,0", "--max-area-A2", "60"], "The nearest:"),
        (["--film-miller", "1,1,1", "--substrate-miller", "1,0,0", "--max-area-A2", "1"], "largest area"),
        (
            ["--film-miller", "1,1,1", "--substrate-miller", "1,0,0", "--length-tolerance", "0.1",
             "--length-tolerance-A", "0.1"],
            "a relative or an absolute tolerance",
        ),
        (["--film-miller", "1,1,1", "--substrate-miller", "1,0,0", "--length-tolerance", "-1"], "length_"),
    ],
)  # fmt: skip
def test_bad_input_of_match(
    words: list[str], told: str, salt: str, metal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["match", metal, salt, *words]) == 2
    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--miller", "0,0,0"], "three integers, not all zero"),
        (["--max-index", "0"], "max_index"),
        (["--thickness-A", "1", "--no-relax"], "so that there is an inside"),
    ],
)
def test_bad_input_of_surfaces(
    words: list[str],
    told: str,
    salt: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "study"))
    assert main(["surfaces", salt, "--level", "toy_levels:SoftSpheres", *words]) == 2
    assert told in capsys.readouterr().err


def test_disorder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = Structure(Lattice.cubic(4.0), [{"Li": 0.5, "Na": 0.5}, "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    mixed.to(str(tmp_path / "mixed.cif"))
    assert main(["surfaces", str(tmp_path / "mixed.cif")]) == 2
    assert "partial occupancy" in capsys.readouterr().err
