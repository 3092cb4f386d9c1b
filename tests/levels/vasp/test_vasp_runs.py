"""Results of VASP read from real outputs, and the plumbing around a command that stands in for it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import ase
import h5py
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from ionscape.errors import CalculationError, InputError
from ionscape.levels.registry import Level
from ionscape.levels.vasp.outputs import read_results

#: Real outputs of VASP that ASE's package ships.
REAL = Path(ase.__file__).parent / "test" / "testdata" / "vasp"
FAKE = f"{sys.executable} {Path(__file__).parent / 'fake_vasp.py'}"


def folder_with(tmp_path: Path, name: str) -> Path:
    (tmp_path / "vasprun.xml").write_bytes((REAL / name).read_bytes())
    return tmp_path


@pytest.mark.skipif(not REAL.is_dir(), reason="this package of ASE ships no outputs of VASP")
@pytest.mark.parametrize("name", ["vasprun_pstress.xml", "vasprun_dfpt.xml"])
def test_real_outputs_are_read_as_ase_reads_them(tmp_path, name):
    found = read_results(folder_with(tmp_path, name))
    theirs = read(REAL / name, index=-1)
    assert found["energy"] == pytest.approx(theirs.get_potential_energy(), abs=1e-6)
    assert np.allclose(found["forces"], theirs.get_forces(), atol=1e-6)
    assert np.allclose(found["stress"], theirs.get_stress(), atol=1e-5)
    assert np.abs(found["stress"]).max() > 0


@pytest.mark.skipif(not REAL.is_dir(), reason="this package of ASE ships no outputs of VASP")
@pytest.mark.parametrize("damaged", [False, True], ids=["alone", "beside a damaged vasprun.xml"])
def test_a_real_outcar_is_read_where_vasprun_is_not_whole(tmp_path, damaged):
    """The numbers are those that stand in the file: energies in eV, the stress in kbar under compression."""
    text = (REAL / "OUTCAR_example_1").read_text()
    (tmp_path / "OUTCAR").write_text(text)
    if damaged:
        (tmp_path / "vasprun.xml").write_text("<modeling><calculation>")
    found = read_results(tmp_path)
    free = re.findall(r"free  energy   TOTEN  =\s+(\S+) eV", text)[-1]
    extrapolated = re.findall(r"energy\(sigma->0\) =\s+(\S+)", text)[-1]
    pressure = np.array(re.findall(r"in kB" + r"\s+(\S+)" * 6, text)[-1], dtype=float)
    assert found["free_energy"] == pytest.approx(float(free), abs=1e-6)
    assert found["energy"] == pytest.approx(float(extrapolated), abs=1e-6)
    assert np.allclose(found["stress"], -pressure[[0, 1, 2, 4, 5, 3]] / 10 / 160.21766, atol=1e-5)
    assert found["forces"].shape == (sum(map(int, re.search(r"ions per type =(.*)", text)[1].split())), 3)


@pytest.mark.skipif(not REAL.is_dir(), reason="this package of ASE ships no outputs of VASP")
def test_an_outcar_without_its_end_or_its_convergence_is_told(tmp_path):
    text = (REAL / "OUTCAR_example_1").read_text()
    (tmp_path / "OUTCAR").write_text(text[: len(text) // 2])
    with pytest.raises(CalculationError, match="OUTCAR: has no end"):
        read_results(tmp_path)
    last = re.findall(r"Iteration\s+\d+\(\s*(\d+)\)", text)[-1]
    (tmp_path / "OUTCAR").write_text(re.sub(r"NELM   =\s+\d+", f"NELM   = {last}", text))
    with pytest.raises(CalculationError, match=f"not self-consistent after {last} electronic steps"):
        read_results(tmp_path)


def vaspout(path: Path, converged: int | None = 0, steps: int = 2) -> dict[str, np.ndarray]:
    """Write the part of a vaspout.h5 of VASP 6 that holds ionic steps; return what its last one holds."""
    rng = np.random.default_rng(3)
    held = {
        "energies": rng.normal(size=(steps, 3)),
        "forces": rng.normal(size=(steps, 4, 3)),
        "stress": rng.normal(size=(steps, 3, 3)),
    }
    held["stress"] += held["stress"].transpose(0, 2, 1)
    tags = [b"free energy    TOTEN   ", b"energy without entropy ", b"energy(sigma->0)       "]
    with h5py.File(path, "w") as file:
        group = file.create_group("intermediate/ion_dynamics")
        group["energies_tags"] = tags
        for name, values in held.items():
            group[name] = values
        if converged is not None:
            group["electronic_step_converged"] = [0, converged]
    return {name: values[-1] for name, values in held.items()}


def test_the_hdf5_of_vasp_6_is_read_where_vasprun_is_missing(tmp_path):
    last = vaspout(tmp_path / "vaspout.h5")
    found = read_results(tmp_path)
    assert (found["free_energy"], found["energy"]) == (last["energies"][0], last["energies"][2])
    assert np.array_equal(found["forces"], last["forces"])
    assert found["stress"][3] == pytest.approx(-last["stress"][1, 2] / 1602.1766)


@pytest.mark.parametrize(
    ("converged", "told"), [(1, "not self-consistent"), (None, "does not tell whether the last ionic step")]
)
def test_an_hdf5_that_is_not_converged_or_does_not_say_so_is_no_result(tmp_path, converged, told):
    vaspout(tmp_path / "vaspout.h5", converged)
    with pytest.raises(CalculationError, match=told):
        read_results(tmp_path)
    (tmp_path / "vaspout.h5").write_bytes(b"cut")
    with pytest.raises(CalculationError, match=r"vaspout\.h5: cut short or damaged"):
        read_results(tmp_path)


@pytest.fixture
def alloy():
    atoms = bulk("Cu", cubic=True) * (1, 1, 2)
    atoms.symbols[[1, 4]] = "Au"
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0], [0, 1, -0.05], [0.02, 0, 1]], scale_atoms=True)
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.fixture
def potcars(tmp_path) -> Path:
    for title in ("Cu_pv", "Au"):
        (tmp_path / "pot" / title).mkdir(parents=True)
        (tmp_path / "pot" / title / "POTCAR").write_text(
            f"  PAW_PBE {title} 01Jan2000\n 1.0\n parameters from PSCTR are:\n   VRHFIN ={title[:2]}: made up\n"
            f"   LEXCH  = PE\n   TITEL  = PAW_PBE {title} 01Jan2000\n   ENMAX  =  400.0; ENMIN  =  300.0 eV\n"
            "END of PSCTR-controll parameters\n End of Dataset\n"
        )
    return tmp_path / "pot"


def level(potcars: Path, command: str = FAKE, **more) -> Level:
    return Level.of("vasp", {"command": command, "potcar_folder": str(potcars), **more})


def test_atoms_come_back_in_their_own_order(alloy, potcars):
    """POSCAR groups them by element; the numbers are those of the calculator that the command stands on."""
    ours, theirs = alloy.copy(), alloy.copy()
    ours.calc, theirs.calc = level(potcars).calculator(1), EMT()
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-6)
    assert np.allclose(ours.get_forces(), theirs.get_forces(), atol=1e-6)
    assert np.allclose(ours.get_stress(), theirs.get_stress(), atol=1e-6)
    assert np.abs(ours.get_forces()).max() > 0.1


def test_files_of_every_calculation_are_kept_where_they_are_wanted(alloy, potcars, tmp_path):
    alloy.calc = level(potcars, keep_folder=str(tmp_path / "kept")).own_calculator(1)
    alloy.get_potential_energy()
    alloy.positions[0] += 0.1
    alloy.get_potential_energy()
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["00001", "00002"]
    assert (tmp_path / "kept" / "00002" / "vasprun.xml").is_file()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("unconverged", "not self-consistent after 100 electronic steps"),
        ("truncated", "cut short or damaged"),
        ("crash", "ended with code 1: forrtl"),
    ],
)
def test_what_failed_is_told(alloy, potcars, how, told):
    alloy.calc = level(potcars, f"{FAKE} {how}").own_calculator(1)
    with pytest.raises(CalculationError, match=told):
        alloy.get_potential_energy()


def test_no_command_and_no_potcar_are_refused_before_anything_runs(alloy, potcars, monkeypatch):
    for name in ("ASE_VASP_COMMAND", "VASP_PP_PATH", "PMG_VASP_PSP_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="no command that runs VASP"):
        Level.of("vasp").check(alloy)
    with pytest.raises(InputError, match="no POTCAR 'Cu_pv' in no folder"):
        Level.of("vasp", {"command": FAKE}).check(alloy)
    level(potcars).check(alloy)


def test_a_command_that_is_not_there_is_a_failure(alloy, potcars):
    alloy.calc = level(potcars, "no-such-vasp").own_calculator(1)
    with pytest.raises(CalculationError, match="cannot be started"):
        alloy.get_potential_energy()


def test_missing_outputs_are_told(tmp_path):
    with pytest.raises(CalculationError, match=r"left no vasprun\.xml"):
        read_results(tmp_path)
    (tmp_path / "vasprun.xml").write_text("<modeling></modeling>")
    with pytest.raises(CalculationError, match="no ionic step"):
        read_results(tmp_path)


def test_where_things_are_is_no_part_of_the_identity(potcars):
    assert level(potcars).identity() == Level.of("vasp").identity()
    assert Level.of("vasp", {"cutoff_eV": 500.0}).identity() != Level.of("vasp").identity()


def test_error_handlers_need_custodian(alloy, potcars, monkeypatch):
    monkeypatch.setitem(sys.modules, "custodian", None)
    alloy.calc = level(potcars, error_handlers=True).own_calculator(1)
    with pytest.raises(InputError, match="pip install custodian"):
        alloy.get_potential_energy()


@pytest.mark.filterwarnings("ignore")  # custodian reads files that a real VASP would leave too
def test_custodian_runs_the_command_and_its_failures_are_told(alloy, potcars, tmp_path):
    pytest.importorskip("custodian", reason="pip install custodian")
    alloy.calc = level(
        potcars, f"{FAKE} crash", error_handlers=True, keep_folder=str(tmp_path / "kept")
    ).calculator(1)
    with pytest.raises(CalculationError, match="VASP failed under custodian"):
        alloy.get_potential_energy()
    assert "SIGSEGV" in (tmp_path / "kept" / "00001" / "vasp.out").read_text()
