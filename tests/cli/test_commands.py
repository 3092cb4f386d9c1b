"""What every command gives: its keys, its numbers, its exit code, one JSON object or a table for people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.build
import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write as write_frames
from pymatgen.core import Composition, Lattice, Structure

from ionscape.cli.main import main
from ionscape.structures.exchange import read_structure, write_cif
from ionscape.study import doctor, engine
from ionscape.study.lab import Laboratory

EMT_LEVEL = "ase.calculators.emt:EMT"
TOY = "patient_spheres:Patient"
#: A level beside the study file: soft spheres that are interrupted, as by Ctrl-C, at the call told in a file.
LEVEL = """
from pathlib import Path
from toy_levels import SoftSpheres

class Patient(SoftSpheres):
    calls = 0

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        Patient.calls += 1
        at = Path("interrupt")
        if at.exists() and Patient.calls >= int(at.read_text()):
            raise KeyboardInterrupt
"""
STUDY = """
[study]
name = "t"
seed = 1
[host]
structure = "host.cif"
[levels.cheap]
name = "patient_spheres:Patient"
[relaxation]
move = "positions"
fmax_eV_per_A = 0.3
[voids]
method = "geometric"
[doping]
supercell = [1, 1, 1]
samples = 4
keep = 2
charges = { N = -3 }
[[doping.routes]]
name = "N on O"
replace = { O = "N" }
insert = { Li = 1 }
"""
TOY_STAGES = ("--stages", "doping", "--engine", "process")


@dataclass(frozen=True)
class Said:
    """What a run of the command line left: its exit code, its output, and its messages."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Return the one JSON object on standard output; anything else there is an error."""
        assert self.out.endswith("\n")
        assert len(self.out.splitlines()) == 1
        data = json.loads(self.out)
        assert isinstance(data, dict)
        return data


