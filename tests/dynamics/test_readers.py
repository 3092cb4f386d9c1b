"""Files as VASP, LAMMPS, ASE and others write them: one path from every format, one clear message for each fault.

The writers below keep to the formats of the programs: XDATCAR and vasprun.xml of VASP 5 and 6, `dump custom` of
LAMMPS.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ionscape.dynamics.formats.text import hash_of, read_table
from ionscape.dynamics.readers import open_trajectory
from ionscape.dynamics.trajectory import TrajectoryWarning, folded
from ionscape.errors import InputError

SYMBOLS = ("Li", "Li", "Li", "Zr", "O", "O", "O")
#: Lower triangular, as LAMMPS wants it, and so far sheared that the bounding box differs from the cell.
CELL = np.array([[7.1, 0.0, 0.0], [-2.9, 6.3, 0.0], [3.1, -2.2, 8.4]])
FRAMES = 60


def run(*, changing: bool = False, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return unwrapped fractional positions and cells of a run."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.025, (FRAMES, len(SYMBOLS), 3))
    steps[0] = rng.uniform(0, 1, (len(SYMBOLS), 3))
    cells = np.broadcast_to(CELL, (FRAMES, 3, 3)).copy()
    if changing:
        cells *= 1 + 0.02 * np.sin(np.arange(FRAMES) / 5)[:, None, None]
        cells[:, 1, 0] += 0.1 * np.cos(np.arange(FRAMES) / 3)
    return np.cumsum(steps, axis=0), cells


def truth(fractional: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return displacements from the first frame, in the mean of the cells so far."""
    mean = np.cumsum(cells, axis=0) / np.arange(1, len(cells) + 1)[:, None, None]
    return np.concatenate(
        [np.zeros((1, *fractional.shape[1:])), np.cumsum(np.diff(fractional, axis=0) @ mean[1:], 0)]
    )


def xdatcar(fractional: np.ndarray, cells: np.ndarray, *, changing: bool) -> str:
    """Write as VASP: F12.6 vectors, F11.8 coordinates; with ISIF = 3 a header before every configuration."""
    text = []
    for i, (place, cell) in enumerate(zip(folded(fractional), cells, strict=True)):
        if changing or i == 0:
            rows = "".join("".join(f" {x:11.6f}" for x in row) + "\n" for row in cell)
            text.append(f"Li6Zr2O7 MD\n           1\n{rows}   Li   Zr   O \n     3     1     3\n")
        text.append(f"Direct configuration={i + 1:6d}\n")
        text += ["".join(f" {x:11.8f}" for x in row) + "\n" for row in place]
    return "".join(text)


def vasprun(fractional: np.ndarray, cells: np.ndarray, *, ibrion: int = 0, extra: str = "") -> str:
    """Write the parts of vasprun.xml that molecular dynamics has, in VASP's layout and order."""

    def rows(values: np.ndarray, indent: str) -> str:
        return "".join(f"{indent}<v>" + "".join(f"{x:16.8f} " for x in row) + "</v>\n" for row in values)

    atoms = "".join(f"    <rc><c>{s:2s}</c><c>{1:4d}</c></rc>\n" for s in SYMBOLS)

    def structure(place: np.ndarray, cell: np.ndarray, name: str = "") -> str:
        return (
            f'  <structure{name}>\n   <crystal>\n    <varray name="basis" >\n{rows(cell, "     ")}    </varray>\n'
            f'    <i name="volume">    {np.linalg.det(cell):12.8f} </i>\n    <varray name="rec_basis" >\n'
            f"{rows(np.linalg.inv(cell).T, '     ')}    </varray>\n   </crystal>\n"
            f'   <varray name="positions" >\n{rows(place, "    ")}   </varray>\n  </structure>\n'
        )

    inside = folded(fractional)
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
        '  <i name="program" type="string">vasp </i>\n'
        ' </generator>\n <incar>\n  <i name="POTIM">      2.00000000</i>\n </incar>\n <parameters>\n'
        f'  <i type="int" name="IBRION">{ibrion:6d}</i>\n  <i type="int" name="NBLOCK">     5</i>\n{extra}'
        '  <i name="TEBEG">   1000.00000000</i>\n  <i name="TEEND">   1000.00000000</i>\n </parameters>\n'
        f' <atominfo>\n  <atoms>{len(SYMBOLS):8d} </atoms>\n  <types>       3 </types>\n  <array name="atoms" >\n'
        '   <dimension dim="1">ion</dimension>\n   <field type="string">element</field>\n'
        f'   <field type="int">atomtype</field>\n   <set>\n{atoms}   </set>\n  </array>\n </atominfo>\n'
    )
    text += structure(inside[0], CELL, ' name="initialpos" ')
    for i, (place, cell) in enumerate(zip(inside, cells, strict=True)):
        text += (
            ' <calculation>\n  <scstep>\n   <energy>\n    <i name="e_0_energy">     99.0 </i>\n   </energy>\n'
            f"  </scstep>\n{structure(place, cell)}"
            f'  <varray name="forces" >\n{rows(0 * place, "   ")}  </varray>\n  <energy>\n'
            f'   <i name="e_fr_energy">    -50.0 </i>\n   <i name="e_0_energy">{-50 - 0.01 * i:16.8f} </i>\n'
            '   <i name="kinetic">      0.5 </i>\n   <i name="total">    -49.5 </i>\n  </energy>\n'
            " </calculation>\n"
        )
    return text + structure(inside[-1], cells[-1], ' name="finalpos" ') + "</modeling>\n"


