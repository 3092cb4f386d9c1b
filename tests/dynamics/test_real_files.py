"""Files that LAMMPS and VASP wrote themselves (``data/README.md``) are read without options."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest

from ionscape.dynamics.formats.lammps_run import atom_types_of_data, is_data_file, run_beside
from ionscape.dynamics.readers import FileTrajectory, open_trajectory
from ionscape.errors import InputError

DATA = Path(__file__).parent / "data"
LI2O = DATA / "li2o"
DUMPS = ["told.lammpstrj", "images.lammpstrj", "scaled.dump.gz", "mass.dump", "run.extxyz"]


def motion(trajectory: FileTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Return displacements from the first frame, their mean over the atoms taken out, and cells."""
    (chunk,) = trajectory.chunks()
    moved = chunk.positions - chunk.positions[0]
    # extended XYZ has no origin of the cell, which moves with the barostat
    return moved - moved.mean(axis=1, keepdims=True), chunk.cells


def copied(tmp_path: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(LI2O / name, tmp_path / name)
    return tmp_path / names[0]


@pytest.mark.parametrize("name", DUMPS)
def test_dialects_of_one_lammps_run_say_the_same(name: str) -> None:
    expected, cells = motion(open_trajectory(LI2O / "told.lammpstrj"))
    trajectory = open_trajectory(LI2O / name)
    found, found_cells = motion(trajectory)
    assert (trajectory.symbols.count("Li"), trajectory.symbols.count("O")) == (8, 4)
    assert trajectory.frame_interval == pytest.approx(20.0)
    assert np.abs(expected).max() > 2.0  # atoms went through the faces of the cell
    assert found == pytest.approx(expected, abs=2e-5)
    assert found_cells == pytest.approx(cells, abs=1e-5)
    assert np.abs(cells[:, 1, 0]).min() > 0.1


def test_dump_alone_asks_for_elements(tmp_path: Path) -> None:
    path = copied(tmp_path, "images.lammpstrj")
    with pytest.raises(InputError, match="no element is known for the atom types 1, 2"):
        open_trajectory(path)
    with pytest.raises(InputError, match="10 steps apart"):
        open_trajectory(path, types=["Li", "O"])


def test_data_file_names_elements_and_log_the_time(tmp_path: Path) -> None:
    path = copied(tmp_path, "images.lammpstrj", "start.data")
    assert open_trajectory(path, frame_interval_fs=20.0).symbols.count("O") == 4
    copied(tmp_path, "log.lammps")
    assert open_trajectory(path).frame_interval == pytest.approx(20.0)


def test_lammps_extended_xyz_tells_its_unit_of_time(tmp_path: Path) -> None:
    path = copied(tmp_path, "run.extxyz")  # units metal: picoseconds, without a log known by the time step
    assert open_trajectory(path).frame_interval == pytest.approx(20.0)


def test_log_of_another_dump_is_not_asked_when_there_are_several(tmp_path: Path) -> None:
    path = copied(tmp_path, "images.lammpstrj", "start.data")
    log = (LI2O / "log.lammps").read_text()
    (tmp_path / "log.first").write_text(log.replace("timestep 0.002", "timestep 0.001").replace("images", "other"))
    (tmp_path / "log.second").write_text(log)
    assert open_trajectory(path).frame_interval == pytest.approx(20.0)
    (tmp_path / "log.third").write_text(log)
    with pytest.raises(InputError, match="the time between frames is not in the file"):
        open_trajectory(path)


@pytest.mark.parametrize(
    ("commands", "elements"),
    [
        ("pair_style eam/alloy\npair_coeff * * NiAlH.eam.alloy Ni Al", {"1": "Ni", "2": "Al"}),
        ("mass 1 6.94\nmass 2 15.9994", {"1": "Li", "2": "O"}),
        ("mass 1 1.0\nmass 2 2.0\ndump_modify 1 sort id element Na Cl units yes", {"1": "Na", "2": "Cl"}),
        ("pair_style lj/cut 8\npair_coeff * * 0.1 3.0", {}),
    ],
)
def test_elements_from_commands_of_a_log(tmp_path: Path, commands: str, elements: dict[str, str]) -> None:
    (tmp_path / "log.lammps").write_text(f"LAMMPS (22 Jul 2025)\nunits real\ntimestep 0.5\n{commands}\nrun 10\n")
    run = run_beside(tmp_path / "some.dump")
    assert run.elements == elements
    assert run.timestep == pytest.approx(0.5)


def test_time_step_that_changes_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "log.lammps").write_text(
        "LAMMPS (22 Jul 2025)\nunits metal\ntimestep 0.001\nrun 1\ntimestep 0.002\n"
    )
    assert run_beside(tmp_path / "some.dump").timestep is None


def test_data_file_lists_types_by_id(tmp_path: Path) -> None:
    kinds, elements = atom_types_of_data(LI2O / "start.data")
    assert is_data_file(LI2O / "start.data")
    assert not is_data_file(LI2O / "log.lammps")
    assert kinds.count("1") == 8
    assert elements == {"1": "Li", "2": "O"}
    plain = tmp_path / "plain.data"
    plain.write_text((LI2O / "start.data").read_text().replace("Atoms # charge", "Atoms"))
    with pytest.raises(InputError, match="style None"):
        atom_types_of_data(plain)


def test_vasp_xdatcar_takes_its_time_from_the_files_beside(tmp_path: Path) -> None:
    packed = DATA / "lipscl" / "XDATCAR.xz"
    path = tmp_path / "XDATCAR"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    with pytest.raises(InputError, match="no INCAR, vasprun"):
        open_trajectory(path)
    (tmp_path / "OUTCAR").write_text(
        "   NBLOCK =      2;   KBLOCK =     40    inner block; outer block \n"
        "   POTIM  = 2.0000    time-step for ionic-motion\n"
        "   TEBEG  =  800.0;   TEEND  = 800.0 temperature during run\n"
    )
    trajectory = open_trajectory(path)
    assert trajectory.frame_interval == pytest.approx(4.0)
    assert trajectory.temperature == pytest.approx(800.0)
    assert {name: trajectory.symbols.count(name) for name in set(trajectory.symbols)} == {
        "Li": 192,
        "Cl": 32,
        "S": 160,
        "P": 32,
    }
    (chunk,) = trajectory.chunks()
    assert len(chunk.positions) == 3
    assert 0 < np.abs(np.diff(chunk.positions, axis=0)).max() < 2.0
    (tmp_path / "INCAR").write_text("POTIM = 1.0; NBLOCK = 1\n")  # what the run was asked comes first
    assert open_trajectory(path).frame_interval == pytest.approx(1.0)
