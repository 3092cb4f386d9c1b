"""The command interface: its JSON, its files, and one clear message for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from ionscape.cli.main import main
from ionscape.structures.exchange import read_structure

EMT = ("--level", "ase.calculators.emt:EMT")
FACES = ("--film-miller", "1,1,1", "--substrate-miller", "1,1,1")
SMALL = ("--thickness-A", "6", "--vacuum-A", "8", "--max-area-A2", "20", "--length-tolerance", "0.05")
RIGID = ("--evaluation", "rigid", "--lateral-step-A", "0.5", "--max-evaluations", "6")


@pytest.fixture(autouse=True)
def metals(folder: Path) -> None:
    for symbol, parameter in (("Ag", 4.06), ("Al", 3.99), ("Cu", 3.59)):
        metal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(parameter), [symbol], [[0, 0, 0]])
        metal.to_file(str(folder / f"{symbol}.cif"))
    mixed = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.0), [{"Ag": 0.5, "Al": 0.5}], [[0, 0, 0]])
    mixed.to_file(str(folder / "mixed.cif"))


def test_two_metals_are_joined_and_pulled_apart(ionscape) -> None:
    found = ionscape("interface", "Al.cif", "Ag.cif", *FACES, *SMALL, *RIGID, *EMT, "--out", "contact")
    assert len(found["best_shift_A"]) == 3
    assert found["n_evaluations"] == len(found["history"]) <= 6
    assert found["energy_eV"] == min(one["energy_eV"] for one in found["history"])
    assert -2.5 < found["work_of_adhesion_J_per_m2"] < -0.5
    assert found["work_of_separation_J_per_m2"] == -found["work_of_adhesion_J_per_m2"]
    surfaces = found["film_surface_energy_J_per_m2"] + found["substrate_surface_energy_J_per_m2"]
    assert found["interface_energy_strain_corrected_J_per_m2"] == pytest.approx(
        found["work_of_adhesion_J_per_m2"] + surfaces
    )
    whole, film, substrate = (read_structure(found["files"][name]) for name in ("interface", "film", "substrate"))
    assert len(whole) == len(film) + len(substrate) == found["n_atoms"]


def test_the_search_of_the_study_by_command(ionscape) -> None:
    arguments = ("interface", "Al.cif", "Ag.cif", *FACES, *SMALL, "--evaluation", "rigid", *EMT)
    found = ionscape(*arguments, "--algorithm", "study", "--seed", "5", "--no-variants")
    assert found["n_candidates"] == 676
    assert [one["reason"] for one in found["history"][:3]] == ["start"] * 3
    assert "2 steps" in found["stopped"]
    assert found["elastic_energy_J_per_m2"] == {"unavailable": "slabs in their own lattices were not asked for"}
    again = ionscape(*arguments, "--algorithm", "study", "--seed", "5", "--no-variants")
    assert again["history"] == found["history"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Cu.cif", "Ag.cif", *FACES, "--max-area-A2", "20"), "The nearest"),
        (("Al.cif", "Ag.cif", *FACES, *SMALL, "--film-termination", "7"), "termination 7"),
        (("Al.cif", "Ag.cif", *FACES, *SMALL, "--match", "999"), "match 999"),
        (("Al.cif", "Ag.cif", "--film-miller", "0,0,0", "--substrate-miller", "1,1,1"), "not all zero"),
        (("Al.cif", "no.cif", *FACES), "no such file"),
        (("Al.cif", "Ag.cif", *FACES, *SMALL, "--thickness-A", "2"), "expected at least 3 atomic planes"),
        (("mixed.cif", "Ag.cif", *FACES, *SMALL), "partial occupanc"),
        (("Al.cif", "Ag.cif", *FACES, *SMALL, "--max-evaluations", "0"), "max_evaluations"),
    ],
)
def test_bad_input_is_one_message(arguments, message, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["interface", *arguments, *EMT]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_shifts_that_fail_do_not_stop_the_search(ionscape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "interfaces"))
    level = ("--level", "contact_levels:FailsNowAndThen")
    arguments = ("interface", "Al.cif", "Ag.cif", *FACES, *SMALL, "--evaluation", "rigid", "--no-scan")
    found = ionscape(*arguments, "--lateral-step-A", "0.5", "--max-evaluations", "12", *level)
    failed = [one for one in found["history"] if "failure" in one]
    assert 0 < len(failed) == found["n_failed"] < found["n_evaluations"]
    assert all("the level gave up" in one["failure"] for one in failed)
    assert found["energy_eV"] == min(one["energy_eV"] for one in found["history"] if "energy_eV" in one)
    assert isinstance(found["work_of_adhesion_J_per_m2"], float)


def test_relaxations_that_fail_are_told_and_the_command_ends_with_3(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ("interface", "Al.cif", "Ag.cif", *FACES, *SMALL, *EMT, "--no-scan", "--max-evaluations", "3")
    code = main([*arguments, "--max-steps", "1", "--fmax-eV-per-A", "0.0001", "--json"])
    out, err = capfd.readouterr()
    assert code == 3
    assert out == "" or json.loads(out)["n_failed"] > 0
    assert "not converged" in out + err
