"""What a step of several runs costs as one batch through TorchSim, against single runs in compiled code.

    OMP_NUM_THREADS=1 python benchmarks/batch.py MODEL.sgpr STRUCTURE [--steps 150] [--temperatures-K 600 900 1200]
        [--ensemble nvt] [--device auto]

Times are of the processor on one thread, so that they tell something on a busy machine; with a GPU look at the
wall time. The structure is a file, or phase:NAME.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pymatgen.core import Structure
from record import record

from ionscape.dynamics.batch import BatchMember, simulate_batch
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.simulate import simulate
from ionscape.levels.registry import Level
from ionscape.study.inputs import structure_named


class Timed:
    """Forces of a batch, and the processor time that they took."""

    def __init__(self, forces: Any) -> None:
        self._forces, self.seconds = forces, 0.0
        self.known_elements = forces.known_elements

    def evaluate(self, cells: Sequence[Any]) -> list[Any]:
        """Return what the forces give."""
        before = time.process_time()
        found: list[Any] = self._forces.evaluate(cells)
        self.seconds += time.process_time() - before
        return found


def main() -> int:
    """Run both, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("structure")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--temperatures-K", type=float, nargs="+", default=[600.0, 900.0, 1200.0])
    parser.add_argument("--ensemble", default="nvt")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    structure = structure_named(options.structure)
    asked = [
        DynamicsSettings(
            ensemble=options.ensemble,
            temperature_K=kelvin,
            equilibration_ps=0.0,
            production_ps=options.steps / 1000,
        )
        for kelvin in options.temperatures_K
    ]
    alone = Level.of(f"sgpr:{options.model}")
    together = Level.of(f"sgpr:{options.model}", {"device": options.device})
    with tempfile.TemporaryDirectory() as home:
        single(structure, alone, asked[0], Path(home) / "warm")  # compiled kernels are loaded
        ran = [single(structure, alone, one, Path(home) / f"alone{k}") for k, one in enumerate(asked)]
        results = batched(structure, together, asked, Path(home))
    results |= {
        "atoms": len(structure),
        "cells": len(asked),
        "ensemble": options.ensemble,
        "single_runs_ms_per_step": 1000 * sum(ran) / options.steps,
    }
    for name, value in results.items():
        print(f"{name:32} {value:.3g}" if isinstance(value, float) else f"{name:32} {value}")
    print(f"written: {record('batch', results)}")
    return 0


def processor_s(work: Callable[[], Any]) -> float:
    """Return the processor time that `work` takes, s."""
    before = time.process_time()
    work()
    return time.process_time() - before


def single(structure: Structure, level: Level, asked: DynamicsSettings, folder: Path) -> float:
    """Return the processor time of a single run, s."""
    folder.mkdir()
    calculator = level.own_calculator(1)
    return processor_s(lambda: simulate(structure, calculator, asked, folder))


def batched(structure: Structure, level: Level, asked: Sequence[DynamicsSettings], home: Path) -> dict[str, Any]:
    """Return the times of a step of the batch, ms."""
    members = []
    for k, one in enumerate(asked):
        folder = home / f"together{k}"
        folder.mkdir()
        members.append(BatchMember(structure, one, folder))
    model = level.batched(1)
    forces, wall = Timed(model), time.monotonic()
    whole = processor_s(lambda: simulate_batch(members, forces, lambda *_: None))
    steps = asked[0].steps
    return {
        "device": model.device,
        "forces_from": model.provenance,
        "batch_ms_per_step": 1000 * whole / steps,
        "batch_forces_ms_per_step": 1000 * forces.seconds / steps,
        "batch_wall_ms_per_step": 1000 * (time.monotonic() - wall) / steps,
    }


if __name__ == "__main__":
    raise SystemExit(main())
