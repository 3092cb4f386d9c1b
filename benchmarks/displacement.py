"""Displacements and diffusion: speed against other packages, and how often 95 % intervals hold the truth.

Run: ``OMP_NUM_THREADS=1 python benchmarks/displacement.py [--runs 1000] [--models NAME …] [--skip-speed]``. Peers
(MDAnalysis, tidynamics, GEMDAT, kinisi) run in another interpreter that has them, the one that the environment
variable ``IONSCAPE_PEER_PYTHON`` names; peers that are missing there are left out and named. Walks have known
diffusion coefficients (``tests/transport/walks.py``); kernels are compiled before the clock starts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from record import record

from ionscape.transport.diffusion import Diffusion, diffusion
from ionscape.transport.displacement import mean_squared_displacement

PEERS = ("tidynamics", "MDAnalysis", "gemdat")
LAGS = (1, 10, 100)
FEW = 20


def _walks() -> ModuleType:
    path = Path(__file__).parents[1] / "tests" / "transport" / "walks.py"
    spec = importlib.util.spec_from_file_location("walks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


walks = _walks()
Model = Callable[[np.random.Generator], tuple[np.ndarray, float]]


def brownian(frames: int, ions: int, diffusivity: float = 1.0, noise: float = 0.0) -> Model:
    def run(rng: np.random.Generator) -> tuple[np.ndarray, float]:
        walk = walks.brownian(rng, frames, ions, diffusivity)
        return walk + noise * rng.standard_normal(walk.shape), diffusivity

    return run


def hopping(frames: int, ions: int, rate: float, back: float = 0.0) -> Model:
    def run(rng: np.random.Generator) -> tuple[np.ndarray, float]:
        walk, truth = walks.hopping(rng, frames, ions, rate, back)
        return walk + walks.rattling(rng, frames, ions), truth

    return run


def immobile(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    walk, truth = walks.hopping(rng, 5000, 24, 0.008)
    walk[:, 8:] = 0.0
    return walk + walks.rattling(rng, 5000, 24), truth / 3


def trios(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    walk, truth = walks.hopping(rng, 5000, 16, 0.006)
    return np.repeat(walk, 3, axis=1) + walks.rattling(rng, 5000, 48), truth


def one_direction(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    walk, truth = walks.hopping(rng, 5000, 20, 0.006)
    walk[:, :, 1:] = 0.0
    return walk + walks.rattling(rng, 5000, 20), truth / 3


def double_well(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    walk, truth = walks.hopping(rng, 8000, 20, 0.004)
    walk[:, :, 0] += np.cumsum(rng.random((8000, 20)) < 0.02, axis=0) % 2 * walks.HOP
    return walk + walks.rattling(rng, 8000, 20), truth


def switching(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Ions that are mobile for 300 frames on average, then not, and so on."""
    switches = np.cumsum(rng.random((8000, 24)) < 1 / 300, axis=0) + rng.integers(0, 2, 24)
    steps = rng.standard_normal((8000, 24, 3)) * np.sqrt(0.02) * (switches % 2)[..., None]
    return np.cumsum(steps, axis=0) + walks.rattling(rng, 8000, 24), 0.005


