"""Well-formed inputs of every kind that commands read: what the corpus of malformed ones is made of."""

from __future__ import annotations

import functools
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from pymatgen.core import Lattice, Structure

for _folder in ("electronic", "potential"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _folder))

CELL = np.array([[5.2, 0.3, 0.0], [0.1, 3.7, 0.2], [0.0, 0.4, 3.6]])
ORDER = ["Cu", "Cu", "Au", "Cu"]
PLACES = np.array([[0.01, 0.0, 0.0], [0.26, 0.5, 0.5], [0.5, 0.02, 0.0], [0.76, 0.5, 0.49]])

STUDY = """
[study]
name = "toy"
seed = 1

[host]
structure = "phase:Li2O"

[levels.cheap]
name = "ase.calculators.emt:EMT"

[relaxation]
fmax_eV_per_A = 0.05

[doping]
supercell = [1, 1, 1]
samples = 20
keep = 1

[[doping.routes]]
name = "N on O"
replace = { O = "N" }
insert = { Li = 1 }
counts = [1]
"""


def alloy(places: np.ndarray = PLACES) -> Atoms:
    """Return four atoms of Cu and Au in a triclinic cell."""
    return Atoms(ORDER, scaled_positions=places, cell=CELL, pbc=True)


def labelled(count: int = 12) -> list[Atoms]:
    """Return rattled frames with the results of an effective-medium potential."""
    rng, frames = np.random.default_rng(3), []
    for _ in range(count):
        atoms = alloy(PLACES + rng.normal(0, 0.01, PLACES.shape))
        atoms.calc = EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def run(count: int = 40) -> list[Atoms]:
    """Return a run of Li in a frame of O: a walk of the ions in a triclinic cell, ten femtoseconds a frame."""
    rng = np.random.default_rng(5)
    cell = np.array([[6.0, 0.5, 0.0], [0.0, 6.2, 0.4], [0.3, 0.0, 5.9]])
    start = np.array([[x, y, z] for x in (0, 0.5) for y in (0, 0.5) for z in (0, 0.5)]) + 0.1
    places, frames = start.copy(), []
    for number in range(count):
        places[:4] += rng.normal(0, 0.02, (4, 3))
        shaken = places + np.r_[np.zeros((4, 3)), rng.normal(0, 0.002, (4, 3))]
        atoms = Atoms("Li4O4", scaled_positions=shaken % 1.0, cell=cell, pbc=True)
        atoms.info["time"] = 10.0 * number
        frames.append(atoms)
    return frames


def written(atoms: Any, format_: str, **options: Any) -> bytes:
    """Return the file that ASE writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        write(path, atoms, format=format_, **options)
        return path.read_bytes()


def cif() -> bytes:
    """Return a CIF of the alloy, P1."""
    return structure().to(fmt="cif").encode()


def structure() -> Structure:
    """Return the alloy for pymatgen."""
    return Structure(CELL, ORDER, PLACES)


def structure_json() -> bytes:
    """Return the alloy as pymatgen's JSON."""
    return json.dumps(structure().as_dict()).encode()


def poscar(first: int = 0, last: int = 4) -> bytes:
    """Return a POSCAR of the alloy, or of some of its atoms: three of Cu, then one of Au."""
    chosen = [0, 1, 3, 2][first:last]
    rows = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in PLACES[chosen])
    kinds = {name: [ORDER[k] for k in chosen].count(name) for name in ("Cu", "Au")}
    names, counts = zip(*((name, str(count)) for name, count in kinds.items() if count), strict=True)
    cell = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in CELL)
    return f"alloy\n1.0\n{cell}\n{' '.join(names)}\n{' '.join(counts)}\nDirect\n{rows}\n".encode()


def extxyz() -> bytes:
    """Return one frame as extended XYZ."""
    return written(alloy(), "extxyz")


def traj() -> bytes:
    """Return one frame as ASE's .traj."""
    return written(alloy(), "traj")


def frames_extxyz() -> bytes:
    """Return labelled frames as extended XYZ."""
    return written(labelled(), "extxyz")


