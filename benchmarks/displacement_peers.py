"""Displacements and diffusion by other packages, run by an interpreter that has them: one JSON line each.

Run by ``benchmarks/displacement.py`` as ``PYTHON displacement_peers.py PEER TASK POSITIONS.npy``; imports nothing
of ionscape. TASK ``msd``: seconds and the mean-square displacement at some lags; ``diffusion``: value and 95 %
interval. Positions are unwrapped, Å, (frames, ions, 3), 1 fs apart, in a cubic cell.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
import warnings
from typing import Any

import numpy as np

CELL = 20.0
LAGS = (1, 10, 100)


def tidynamics(positions: np.ndarray) -> np.ndarray:
    import tidynamics as peer

    return np.mean([peer.msd(positions[:, i]) for i in range(positions.shape[1])], axis=0)


def mdanalysis(positions: np.ndarray) -> np.ndarray:
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD
    from MDAnalysis.coordinates.memory import MemoryReader

    universe = MDAnalysis.Universe.empty(positions.shape[1], trajectory=True)
    universe.load_new(positions.astype(np.float32), format=MemoryReader)
    return EinsteinMSD(universe, select="all", msd_type="xyz", fft=True).run().results.timeseries


def gemdat(positions: np.ndarray) -> np.ndarray:
    from gemdat import Trajectory

    trajectory = Trajectory(
        species=["Li"] * positions.shape[1],
        coords=positions / CELL,
        lattice=np.eye(3) * CELL,
        constant_lattice=True,
        time_step=1e-15,
        metadata={"temperature": 300.0},
    )
    return trajectory.mean_squared_displacement().mean(axis=0)


def kinisi(positions: np.ndarray, lags: int = 100) -> Any:
    """Return kinisi's analyser with displacements at `lags` intervals (its default is all intervals)."""
    import scipp as sc
    from ase import Atoms
    from kinisi.analyze import DiffusionAnalyzer

    frames = [Atoms(f"Li{len(x)}", positions=x, cell=np.eye(3) * CELL, pbc=True) for x in positions]
    steps = np.unique(np.round(np.linspace(1, len(positions) - 1, lags)).astype(int)).astype(float)
    return DiffusionAnalyzer.from_ase(
        frames,
        specie="Li",
        time_step=sc.scalar(1.0, unit="fs"),
        step_skip=sc.scalar(1),
        dt=sc.array(dims=["time interval"], values=steps, unit="fs"),
        progress=False,
    )


def displacement(peer: str, positions: np.ndarray) -> dict[str, Any]:
    work = {"tidynamics": tidynamics, "MDAnalysis": mdanalysis, "gemdat": gemdat}[peer]
    seconds, processor = [], []
    for _ in range(3):
        start, busy = time.perf_counter(), time.process_time()
        found = work(positions)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return {
        "seconds": min(seconds),
        "processor_seconds": min(processor),
        "msd_A2": [float(found[lag]) for lag in LAGS],
    }


def diffusion(positions: np.ndarray, begins_at: float = 100.0) -> dict[str, Any]:
    """Return kinisi's diffusion coefficient in Å²/fs, told that the diffusive regime begins at `begins_at` fs."""
    import scipp as sc

    start = time.perf_counter()
    analyser = kinisi(positions)
    displaced = time.perf_counter()
    analyser.diffusion(sc.scalar(begins_at, unit="fs"), progress=False)
    samples = np.asarray(analyser.D.values) * 10
    low, middle, high = np.quantile(samples, [0.025, 0.5, 0.975])
    return {
        "seconds": time.perf_counter() - start,
        "displacement_seconds": displaced - start,
        "value": middle,
        "low95": low,
        "high95": high,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    peer, task, *paths = sys.argv[1:]
    version = importlib.metadata.version(peer)
    for path in paths:
        positions = np.load(path)
        found = displacement(peer, positions) if task == "msd" else diffusion(positions)
        print(json.dumps({"peer": peer, "version": version, **found}), flush=True)


if __name__ == "__main__":
    main()
