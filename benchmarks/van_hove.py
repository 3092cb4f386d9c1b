"""Van Hove functions of 52 ions against pymatgen-analysis-diffusion, and the cost of long runs.

Run: ``OMP_NUM_THREADS=1 python benchmarks/van_hove.py`` (`--quick` leaves out the longest run). The ions vibrate
and jump in a triclinic, breathing cell; r ≤ 10 Å, bins of 0.1 Å, 200 times. The peer, where it is installed,
counts the same ions in a fixed cell, at few times and origins; its time is given per (time × origin). Kernels are
compiled before the clock starts.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from record import record

from ionscape.dynamics.trajectory import Chunk, folded
from ionscape.transport.van_hove import VanHove, van_hove
from ionscape.transport.van_hove_settings import VanHoveSettings
from ionscape.units import Array

IONS, LAGS, R_MAX = 52, 200, 10.0
CELL = np.array([[10.4, 0.0, 0.0], [0.3, 10.1, 0.0], [-2.0, 0.4, 11.0]])


@dataclass
class Hoppers:
    """Vibrating ions that jump by 3 Å, made chunk by chunk."""

    frames: int
    fluctuation: float = 0.003
    symbols: tuple[str, ...] = ("Li",) * IONS
    frame_interval: float = 1.0
    temperature: float | None = None

    def chunks(self, frames: int = 4096) -> Iterator[Chunk]:
        """Yield the run, the same every time."""
        rng = np.random.default_rng(1)
        sites, vibration = rng.random((IONS, 3)), np.zeros((IONS, 3))
        for first in range(0, self.frames, frames):
            n = min(frames, self.frames - first)
            steps = 0.3 * (rng.random((n, IONS, 3)) < 2e-4) * rng.choice([-1, 1], (n, IONS, 3))
            noise, path = rng.normal(0, 0.004, (n, IONS, 3)), np.empty((n, IONS, 3))
            for t in range(n):  # vibrations with a memory of some 25 frames
                vibration = 0.96 * vibration + noise[t]
                path[t] = vibration
            path += sites + np.cumsum(steps, axis=0)
            sites = sites + steps.sum(axis=0)
            cells = CELL * (1 + self.fluctuation * rng.normal(size=(n, 1, 1)))
            yield Chunk(first, path @ CELL, cells, folded(path))


def timed(run: Hoppers, settings: VanHoveSettings) -> tuple[float, VanHove]:
    """Return wall time in s without the making of the run, and the functions."""
    chunks = list(run.chunks())

    class Made:
        symbols, frame_interval, temperature = run.symbols, run.frame_interval, run.temperature

        def chunks(self, frames: int = 0) -> Iterator[Chunk]:  # noqa: ARG002
            yield from chunks

    start = time.perf_counter()
    result = van_hove(Made(), ("Li", "Li"), settings)
    return time.perf_counter() - start, result


def ours(frames: int, longest: int, **options: Any) -> dict[str, Any]:
    seconds, result = timed(Hoppers(frames), VanHoveSettings(longest, LAGS, R_MAX, **options))
    evaluations = int(result.origins.sum())
    return {
        "frames": frames,
        "longest_lag": longest,
        "thinning": result.thinning,
        "blur_A": result.blur,
        "seconds": seconds,
        "us_per_lag_and_origin": 1e6 * seconds / evaluations,
        "peak_memory_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def accuracy(frames: int = 4000) -> dict[str, float]:
    """Compare G_distinct of the defaults and of the grid with all pairs against the exact count of all pairs."""
    grid = {"longest_lag": 1000, "lags": 5, "r_max": R_MAX}
    exact = timed(Hoppers(frames), VanHoveSettings(**grid, pairs_per_origin=None, method="images"))[1]
    whole = timed(Hoppers(frames), VanHoveSettings(**grid, pairs_per_origin=None, method="grid"))[1]
    default = timed(Hoppers(frames), VanHoveSettings(**grid, method="grid"))[1]

    def deviation(other: VanHove) -> float:
        beyond = exact.edges[1:] > 1.0
        return float(np.sqrt(np.mean((other.distinct_part - exact.distinct_part)[:, beyond] ** 2)))

    return {"rms_of_grid": deviation(whole), "rms_of_defaults": deviation(default), "blur_A": whole.blur}


def peer(frames: int = 1000, lags: int = 4, origins: int = 50) -> dict[str, Any]:
    """Time pymatgen-analysis-diffusion's van Hove analysis of the same ions in a fixed cell."""
    try:
        from pymatgen.analysis.diffusion.aimd.van_hove import VanHoveAnalysis
        from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    except ImportError:
        return {"missing": "pip install pymatgen-analysis-diffusion"}
    from pymatgen.core import Lattice, Structure

    path: Array = np.concatenate([chunk.folded() for chunk in Hoppers(frames, 0.0).chunks()])
    host = np.zeros((1, 3))  # the analyser needs an atom that is not mobile
    structures = [Structure(Lattice(CELL), ["Li"] * IONS + ["O"], np.concatenate([f, host])) for f in path]
    analyser = DiffusionAnalyzer.from_structures(structures, "Li", 600, 1, 1, smoothed=False, min_obs=1)
    start = time.perf_counter()
    VanHoveAnalysis(
        analyser,
        avg_nsteps=origins,
        ngrid=101,
        rmax=R_MAX,
        step_skip=(frames - origins) // lags,
        sigma=0.1,
        species=["Li"],
    )
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "lags": lags,
        "origins": origins,
        "s_per_lag_and_origin": seconds / (lags * origins),
    }


def main() -> None:
    ours(3000, 1000)
    results: dict[str, Any] = {
        "defaults": [ours(10_000, 5_000), ours(100_000, 20_000)],
        "all_pairs_at_all_origins": ours(100_000, 20_000, pairs_per_origin=None),
        "accuracy_against_exact_count": accuracy(),
        "peer": peer(),
    }
    if "--quick" not in sys.argv:
        results["defaults"].append(ours(1_000_000, 20_000))
    if "s_per_lag_and_origin" in results["peer"]:
        fastest = results["defaults"][1]["us_per_lag_and_origin"] * 1e-6
        whole = results["all_pairs_at_all_origins"]["us_per_lag_and_origin"] * 1e-6
        results["ratio_defaults"] = results["peer"]["s_per_lag_and_origin"] / fastest
        results["ratio_all_pairs"] = results["peer"]["s_per_lag_and_origin"] / whole
    for name, value in results.items():
        print(f"{name}: {value}")
    print(f"\n{record('van_hove', results)}")


if __name__ == "__main__":
    main()
