"""`ionscape train`, and what evaluates, relaxes and moves atoms with the model it writes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from ionscape.cli.main import main
from ionscape.potential.model_file import read_model
from ionscape.units import GPA_PER_EV_PER_A3

sys.path.insert(0, str(Path(__file__).parents[1] / "potential"))
from made_frames import alloy, alloys, labelled, model

KNOBS = (
    "--inducing",
    "40",
    "--cutoff-A",
    "4.5",
    "--n-max",
    "2",
    "--l-max",
    "2",
    "--powers",
    "0.3,0.7",
    "--rank",
    "0",
)


@pytest.fixture(autouse=True)
def files(folder: Path) -> Path:
    write("frames.xyz", alloys(14))
    return folder


def test_prints_the_errors_of_evaluate_on_the_frames_it_held_out(ionscape):
    answer = ionscape("train", "frames.xyz", "--out", "m.sgpr", *KNOBS, "--held-out", "0.2", "--figure", "fig/m")
    assert (answer["n_frames"], answer["n_taught"], answer["n_held_out"]) == (14, 11, 3)
    assert answer["level"] == "emt"
    assert answer["n_inducing"] == sum(answer["inducing"].values()) <= 40
    assert answer["seconds"] > 0
    assert answer["noise"]["force_eV_per_A"] > 0
    assert [Path(path).name for path in answer["figures"]] == [
        "m-parity.svg", "m-parity.png", "m-calibration.svg", "m-calibration.png"
    ]  # fmt: skip
    assert all(Path(path).stat().st_size > 1000 for path in answer["figures"])
    write("last.xyz", alloys(14)[-3:])
    found = ionscape("evaluate", "last.xyz", "--level", "sgpr:m.sgpr")
    for name in (
        "energy_mae_meV_per_atom",
        "energy_rmse_meV_per_atom",
        "force_mae_eV_per_A",
        "force_rmse_eV_per_A",
    ):
        assert answer[name] == pytest.approx(found[name], rel=1e-2)
    assert answer["force_r2"] == pytest.approx(found["force_r2"], abs=1e-3)
    written = read_model(Path("m.sgpr"))
    assert written.provenance.errors["force_mae_eV_per_A"] == answer["force_mae_eV_per_A"]
    assert GPA_PER_EV_PER_A3 * written.noise.stress == pytest.approx(answer["noise"]["stress_GPa"])


def test_same_frames_give_the_same_model(ionscape):
    hashes = [ionscape("train", "frames.xyz", "--out", name, *KNOBS)["content_sha256"] for name in ("a", "b")]
    assert hashes[0] == hashes[1]
    assert Path("a").read_bytes() == Path("b").read_bytes()


def test_several_files_of_several_formats_and_a_file_held_out(ionscape):
    write("more.traj", alloys(3, 50))
    write("test.xyz", alloys(4, 80))
    answer = ionscape("train", "frames.xyz", "more.traj", "--out", "m", *KNOBS, "--held-out", "test.xyz")
    assert (answer["n_taught"], answer["n_held_out"]) == (17, 4)


def test_frames_drawn_at_random_from_a_trajectory_are_told_to_be_optimistic(ionscape):
    random = ionscape("train", "frames.xyz", "--out", "m", *KNOBS, "--split", "random")
    assert "lie beside taught ones" in random["notes"][0]
    assert ionscape("train", "frames.xyz", "--out", "m", *KNOBS)["notes"] == []


def test_nothing_held_out_is_said(ionscape):
    answer = ionscape("train", "frames.xyz", "--out", "m", *KNOBS, "--held-out", "0")
    assert "errors of this model are unknown" in answer["notes"][0]
    assert "force_mae_eV_per_A" not in answer
    assert read_model(Path("m")).spread == ()


def test_table_for_people(capfd):
    assert main(["train", "frames.xyz", "--out", "m", *KNOBS]) == 0
    out, progress = capfd.readouterr()
    for word in ("force_mae_eV_per_A", "n_inducing", "rank_correlation", "seconds"):
        assert word in out
    assert "train, environments: 0 of 13 frames" in progress


def test_levels_evaluate_relax_and_md_work_with_the_model(ionscape):
    from pymatgen.io.ase import AseAtomsAdaptor

    ionscape("train", "frames.xyz", "--out", "m.sgpr", *KNOBS)
    assert {"name": "sgpr", "available": True, "install": ""} in ionscape("levels")["levels"]
    AseAtomsAdaptor.get_structure(alloy(3, rattle=0.05)).to(filename="alloy.cif")
    relaxed = ionscape(
        "relax", "alloy.cif", "--level", "sgpr:m.sgpr", "--move", "positions", "--fmax-eV-per-A", "0.05"
    )
    assert relaxed["converged"]
    assert relaxed["fmax_eV_per_A"] <= 0.05
    run = ionscape(
        "md", "alloy.cif", "--level", "sgpr:m.sgpr", "--ensemble", "nve", "--time-ps", "0.1",
        "--equilibration-ps", "0", "--temperature-K", "100",
    )  # fmt: skip
    assert run["steps"] == 100
    assert abs(run["energy_drift_eV_per_atom_per_ps"]) < 1e-3


def unlabelled() -> None:
    write("bad.xyz", [*alloys(2), alloy(5)])


def without_forces() -> None:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = alloy(5)
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    write("bad.xyz", [*alloys(2), atoms])


def with_nan() -> None:
    made = alloys(3)
    made[2].calc.results["forces"][1, 1] = np.nan
    write("bad.xyz", made)


def of_two_levels() -> None:
    write("bad.xyz", [*alloys(2), labelled(alloy(9), "chgnet")])


def one_frame() -> None:
    write("bad.xyz", alloys(1))


def two_frames() -> None:
    write("bad.xyz", alloys(2))


def no_frames() -> None:
    Path("bad.xyz").write_text("what")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (unlabelled, "no energy and no forces"),
        (without_forces, "no forces"),
        (with_nan, "not finite"),
        (of_two_levels, "different levels"),
        (one_frame, "1 frame to be taught"),
        (two_frames, "1 frame to be taught"),
        (no_frames, "cannot be read"),
        (lambda: None, "bad.xyz"),
    ],
)
def test_frames_that_cannot_be_learned_are_one_message(make, told, capfd):
    make()
    assert main(["train", "bad.xyz", "--out", "m"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert told in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not Path("m").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--powers", "a"), "--powers"),
        (("--powers=-1,2",), "--powers"),
        (("--powers", "0,0"), "--powers"),
        (("--powers", "1,1,1,1,1"), "powers"),
        (("--inducing", "0"), "inducing"),
        (("--l-max", "9"), "l_max"),
        (("--cutoff-A", "1"), "cutoff_A"),
        (("--held-out", "1.5"), "--held-out"),
        (("--held-out", "nofile.xyz"), "nofile.xyz"),
        (("--held-out", "nickel.xyz"), "atoms of Ni"),
        (("--held-out", "chgnet.xyz"), "different levels"),
    ],
)
def test_options_that_mean_nothing_are_one_message(arguments, told, capfd):
    nickel = alloy(5)
    nickel.symbols[0] = "Ni"
    write("nickel.xyz", labelled(nickel))
    write("chgnet.xyz", labelled(alloy(5), "chgnet"))
    assert main(["train", "frames.xyz", "--out", "m", *KNOBS, *arguments]) == 2
    _, err = capfd.readouterr()
    assert told in err
    assert "Traceback" not in err


def test_model_cannot_be_written_where_a_folder_is(capfd):
    Path("m").mkdir()
    assert main(["train", "frames.xyz", "--out", "m"]) == 2
    assert "is a folder" in capfd.readouterr().err


@pytest.mark.parametrize("level", ["sgpr", "sgpr:nofile", "sgpr:frames.xyz"])
def test_level_that_is_no_model_is_one_message(level, capfd):
    assert main(["evaluate", "frames.xyz", "--level", level]) == 2
    assert "Traceback" not in capfd.readouterr().err


def test_structure_of_other_elements_is_refused(ionscape, capfd):
    ionscape("train", "frames.xyz", "--out", "m", *KNOBS)
    nickel = alloy(5)
    nickel.symbols[0] = "Ni"
    write("nickel.xyz", nickel)
    write("nickel.cif", nickel)
    for command in ("evaluate", "relax", "md"):
        file = "nickel.xyz" if command == "evaluate" else "nickel.cif"
        assert main([command, file, "--level", "sgpr:m"]) == 2
        assert "atoms of Ni" in capfd.readouterr().err


def test_evaluate_warns_of_frames_on_which_the_potential_extrapolates(ionscape):
    from ionscape.potential.model_file import write_model

    write_model(model(), Path("m"))
    squeezed = alloy(5)
    squeezed.set_cell(0.85 * squeezed.cell, scale_atoms=True)
    write("far.xyz", [alloy(6), squeezed])
    far = ionscape("evaluate", "far.xyz", "--level", "sgpr:m")
    assert far["largest_force_deviation_eV_per_A"] > 0.5
    assert "extrapolates in 1 of 2 frames, most in frame 1" in far["warnings"][0]
    write("near.xyz", alloy(6))
    near = ionscape("evaluate", "near.xyz", "--level", "sgpr:m")
    assert 0 < near["largest_force_deviation_eV_per_A"] < 0.5
    assert near["warnings"] == []


def test_frames_that_tell_most_are_taught(ionscape, capfd):
    found = ionscape("train", "frames.xyz", "--out", "m", *KNOBS, "--most-frames", "6")
    assert found["n_taught"] == 6
    assert "6 that tell most were taught" in found["notes"][-1]
    assert main(["train", "frames.xyz", "--out", "m", *KNOBS, "--most-frames", "1"]) == 2
    assert "option --most-frames" in capfd.readouterr().err


def test_evaluated_frames_name_the_level_that_labelled_them(ionscape):
    from ase.io import read

    from ionscape.potential.model_file import write_model

    write_model(model(), Path("m"))
    ionscape("evaluate", "frames.xyz", "--level", "sgpr:m", "--out", "again.xyz")
    name = read("again.xyz").info["level"]
    assert name.startswith("sgpr:")
    assert str(Path.cwd()) not in name  # the same model elsewhere is the same level