Command = Callable[..., Said]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, on one core, with the toy levels importable."""
    monkeypatch.chdir(tmp_path)
    toys = str(Path(__file__).parents[1] / "study")
    for place in (toys, str(tmp_path)):
        monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", toys)
    monkeypatch.setattr(engine, "available_cores", lambda: 1)
    (tmp_path / "patient_spheres.py").write_text(LEVEL)
    return tmp_path


@pytest.fixture
def ionscape(capfd: pytest.CaptureFixture[str]) -> Command:
    """Return the command line; what libraries write past Python to standard output is seen too."""

    def run(*arguments: str) -> Said:
        code = main(arguments)
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture
def lithia_cif(folder: Path) -> str:
    """Write the primitive cell of Li2O, three atoms."""
    cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    return str(write_cif(cubic.get_primitive_structure(), folder / "Li2O.cif"))


@pytest.fixture
def copper_cif(folder: Path, copper: Structure) -> str:
    return str(write_cif(copper, folder / "Cu.cif"))


@pytest.fixture
def study(folder: Path) -> str:
    cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    noise = np.random.default_rng(3).normal(0, 0.01, (12, 3))
    write_cif(Structure(cubic.lattice, cubic.species, cubic.frac_coords + noise), folder / "host.cif")
    (folder / "s.toml").write_text(STUDY)
    return "s.toml"


def assert_table(said: Said, *words: str) -> None:
    """Demand text for people: the headers in the first line, no JSON."""
    for word in words:
        assert word in said.out.splitlines()[0]
    with pytest.raises(json.JSONDecodeError):
        json.loads(said.out)


def test_relax(ionscape: Command, copper_cif: str) -> None:
    said = ionscape("relax", copper_cif, "--level", EMT_LEVEL, "--fmax-eV-per-A", "0.02", "--json")
    data = said.json
    assert said.code == 0
    assert data.keys() >= {"energy_eV", "energy_eV_per_atom", "fmax_eV_per_A", "converged", "structure"}
    assert data["converged"] is True
    assert data["fmax_eV_per_A"] <= 0.02
    assert data["energy_eV"] == pytest.approx(8 * data["energy_eV_per_atom"])
    relaxed = read_structure(data["structure"])
    # EMT's own fcc copper: a = 3.5896 Å, volume a³/4 per atom (what its parameters s0 stand for)
    crystal = ase.build.bulk("Cu", cubic=True)
    crystal.calc = EMT()
    assert data["energy_eV_per_atom"] <= crystal.get_potential_energy() / 4 + 0.005
    assert relaxed.volume / 8 == pytest.approx(3.59**3 / 4, rel=0.02)


def test_relax_again_is_answered_from_the_store(
    ionscape: Command, copper_cif: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("relax", copper_cif, "--level", EMT_LEVEL, "--fmax-eV-per-A", "0.05", "--store", "st", "--json")
    first = ionscape(*arguments)
    monkeypatch.setattr(EMT, "calculate", None)
    assert ionscape(*arguments) == Said(0, first.out, "")


def test_unconverged_relaxation_is_told_and_exits_with_3(ionscape: Command, copper_cif: str) -> None:
    arguments = ("relax", copper_cif, "--level", EMT_LEVEL, "--max-steps", "1", "--out", "part.cif")
    said = ionscape(*arguments, "--json")
    assert said.code == 3
    assert said.json["converged"] is False
    assert said.json["fmax_eV_per_A"] > 0.01
    assert read_structure(said.json["structure"]).composition == Composition("Cu8")
    text = ionscape(*arguments)
    assert text.code == 3
    assert_table(text, "quantity", "value")
    assert re.search(r"^converged +False$", text.out, re.MULTILINE)


def test_broken_relaxation_exits_with_3_and_one_message(ionscape: Command, copper_cif: str) -> None:
    said = ionscape("relax", copper_cif, "--level", "toy_levels:NotANumber", "--json")
    assert said.code == 3
    assert said.out == ""
    assert "not a finite number" in said.err
    assert "Traceback" not in said.err


def test_hull_of_the_host_and_of_a_phase_above_it(ionscape: Command) -> None:
    said = ionscape("hull", "Li6Zr2O7", "O7Zr2Li6", "Li8ZrO6", "Li2ZrN2", "--json")
    assert said.code == 0
    for target in said.json["targets"]:
        assert target.keys() >= {"formula", "e_d_meV_per_atom", "products"}
        assert sum(target["products"].values()) == pytest.approx(1)
        assert target["e_d_meV_per_atom"] >= 0
    host, other_notation, *_ = said.json["targets"]
    assert host["formula"] == "Li6Zr2O7"
    assert host["e_d_meV_per_atom"] <= 2
    assert other_notation == host
    assert_table(ionscape("hull", "Li6Zr2O7"), "target", "E_d/(meV/atom)")


def test_hull_of_a_structure_file(ionscape: Command, lithia_cif: str) -> None:
    """Our own relaxation of Li2O finds the packaged phase again, which is stable."""
    said = ionscape("hull", lithia_cif, "--json", "--fmax-eV-per-A", "0.05")
    (target,) = said.json["targets"]
    assert said.code == 0
    assert target["formula"] == "Li2O"
    assert abs(target["e_d_meV_per_atom"]) < 2
    assert target["products"] == {"Li2O": pytest.approx(1)}


def labelled(count: int = 3) -> list[Any]:
    """Return rattled, sheared frames of an alloy with EMT's energies and forces as labels."""
    frames = []
    for seed in range(count):
        atoms = ase.build.bulk("Cu", cubic=True)
        atoms.symbols[0] = "Ni"
        atoms.rattle(0.1, seed=seed)
        atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1, 0.05], [0, 0, 1]], scale_atoms=True)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
    return frames


def evaluated(ionscape: Command, frames: list[Any]) -> dict[str, Any]:
    write_frames("frames.extxyz", frames)
    said = ionscape("evaluate", "frames.extxyz", "--level", EMT_LEVEL, "--json")
    assert said.code == 0
    assert said.json["n_frames"] == len(frames)
    assert said.json["ms_per_evaluation"] > 0
    return said.json


