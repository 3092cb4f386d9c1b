"""Long dynamics with the sparse-GP potential: whether energy stays in NVE, and whether NPT runs hold.

    OMP_NUM_THREADS=1 python benchmarks/potential_stability.py [--only NAME …] [--model FILE] [--part 1.0]

Trained on the 144 frames of `lzon_frames` with the default settings, then run in compiled dynamics: NVE at 1000 K
for 100 ps in both precisions; NPT at 300 K for 500 ps and at 1200 K for 100 ps, three seeds each. Every run is a
process of its own and is merged into the result file with its series (means over blocks), smallest distances and
wall time.
--part shortens all runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from entries import each_alone, merge
from lzon_frames import atoms_of_frames, divided

from ionscape.dynamics.averages import run_averages
from ionscape.dynamics.recording import record_blocks, start_positions
from ionscape.dynamics.settings import DynamicsSettings, Ensemble
from ionscape.dynamics.simulate import PRODUCTION, RunEnd, simulate
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.evaluation import Precision
from ionscape.potential.model import SparseModel
from ionscape.potential.model_file import read_model, write_model
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import train
from ionscape.structures.exchange import to_structure
from ionscape.units import GPA_PER_EV_PER_A3

NAME = "potential_stability"
#: Largest drift that is accepted in NVE, eV/atom/ps.
ACCEPTED = 1e-5
#: Points of the series that are kept, and frames that are looked at for distances.
POINTS, LOOKS = 200, 250


@dataclass(frozen=True)
class Run:
    """What is run."""

    ensemble: Ensemble
    temperature_K: float
    production_ps: float
    equilibration_ps: float
    seed: int
    precision: Precision = "single"


RUNS = {
    "nve 1000 K single": Run("nve", 1000, 100, 10, 0),
    "nve 1000 K double": Run("nve", 1000, 100, 10, 0, "double"),
    **{f"npt 300 K seed {seed}": Run("npt", 300, 500, 20, seed) for seed in range(3)},
    **{f"npt 1200 K seed {seed}": Run("npt", 1200, 100, 10, seed) for seed in range(3)},
}


def main() -> int:
    """Run what was asked for, write the record; return 0 if all held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--model", type=Path, help="model file; else one is trained")
    parser.add_argument("--part", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.model or trained(Path(folder) / "model")
        if len(options.only) > 1:
            held = each_alone(__file__, options.only, "--model", str(path), "--part", str(options.part))
            return 0 if held else 1
        (name,) = options.only
        entry = run(RUNS[name], read_model(path), options.part, Path(folder))
    print(name, json.dumps({key: value for key, value in entry.items() if key != "series"}, indent=1))
    print(merge(NAME, {name: entry}))
    return 0 if entry["held"] else 1


def trained(path: Path) -> Path:
    """Train on the 144 frames and write the model."""
    write_model(train(divided("every_fifth")[0], TrainingSettings(held_out=0.0)), path)
    return path


def run(asked: Run, model: SparseModel, part: float, folder: Path) -> dict[str, Any]:
    """Make one run; return how it went."""
    start = atoms_of_frames()[0]
    atoms = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True)
    settings = DynamicsSettings(
        ensemble=asked.ensemble,
        temperature_K=asked.temperature_K,
        production_ps=part * asked.production_ps,
        equilibration_ps=part * asked.equilibration_ps,
        frame_interval_fs=50.0,
        seed=asked.seed,
    )
    calculator = PotentialCalculator(model, CalculatorSettings(precision=asked.precision))
    began = time.perf_counter()
    end = simulate(to_structure(atoms), calculator, settings, folder, "sgpr")
    seconds = time.perf_counter() - began
    drifts = end.drift is not None and abs(end.drift) >= ACCEPTED
    return {
        **vars(asked),
        "simulated_ps": part * asked.production_ps,
        "atoms": len(atoms),
        "held": not end.stopped and not (asked.ensemble == "nve" and drifts),
        "stopped": end.stopped,
        "wall_s": round(seconds, 1),
        "ms_per_step": round(1000 * seconds / end.steps, 4),
        "drift_eV_per_atom_per_ps": end.drift,
        **seen(folder / PRODUCTION, atoms, end),
    }


def seen(path: Path, atoms: Atoms, end: RunEnd) -> dict[str, Any]:
    """Return means, smallest distances and series of the production."""
    averages = run_averages(path)
    if averages is None or end.stopped:
        return {}
    blocks = list(record_blocks(path))
    cells = np.concatenate([block["cell"] for block in blocks])
    shifts = np.concatenate([block["shift"] for block in blocks])
    values = {
        "energy_eV_per_atom": np.concatenate([block["energy"] for block in blocks]) / len(atoms),
        "temperature_K": np.concatenate([block["temperature"] for block in blocks]),
        "volume_A3": np.abs(np.linalg.det(cells)),
    }
    chosen = np.linspace(0, len(cells) - 1, min(LOOKS, len(cells))).astype(int)
    origin = start_positions(path)
    return {
        "mean_temperature_K": round(averages.temperature, 2),
        "mean_volume_A3": round(averages.volume, 2),
        "mean_energy_eV_per_atom": round(averages.energy / len(atoms), 6),
        "mean_pressure_GPa": round(averages.pressure * GPA_PER_EV_PER_A3, 4),
        "smallest_distances_A": smallest([(origin + shifts[k], cells[k]) for k in chosen], atoms),
        "series": {name: thinned(series) for name, series in values.items()},
    }


def smallest(places: list[tuple[np.ndarray, np.ndarray]], atoms: Atoms) -> dict[str, float]:
    """Return the smallest distance of each two elements over some frames, nearest images of a compact cell."""
    symbols = np.array(atoms.get_chemical_symbols())
    least = np.full((len(symbols),) * 2, np.inf)
    for positions, cell in places:
        scaled = positions @ np.linalg.inv(cell)
        difference = scaled[:, None] - scaled[None]
        difference -= np.rint(difference)
        least = np.minimum(least, np.linalg.norm(difference @ cell, axis=-1))
    np.fill_diagonal(least, np.inf)
    pairs = itertools.combinations_with_replacement(sorted(set(symbols)), 2)
    return {f"{a}-{b}": round(float(least[np.ix_(symbols == a, symbols == b)].min()), 3) for a, b in pairs}


def thinned(series: np.ndarray) -> list[float]:
    """Return means over blocks of equal length, at most `POINTS` of them."""
    length = max(1, len(series) // POINTS)
    return [
        float(f"{one:.7g}") for one in series[: len(series) // length * length].reshape(-1, length).mean(axis=1)
    ]


if __name__ == "__main__":
    raise SystemExit(main())