def frames_traj() -> bytes:
    """Return labelled frames as ASE's .traj."""
    return written(labelled(), "traj")


def run_extxyz() -> bytes:
    """Return a run as extended XYZ."""
    return written(run(), "extxyz")


def run_traj() -> bytes:
    """Return a run as ASE's .traj."""
    return written(run(), "traj")


def run_xdatcar() -> bytes:
    """Return a run as XDATCAR."""
    return written(run(), "vasp-xdatcar")


def run_dump() -> bytes:
    """Return a run as a LAMMPS dump of a triclinic cell."""
    parts = []
    for step, atoms in enumerate(run()):
        rows = "\n".join(
            f"{i + 1} {symbol} {x:.6f} {y:.6f} {z:.6f}"
            for i, (symbol, (x, y, z)) in enumerate(
                zip(atoms.get_chemical_symbols(), atoms.get_scaled_positions(), strict=True)
            )
        )
        parts.append(
            f"ITEM: TIMESTEP\n{step * 10}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n"
            "ITEM: BOX BOUNDS xy xz yz pp pp pp\n0.0 6.3 0.3\n0.0 6.6 0.0\n0.0 5.9 0.4\n"
            f"ITEM: ATOMS id element xs ys zs\n{rows}\n"
        )
    return "".join(parts).encode()


def run_vasprun() -> bytes:
    """Return a run as vasprun.xml."""
    steps = []
    for atoms in run():
        basis = "".join(f"<v>{' '.join(f'{x:.6f}' for x in row)}</v>\n" for row in atoms.cell.array)
        rows = "".join(f"<v>{' '.join(f'{x:.6f}' for x in row)}</v>\n" for row in atoms.get_scaled_positions())
        steps.append(
            f'<calculation><structure><crystal><varray name="basis">\n{basis}</varray></crystal>'
            f'<varray name="positions">\n{rows}</varray></structure>'
            '<energy><i name="e_0_energy"> -10.0 </i></energy></calculation>\n'
        )
    ions = "".join(f"<rc><c>{s} </c><c>1</c></rc>\n" for s in run(1)[0].get_chemical_symbols())
    first = steps[0][steps[0].index("<structure>") : steps[0].index("</structure>")].replace(
        "<structure>", '<structure name="initialpos">'
    )
    return (
        '<?xml version="1.0"?>\n<modeling>\n<incar><i name="POTIM"> 10.0</i><i name="IBRION"> 0</i>'
        '<i name="TEBEG"> 600.0</i></incar>\n'
        f'<atominfo><array name="atoms"><set>\n{ions}</set></array></atominfo>\n{first}</structure>\n'
        f"{''.join(steps)}</modeling>\n"
    ).encode()


def run_h5md() -> bytes:
    """Return a run as H5MD."""
    import h5py

    frames = run()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("h5md")
        group = file.create_group("particles/all")
        group["position/value"] = np.array([one.positions for one in frames])
        group["position/time"] = np.arange(len(frames)) * 10.0
        group["position/time"].attrs["unit"] = "fs"
        group["species"] = frames[0].numbers
        group["box/edges"] = frames[0].cell.array
    return buffer.getvalue()