ERRORS = {
    "energy_mae_meV_per_atom", "energy_rmse_meV_per_atom", "energy_r2",
    "force_mae_eV_per_A", "force_rmse_eV_per_A", "force_r2",
}  # fmt: skip


def test_evaluate_against_its_own_labels_has_no_error(ionscape: Command) -> None:
    data = evaluated(ionscape, labelled())
    assert data.keys() >= ERRORS
    for name in ERRORS:
        assert data[name] == pytest.approx(1 if name.endswith("_r2") else 0, abs=1e-4)


def test_evaluate_tells_why_one_frame_has_no_r2_of_energies(ionscape: Command) -> None:
    assert evaluated(ionscape, labelled()[:1])["energy_r2"] == {"unavailable": "all energy labels are equal"}
    assert "all energy labels are equal" in ionscape("evaluate", "frames.extxyz", "--level", EMT_LEVEL).out


def test_evaluate_finds_known_errors(ionscape: Command) -> None:
    """Energies off by +10, −30 and 0 meV/atom, forces by 0.05 eV/Å: the errors follow by hand."""
    frames = labelled()
    for atoms, shift in zip(frames, (0.01, -0.03, 0.0), strict=True):
        atoms.calc.results["energy"] += shift * len(atoms)
        atoms.calc.results["forces"] += 0.05 * np.array([1, -1, 1])
    data = evaluated(ionscape, frames)
    assert data["energy_mae_meV_per_atom"] == pytest.approx(40 / 3, abs=1e-3)
    assert data["energy_rmse_meV_per_atom"] == pytest.approx((1000 / 3) ** 0.5, abs=1e-3)
    assert data["force_mae_eV_per_A"] == pytest.approx(0.05, abs=1e-6)
    assert data["force_rmse_eV_per_A"] == pytest.approx(0.05, abs=1e-6)
    labels = np.array([atoms.calc.results["energy"] / len(atoms) for atoms in frames])
    spread = ((labels - labels.mean()) ** 2).sum()
    assert data["energy_r2"] == pytest.approx(1 - 0.001 / spread, abs=1e-4)
    assert data["force_r2"] < 1


def test_evaluate_finds_errors_of_stresses(ionscape: Command) -> None:
    frames = labelled()
    for atoms in frames:
        plain = atoms.copy()
        plain.calc = EMT()
        atoms.calc.results["stress"] = plain.get_stress() + 0.01 * np.array([1, -1, 1, -1, 1, -1])
    data = evaluated(ionscape, frames)
    assert data["stress_mae_GPa"] == pytest.approx(1.602176634, abs=1e-4)
    assert data["stress_r2"] < 1


def test_evaluate_counts_only_labelled_frames(ionscape: Command) -> None:
    frames = labelled(2)
    frames[1].calc = None
    data = evaluated(ionscape, frames)
    assert data["energy_mae_meV_per_atom"] == pytest.approx(0, abs=1e-3)
    frames[0].calc = None
    assert not evaluated(ionscape, frames).keys() & ERRORS
    assert_table(ionscape("evaluate", "frames.extxyz", "--level", EMT_LEVEL), "quantity", "value")


def test_evaluate_at_the_embedded_level_agrees_with_relax(ionscape: Command, lithia_cif: str) -> None:
    relaxed = ionscape("relax", lithia_cif, "--fmax-eV-per-A", "0.05", "--json").json
    atoms = read_structure(relaxed["structure"]).to_ase_atoms()
    atoms.calc = SinglePointCalculator(atoms, energy=relaxed["energy_eV"])
    write_frames("frames.extxyz", [atoms])
    data = ionscape("evaluate", "frames.extxyz", "--json").json
    assert data["energy_mae_meV_per_atom"] < 0.05
    assert "force_mae_eV_per_A" not in data


