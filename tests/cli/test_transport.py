"""The commands transport and arrhenius: keys, files, intervals, and one message for every bad input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "transport"))

from made_runs import made_run, write_xdatcar

from ionscape.cli.main import main

Command = Callable[..., dict[str, Any]]
KEYS = {
    "temperature_K", "n_frames", "D_cm2_per_s", "sigma_S_per_cm", "is_diffusive", "haven_ratio", "tau1_ps",
    "tau2_ps", "xi_A", "d1_A", "d2_A", "files",
}  # fmt: skip
OPTIONS = ("--frame-interval-fs", "10", "--temperature-K", "1000", "--threads", "1")


@pytest.fixture(scope="module")
def xdatcar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_xdatcar(made_run(1200, rate=0.05, seed=2), tmp_path_factory.mktemp("run") / "XDATCAR")


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return the one message with which the command line refuses its arguments."""

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        out, said = capfd.readouterr()
        assert out == ""
        assert len(said.splitlines()) == 1, said
        assert "Traceback" not in said
        return said

    return run


def test_transport(ionscape: Command, xdatcar: Path, folder: Path) -> None:
    data = ionscape("transport", str(xdatcar), *OPTIONS, "--out", "out")
    assert data.keys() >= KEYS
    truth = made_run(2, rate=0.05).diffusivity * 0.1
    d = data["D_cm2_per_s"]
    assert d["low95"] <= truth <= d["high95"]
    assert data["n_frames"] == 1200
    assert data["temperature_K"] == 1000
    assert data["is_diffusive"] is True
    assert data["host_is_flat"] is True
    assert data["d1_A"]["unavailable"] if isinstance(data["d1_A"], dict) else data["d1_A"] > 0
    names = {Path(file).name for file in data["files"]}
    assert {
        "transport.json",
        "displacement.svg",
        "displacement.png",
        "van-hove.svg",
        "trajectory-density.cube",
    } <= names
    assert {"trajectory-density.xsf", "displacement-Li.csv", "van-hove-self.csv", "jump-network.png"} <= names
    assert all((folder / file).stat().st_size for file in data["files"])
    assert json.loads((folder / "out" / "transport.json").read_text()) == data