def still(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return walks.rattling(rng, 4000, 20) + walks.rattling(rng, 4000, 20, 150, 0.3), 0.0


MODELS: dict[str, Model] = {
    "Brownian, 50 ions, 1000 frames": brownian(1000, 50),
    "Brownian, 4 ions, 300 frames": brownian(300, 4),
    "Brownian with noise 25 times a step, 10 ions": brownian(2000, 10, 0.01, 0.5),
    "hops, 50 ions, 20 each": hopping(5000, 50, 0.004),
    "hops, 50 ions, 4 each": hopping(5000, 50, 0.0008),
    "hops, 8 ions, 40 each": hopping(4000, 8, 0.01),
    "back-jumps, f = 1/3, 50 ions, 80 each": hopping(8000, 50, 0.01, 0.5),
    "back-jumps, f = 1/9, 20 ions, 200 each": hopping(10000, 20, 0.02, 0.8),
    "back-jumps, f = 0.54, 4 ions, 60 each": hopping(6000, 4, 0.01, 0.3),
    "double wells, 20 ions": double_well,
    "16 of 24 ions immobile": immobile,
    "trios that hop together, 48 ions": trios,
    "hops along one direction, 20 ions": one_direction,
    "ions that switch between mobile and not": switching,
    "rattling only": still,
}


def coverage(model: Model, runs: int) -> dict[str, Any]:
    """Return how often the interval holds the truth, its width, the scatter of the values and the refusals."""
    rng = np.random.default_rng(2024)
    told, bounds, truth = [], [], 0.0
    start = time.perf_counter()
    for _ in range(runs):
        positions, truth = model(rng)
        found = diffusion(positions, 1.0)
        if isinstance(found, Diffusion):
            told.append((found.value, found.low95, found.high95))
        else:
            bounds.append(found.upper_bound)
    results: dict[str, Any] = {"runs": runs, "refused": len(bounds) / runs}
    if bounds:
        results["bound_holds"] = float(np.mean(np.array(bounds) >= truth))
    if told and truth:
        value, low, high = np.array(told).T / truth
        results["coverage"] = float(np.mean((low <= 1) & (high >= 1)))
        results["relative_bias"] = float(value.mean() - 1)
        results["relative_scatter"] = float(value.std())
        results["relative_half_width_over_1.96"] = float(np.mean(high - low) / 3.92)
    return {**results, "s_per_run_with_the_walk": (time.perf_counter() - start) / runs}


def peer(name: str, task: str, *paths: Path) -> list[dict[str, Any]]:
    """Return what a peer measured, one result a file; none if it is not installed."""
    python = os.environ.get("IONSCAPE_PEER_PYTHON", sys.executable)
    script = Path(__file__).parent / "displacement_peers.py"
    done = subprocess.run([python, script, name, task, *paths], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}: left out ({done.stderr.strip().splitlines()[-1]})")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def timed(work: Callable[[], Any], repeats: int = 3) -> tuple[float, float, Any]:
    """Return the least wall time and processor time of `work`, s, and its result."""
    seconds, processor = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        found = work()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return min(seconds), min(processor), found


def speed(frames: int, folder: Path, *, with_peers: bool) -> dict[str, Any]:
    """Return times of the displacement and of the diffusion coefficient of 52 hopping ions."""
    positions, truth = hopping(frames, 52, 0.001)(np.random.default_rng(1))
    msd_s, msd_processor_s, displacement = timed(lambda: mean_squared_displacement(positions, 1.0))
    diffusion_s, diffusion_processor_s, found = timed(lambda: diffusion(positions, 1.0), 1)
    results: dict[str, Any] = {
        "frames": frames,
        "ions": 52,
        "msd_s": msd_s,
        "msd_processor_s": msd_processor_s,
        "diffusion_s": diffusion_s,
        "diffusion_processor_s": diffusion_processor_s,
    }
    if isinstance(found, Diffusion):
        results["D_over_truth"] = [found.value / truth, found.low95 / truth, found.high95 / truth]
    if with_peers:
        path = folder / f"{frames}.npy"
        np.save(path, positions)
        results["peers"] = [one for name in PEERS for one in peer(name, "msd", path)]
        for one in results["peers"]:
            ours = displacement.total[list(LAGS)]
            one["largest_relative_difference"] = float(np.max(np.abs(one["msd_A2"] / ours - 1)))
        if results["peers"]:
            results["msd_ratio_to_the_fastest"] = min(one["seconds"] for one in results["peers"]) / msd_s
            fastest = min(one["processor_seconds"] for one in results["peers"])
            results["msd_ratio_to_the_fastest_by_processor_time"] = fastest / msd_processor_s
    return results


def against_kinisi(folder: Path) -> dict[str, Any]:
    """Compare intervals on the same short runs: 2000 frames of 20 ions that hop without memory."""
    rng, paths, ours = np.random.default_rng(3), [], []
    truth = 1.0
    for number in range(FEW):
        positions, truth = hopping(2000, 20, 0.01)(rng)
        paths.append(folder / f"run{number}.npy")
        np.save(paths[-1], positions)
        start = time.perf_counter()
        found = diffusion(positions, 1.0)
        if isinstance(found, Diffusion):
            ours.append((found.value, found.low95, found.high95, time.perf_counter() - start))
    theirs = [
        (one["value"], one["low95"], one["high95"], one["seconds"]) for one in peer("kinisi", "diffusion", *paths)
    ]
    results: dict[str, Any] = {"runs": FEW, "kinisi_lags": 100, "kinisi_begins_at_fs": 100}
    for name, told in (("ionscape", ours), ("kinisi", theirs)):
        if told:
            value, low, high, seconds = np.array(told).T
            results[name] = {
                "told": len(told),
                "holds_the_truth": int(np.sum((low <= truth) & (high >= truth))),
                "relative_scatter": float(value.std() / truth),
                "relative_half_width_over_1.96": float(np.mean(high - low) / 3.92 / truth),
                "median_s": float(np.median(seconds)),
            }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--models", nargs="*", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--skip-speed", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = {"coverage": {}}
    warm = brownian(100, 3)(np.random.default_rng(0))[0]
    diffusion(warm, 1.0), mean_squared_displacement(warm, 1.0)
    if not options.skip_speed:
        with tempfile.TemporaryDirectory() as folder:
            results["speed"] = [
                speed(frames, Path(folder), with_peers=frames <= 100_000)
                for frames in (10_000, 100_000, 1_000_000)
            ]
            results["against_kinisi"] = against_kinisi(Path(folder))
        print(json.dumps(results, indent=1))
    for name in options.models:
        results["coverage"][name] = coverage(MODELS[name], options.runs)
        print(name, json.dumps(results["coverage"][name]), flush=True)
    print(record("displacement", results))


if __name__ == "__main__":
    main()