def test_voids_of_the_antifluorite_structure(ionscape: Command) -> None:
    """The empty cube of Li2O is its only large void: site 4b, (1/2, 1/2, 1/2), at a√3/4 from lithium."""
    said = ionscape("voids", "phase:Li2O", "--method", "geometric", "--json")
    assert said.code == 0
    for site in said.json["sites"]:
        assert site.keys() >= {"fractional", "radius_A", "multiplicity"}
        assert len(site["fractional"]) == 3
    widest = max(said.json["sites"], key=lambda site: site["radius_A"])
    from ionscape.phases.table import phase_table

    lengths = phase_table()["Li2O"].lengths
    assert widest["radius_A"] == pytest.approx(lengths[0] * 3**0.5 / 4, rel=1e-3)
    assert widest["multiplicity"] == 4
    assert_table(ionscape("voids", "phase:Li2O", "--method", "geometric"), "fractional", "radius/Å")


def test_voids_of_a_density(ionscape: Command) -> None:
    data = ionscape("voids", "phase:Li2O", "--json").json
    assert data["method"] == "density"
    assert any(site["multiplicity"] == 4 for site in data["sites"])


DOPE = (
    "dope", "host.cif", "--supercell", "1,1,1", "--replace", "O=N", "--insert", "Li=1", "--charge", "N=-3",
    "--count", "2", "--samples", "8", "--keep", "5", "--level", "toy_levels:SoftSpheres", "--move", "positions",
    "--fmax-eV-per-A", "0.2",
)  # fmt: skip


def test_dope(ionscape: Command, study: str) -> None:
    said = ionscape(*DOPE, "--json")
    data = said.json
    assert said.code == 0
    assert data.keys() >= {"formula", "n_sampled", "n_unique", "candidates", "best"}
    assert Composition(data["formula"]) == Composition("Li10N2O2")
    assert 1 <= data["n_unique"] <= data["n_sampled"]
    candidates = data["candidates"]
    assert len(candidates) == 5
    for candidate in candidates:
        assert candidate.keys() >= {"ewald_eV", "energy_eV_per_atom", "unrelaxed_structure", "structure"}
        for name in ("unrelaxed_structure", "structure"):
            assert read_structure(candidate[name]).composition == Composition("Li10N2O2")
    assert [c["ewald_eV"] for c in candidates] == sorted(c["ewald_eV"] for c in candidates)
    lowest = min(candidates, key=lambda candidate: candidate["energy_eV_per_atom"])
    assert data["best"] == lowest["structure"]
    assert lowest is not candidates[0], "choose an example in which the Ewald energy does not know the best"
    text = ionscape(*DOPE)
    assert text.out.startswith("Li10N2O2: ")
    assert f"best: {data['best']}" in text.out


def test_dope_with_unconverged_candidates_only_exits_with_3(ionscape: Command, study: str) -> None:
    said = ionscape(*DOPE, "--fmax-eV-per-A", "0.00001", "--max-steps", "1", "--json")
    assert said.code == 3
    assert said.out == ""
    assert "not converged" in said.err


def test_phases(ionscape: Command) -> None:
    data = ionscape("phases", "--elements", "Li-Zr-O", "--json").json
    assert {"Li6Zr2O7", "Li2ZrO3", "ZrO2", "Li2O"} <= {phase["formula"] for phase in data["phases"]}
    for phase in data["phases"]:
        assert set(Composition(phase["formula"]).chemical_system_set) <= {"Li", "Zr", "O"}
        assert phase["packaged_energy"] is True
    assert len(ionscape("phases", "--json").json["phases"]) > len(data["phases"])
    assert_table(ionscape("phases", "--elements", "Li-O"), "phase", "space group")


def test_phases_relaxed_at_a_level(ionscape: Command) -> None:
    level = ("--level", "toy_levels:SoftSpheres", "--move", "positions")
    answer = ionscape("phases", "relax", "--elements", "Li", *level, "--json")
    assert [phase["formula"] for phase in answer.json["phases"]] == ["Li"]


