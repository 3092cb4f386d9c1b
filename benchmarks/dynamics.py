"""Molecular dynamics with CHGNet: whether the energy stays, what a step costs, and what of it is ours.

NVE (velocity Verlet) of the packaged Li6Zr2O7 in its primitive cell. The drift is the slope of the total energy
over the production. Beside it the level alone is timed on the recorded frames, in the same run.

    python benchmarks/dynamics.py [--time-ps 0.5] [--temperature-K 600] [--level chgnet]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure
from record import record

from ionscape.dynamics.averages import run_averages
from ionscape.dynamics.recording import record_blocks, start_positions
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import PRODUCTION, simulate
from ionscape.levels.registry import Level
from ionscape.structures.exchange import to_atoms
from ionscape.study.engine import available_cores
from ionscape.study.inputs import packaged_phase

#: Largest drift that is accepted, eV/atom/ps.
ACCEPTED = 1e-5


def main() -> int:
    """Run, print the table, write the record; return 0 if the drift is accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", default="Li6Zr2O7")
    parser.add_argument("--time-ps", type=float, default=0.5)
    parser.add_argument("--equilibration-ps", type=float, default=0.1)
    parser.add_argument("--temperature-K", type=float, default=600.0)
    parser.add_argument("--level", default="chgnet")
    options = parser.parse_args()
    structure = packaged_phase(options.phase).structure().get_primitive_structure()
    settings = DynamicsSettings(
        ensemble="nve",
        temperature_K=options.temperature_K,
        equilibration_ps=options.equilibration_ps,
        production_ps=options.time_ps,
        frame_interval_fs=1.0,
    )
    calculator = Level.of(options.level).own_calculator(available_cores())
    with tempfile.TemporaryDirectory() as folder:
        end = simulate(structure, calculator, settings, Path(folder), options.level)
        averages = run_averages(Path(folder) / PRODUCTION)
        alone = ms_alone(structure, calculator, Path(folder) / PRODUCTION)
    results = {
        "phase": options.phase,
        "atoms": len(structure),
        "steps": end.steps,
        "stopped": end.stopped,
        "mean_temperature_K": None if averages is None else round(averages.temperature, 1),
        "drift_eV_per_atom_per_ps": end.drift,
        "ms_per_step": round(end.ms_per_step, 2),
        "ms_of_the_level_alone": round(alone, 2),
    }
    for name, value in results.items():
        print(f"{name:30s} {value}")
    print(f"written: {record('dynamics', results)}")
    return 0 if end.drift is not None and abs(end.drift) < ACCEPTED and not end.stopped else 1


def ms_alone(structure: Structure, calculator: Any, path: Path, frames: int = 20) -> float:
    """Return the median time of an evaluation of recorded frames by the level alone, ms."""
    atoms, seconds = to_atoms(structure), []
    atoms.calc = calculator
    shifts = np.concatenate([block["shift"] for block in record_blocks(path)])[:frames]
    for shift in shifts:
        atoms.set_positions(start_positions(path) + shift)
        started = time.perf_counter()
        atoms.get_forces()
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds))


if __name__ == "__main__":
    raise SystemExit(main())