def run_recorded() -> bytes:
    """Return a run as ionscape records it."""
    from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader

    frames = run()
    header = RunHeader(
        symbols=tuple(frames[0].get_chemical_symbols()),
        masses=frames[0].get_masses(),
        frame_interval=10.0,
        temperature=600.0,
        ensemble="nvt",
        level="toy",
        seed=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.mdt"
        with Recorder.create(path, header, frames[0].positions) as recorder:
            for number, atoms in enumerate(frames):
                recorder.append(
                    RecordedFrame(atoms.positions, atoms.cell.array, -1.0 - 0.001 * number, 600.0, 0.0)
                )
        return path.read_bytes()


def cube() -> bytes:
    """Return a density on a grid of the alloy as a cube file."""
    values = np.random.default_rng(1).random((6, 5, 4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.cube"
        write(path, alloy(), format="cube", data=values)
        return path.read_bytes()


def crystal_of_cube() -> bytes:
    """Return the crystal of the cube file, to as many digits."""
    from ase.io.cube import read_cube

    return written(read_cube(io.StringIO(cube().decode()))["atoms"], "extxyz")


def chgcar(first: int = 0, last: int = 4) -> bytes:
    """Return a density on a grid of the alloy, or of some of its atoms, as CHGCAR."""
    values = np.random.default_rng(1).random(120) * 68
    lines = [" ".join(f"{x:.5E}" for x in values[k : k + 5]) for k in range(0, 120, 5)]
    return poscar(first, last) + ("\n 6 5 4\n" + "\n".join(lines) + "\n").encode()


def states_vasprun() -> bytes:
    """Return a vasprun.xml with projected states."""
    from vasprun_text import vasprun

    crystal = Structure(Lattice.cubic(4.2), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    energies = np.linspace(-5, 5, 21)
    values = np.abs(np.random.default_rng(2).normal(size=(2, 2, 9, 21)))
    values[..., (energies > 0) & (energies < 2)] = 0.0
    levels = np.tile(np.array([-4.0, -2.0, -0.5, 2.5, 4.0]), (2, 1))
    return vasprun(crystal, energies, values, levels, 0.5).encode()


def transport_json(kelvin: float = 600.0, value: float = 1e-6) -> dict[str, Any]:
    """Return what `ionscape transport` writes of one run."""
    return {
        "temperature_K": kelvin,
        "D_cm2_per_s": {"value": value, "low95": 0.8 * value, "high95": 1.2 * value},
        "squared_charge_density_e2_per_A3": 0.02,
        "n_ions": 16,
        "n_frames": 1000,
        "run_time_ps": 100.0,
        "diffusive_from_ps": 1.0,
        "group_size": 1.0,
        "hops_per_ion": 5.0,
    }


def runs_json() -> bytes:
    """Return the results of runs at three temperatures."""
    return json.dumps([transport_json(t, 1e-3 * np.exp(-3000 / t)) for t in (600.0, 800.0, 1000.0)]).encode()


def entries_json() -> bytes:
    """Return entries of the system Li-O."""
    from pymatgen.core.entries import ComputedEntry

    energies = {"Li": -1.9, "O2": -9.8, "Li2O": -14.3, "Li2O2": -19.0}
    return json.dumps([ComputedEntry(name, energy).as_dict() for name, energy in energies.items()]).encode()


@functools.cache
def model_file() -> bytes:
    """Return the file of a small potential."""
    from made_frames import model

    from ionscape.potential.model_file import write_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.sgp"
        write_model(model(inducing=10, taught=4), path)
        return path.read_bytes()


@functools.cache
def study_folder() -> dict[str, bytes]:
    """Return the files of a study that was run at a toy level, by their paths."""
    from ionscape.study.progress import Progress
    from ionscape.study.runner import RunOptions, run_study

    levels = Path(__file__).parents[1] / "study"
    sys.path.insert(0, str(levels))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s.toml").write_bytes(toy_study())
        (folder / "toy_levels.py").write_bytes((levels / "toy_levels.py").read_bytes())
        options = RunOptions(out=folder / "out", engine="process", stages=("doping",))
        run_study(folder / "s.toml", options, Progress())
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def toy_study() -> bytes:
    """Return a study at a toy level that takes a second."""
    text = STUDY.replace("ase.calculators.emt:EMT", "toy_levels:SoftSpheres")
    return (
        text.replace("fmax_eV_per_A = 0.05", 'move = "positions"\nfmax_eV_per_A = 0.1')
        .replace("[doping]", '[voids]\nmethod = "geometric"\n\n[doping]')
        .encode()
    )


def study() -> bytes:
    """Return a study file."""
    return STUDY.encode()


@functools.cache
def cached(maker: Callable[[], bytes]) -> bytes:
    """Return what `maker` makes, made once."""
    return maker()