def test_levels(ionscape: Command) -> None:
    levels = {level["name"]: level for level in ionscape("levels", "--json").json["levels"]}
    assert levels["chgnet"] == {"name": "chgnet", "available": True, "install": ""}
    assert levels.keys() >= {"mace", "sevennet", "matgl", "orb"}
    assert all(level["available"] or "pip install" in level["install"] for level in levels.values())
    assert_table(ionscape("levels"), "level", "state")


def test_doctor(ionscape: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the workers, which have tests of their own and take seconds to start."""
    monkeypatch.delitem(doctor.CHECKS, "local workers")
    said = ionscape("doctor", "--json")
    assert said.json["passed"] is True, said.json
    assert said.code == 0
    assert [check["check"] for check in said.json["checks"]] == list(doctor.CHECKS)
    assert all(check["passed"] and check["detail"] for check in said.json["checks"])
    here = said.json["installation"]
    assert here["versions"]["numpy"] == np.__version__
    assert here["levels"]["chgnet"] == ""
    assert here["cores"] == engine.available_cores()


def test_doctor_tells_what_is_broken(ionscape: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise OSError("no space")

    monkeypatch.setattr(doctor, "CHECKS", {"fine": lambda: "well", "disk": broken})
    said = ionscape("doctor", "--json")
    assert said.code == 3
    assert said.json["passed"] is False
    told = {"check": "disk", "passed": False, "detail": "OSError: no space"}
    assert said.json["checks"][1].items() >= told.items()
    text = ionscape("doctor")
    assert text.code == 3
    assert_table(text, "installed", "what")
    assert re.search(r"^disk +FAILED +OSError: no space +\d", text.out, re.MULTILINE)


def test_a_study_from_run_to_report(ionscape: Command, study: str) -> None:
    said = ionscape("run", study, "--out", "out", *TOY_STAGES, "--json")
    assert said.code == 0, said.err
    assert said.json.keys() >= {"out", "stages"}
    assert Path(said.json["out"]) == Path("out").resolve()
    assert list(said.json["stages"]) == ["host", "voids", "doping"]
    for stage in said.json["stages"].values():
        assert stage["state"] in {"done", "cached"}
        assert stage["seconds"] >= 0
    assert "host" in said.err, "progress is shown on standard error"
    assert Path("out/results.json").is_file()

    again = ionscape("run", study, "--out", "out", *TOY_STAGES, "--json")
    assert {stage["state"] for name, stage in again.json["stages"].items() if name != "voids"} == {"cached"}
    assert_table(ionscape("run", study, "--out", "out", *TOY_STAGES), "stage", "state", "seconds")

    status = ionscape("status", "out", "--json")
    assert status.code == 0
    assert status.json["complete"] == 1 + 2  # the host and two candidates
    assert status.json["pending"] == status.json["unfinished"] == []
    assert set(status.json["stages"]) == {"host", "voids", "doping"}
    assert_table(ionscape("status", "out"), "stage", "state")

    verified = ionscape("verify", "out", "--json")
    assert verified.code == 0
    assert verified.json == {"complete": 3, "corrupt": []}

    Path("out/report/index.html").unlink()
    page = ionscape("report", "out", "--json")
    assert page.code == 0
    assert Path(page.json["page"]).read_text().lstrip().lower().startswith("<!doctype html>")


def test_run_in_the_default_folder(ionscape: Command, study: str) -> None:
    said = ionscape("run", study, "--stages", "host", "--engine", "process", "--json")
    assert Path(said.json["out"]) == Path("runs/t").resolve()


def test_run_with_another_level_and_seed(ionscape: Command, study: str) -> None:
    options = ("--stages", "host", "--engine", "process", "--level", "toy_levels:SoftSpheres", "--seed", "9")
    assert ionscape("run", study, "--out", "out", *options).code == 0
    results = json.loads(Path("out/results.json").read_text())
    assert results["study"]["seed"] == 9
    assert results["levels"]["cheap"]["name"] == "toy_levels:SoftSpheres"


def test_failed_study_exits_with_3_and_tells_what_happened(ionscape: Command, study: str) -> None:
    arguments = ("run", study, "--out", "out", *TOY_STAGES, "--level", "toy_levels:NotANumber")
    said = ionscape(*arguments, "--json")
    assert said.code == 3, said.err
    states = {name: stage["state"] for name, stage in said.json["stages"].items()}
    assert states == {"host": "failed", "voids": "skipped", "doping": "skipped"}
    assert "not a finite number" in said.err
    status = ionscape("status", "out", "--json").json
    assert status["pending"] == ["host", "voids", "doping"]


def test_corrupt_store_is_found_by_verify(ionscape: Command, copper_cif: str) -> None:
    key = ionscape("relax", copper_cif, "--level", EMT_LEVEL, "--fmax-eV-per-A", "0.1", "--json").json["key"]
    assert ionscape("verify", ".ionscape", "--json").json == {"complete": 1, "corrupt": []}
    (stored,) = Path(".ionscape/calculations").glob(f"*/{key}/result.json")
    stored.write_text(stored.read_text().replace('"steps"', '"stepz"'))
    said = ionscape("verify", ".ionscape", "--json")
    assert said.code == 2
    assert said.json["complete"] == 0
    (entry,) = said.json["corrupt"]
    assert key in entry["folder"]
    assert "result.json" in entry["damage"]
    text = ionscape("verify", ".ionscape")
    assert text.code == 2
    assert "corrupt: " in text.out
    again = ionscape("relax", copper_cif, "--level", EMT_LEVEL, "--fmax-eV-per-A", "0.1", "--json")
    assert again.code == 2
    assert "Delete this folder" in again.err


def test_interrupted_command_exits_with_130(
    ionscape: Command, copper_cif: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any) -> Iterator[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Laboratory, "relax", interrupt)
    said = ionscape("relax", copper_cif, "--level", EMT_LEVEL, "--json")
    assert said.code == 130
    assert said.out == ""
    assert "the same command continues" in said.err
    assert "Traceback" not in said.err


def test_interrupted_study_keeps_its_state_and_continues(ionscape: Command, study: str) -> None:
    from patient_spheres import Patient

    arguments = ("run", study, "--out", "out", *TOY_STAGES, "--json")
    Patient.calls = 0
    assert ionscape("run", study, "--out", "left-alone", *TOY_STAGES).code == 0
    evaluations, Patient.calls = Patient.calls, 0
    Path("interrupt").write_text(str(evaluations - 2))
    said = ionscape(*arguments)
    assert said.code == 130
    assert said.out == ""
    status = ionscape("status", "out", "--json").json
    assert status["complete"] == 2
    assert len(status["unfinished"]) == 1
    assert status["stages"]["host"] == "done"
    assert "doping" in status["pending"]
    Path("interrupt").unlink()
    assert ionscape(*arguments).code == 0
    assert Path("out/results.json").read_bytes() == Path("left-alone/results.json").read_bytes()


def test_cite(ionscape: Command, study: str) -> None:
    listed = ionscape("cite", study, "--json")
    assert listed.code == 0
    methods = {reference["method"] for reference in listed.json["references"]}
    assert {"Ewald summation", "LBFGS", "Atomic Simulation Environment"} <= methods
    assert "CHGNet universal potential" not in methods
    Path("s.toml").write_text(STUDY.replace(TOY, "chgnet").replace("0.3", '0.3\noptimizer = "FIRE"'))
    listed = ionscape("cite", study, "--json")
    methods = {reference["method"] for reference in listed.json["references"]}
    assert {"CHGNet universal potential", "FIRE"} <= methods
    assert "LBFGS" not in methods
    for reference in listed.json["references"]:
        assert reference["citation"]
        assert re.match(r"10\.\d{4,}/", reference["doi"])
    text = ionscape("cite", study).out.splitlines()
    assert len(text) == len(listed.json["references"])
    assert any("doi:10.1038/s42256-023-00716-3" in line for line in text)