def lammps(fractional, cells, columns, *, shuffle=True, header="") -> str:
    """Write as `dump custom`: bounds %-1.16e of the box around a tilted cell, columns %g, any order."""
    rng, text, order = np.random.default_rng(2), [], np.arange(len(SYMBOLS))
    kinds = {"Li": 1, "Zr": 2, "O": 3}
    masses = {"Li": 6.94, "Zr": 91.224, "O": 15.999}
    for i, (place, cell) in enumerate(zip(fractional, cells, strict=True)):
        origin = np.array([-1.5, 0.25, 3.0])
        (lx, ly, lz), (xy, xz, yz) = np.diag(cell), (cell[1, 0], cell[2, 0], cell[2, 1])
        bounds = [
            (origin[0] + min(0, xy, xz, xy + xz), origin[0] + lx + max(0, xy, xz, xy + xz), xy),
            (origin[1] + min(0, yz), origin[1] + ly + max(0, yz), xz),
            (origin[2], origin[2] + lz, yz),
        ]
        box = "".join(" ".join(f"{x:.16e}" for x in row) + "\n" for row in bounds)
        units = "ITEM: UNITS\nmetal\n" if header and i == 0 else ""
        time = f"ITEM: TIME\n{0.05 * i:.16g}\n" if header else ""
        text.append(
            f"{units}{time}ITEM: TIMESTEP\n{100 * i}\nITEM: NUMBER OF ATOMS\n{len(SYMBOLS)}\n"
            f"ITEM: BOX BOUNDS xy xz yz pp pp pp\n{box}ITEM: ATOMS {columns} \n"
        )
        inside, image = folded(place), np.floor(place).astype(int)
        values = {
            **dict(zip(("x", "y", "z"), (inside @ cell + origin).T, strict=True)),
            **dict(zip(("xs", "ys", "zs"), inside.T, strict=True)),
            **dict(zip(("xu", "yu", "zu"), (place @ cell + origin).T, strict=True)),
            **dict(zip(("xsu", "ysu", "zsu"), place.T, strict=True)),
            **dict(zip(("ix", "iy", "iz"), image.T, strict=True)),
            "vx": 0.01 * place[:, 0],
        }
        order = rng.permutation(order) if shuffle else order
        for a in order:
            told = {"id": a + 1, "type": kinds[SYMBOLS[a]], "element": SYMBOLS[a], "mass": masses[SYMBOLS[a]]}
            words = [str(told[c]) if c in told else f"{values[c][a]:.12g}" for c in columns.split()]
            text.append(" ".join(words) + " \n")
    return "".join(text)


def atoms_of(fractional: np.ndarray, cells: np.ndarray, *, wrapped: bool) -> list[Atoms]:
    """Return frames as ASE atoms with an energy and a time."""
    frames = []
    for i, (place, cell) in enumerate(zip(fractional, cells, strict=True)):
        atoms = Atoms(SYMBOLS, scaled_positions=folded(place) if wrapped else place, cell=cell, pbc=True)
        atoms.positions = (folded(place) if wrapped else place) @ cell
        atoms.info["time"] = 4.0 * i
        atoms.calc = SinglePointCalculator(atoms, energy=-50 - 0.01 * i)
        frames.append(atoms)
    return frames


def positions_of(trajectory, frames=17) -> np.ndarray:
    return np.concatenate([chunk.positions for chunk in trajectory.chunks(frames)])


