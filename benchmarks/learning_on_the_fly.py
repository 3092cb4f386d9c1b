"""Learning on the fly: calls of the dear level in 100 ps of dynamics, and errors on dear frames of that run.

    OMP_NUM_THREADS=1 python benchmarks/learning_on_the_fly.py [--seed 1] [--out DIR] [--part 1.0]

Li52Zr16O52N4 (124 atoms) at 1000 K and zero pressure, CHGNet as the dear level, default settings: 2 ps of
equilibration and 98 ps of production, 1 fs a step. Then frames at even distances of the production, none of which
was taught, are labelled by the dear level and compared with the last potential. Goes on after an interruption if
--out names a folder. --part shortens the run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ase import Atoms
from entries import merge, peak_memory_GB, rounded
from lzon_frames import atoms_of_frames

from ionscape.dynamics.learned import LearnedRun, simulate_learning
from ionscape.dynamics.recording import read_header, record_blocks, start_positions
from ionscape.dynamics.runs import RunRequest, SimulatedRun
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.levels.registry import Level
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.gate import GateSettings, score_run
from ionscape.potential.model_file import write_model
from ionscape.results import to_json
from ionscape.structures.exchange import to_structure

NAME = "learning_on_the_fly"
TEMPERATURE, EQUILIBRATION, PRODUCTION = 1000.0, 2.0, 98.0
#: Frames of the production that are labelled afterwards.
FRAMES = 60


def main() -> None:
    """Run, label, compare; print the entry and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        entry = measured(options.seed, options.part, options.out or Path(made))
    print(json.dumps(entry, indent=1))
    print(merge(NAME, {f"seed {options.seed}": entry}))


def measured(seed: int, part: float, folder: Path) -> dict[str, Any]:
    """Return calls, time, and errors of one run."""
    start = atoms_of_frames()[0]
    atoms = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True)
    settings = DynamicsSettings(
        ensemble="npt",
        temperature_K=TEMPERATURE,
        equilibration_ps=part * EQUILIBRATION,
        production_ps=part * PRODUCTION,
        frame_interval_fs=50.0,
        seed=seed,
    )
    level = Level.of("chgnet")
    folder.mkdir(parents=True, exist_ok=True)
    began, busy = time.perf_counter(), time.process_time()
    learned = simulate_learning(RunRequest(to_structure(atoms), level, settings), LearningSettings(), folder, 1)
    seconds = time.perf_counter() - began, time.process_time() - busy
    write_model(learned.model, folder / "model.sgpr")
    return {
        "atoms": len(atoms),
        "temperature_K": TEMPERATURE,
        "steps": learned.run.steps,
        "dear_calls": len(learned.dear_steps),
        "dear_steps": list(learned.dear_steps),
        "inducing": learned.model.n_inducing,
        "wall_s": round(seconds[0], 1),
        "processor_s": round(seconds[1], 1),
        "peak_GB": peak_memory_GB(),
        "before_taught": rounded(learned.errors),
        **told(learned),
        "held_out": held_out(learned, level),
    }


def told(learned: LearnedRun) -> dict[str, Any]:
    """Return how the run ended, and how its energy drifts."""
    if not isinstance(learned.run, SimulatedRun):
        return {"stopped": learned.run.stopped}
    return {"drift_eV_per_atom_per_ps": learned.run.drift}


def held_out(learned: LearnedRun, level: Level) -> dict[str, Any]:
    """Return the errors of the last potential on dear frames of the production that it was not taught."""
    frames = frames_of(learned.run.trajectory)
    found = score_run(
        learned.model, frames, level.own_calculator(1), GateSettings(frames=min(FRAMES, len(frames)))
    )
    return to_json(found) | {"passes_its_gate": found.passed}


def frames_of(trajectory: Path) -> list[Atoms]:
    """Return the frames of a production as ASE Atoms."""
    header, start = read_header(trajectory), start_positions(trajectory)
    return [
        Atoms(header.symbols, positions=start + record["shift"], cell=record["cell"], pbc=True)
        for block in record_blocks(trajectory)
        for record in block
    ]


if __name__ == "__main__":
    main()
