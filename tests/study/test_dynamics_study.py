"""Dynamics and transport in a study: ions of known truth from the study file to figures and page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_study import antifluorite, begin, changed, results_of, toy_levels_importable, written

from ionscape.cli.main import main
from ionscape.errors import InputError
from ionscape.report.page import build_page
from ionscape.structures.exchange import to_atoms
from ionscape.study import tasks
from ionscape.study.pipeline import stages_of
from ionscape.study.runner import StudyRun
from ionscape.study.schema import read_study
from ionscape.transport.curves import read_curves

#: The ions of the doped cell have the same barriers: they are independent of the host's other atoms.
STUDY = """
[study]
name = "ions"
seed = 5

[host]
structure = "host.cif"
charges = { Li = 1, O = -2 }

[levels.cheap]
name = "toy_levels:SoftSpheres"

[levels.fast]
name = "toy_levels:Washboard"

[relaxation]
move = "positions"
fmax_eV_per_A = 0.6

[voids]
method = "geometric"

[doping]
supercell = [1, 1, 1]
samples = 6
keep = 1
charges = { N = -3 }

[[doping.routes]]
name = "N on O"
replace = { O = "N" }
insert = { Li = 1 }
counts = [1]

[stability]
relax_missing = true

[dynamics]
level = "fast"
compositions = ["host", "N on O, 1"]
temperatures_K = [800, 1300]
ensemble = "nvt-langevin"
timestep_fs = 5.0
frame_interval_fs = 10.0
equilibration_ps = 0.5
production_ps = 7.0
guards = { closest_approach = 0.0 }

[transport]
analyses = ["diffusion", "conductivity", "host", "van-hove", "density", "jumps"]
r_max_A = 6.0
grid_A = 0.4
resamples = 20
longest_time_ps = 3.0

[[reference]]
quantity = "activation_energy"
target = "N on O, 1"
value = 0.32
source = "Fig. 4b"