def check(trajectory, fractional, cells, tolerance) -> None:
    """The displacements, the cells and the folded positions are those of the run."""
    chunks = list(trajectory.chunks(17))
    positions = np.concatenate([chunk.positions for chunk in chunks])
    assert [chunk.first for chunk in chunks] == list(range(0, len(cells), 17))
    assert positions - positions[0] == pytest.approx(truth(fractional, cells), abs=tolerance)
    assert np.concatenate([chunk.cells for chunk in chunks]) == pytest.approx(cells, abs=1e-6)
    apart = np.concatenate([chunk.folded() for chunk in chunks]) - fractional
    assert apart == pytest.approx(np.rint(apart), abs=tolerance)
    assert trajectory.symbols == SYMBOLS


@pytest.mark.parametrize("changing", [False, True])
def test_xdatcar(tmp_path: Path, changing):
    fractional, cells = run(changing=changing)
    (tmp_path / "XDATCAR").write_text(xdatcar(fractional, cells, changing=changing))
    (tmp_path / "INCAR").write_text("SYSTEM = x\n POTIM = 2 ; NBLOCK = 10 # often\nTEBEG=900\n")
    trajectory = open_trajectory(tmp_path / "XDATCAR", mobile="Li")
    assert (trajectory.frame_interval, trajectory.temperature) == (20.0, 900.0)
    check(trajectory, fractional, cells, 2e-5)


def test_xdatcar_needs_the_interval(tmp_path: Path):
    (tmp_path / "XDATCAR").write_text(xdatcar(*run(), changing=False))
    with pytest.raises(InputError, match=r"time between frames is not in the file.*POTIM × NBLOCK"):
        open_trajectory(tmp_path / "XDATCAR")
    given = open_trajectory(tmp_path / "XDATCAR", frame_interval_fs=5, temperature_K=300)
    assert (given.frame_interval, given.temperature) == (5, 300)


@pytest.mark.parametrize("pack", [None, gzip.open, bz2.open, lzma.open])
def test_vasprun_plain_or_compressed(tmp_path: Path, pack):
    """NBLOCK does not thin out vasprun.xml (vasp.at/wiki/Template:Table_-_Output_interval_options)."""
    fractional, cells = run(changing=True)
    path = tmp_path / "vasprun.xml"
    with (pack or open)(path, "wt", encoding="utf-8") as file:
        file.write(vasprun(fractional, cells))
    trajectory = open_trajectory(path)
    assert (trajectory.frame_interval, trajectory.temperature) == (2.0, 1000.0)
    check(trajectory, fractional, cells, 2e-5)
    energies = np.concatenate([chunk.energies for chunk in trajectory.chunks()])
    assert energies == pytest.approx(-50 - 0.01 * np.arange(FRAMES))


def test_vasprun_of_a_learned_force_field_is_thinned_out(tmp_path: Path):
    (tmp_path / "vasprun.xml").write_text(vasprun(*run(), extra='  <i type="int" name="ML_OUTBLOCK">    10</i>\n'))
    assert open_trajectory(tmp_path / "vasprun.xml").frame_interval == 20.0


def test_vasprun_of_a_relaxation_is_refused(tmp_path: Path):
    (tmp_path / "vasprun.xml").write_text(vasprun(*run(), ibrion=2))
    with pytest.raises(InputError, match="not a run of molecular dynamics"):
        open_trajectory(tmp_path / "vasprun.xml")


LAMMPS_COLUMNS = [
    "id type element x y z",
    "id element xs ys zs vx",
    "id type element xu yu zu",
    "id element xsu ysu zsu",
    "type id mass x y z ix iy iz",
    "id element x y z xu yu zu",
    "id vx element xs ys zs ix iy iz",
]


@pytest.mark.parametrize("columns", LAMMPS_COLUMNS)
@pytest.mark.parametrize("changing", [False, True])
def test_lammps_dump(tmp_path: Path, columns, changing):
    fractional, cells = run(changing=changing)
    path = tmp_path / "dump.lammpstrj"
    path.write_text(lammps(fractional, cells, columns, header="units yes time yes"))
    trajectory = open_trajectory(path)
    assert trajectory.frame_interval == pytest.approx(50.0)
    check(trajectory, fractional, cells, 1e-8)


def test_lammps_jumps_of_a_whole_cell_are_kept_where_the_file_tells_them(tmp_path: Path):
    cells = np.broadcast_to(CELL, (4, 3, 3))
    fractional = np.full((4, len(SYMBOLS), 3), 0.1) + np.arange(4)[:, None, None] * [0.9, 0, 0]
    for columns in ("id element xu yu zu", "id element x y z ix iy iz"):
        (tmp_path / "dump").write_text(lammps(fractional, cells, columns))
        found = positions_of(open_trajectory(tmp_path / "dump", frame_interval_fs=1))
        assert found[-1, 0] - found[0, 0] == pytest.approx([2.7 * 7.1, 0, 0])


