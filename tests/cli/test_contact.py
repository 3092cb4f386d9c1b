"""The commands contact, window and hull on packaged energies, files and other sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Composition, Lattice, Structure

from ionscape.cli.main import main
from ionscape.cli.targets import as_given, target_named
from ionscape.structures.exchange import write_cif

Command = Callable[..., dict[str, Any]]
PAIR = ("contact", "--cathode", "LiCoO2", "--phase", "Li2ZrN2")


def test_contact(ionscape: Command) -> None:
    data = ionscape(
        "contact", "--cathode", "LiCoO2", "Li0.5CoO2", "--phase", "Li6Zr2O7", "--phase", "Li2ZrN2", "LiCoO2"
    )
    assert data.keys() >= {"pairs", "level", "scheme", "ends", "on_hull", "excluded", "heights_meV_per_atom"}
    assert [(p["cathode"], p["phase"]) for p in data["pairs"]] == [
        (c, p) for c in ("LiCoO2", "Li0.5CoO2") for p in ("Li6Zr2O7", "Li2ZrN2", "LiCoO2")
    ]
    for pair in data["pairs"]:
        assert pair["low95_meV_per_atom"] <= pair["dE_min_meV_per_atom"] <= pair["high95_meV_per_atom"] <= 1e-6
        assert 0 <= pair["x"] <= 1
        assert sum(pair["products"].values()) == pytest.approx(1)
        assert "→" in pair["reaction"] or pair["reaction"] == "no reaction"
        energies = [point["dE_meV_per_atom"] for point in pair["profile"]]
        assert min(energies) == pair["dE_min_meV_per_atom"]
        assert energies[0] == energies[-1] == 0
    with_zirconate, with_nitride, with_itself = data["pairs"][:3]
    assert with_nitride["dE_min_meV_per_atom"] < with_zirconate["dE_min_meV_per_atom"] - 100
    assert with_itself["dE_min_meV_per_atom"] == 0
    assert with_itself["reaction"] == "no reaction"
    assert data["on_hull"] == ["Li0.5CoO2"]
    assert data["scheme"] == data["level"] == "chgnet"
    assert "voltage_V" not in data


def test_contact_is_symmetric(ionscape: Command) -> None:
    there = ionscape(*PAIR)["pairs"][0]
    back = ionscape("contact", "--cathode", "Li2ZrN2", "--phase", "LiCoO2")["pairs"][0]
    assert there["dE_min_meV_per_atom"] == pytest.approx(back["dE_min_meV_per_atom"])
    assert there["x"] == pytest.approx(1 - back["x"])
    assert there["products"] == pytest.approx(back["products"])


def test_contact_at_a_voltage(ionscape: Command) -> None:
    """Both spellings of the option; lithium is given off at 4 V, and the nitride reacts more."""
    data = ionscape(*PAIR, "--voltage-V", "4", "--samples", "0")
    assert data == ionscape(*PAIR, "--voltage", "4.0", "--samples", "0")
    assert (data["voltage_V"], data["mobile"]) == (4.0, "Li")
    (pair,) = data["pairs"]
    assert pair["reaction"].endswith(" Li")
    assert pair["dE_min_meV_per_atom"] < ionscape(*PAIR)["pairs"][0]["dE_min_meV_per_atom"]
    assert "low95_meV_per_atom" not in pair
    assert "no draws" in data["no_intervals"]


def test_contact_without_a_phase_and_under_oxygen(ionscape: Command) -> None:
    usual = ionscape(*PAIR, "--samples", "0")["pairs"][0]
    product = next(name for name in usual["products"] if name not in {"LiCoO2", "Li2ZrN2"})
    without = ionscape(*PAIR, "--exclude", product, "--samples", "0")
    assert product in without["excluded"]
    assert product not in without["pairs"][0]["products"]
    assert without["pairs"][0]["dE_min_meV_per_atom"] > usual["dE_min_meV_per_atom"]
    hot = ionscape(*PAIR, "--temperature-K", "1000", "--nitrogen-pressure-bar", "0.001", "--samples", "0")
    assert hot["conditions"] == "O2 at 1 bar, N2 at 0.001 bar, 1000 K"
    assert hot["pairs"][0]["dE_min_meV_per_atom"] < usual["dE_min_meV_per_atom"]
    assert "N2" in hot["pairs"][0]["products"]


def test_contact_for_people_and_its_files(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*PAIR, "LiCoO2", "--out", "map"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["ΔE/(meV/atom)", "Li2ZrN2", "LiCoO2"]
    name, nitride, itself = lines[1].split()
    assert (name, itself) == ("LiCoO2", "0.0")
    assert lines[3].startswith("ΔE/(meV/atom)  95 % interval")
    assert lines[4].startswith(nitride)
    assert "→" in lines[4]
    assert lines[6] == "level chgnet, closed system"
    written = [line.removeprefix("written: ") for line in lines if line.startswith("written: ")]
    assert {Path(path).suffix for path in written} >= {".csv", ".svg", ".html"}
    for path in written:
        assert Path(path).stat().st_size > 100
    first, pair, *_ = Path("map/contact.csv").read_text().splitlines()
    assert first.startswith("cathode,phase,dE_min_meV_per_atom")
    assert float(pair.split(",")[2]) == pytest.approx(float(nitride), abs=0.06)


def lithia(folder: Path) -> str:
    cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    return str(write_cif(cubic.get_primitive_structure(), folder / "mine.cif"))


def test_contact_of_a_structure_file(ionscape: Command, folder: Path) -> None:
    """A file is relaxed and stands beside the packaged phase of the same formula; their energies agree."""
    data = ionscape(
        "contact", "--cathode", "LiCoO2", "--phase", lithia(folder), "Li2O", "--ends", "own",
        "--fmax-eV-per-A", "0.05", "--samples", "0",
    )  # fmt: skip
    mine, packaged = data["pairs"]
    assert (mine["phase"], packaged["phase"]) == ("Li2O (mine)", "Li2O")
    assert mine["dE_min_meV_per_atom"] == pytest.approx(packaged["dE_min_meV_per_atom"], abs=2)
    assert abs(data["heights_meV_per_atom"]["Li2O (mine)"]) < 2


def test_files_of_one_name_in_two_folders_are_two_phases(folder: Path) -> None:
    """``a/CONTCAR`` and ``b/CONTCAR``: neither may stand for the other."""
    targets = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        Path(lithia(folder)).rename(folder / name / "mine.cif")
        targets.append(target_named(f"{name}/mine.cif"))
    energies = {target.text: -4.7 for target in targets}
    labels = [one.label for one in as_given(targets, energies) if not isinstance(one, str)]
    assert labels == ["Li2O (a/mine.cif)", "Li2O (b/mine.cif)"]
    (alone,) = as_given(targets[:1], energies)
    assert not isinstance(alone, str)
    assert alone.label == "Li2O"


def test_window_of_one_phase(ionscape: Command) -> None:
    data = ionscape("window", "Li6Zr2O7", "--mobile", "Li")
    assert data.keys() >= {"reduction_V", "oxidation_V", "profile", "windows", "level"}
    assert 0 <= data["reduction_V"] < data["oxidation_V"]
    assert data["reduction_low95_V"] <= data["reduction_high95_V"]
    assert data["oxidation_low95_V"] <= data["oxidation_V"] <= data["oxidation_high95_V"]
    assert data["e_d_meV_per_atom"] < 2
    assert data["oxidation_reaction"].endswith(" Li")
    voltages = [plateau["voltage_V"] for plateau in data["profile"]]
    assert voltages == sorted(voltages, reverse=True)
    assert data["oxidation_V"] in voltages
    assert data["windows"] == [{key: data[key] for key in data["windows"][0]}]


def test_windows_of_several_phases_and_missing_limits(ionscape: Command, capfd: Any) -> None:
    data = ionscape("window", "Li2O", "ZrO2", "Li0.5ZrO2", "--samples", "0")
    assert "reduction_V" not in data
    lithia, zirconia, between = data["windows"]
    assert lithia["reduction_V"] == 0
    assert lithia["oxidation_V"] > 2
    assert zirconia["oxidation_V"].keys() == {"unavailable"}
    assert "ZrO2 holds no Li" in zirconia["oxidation_V"]["unavailable"]
    assert "oxidation_reaction" not in zirconia
    assert between["e_d_meV_per_atom"].keys() == {"unavailable"}
    assert main(["window", "ZrO2"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].split()[:2] == ["phase", "reduction/V"]
    assert "none" in out[1]


def test_window_of_another_ion(ionscape: Command) -> None:
    (window,) = ionscape("window", "ZrO2", "--mobile", "Y", "--samples", "0")["windows"]
    assert all("Y" in plateau["reaction"] for plateau in window["profile"])


def test_hull_leaves_out_a_phase_of_one_target_only(ionscape: Command) -> None:
    data = ionscape("hull", "Li2O", "Li6Zr2O7", "--exclude", "Li6Zr2O7")
    lithia, zirconate = data["targets"]
    assert lithia["e_d_meV_per_atom"] == 0
    assert zirconate["e_d_meV_per_atom"] < 0
    assert "Li6Zr2O7" not in zirconate["products"]
    assert data["excluded"] == {"Li6Zr2O7": "excluded by the user"}


def test_hull_at_a_temperature(ionscape: Command) -> None:
    cold = ionscape("hull", "Li2O2")
    hot = ionscape("hull", "Li2O2", "--temperature-K", "1000", "--oxygen-pressure-bar", "0.0001")
    assert cold["targets"][0]["e_d_meV_per_atom"] == 0
    assert cold["conditions"] == ""
    assert hot["targets"][0]["e_d_meV_per_atom"] > 100
    assert set(hot["targets"][0]["products"]) == {"Li2O", "O2"}
    assert hot["conditions"] == "O2 at 0.0001 bar, 1000 K"


@pytest.fixture
def entries(folder: Path) -> str:
    """Write entries of Na–O with made-up energies: Na2O2 lies 0.05 eV/atom above Na2O + O2."""
    energies = {"Na": -1.3, "O2": -9.8, "Na2O": -11.3, "Na2O2": -16.0}
    rows = [
        {
            "@module": "pymatgen.entries.computed_entries",
            "@class": "ComputedEntry",
            "energy": energy,
            "composition": Composition(formula).as_dict(),
            "entry_id": formula,
            "correction": 0.0,
            "parameters": {"run_type": "GGA", "hubbards": {}, "is_hubbard": False},
        }
        for formula, energy in energies.items()
    ]
    (folder / "entries.json").write_text(json.dumps(rows))
    return "entries.json"


def test_hull_contact_and_window_of_entries(ionscape: Command, entries: str) -> None:
    """2 Na2O2 → 2 Na2O + O2: (−16.0 + 11.3 + 4.9)/4 = 0.05 eV/atom; Na2O → ½ O2 + 2 Na at 1.9 V, by hand."""
    (peroxide,) = ionscape("hull", "Na2O2", "--phases", entries)["targets"]
    assert peroxide["e_d_meV_per_atom"] == pytest.approx(50)
    window = ionscape("window", "Na2O", "--mobile", "Na", "--phases", entries)
    assert window["oxidation_V"] == pytest.approx((11.3 - 4.9 - 2 * 1.3) / 2)
    assert "not known" in window["no_intervals"]
    assert "GGA" in window["scheme"]
    data = ionscape("contact", "--cathode", "O2", "--phase", "Na", "--phases", entries)
    (pair,) = data["pairs"]
    assert pair["products"] == {"Na2O": pytest.approx(1)}
    assert pair["dE_min_meV_per_atom"] == pytest.approx(1000 * (-11.3 + 4.9 + 2.6) / 3)
