"""A potential for Li6Zr2O7 that density-functional theory taught on the fly; and CHGNet on the same frames.

    OMP_NUM_THREADS=1 python benchmarks/gpaw_taught.py [--folder DIR] [--time-ps 2] [--held-out 10]

Needs `make install-dft`. The primitive cell (30 atoms) is run at 600 K, its volume fixed, on a sparse-GP potential
that asks GPAW where it is not sure. Then frames from the whole length of the production, none of which was taught,
are labelled by GPAW. The errors of the potential on them, and of CHGNet on all frames, are written to
results/gpaw_taught.json, and the potential beside it. What is labelled stays in DIR: the same command continues.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from record import FOLDER, record

from ionscape.dynamics.learned import simulate_learning
from ionscape.dynamics.recording import read_header, record_blocks, start_positions
from ionscape.dynamics.runs import RunRequest
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.levels.comparison import compare_levels
from ionscape.levels.evaluation import evaluate_frames
from ionscape.levels.registry import Level
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.frames import labelled_frames
from ionscape.potential.gate import GateSettings, score, spread_out
from ionscape.potential.held_out import tested
from ionscape.potential.model_file import write_model
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import train
from ionscape.study.inputs import structure_named

NAME = "gpaw_taught"
#: Cheap, and said so: the forces of a frame differ from those of larger settings by what `convergence` measures.
DFT = {"cutoff_eV": 400.0, "kpoints": [2, 2, 1], "kpoint_scheme": "monkhorst-pack"}
BETTER = {"cutoff_eV": 600.0, "kpoints": [3, 3, 2], "kpoint_scheme": "gamma"}
TRAINING = {"inducing": 600}


def main() -> None:
    """Run all stages that are not done yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/gpaw-taught"))
    parser.add_argument("--time-ps", type=float, default=2.0)
    parser.add_argument("--held-out", type=int, default=10)
    parser.add_argument("--convergence", action="store_true", help="one frame at larger settings too (minutes)")
    asked = parser.parse_args()
    started = time.process_time()
    learned = simulate_learning(_request(asked.time_ps), _learning(), asked.folder, 1)
    held = _held_out(learned.run.trajectory, asked.folder / "held-out.extxyz", asked.held_out)
    taught = read(learned.frames, index=":")
    results: dict[str, Any] = {
        "dft": {**DFT, "level": Level.of("gpaw", DFT).identity()},
        "run": {
            "atoms": len(taught[0]),
            "temperature_K": 600.0,
            "time_ps": asked.time_ps,
            "steps": learned.run.steps,
        },
        "dear_calls": len(learned.dear_steps),
        "dear_steps": list(learned.dear_steps),
        "potential": _scored(taught, held, asked.folder),
        "chgnet": _chgnet([*taught, *held]),
        "cpu_seconds_of_this_call": round(time.process_time() - started),
    }
    if asked.convergence:
        results["convergence"] = _convergence(held[0])
    print(record(NAME, results))


def _request(time_ps: float) -> RunRequest:
    cell = structure_named("phase:Li6Zr2O7").get_primitive_structure()
    motion = DynamicsSettings(
        ensemble="nvt", temperature_K=600.0, equilibration_ps=0.1, production_ps=time_ps, mobile=("Li",)
    )
    return RunRequest(cell, Level.of("gpaw", DFT), motion)


def _learning() -> LearningSettings:
    return LearningSettings(training=TrainingSettings(**TRAINING))


def _held_out(trajectory: Path, file: Path, count: int) -> list[Any]:
    """Return frames of the production labelled by GPAW; each is kept as soon as it is there."""
    frames = _frames(trajectory)
    done = read(file, index=":") if file.is_file() else []
    calculator = Level.of("gpaw", DFT).own_calculator(1)
    for index in spread_out(len(frames), count)[len(done) :]:
        atoms = frames[int(index)].copy()
        atoms.calc = calculator
        labels = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info = {"level": "gpaw", "frame": int(index)}
        done.append(atoms)
        write(file, done)
    return done


def _frames(trajectory: Path) -> list[Atoms]:
    header, start = read_header(trajectory), start_positions(trajectory)
    records = [record for block in record_blocks(trajectory) for record in block]
    return [Atoms(header.symbols, start + one["shift"], cell=one["cell"], pbc=True) for one in records]


def _scored(taught: list[Any], held: list[Any], folder: Path) -> dict[str, Any]:
    """Fit all taught frames at once, test on the held-out ones, and write the model."""
    model = train(labelled_frames(taught, "taught"), TrainingSettings(**TRAINING, held_out=0.0))
    frames = labelled_frames(held, "held out")
    model, _, calibration = tested(model, frames)
    gate = score(model, frames, GateSettings(frames=len(frames)))
    write_model(model, FOLDER / f"{NAME}.sgpr")
    return {
        "taught": len(taught),
        "held_out": len(held),
        "n_inducing": model.n_inducing,
        "model_kB": round((FOLDER / f"{NAME}.sgpr").stat().st_size / 1000),
        "errors": dict(model.provenance.errors),
        "softening": gate.softening,
        "rank_correlation": calibration.rank_correlation,
        "gate_failures": list(gate.failures),
        "folder": folder.name,
    }


def _chgnet(frames: list[Any]) -> dict[str, Any]:
    """Return how CHGNet compares with GPAW on all frames, as `ionscape calibrate` tells it."""
    cheap, _ = evaluate_frames(frames, Level.of("chgnet").calculator(1))
    return dataclasses.asdict(compare_levels(cheap, frames))


def _convergence(frame: Any) -> dict[str, Any]:
    """Return how far the forces of one frame are from those of larger settings."""
    atoms = frame.copy()
    atoms.calc = Level.of("gpaw", BETTER).own_calculator(1)
    difference = atoms.get_forces() - frame.calc.results["forces"]
    return {
        "settings": BETTER,
        "force_mae_eV_per_A": float(np.abs(difference).mean()),
        "force_max_eV_per_A": float(np.abs(difference).max()),
        "mean_force_eV_per_A": float(np.abs(atoms.get_forces()).mean()),
    }


if __name__ == "__main__":
    main()