def test_lammps_types_and_interval(tmp_path: Path):
    fractional, cells = run()
    path = tmp_path / "dump"
    path.write_text(lammps(fractional, cells, "id type x y z"))
    with pytest.raises(InputError, match="no element is known for the atom types 1, 2, 3") as told:
        open_trajectory(path)
    assert "types=" in told.value.remedy
    with pytest.raises(InputError, match=r"not in the file .*100 steps apart: the interval is 100 × timestep"):
        open_trajectory(path, types=["Li", "Zr", "O"])
    with pytest.raises(InputError, match="'Lx' is not an element"):
        open_trajectory(path, types=["Lx", "Zr", "O"], frame_interval_fs=1)
    check(
        open_trajectory(path, types={"1": "Li", "2": "Zr", "3": "O"}, frame_interval_fs=100),
        fractional,
        cells,
        1e-8,
    )


def test_lammps_general_cells_and_repeated_steps(tmp_path: Path):
    """`triclinic/general` boxes give the three lattice vectors; a restart with `append` repeats a step."""
    fractional, cells = run()
    text = lammps(fractional, cells, "id element xs ys zs")
    general = re.sub(
        r"BOX BOUNDS xy xz yz pp pp pp\n.*\n.*\n.*\n",
        "BOX BOUNDS abc origin pp pp pp\n" + "".join(f"{a:.9g} {b:.9g} {c:.9g} 0.5\n" for a, b, c in CELL),
        text,
    )
    steps = general.split("ITEM: TIMESTEP")
    (tmp_path / "dump").write_text("ITEM: TIMESTEP".join([*steps[:31], steps[30], *steps[31:]]))
    check(open_trajectory(tmp_path / "dump", frame_interval_fs=1), fractional, cells, 1e-8)
    (tmp_path / "dump").write_text("ITEM: TIMESTEP".join([*steps[:30], *steps[31:]]))
    with pytest.raises(InputError, match="step 3000 follows step 2800"):
        positions_of(open_trajectory(tmp_path / "dump", frame_interval_fs=1))


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("name", ["run.extxyz", "run.xyz", "run.traj"])
def test_ase_formats(tmp_path: Path, name, wrapped):
    fractional, cells = run(changing=True)
    write(tmp_path / name, atoms_of(fractional, cells, wrapped=wrapped))
    interval = 4.0 if name.endswith(".traj") else None
    trajectory = open_trajectory(tmp_path / name, frame_interval_fs=interval)
    assert trajectory.frame_interval == pytest.approx(4.0)
    check(trajectory, fractional, cells, 1e-6)
    energies = np.concatenate([chunk.energies for chunk in trajectory.chunks()])
    assert energies == pytest.approx(-50 - 0.01 * np.arange(FRAMES))


def test_traj_of_molecular_dynamics_tells_its_time_step(tmp_path: Path):
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.md.verlet import VelocityVerlet
    from ase.units import fs

    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    VelocityVerlet(atoms, 2 * fs, trajectory=str(tmp_path / "run.traj")).run(3)
    with pytest.raises(InputError, match="2 fs × the interval of writing"):
        open_trajectory(tmp_path / "run.traj")