def test_transport_for_people(xdatcar: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["transport", str(xdatcar), *OPTIONS, "--analyses", "diffusion,conductivity,host"]
    assert main(command) == 0
    out, _ = capfd.readouterr()
    assert "D/(cm²/s)" in out
    assert "host: Zr flat, O flat" in out


def test_every_and_skip(ionscape: Command, xdatcar: Path) -> None:
    data = ionscape(
        "transport", str(xdatcar), *OPTIONS, "--every", "2", "--skip-ps", "2", "--analyses", "diffusion"
    )
    assert data["frame_interval_fs"] == 20
    assert data["n_frames"] == 500
    assert data["tau1_ps"] == {"unavailable": "not asked for"}


def test_without_temperature_only_what_needs_it_is_missing(
    ionscape: Command, refused: Callable[..., str], xdatcar: Path
) -> None:
    timed = ("--frame-interval-fs", "10")
    data = ionscape("transport", str(xdatcar), *timed, "--analyses", "diffusion,density")
    assert data["D_cm2_per_s"]["value"] > 0
    assert "temperature" in data["percolation"]["unavailable"]
    assert "--temperature-K" in refused("transport", str(xdatcar), *timed, "--analyses", "conductivity")


def bad_files(folder: Path, xdatcar: Path) -> dict[str, tuple[list[str], str]]:
    """Return files that cannot be used, with the options beside them and a word of the message."""
    lines = xdatcar.read_text().splitlines(keepends=True)
    frame = 8 + 60
    made = {
        "one": (lines[:frame], list(OPTIONS), "frame"),
        "nan": ([*lines[: 8 + frame], "nan nan nan\n", *lines[9 + frame : 3 * frame]], list(OPTIONS), "number"),
        "atoms": ([*lines[: frame + 6], "12 16 31\n", *lines[frame + 7 : 3 * frame]], list(OPTIONS), "atoms"),
        "interval": (lines[: 3 * frame], ["--temperature-K", "1000"], "time between frames"),
        "mobile": (lines[: 3 * frame], [*OPTIONS, "--mobile", "Na"], "Na"),
        "short": (lines[: frame - 20], list(OPTIONS), "frame"),
        "analysis": (lines[: 3 * frame], [*OPTIONS, "--analyses", "difusion"], "diffusion"),
        "charge": (lines[: 3 * frame], [*OPTIONS, "--charge", "0"], "charge"),
        "skip": (lines[: 3 * frame], [*OPTIONS, "--skip-ps", "100"], "after the first"),
        "radii": (lines[: 3 * frame], [*OPTIONS, "--radii", "O"], "radii"),
    }
    cases = {}
    for name, (text, options, word) in made.items():
        path = folder / f"{name}.XDATCAR"
        path.write_text("".join(text))
        cases[name] = ([str(path), *options], word)
    cell = folder / "cell.xyz"
    atoms = "".join(f"{symbol} {0.1 * k} 0 0\n" for k, symbol in enumerate(("Li", "O")))
    cell.write_text(f"2\nProperties=species:S:1:pos:R:3 Time={{}}\n{atoms}".format(0) * 3)
    cases["cell"] = ([str(cell), *OPTIONS], "cell")
    cases["missing"] = (["nowhere.xyz", *OPTIONS], "no such file")
    return cases


def test_bad_input_gets_one_message(refused: Callable[..., str], folder: Path, xdatcar: Path) -> None:
    for name, (arguments, word) in bad_files(folder, xdatcar).items():
        assert word in refused("transport", *arguments), name


def stored(folder: Path, kelvin: float, value: float, *, bound: bool = False) -> str:
    """Write what arrhenius needs of a run, and return the path."""
    d = {"value": value, "low95": value / 1.1, "high95": value * 1.1}
    record = {
        "temperature_K": kelvin,
        "D_cm2_per_s": {"unavailable": "the ions stay where they are"} if bound else d,
        **({"D_upper_bound_cm2_per_s": value} if bound else {}),
        "squared_charge_density_e2_per_A3": 0.05,
    }
    path = folder / f"{kelvin:g}.json"
    path.write_text(json.dumps(record))
    return str(path)


def test_the_last_incomplete_frame_of_a_killed_run_is_left_out_and_told(
    ionscape: Command, folder: Path, xdatcar: Path
) -> None:
    lines = xdatcar.read_text().splitlines(keepends=True)
    killed = folder / "XDATCAR"
    killed.write_text("".join(lines[: 40 * 68 - 30]))
    data = ionscape("transport", str(killed), *OPTIONS, "--analyses", "diffusion")
    assert data["n_frames"] == 39
    assert any("incomplete" in line for line in data["warnings"])


def law(kelvin: float) -> float:
    """Return D of 0.32 eV and 1e-3 cm²/s at the temperature `kelvin`."""
    from math import exp

    return 1e-3 * exp(-0.32 / (8.617333e-5 * kelvin))


def test_arrhenius(ionscape: Command, folder: Path) -> None:
    runs = [stored(folder, t, law(t)) for t in (600.0, 800.0, 1000.0, 1200.0)]
    cold = stored(folder, 450.0, 2 * law(450.0), bound=True)
    data = ionscape("arrhenius", *runs, cold, "--out", "law")
    assert data["Ea_eV"]["value"] == pytest.approx(0.32, abs=0.005)
    assert data["Ea_eV"]["low95"] < 0.32 < data["Ea_eV"]["high95"]
    d = data["D_300K_cm2_per_s"]
    assert d["low95"] < law(300) < d["high95"]
    # σ = n e² D / k_B T with n = 5e28 per m³
    sigma = 5e28 * 1.602177e-19**2 * d["value"] * 1e-4 / (1.380649e-23 * 300) / 100
    assert data["sigma_300K_S_per_cm"]["value"] == pytest.approx(sigma, rel=1e-4)
    assert data["is_curved"] is False
    assert list(data["left_out"]) == [cold]
    assert {Path(file).name for file in data["files"]} == {"arrhenius.svg", "arrhenius.png", "arrhenius.json"}


def test_arrhenius_reads_what_transport_writes(ionscape: Command, folder: Path, xdatcar: Path) -> None:
    for kelvin in ("800", "1000"):
        ionscape(
            "transport", str(xdatcar), "--frame-interval-fs", "10", "--temperature-K", kelvin,
            "--analyses", "diffusion", "--out", kelvin,
        )  # fmt: skip
    data = ionscape("arrhenius", "800", "1000/transport.json", "--at-K", "350")
    assert data["temperatures_K"] == [800, 1000]
    assert data["Ea_eV"]["low95"] < 0 < data["Ea_eV"]["high95"]  # the same run twice
    assert data["sigma_350K_S_per_cm"]["value"] > 0


def test_arrhenius_refuses_what_it_cannot_use(refused: Callable[..., str], folder: Path) -> None:
    good = stored(folder, 800.0, 1e-5)
    assert "at least two" in refused("arrhenius", good)
    assert "no such file" in refused("arrhenius", good, "nowhere.json")
    (folder / "other.json").write_text("{}")
    assert "temperature_K" in refused("arrhenius", good, "other.json")
    (folder / "text.json").write_text("D = 3")
    assert "cannot be read as JSON" in refused("arrhenius", good, "text.json")
    assert "--at-K" in refused("arrhenius", good, "--at-K", "0")