[[reference]]
quantity = "tau1"
target = "Li2O"
temperature_K = 1300
value = 5.1
source = "Fig. 5a"
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write the study; every atom of its host is on the site where `Washboard` has its wells."""
    return written(folder, text, antifluorite())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyRun]:
    """Return the study after its run up to ion transport."""
    folder = tmp_path_factory.mktemp("ions")
    with toy_levels_importable():
        yield begin(write_study(folder), folder / "out", stages=["transport"])


@pytest.fixture
def variant(whole: StudyRun, tmp_path: Path) -> Callable[..., StudyRun]:
    """Return a runner of the study with changes of its text, in a fresh folder, on the store of the first."""

    def run(*changes: tuple[str, str], **options: Any) -> StudyRun:
        text = changed(STUDY, *changes)
        chosen = {"stages": ["transport"], "store": whole.folder / "store", **options}
        return begin(write_study(tmp_path, text), tmp_path / "out", **chosen)

    return run


def test_forces_of_the_level_are_those_of_its_energy() -> None:
    from ase.calculators.fd import calculate_numerical_forces
    from toy_levels import Washboard

    atoms = to_atoms(antifluorite())
    atoms.rattle(0.1, seed=3)
    atoms.calc = Washboard()
    assert np.allclose(atoms.get_forces(), calculate_numerical_forces(atoms, 1e-4), atol=1e-6)


def runs_of(run: StudyRun, stage: str) -> dict[tuple[str, float], dict[str, Any]]:
    """Return the runs of a stage by material and temperature."""
    rows = results_of(run)["stages"][stage]["runs"]
    return {(row["material"], row["temperature"]["value"]): row for row in rows}


def short(production: float = 0.3, compositions: str = '["host"]') -> list[tuple[str, str]]:
    """Return the changes that make a study of a few steps with the analyses that its run allows."""
    return [
        ('compositions = ["host", "N on O, 1"]', f"compositions = {compositions}"),
        ("production_ps = 7.0", f"production_ps = {production}"),
        (', "van-hove", "density", "jumps"]', "]"),
        (STUDY[STUDY.index("[[reference]]") :], ""),
    ]


def fast(**settings: float) -> tuple[str, str]:
    """Return the change that gives the level of the dynamics its settings."""
    written = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return 'toy_levels:Washboard"', f'toy_levels:Washboard"\nsettings = {{ {written} }}'


RUNS = [("Li2O", 800.0), ("Li2O", 1300.0), ("N on O, 1", 800.0), ("N on O, 1", 1300.0)]


def test_every_material_is_run_at_every_temperature(whole: StudyRun) -> None:
    assert list(whole.stages) == ["host", "voids", "doping", "dynamics", "transport"]
    assert not any(record.reason for record in whole.stages.values())
    found = runs_of(whole, "dynamics")
    assert list(found) == RUNS
    assert [row["formula"] for row in found.values()] == ["Li8O4"] * 2 + ["Li9N1O3"] * 2
    assert [row["x_per_formula_unit"]["value"] for row in found.values()] == [0.0, 0.0, 0.25, 0.25]
    assert results_of(whole)["levels"]["fast"]["name"] == "toy_levels:Washboard"
    assert results_of(whole)["stages"]["dynamics"]["level"] == "toy_levels:Washboard"
    for (_, kelvin), row in found.items():
        assert "unavailable" not in row
        mean, error = (row["averages"][name]["value"] for name in ("temperature", "temperature_error"))
        assert abs(mean - kelvin) < 5 * error
        assert (whole.folder / row["trajectory_file"]).stat().st_size > 0


def test_ions_hop_over_the_barrier_and_the_host_stays(whole: StudyRun) -> None:
    for (_, kelvin), row in runs_of(whole, "transport").items():
        assert row["is_diffusive"] is True
        assert row["host_is_flat"] is True
        ends = [row["D"][end]["value"] for end in ("low95", "value", "high95")]
        assert ends == sorted(ends)
        assert row["sigma"]["value"]["unit"] == "S/cm"
        assert row["D"]["value"]["value"] > (4e-4 if kelvin == 1300 else 1e-4)
        curves = read_curves(whole.folder / row["curves_file"])
        assert {"displacement/Li", "displacement/O", "van-hove/self", "density/values"} <= set(curves)
        assert (whole.folder / row["density_file"]).suffix == ".cube"
    for law in results_of(whole)["stages"]["transport"]["laws"]:
        assert law["Ea"]["low95"]["value"] < 0.2 < law["Ea"]["high95"]["value"] + 0.1
        assert law["temperatures"] == {"value": [800.0, 1300.0], "unit": "K"}
        assert np.shape(law["line"]["D"]["value"]) == (60,)


def test_free_ions_diffuse_as_langevin_says(variant: Callable[..., StudyRun]) -> None:
    """Without barriers D = k_B T τ/m, so that E_a = k_B T₁T₂ ln(T₂/T₁)/(T₂ − T₁) between two temperatures."""
    done = variant(fast(barrier=0.0), *short(7.0), ("equilibration_ps = 0.5", "equilibration_ps = 1.0"))
    boltzmann, mass = 8.617333e-5, 6.94
    for (_, kelvin), row in runs_of(done, "transport").items():
        truth = boltzmann * kelvin * 9.648533e-3 / mass * 100 * 0.1
        low, high = (row["D"][end]["value"] for end in ("low95", "high95"))
        assert 0.8 * low < truth < 1.25 * high
    (law,) = results_of(done)["stages"]["transport"]["laws"]
    energy = boltzmann * 800 * 1300 * np.log(1300 / 800) / 500
    assert law["Ea"]["low95"]["value"] < energy < law["Ea"]["high95"]["value"]


def test_every_number_has_a_unit(whole: StudyRun) -> None:
    from test_pipeline import bare_numbers

    results = results_of(whole)
    bare = {path for name in ("dynamics", "transport") for path in bare_numbers(results["stages"][name])}
    assert bare | set(bare_numbers(results["comparison"])) == set()


def test_references_stand_beside_numbers_or_reasons(whole: StudyRun) -> None:
    energy, time = results_of(whole)["comparison"]
    law = results_of(whole)["stages"]["transport"]["laws"][1]
    assert energy["ours"] == law["Ea"]["value"]
    assert energy["interval"] == [law["Ea"]["low95"], law["Ea"]["high95"]]
    row = runs_of(whole, "transport")["Li2O", 1300.0]
    assert time["temperature"] == {"value": 1300.0, "unit": "K"}
    assert time["study"] == {"value": 5.1, "unit": "ps"}
    told = row["tau1"]
    assert time["ours"] == ({"unavailable": told["unavailable"]} if "unavailable" in told else told["value"])


def test_second_run_computes_nothing_and_writes_the_same(whole: StudyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr(tasks, "perform", refuse)
    before = {path: path.read_bytes() for path in files_of(whole.folder)}
    again = begin(whole.folder.parent / "s.toml", whole.folder, stages=["transport"])
    assert {again.stages[name].state for name in ("dynamics", "transport")} == {"cached"}
    assert {path: path.read_bytes() for path in files_of(whole.folder)} == before


def files_of(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*.*")
        if path.is_file() and "store" not in path.parts and path.name != "run.json"
    ]


def test_interrupted_study_goes_on_where_it_was(
    whole: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the second of two runs, the study computes only what is missing and ends the same."""
    text = write_study(tmp_path, changed(STUDY, *short())).read_text()
    uninterrupted = begin(write_study(tmp_path / "a", text), tmp_path / "a" / "out", stages=["transport"])
    perform, done = tasks.perform, []

    def interrupted(request: dict[str, Any], *others: Any) -> dict[str, Any]:
        if request["kind"] == "dynamics" and sum(kind == "dynamics" for kind in done) == 1:
            raise KeyboardInterrupt
        done.append(request["kind"])
        return perform(request, *others)

    file = write_study(tmp_path / "b", text)
    monkeypatch.setattr(tasks, "perform", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin(file, tmp_path / "b" / "out", stages=["transport"])
    left, done[:] = len(done), ["dynamics"] * 2
    continued = begin(file, tmp_path / "b" / "out", stages=["transport"])
    assert left == 3  # host, doped cell, one run
    assert done[2:] == ["dynamics", "transport", "transport"]
    assert (continued.folder / "results.json").read_bytes() == (uninterrupted.folder / "results.json").read_bytes()


def test_molten_host_stops_the_run_and_is_told(variant: Callable[..., StudyRun]) -> None:
    done = variant(fast(host=0.01), *short(3.0))
    for row in runs_of(done, "dynamics").values():
        assert "melt" in row["unavailable"] or "molten" in row["unavailable"]
        assert row["steps"]["value"] > 0
    for row in runs_of(done, "transport").values():
        assert row["unavailable"].startswith("step")
        assert "D" not in row
    (law,) = results_of(done)["stages"]["transport"]["laws"]
    assert law["unavailable"].startswith("none of 2 runs could be analysed: step")
    warnings = results_of(done)["warnings"]
    assert [w for w in warnings if w.startswith("Li2O at 800 K: the run did not come to its end: step")]
    text = build_page(done.folder).read_text(encoding="utf-8")
    assert "not analysed: step" in text


def test_ions_that_stay_give_a_bound_and_no_law(variant: Callable[..., StudyRun]) -> None:
    done = variant(fast(barrier=2.0), *short(1.0))
    for row in runs_of(done, "transport").values():
        assert row["is_diffusive"] is False
        assert "needed" in row["D"]["unavailable"]
        assert row["sigma_upper_bound"]["value"] > 0
    (law,) = results_of(done)["stages"]["transport"]["laws"]
    assert law["unavailable"].startswith("0 temperatures with a diffusion coefficient, 2 with a bound only")
    text = build_page(done.folder).read_text(encoding="utf-8")
    assert "No diffusion of Li" in text
    assert "ps needed" in text


def test_doped_cells_are_repeated_or_searched_anew(variant: Callable[..., StudyRun]) -> None:
    both = short(0.1, '["N on O, 1", "host"]')
    larger = variant(*both, ("[dynamics]", "[dynamics]\nsupercell = [1, 1, 2]"), stages=["dynamics"])
    assert [row["formula"] for row in runs_of(larger, "dynamics").values()] == ["Li18N2O6"] * 2 + ["Li16O8"] * 2
    changes = [*short(0.1, '["N on O, 2"]'), ("counts = [1]", "counts = [2]")]
    changes += [
        ("supercell = [1, 1, 1]", "supercell = [1, 2, 1]"),
        ("[dynamics]", "[dynamics]\nsupercell = [1, 1, 1]"),
    ]
    smaller = variant(*changes, stages=["dynamics"])
    rows = runs_of(smaller, "dynamics")
    assert list(rows) == [("N on O, 2", 800.0), ("N on O, 2", 1300.0)]
    for row in rows.values():
        assert (row["formula"], row["x_per_formula_unit"]["value"]) == ("Li9N1O3", 0.25)
        assert "unavailable" not in row


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([('"N on O, 1"]', '"N on O, 3"]')], r"dynamics.compositions\[1\].*no material 'N on O, 3'.*N on O, 1"),
        ([("supercell = [1, 1, 1]", "supercell = [1, 2, 1]"), ("[dynamics]", "[dynamics]\nsupercell = [1, 1, 1]")],
         r"dynamics.supercell.*0.5 dopants"),
        ([('[levels.fast]\nname = "toy_levels:Washboard"\n', "")], r"dynamics.level.*no level 'fast'"),
        ([("[dynamics]", '[dynamics]\nmobile = ["Na"]')], r"dynamics.mobile.*no Na"),
        ([("[dynamics]", "[dynamics]\nbatch = true")], r"dynamics.batch.*no model of TorchSim"),
        ([("[transport]", '[transport]\nmobile = "Na"')], r"transport.mobile.*'Na'"),
        ([("[transport]", "[transport]\nlaw_from_K = 1500")], r"transport.law_from_K.*1500 K, above all"),
        ([("temperatures_K = [800, 1300]", "temperatures_K = [800, 800]")], r"temperatures_K.*800.* twice"),
        ([("temperature_K = 1300\n", "")], r"reference\[1\].temperature_K.*tau1 without"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_anything_runs(
    changes: list[tuple[str, str]], told: str, variant: Callable[..., StudyRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "perform", lambda *_: pytest.fail("something was computed"))
    with pytest.raises(InputError, match=told):
        variant(*changes)


def test_transport_needs_dynamics(tmp_path: Path) -> None:
    start, end = STUDY.index("[dynamics]"), STUDY.index("[transport]")
    file = write_study(tmp_path, STUDY[:start] + STUDY[end : STUDY.index("[[reference]]")])
    with pytest.raises(InputError, match=r"\[transport\] without \[dynamics\]"):
        begin(file, tmp_path / "out")
    study = read_study(write_study(tmp_path / "whole")).content
    assert stages_of(study, ["transport"]) == ["host", "voids", "doping", "dynamics", "transport"]
    assert stages_of(study, ["stability"]) == ["host", "voids", "doping", "stability"]


def test_page_shows_the_runs(whole: StudyRun) -> None:
    page = build_page(whole.folder)
    text = page.read_text(encoding="utf-8")
    assert "Activation energy of Li in Li<sub>2</sub>O" in text
    for anchor in ('id="dynamics"', 'id="transport"'):
        assert anchor in text
    drawn = {path.stem for path in (whole.folder / "figures").glob("*.svg")}
    assert drawn >= {
        "displacements", "arrhenius", "conductivity-content", "van-hove-1300K", "van-hove-800K",
        "trajectory-density-1300K", "trajectory-density-800K",
    }  # fmt: skip
    for address in re.findall(r'href="\.\./([^"]+)"', text):
        assert (whole.folder / address).is_file(), address


def test_channels_are_measured_and_drawn(variant: Callable[..., StudyRun]) -> None:
    changes = dict(short(0.2))
    changes[', "van-hove", "density", "jumps"]'] = ', "channels"]\nchannel_frames = 4'
    done = variant(*changes.items(), ("temperatures_K = [800, 1300]", "temperatures_K = [800]"))
    row = runs_of(done, "transport")["Li2O", 800.0]
    values = read_curves(done.folder / row["curves_file"])["channels/d1"]
    assert row["d1"]["value"] == pytest.approx(values.mean())
    build_page(done.folder)
    assert (done.folder / "figures" / "channels-content.svg").is_file()
    assert any("Zeo++" in reference["method"] for reference in results_of(done)["references"])


def test_stored_trajectories_and_analyses_are_those_of_the_commands(
    whole: StudyRun, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stage found can be had again from the files it left, by the commands."""
    monkeypatch.chdir(tmp_path)
    row = runs_of(whole, "transport")["Li2O", 1300.0]
    file = runs_of(whole, "dynamics")["Li2O", 1300.0]["trajectory_file"]
    assert (
        main(["transport", str(whole.folder / file), "--analyses", "diffusion,conductivity,host", "--json"]) == 0
    )
    assert json.loads(capfd.readouterr().out)["D_cm2_per_s"]["value"] == row["D"]["value"]["value"]
    keys = [row["key"] for (name, _), row in runs_of(whole, "transport").items() if name == "Li2O"]
    stored = [str(next((whole.folder / "store").rglob(key)) / "result.json") for key in keys]
    assert main(["arrhenius", *stored, "--json"]) == 0
    law = results_of(whole)["stages"]["transport"]["laws"][0]
    assert json.loads(capfd.readouterr().out)["Ea_eV"]["value"] == law["Ea"]["value"]["value"]