def write_vaspout(path: Path, fractional, cells) -> None:
    """Write the data sets of VASP 6 that py4vasp reads for a trajectory."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["intermediate/ion_dynamics/position_ions"] = folded(fractional)
        file["intermediate/ion_dynamics/lattice_vectors"] = cells / 1.25
        file["results/positions/scale"] = 1.25
        file["results/positions/ion_types"] = np.array([b"Li", b"Zr", b"O "])
        file["results/positions/number_ion_types"] = np.array([3, 1, 3])
        file["input/incar/POTIM"], file["input/incar/NBLOCK"], file["input/incar/TEBEG"] = 2.0, 5, 800.0
        file["input/incar/SYSTEM"] = b"LZO"


def test_vaspout(tmp_path: Path):
    fractional, cells = run(changing=True)
    write_vaspout(tmp_path / "vaspout.h5", fractional, cells)
    trajectory = open_trajectory(tmp_path / "vaspout.h5")
    assert (trajectory.frame_interval, trajectory.temperature) == (10.0, 800.0)
    check(trajectory, fractional, cells, 1e-9)


def test_h5md(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    fractional, cells = run(changing=True)
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.create_group("h5md")
        group = file.create_group("particles/all")
        group["position/value"] = (folded(fractional) @ cells) / 10
        group["position/value"].attrs["unit"] = "nm"
        group["position/time"] = 0.1 * np.arange(FRAMES)
        group["position/time"].attrs["unit"] = "ps"
        group["box/edges/value"] = cells / 10
        group["image/value"] = np.floor(fractional).astype(int)
        group["species"] = np.array([1, 1, 1, 2, 3, 3, 3])
    trajectory = open_trajectory(tmp_path / "run.h5", types=["Li", "Zr", "O"])
    assert trajectory.frame_interval == pytest.approx(100.0)
    check(trajectory, fractional, cells, 1e-9)


def test_hdf5_without_its_package_says_so(tmp_path: Path):
    if importlib.util.find_spec("h5py"):
        pytest.skip("h5py is installed")
    (tmp_path / "vaspout.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match=r"need the package h5py.*pip install h5py"):
        open_trajectory(tmp_path / "vaspout.h5")


@pytest.mark.parametrize("suffix", ["xtc", "trr", "dcd"])
def test_binary_formats(tmp_path: Path, suffix):
    fractional, cells = run()
    gro = "run\n    7\n" + "".join(
        f"{1:5d}{'LZO':5s}{name:>5s}{i + 1:5d}{0:8.3f}{0:8.3f}{0:8.3f}\n"
        for i, name in enumerate(["LI", "LI", "LI", "ZR", "OW", "O1", "O2"])
    )
    (tmp_path / "run.gro").write_text(gro + "   1.0   1.0   1.0\n")
    path = tmp_path / f"run.{suffix}"
    if not importlib.util.find_spec("MDAnalysis"):
        path.write_bytes(bytes(100))
        if importlib.util.find_spec("chemfiles"):
            pytest.skip("written by MDAnalysis in this test")
        with pytest.raises(InputError, match="need the package MDAnalysis"):
            open_trajectory([tmp_path / "run.gro", path], frame_interval_fs=1, types={"OW": "O"})
        return
    write_with_mdanalysis(path, fractional, cells)
    with pytest.raises(InputError, match=r"no elements in the file.*run.gro|no elements in the file.*system.gro"):
        open_trajectory(path, frame_interval_fs=1)
    trajectory = open_trajectory(
        [tmp_path / "run.gro", path], frame_interval_fs=2000 if suffix == "dcd" else None, types={"OW": "O"}
    )
    assert trajectory.frame_interval == pytest.approx(2000.0)
    # The length of a hop does not depend on how the program turns the cell.
    found = np.linalg.norm(positions_of(trajectory)[-1] - positions_of(trajectory)[0], axis=1)
    assert found == pytest.approx(np.linalg.norm(truth(fractional, cells)[-1], axis=1), abs=0.05)


def write_with_mdanalysis(path: Path, fractional, cells) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import MDAnalysis
        from MDAnalysis.lib.mdamath import triclinic_box

        universe = MDAnalysis.Universe.empty(len(SYMBOLS), trajectory=True)
        boxes = np.array([triclinic_box(*cell) for cell in cells])
        universe.load_new(folded(fractional) @ cells, order="fac", dimensions=boxes, dt=2.0)
        with MDAnalysis.Writer(str(path), len(SYMBOLS), dt=2.0) as writer:
            for _ in universe.trajectory:
                writer.write(universe.atoms)


def test_several_files_are_one_run(tmp_path: Path):
    """A restart repeats the last frame of the run before; the path goes on, also across a face of the cell."""
    fractional, cells = run()
    whole, first, second = (tmp_path / name for name in ("XDATCAR", "XDATCAR1", "XDATCAR2"))
    whole.write_text(xdatcar(fractional, cells, changing=False))
    first.write_text(xdatcar(fractional[:25], cells[:25], changing=False))
    for start in (24, 25):
        second.write_text(xdatcar(fractional[start:], cells[start:], changing=False))
        together = open_trajectory([first, second], frame_interval_fs=1)
        assert np.array_equal(positions_of(together), positions_of(open_trajectory(whole, frame_interval_fs=1)))


def test_every_other_frame_has_the_same_path(tmp_path: Path):
    fractional, cells = run(changing=True)
    (tmp_path / "XDATCAR").write_text(xdatcar(fractional, cells, changing=True))
    all_frames = positions_of(open_trajectory(tmp_path / "XDATCAR", frame_interval_fs=2))
    for every in (2, 7):
        thinned = open_trajectory(tmp_path / "XDATCAR", frame_interval_fs=2, every=every)
        assert thinned.frame_interval == 2 * every
        assert np.array_equal(positions_of(thinned), all_frames[::every])
    with pytest.raises(InputError, match="one frame of every 100"):
        positions_of(open_trajectory(tmp_path / "XDATCAR", frame_interval_fs=2, every=100))


def test_numbers_are_read_to_the_last_bit():
    words = [
        "0.12345678",
        "-1.5e-3",
        "+2",
        "1e22",
        "123456789012345",
        "0.000001",
        "-0",
        "7.",
        ".5",
        "1.25D+02",
        "1e-30",
    ]
    data = np.frombuffer((" ".join(words) + "\n").encode(), dtype=np.uint8)
    table = np.empty((1, len(words)))
    assert read_table(data, 0, np.arange(len(words)), table, np.zeros(0, dtype=np.int64)) == len(data)
    exact = [float(word.replace("D", "e")) for word in words]
    assert table[0, :-1].tolist() == exact[:-1]
    assert table[0, -1] == pytest.approx(exact[-1], rel=1e-15)
    rng = np.random.default_rng(0)
    numbers = rng.normal(0, 10, 300)
    data = np.frombuffer(("\n".join(f"{x:.16g}" for x in numbers) + "\n").encode(), dtype=np.uint8)
    table = np.empty((300, 1))
    read_table(data, 0, np.array([0]), table, np.zeros(0, dtype=np.int64))
    assert table[:, 0] == pytest.approx(numbers, rel=4e-16)
    assert hash_of("Li") != hash_of("La")


# What is wrong with a file, and what is said about it.


def whole_text(kind: str) -> str:
    fractional, cells = run()
    if kind == "XDATCAR":
        return xdatcar(fractional, cells, changing=False)
    if kind == "vasprun.xml":
        return vasprun(fractional, cells)
    if kind == "dump":
        return lammps(fractional, cells, "id type element x y z", header="yes")
    frames = []
    for place in folded(fractional):
        rows = "".join(
            f"{s} {x:.8f} {y:.8f} {z:.8f}\n" for s, (x, y, z) in zip(SYMBOLS, place @ CELL, strict=True)
        )
        lattice = " ".join(f"{x:.6f}" for x in CELL.ravel())
        frames.append(f'{len(SYMBOLS)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"\n{rows}')
    return "".join(frames)


#: What the frames of a format begin with.
BEGINNINGS = {"XDATCAR": "Direct", "vasprun.xml": "<structure>", "dump": "ITEM: TIMESTEP", "run.xyz": "Lattice"}
KINDS = list(BEGINNINGS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_torn_last_frame_of_a_killed_run_is_dropped_with_a_warning(tmp_path: Path, kind):
    text, path = whole_text(kind), tmp_path / kind
    path.write_text(text)
    complete = positions_of(open_trajectory(path, frame_interval_fs=1))
    rng = np.random.default_rng(6)
    for cut in [*rng.integers(len(text) // 2, len(text) - 3, 12), len(text) - len(text) // FRAMES // 2]:
        path.write_text(text[:cut])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = positions_of(open_trajectory(path, frame_interval_fs=1))
        torn = [w for w in told if issubclass(w.category, TrajectoryWarning)]
        assert len(found) == text[:cut].count(BEGINNINGS[kind]) or "ends within frame" in str(torn[0].message)
        assert FRAMES // 3 < len(found) <= FRAMES
        assert np.array_equal(found, complete[: len(found)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_before_its_second_frame_is_an_error(tmp_path: Path, kind):
    text, path = whole_text(kind), tmp_path / kind
    path.write_text(text[: text.find("\n", 200)])
    with pytest.raises(InputError):
        open_trajectory(path, frame_interval_fs=1)
    path.write_text("")
    with pytest.raises(InputError, match="empty file"):
        open_trajectory(path, frame_interval_fs=1)


def first_frames(kind: str, count: int) -> str:
    fractional, cells = (part[:count] for part in run())
    if kind == "XDATCAR":
        return xdatcar(fractional, cells, changing=False)
    if kind == "vasprun.xml":
        return vasprun(fractional, cells)
    if kind == "dump":
        return lammps(fractional, cells, "id type element x y z")
    return "".join(whole_text(kind).splitlines(keepends=True)[: 9 * count])


@pytest.mark.parametrize("kind", KINDS)
def test_one_frame_is_no_trajectory(tmp_path: Path, kind):
    (tmp_path / kind).write_text(first_frames(kind, 1))
    with pytest.raises(InputError, match="one frame; expected at least two frames"):
        open_trajectory(tmp_path / kind, frame_interval_fs=1)


@pytest.mark.parametrize(
    ("kind", "number"), [("XDATCAR", "nan"), ("dump", "-nan"), ("run.xyz", "NaN"), ("XDATCAR", "****")]
)
def test_a_position_that_is_no_number_is_named(tmp_path: Path, kind, number):
    lines = whole_text(kind).splitlines(keepends=True)
    row = {"XDATCAR": 7 + 8 * 40 + 3, "dump": 2 + 18 * 40 + 14, "run.xyz": 9 * 40 + 4}[kind]
    words = lines[row].split()
    lines[row] = " ".join([*words[:-1], number]) + "\n"
    (tmp_path / kind).write_text("".join(lines))
    trajectory = open_trajectory(tmp_path / kind, frame_interval_fs=1)
    with pytest.raises(InputError, match=r"frame 40: the position of atom \d is not a number"):
        positions_of(trajectory)


def test_atoms_that_change_are_an_error(tmp_path: Path):
    text = whole_text("dump")
    cases = {
        "dump": text.replace("ITEM: NUMBER OF ATOMS\n7", "ITEM: NUMBER OF ATOMS\n6", 60).replace(
            "OF ATOMS\n6", "OF ATOMS\n7", 30
        ),
        "dump-ids": re.sub(r"(ITEM: TIMESTEP\n4000\n(?:.*\n)*?)1 1 Li", r"\g<1>9 1 Li", text),
        "run.xyz": "".join([whole_text("run.xyz"), whole_text("run.xyz").replace("Zr", "Hf")]),
        "XDATCAR": whole_text("XDATCAR")
        + whole_text("XDATCAR").replace("     3     1     3", "     2     2     3"),
    }
    for name, content in cases.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=r"the atoms change|no row of numbers|no header where"):
            positions_of(open_trajectory(tmp_path / name, frame_interval_fs=1))
    one, two = tmp_path / "a.xyz", tmp_path / "b.xyz"
    one.write_text(whole_text("run.xyz"))
    two.write_text(whole_text("run.xyz").replace("Zr", "Hf"))
    with pytest.raises(InputError, match=r"the atoms change: Li3Hf1O3; expected .*Li3Zr1O3"):
        open_trajectory([one, two], frame_interval_fs=1)


def test_a_missing_cell_is_an_error(tmp_path: Path):
    (tmp_path / "run.xyz").write_text(re.sub('Lattice="[^"]*" ', "", whole_text("run.xyz")))
    with pytest.raises(InputError, match="no cell"):
        open_trajectory(tmp_path / "run.xyz", frame_interval_fs=1)
    write(tmp_path / "run.traj", [Atoms("Li2", positions=[[0, 0, 0], [3, 0, 0]])] * 3)
    with pytest.raises(InputError, match="no three-dimensional cell"):
        open_trajectory(tmp_path / "run.traj", frame_interval_fs=1)


def test_the_wrong_mobile_species_is_told_with_the_nearest(tmp_path: Path):
    (tmp_path / "run.xyz").write_text(whole_text("run.xyz"))
    with pytest.raises(InputError, match="no atom of Na; expected one of the elements Li, Zr, O"):
        open_trajectory(tmp_path / "run.xyz", frame_interval_fs=1, mobile="Na")
    with pytest.raises(InputError, match="Did you mean 'Li'"):
        open_trajectory(tmp_path / "run.xyz", frame_interval_fs=1, mobile="li")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "every"),
        ({"frame_interval_fs": -1}, "frame_interval"),
        ({"temperature_K": float("nan")}, "temperature"),
    ],
)
def test_impossible_options(tmp_path: Path, options, said):
    (tmp_path / "run.xyz").write_text(whole_text("run.xyz"))
    with pytest.raises(InputError, match=said):
        open_trajectory(tmp_path / "run.xyz", **{"frame_interval_fs": 1, **options})


def test_files_that_are_no_trajectories(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("Dear diary,\ntoday I moved\n")
    (tmp_path / "cut.traj").write_bytes(b"- of UlmASE-Trajectory" + bytes(30))
    (tmp_path / "cut.xml.gz").write_bytes(gzip.compress(whole_text("vasprun.xml").encode())[:200])
    for name, said in (
        ("notes.txt", "unknown format; expected VASP"),
        ("nothing.xyz", "no such file"),
        ("", "is a folder"),
        ("cut.traj", "cannot be read as an ASE trajectory"),
        ("cut.xml.gz", "empty file|unknown format|no list of atoms"),
    ):
        with pytest.raises(InputError, match=said):
            open_trajectory(tmp_path / name, frame_interval_fs=1)
    with pytest.raises(InputError, match="no file"):
        open_trajectory([])


def test_frames_in_another_order_are_noticed(tmp_path: Path):
    """A file without ids whose atoms change places cannot be unwrapped, and that is said."""
    fractional, cells = run()
    (tmp_path / "dump").write_text(lammps(fractional, cells, "element x y z", shuffle=True))
    with pytest.raises(InputError, match=r"the atoms change|frames too far apart|displacement"):
        positions_of(open_trajectory(tmp_path / "dump", frame_interval_fs=1))
    (tmp_path / "dump").write_text(lammps(fractional, cells, "element x y z", shuffle=False))
    check(open_trajectory(tmp_path / "dump", frame_interval_fs=1), fractional, cells, 1e-8)


def test_a_cut_traj_is_read_up_to_the_break_with_a_warning(tmp_path: Path):
    fractional, cells = run()
    path = tmp_path / "run.traj"
    write(path, atoms_of(fractional, cells, wrapped=True))
    data, complete = path.read_bytes(), positions_of(open_trajectory(path, frame_interval_fs=1))
    counts, refused = set(), []
    for cut in np.linspace(300, len(data) - 1, 60).astype(int):
        path.write_bytes(data[:cut])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found = positions_of(open_trajectory(path, frame_interval_fs=1))
            except InputError as error:
                refused.append((cut, str(error)))
                continue
        assert np.array_equal(found, complete[: len(found)])
        torn = [w for w in told if issubclass(w.category, TrajectoryWarning)]
        assert f"ends within frame {len(found)}" in str(torn[0].message)
        counts.add(len(found))
    assert len(counts) > 5
    # ASE keeps the table of frames behind frame 41: without it nothing is found
    assert max(cut for cut, _ in refused) < 0.75 * len(data)
    assert all("run.traj" in said for _, said in refused)
    middle = data.index(b'"positions."', len(data) // 2)
    path.write_bytes(data[:middle] + b"!" + data[middle + 1 :])
    with pytest.raises(InputError, match=r"frame \d+"):
        positions_of(open_trajectory(path, frame_interval_fs=1))


@pytest.mark.parametrize("kind", ["XDATCAR", "dump", "run.xyz"])
@pytest.mark.parametrize("repeated", [1, 2, 9, 25])
def test_files_that_overlap_are_one_run(tmp_path: Path, kind, repeated):
    """A killed run continued from its last checkpoint writes frames again."""
    fractional, cells = run()
    whole, first, second = (tmp_path / f"{name}-{kind}" for name in ("XDATCAR", "XDATCAR1", "XDATCAR2"))
    writer = {
        "XDATCAR": lambda f, c, _: xdatcar(f, c, changing=False),
        "dump": lambda f, c, start: re.sub(
            r"(?<=TIMESTEP\n)\d+", lambda m: str(int(m[0]) + 100 * start), lammps(f, c, "id type element x y z")
        ),
        "run.xyz": lambda f, c, _: "".join(first_xyz(f, c)),
    }[kind]
    whole.write_text(writer(fractional, cells, 0))
    first.write_text(writer(fractional[:25], cells[:25], 0))
    second.write_text(writer(fractional[25 - repeated :], cells[25 - repeated :], 25 - repeated))
    together = positions_of(open_trajectory([first, second], frame_interval_fs=1))
    assert np.array_equal(together, positions_of(open_trajectory(whole, frame_interval_fs=1)))


def first_xyz(fractional: np.ndarray, cells: np.ndarray) -> list[str]:
    lattice = " ".join(f"{x:.6f}" for x in cells[0].ravel())
    head = f'{len(SYMBOLS)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
    return [
        head + "".join(f"{s} {x:.8f} {y:.8f} {z:.8f}\n" for s, (x, y, z) in zip(SYMBOLS, p @ CELL, strict=True))
        for p in folded(fractional)
    ]


def test_a_restart_that_went_another_way_replaces_what_was_written_before(tmp_path: Path):
    """Steps tell where files overlap though positions differ a little; steps from 0 again tell nothing."""
    fractional, cells = run()
    other = fractional.copy()
    other[20:] += np.cumsum(np.random.default_rng(3).normal(0, 0.003, other[20:].shape), axis=0)
    text, again = (lammps(f, cells, "id type element x y z").split("ITEM: TIMESTEP") for f in (fractional, other))
    (tmp_path / "a").write_text("ITEM: TIMESTEP".join(text[:31]))
    (tmp_path / "b").write_text("ITEM: TIMESTEP".join(["", *again[21:]]))
    check(open_trajectory([tmp_path / "a", tmp_path / "b"], frame_interval_fs=1), other, cells, 1e-8)
    for first in (0, 100):
        renumbered = re.sub(
            r"(?<=TIMESTEP\n)\d+",
            lambda m, first=first: str(int(m[0]) - 3000 + first),
            "ITEM: TIMESTEP".join(["", *text[31:]]),
        )
        (tmp_path / "b").write_text(renumbered)
        check(open_trajectory([tmp_path / "a", tmp_path / "b"], frame_interval_fs=1), fractional, cells, 1e-8)
