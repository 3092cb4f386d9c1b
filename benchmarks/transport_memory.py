"""Memory and time of the whole transport analysis against frames and atoms, of runs that nobody has to store.

The runs are made while they are read: a lattice that rattles, a fifth of its ions hopping by a random walk, a cell
that breathes, at constant drift. So the analysis is all that takes memory and disk, and a run of any length can be
asked for. Every size is a process of its own; its largest resident memory includes Python and all libraries.

    python benchmarks/transport_memory.py [--sizes 10000x128 100000x128 1000000x128 10000x5000 …] [--analyses …]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from entries import merge

from ionscape.dynamics.trajectory import Chunk, frames_per_chunk
from ionscape.transport.analysis import analyse_transport
from ionscape.transport.settings import ANALYSES, TransportSettings

SIZES = ("10000x128", "100000x128", "1000000x128", "1000x5000", "10000x5000", "100000x5000")
#: Share of the atoms that are mobile, hops per frame of each, their length and the distance of neighbours, Å.
MOBILE, RATE, HOP, SPACING = 0.2, 0.002, 2.5, 2.5


class MadeRun:
    """A run made chunk by chunk (satisfies `trajectory.Trajectory`), the same whenever it is read."""

    frame_interval, temperature = 10.0, 1000.0

    def __init__(self, frames: int, atoms: int) -> None:
        self._frames = frames
        self._mobile = round(MOBILE * atoms)
        self.symbols = ("Li",) * self._mobile + ("Zr",) * (atoms - self._mobile)
        edge = int(np.ceil(atoms ** (1 / 3)))
        grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), -1).reshape(-1, 3)
        rng = np.random.default_rng(1)
        self._sites = rng.permutation(grid)[:atoms] * SPACING
        self._cell = edge * SPACING * np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [-0.2, 0.1, 1.0]])

    def chunks(self, frames: int | None = None) -> Iterator[Chunk]:
        """Yield all frames in order."""
        rng = np.random.default_rng(2)
        size = min(frames or frames_per_chunk(len(self.symbols)), self._frames)
        # noise is costly: one pool of it, in another order for every chunk
        pool = 0.15 * rng.standard_normal((size, len(self.symbols), 3))
        at = np.zeros((self._mobile, 3))
        for first in range(0, self._frames, size):
            count = min(size, self._frames - first)
            positions = self._sites + np.roll(pool, rng.integers(size), axis=0)[:count]
            hops = np.zeros((count, self._mobile, 3))
            number = rng.poisson(RATE * count * self._mobile)
            where = (
                rng.integers(count, size=number),
                rng.integers(self._mobile, size=number),
                rng.integers(3, size=number),
            )
            np.add.at(hops, where, HOP * rng.choice([-1.0, 1.0], number))
            path = at + np.cumsum(hops, axis=0)
            at = path[-1]
            positions[:, : self._mobile] += path
            positions += 1e-5 * (first + np.arange(count))[:, None, None]
            breath = 1 + 0.002 * np.sin(0.05 * (first + np.arange(count)))
            yield Chunk(first, positions, breath[:, None, None] * self._cell)


def measured(frames: int, atoms: int, analyses: tuple[str, ...]) -> dict[str, Any]:
    """Return time, largest memory, and disk that the analysis of a made run takes."""
    settings = TransportSettings(analyses=analyses, threads=1, resamples=20)
    start, cpu = time.perf_counter(), time.process_time()
    result = analyse_transport(MadeRun(frames, atoms), settings)
    truth = RATE * HOP**2 / 6 / MadeRun.frame_interval
    told = result.diffusion
    return {
        "frames": frames,
        "atoms": atoms,
        "mobile": round(MOBILE * atoms),
        "peak_GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "D_over_truth": [round(getattr(told, name, 0.0) / truth, 4) for name in ("low95", "value", "high95")],
    }


def main() -> None:
    """Measure every size in a process of its own, and put it into the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="FRAMESxATOMS")
    parser.add_argument("--analyses", nargs="+", default=ANALYSES)
    parser.add_argument("--one", action="store_true", help="measure the one size here and print it")
    options = parser.parse_args()
    if options.one:
        frames, atoms = map(int, options.sizes[0].split("x"))
        print(json.dumps(measured(frames, atoms, tuple(options.analyses))))
        return
    for size in options.sizes:
        command = [sys.executable, __file__, "--one", "--sizes", size, "--analyses", *options.analyses]
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=os.environ | {"TMPDIR": scratch}
            )
        found = json.loads(done.stdout.splitlines()[-1])
        told = "all" if set(options.analyses) == set(ANALYSES) else ", ".join(options.analyses)
        path = merge("transport_memory", {f"{size}: {told}": found})
        print(size, found, path, flush=True)


if __name__ == "__main__":
    main()
