"""Results of VASP read from real outputs, and the plumbing around a command that stands in for it."""

from __future__ import annotations

import sys
from pathlib import Path

import ase
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
