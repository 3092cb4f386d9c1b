"""Labelled frames of a dear level from Langevin dynamics at several temperatures, and their packing.

    python benchmarks/make_lzon_frames.py run RAW.extxyz --temperatures 600 800 1000 1200 --frames 40 --seed 0
    python benchmarks/make_lzon_frames.py pack RAW.extxyz [RAW.extxyz …] [--out FRAMES.extxyz.gz]

`run` takes all temperatures in turn, so that it can be ended at any time (about a second a step with CHGNet).
`pack` leaves out the first frames of each trajectory, rounds, and sorts by trajectory; every raw file is a run.
"""

from __future__ import annotations

import argparse
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixCom
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from lzon_frames import DATA, atoms_of_frames

from ionscape.levels.registry import Level

#: Time step and time between frames, fs; friction of the Langevin forces, 1/fs.
TIMESTEP, INTERVAL, FRICTION = 2.0, 40.0, 0.02
#: Frames at the beginning of a trajectory that are left out.
EQUILIBRATION = 3
#: Decimals of positions (Å), forces (eV/Å), energy (eV) and stress (eV/Å³) that are kept.
DECIMALS = {"positions": 5, "forces": 4, "energy": 5, "stress": 7}


def main() -> None:
    """Make or pack frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    one = tasks.add_parser("run")
    one.add_argument("raw", type=Path)
    one.add_argument("--start", type=Path, help="structure to start from; else the first packed frame")
    one.add_argument("--level", default="chgnet")
    one.add_argument("--temperatures", type=float, nargs="+", default=[600, 800, 1000, 1200])
    one.add_argument("--frames", type=int, default=40)
    one.add_argument("--seed", type=int, default=0)
    two = tasks.add_parser("pack")
    two.add_argument("raw", type=Path, nargs="+")
    two.add_argument("--level", default="chgnet 0.3.0", help="what to write as the level of the labels")
    two.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args()
    if options.task == "run":
        run(options)
    else:
        pack(options.raw, options.level, options.out)


def run(options: argparse.Namespace) -> None:
    """Append frames of all temperatures in turn to the raw file."""
    start = read(options.start) if options.start else atoms_of_frames()[0]
    calculator = Level.of(options.level).own_calculator(1)
    trajectories = []
    for number, temperature in enumerate(options.temperatures):
        atoms = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True, calculator=calculator)
        atoms.set_constraint(FixCom())
        rng = np.random.default_rng([options.seed, number])
        thermalize_momenta(atoms, temperature_K=temperature, rng=rng)
        langevin = Langevin(
            atoms,
            TIMESTEP * units.fs,
            temperature_K=temperature,
            friction=FRICTION / units.fs,
            rng=rng,
            fixcm=False,
        )
        trajectories.append((temperature, atoms, langevin))
    steps = round(INTERVAL / TIMESTEP)
    for frame in range(options.frames):
        for temperature, atoms, langevin in trajectories:
            langevin.run(steps)
            one = labelled(atoms, atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress())
            one.info |= {"temperature_K": temperature, "step": (frame + 1) * steps}
            write(options.raw, one, format="extxyz", append=True)


def pack(raw: list[Path], level: str, out: Path) -> None:
    """Write the frames of raw files, sorted by run, temperature and time, rounded."""
    kept = []
    for number, path in enumerate(raw):
        frames = read(path, index=":")
        for temperature in sorted({frame.info["temperature_K"] for frame in frames}):
            one = [frame for frame in frames if frame.info["temperature_K"] == temperature]
            for frame in one[EQUILIBRATION:]:
                results = frame.calc.results
                packed = labelled(frame, results["energy"], results["forces"], frame.get_stress())
                told = {"run": number, "temperature_K": temperature, "time_fs": frame.info["step"] * TIMESTEP}
                packed.info |= told | {"level": level}
                kept.append(packed)
    text = io.StringIO()
    write(text, kept, format="extxyz")
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    print(f"{len(kept)} frames, {out.stat().st_size / 1e6:.2f} MB: {out}")


def labelled(atoms: Any, energy: float, forces: np.ndarray, stress: np.ndarray) -> Atoms:
    """Return the bare atoms with rounded places and labels."""
    bare = Atoms(atoms.symbols, np.round(atoms.positions, DECIMALS["positions"]), cell=atoms.cell, pbc=True)
    labels: dict[str, Any] = {"energy": energy, "forces": forces, "stress": stress}
    bare.calc = SinglePointCalculator(bare, **{name: np.round(labels[name], DECIMALS[name]) for name in labels})
    return bare


if __name__ == "__main__":
    main()
