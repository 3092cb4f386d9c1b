"""CHGNet through ionscape beside CHGNet through its own package: evaluations and a whole relaxation.

Evaluations (energy, forces, stress) of Li6Zr2O7 at 30, 120 and 240 atoms on 1 and 2 threads, ours and theirs in
turn in the same process, each time on slightly moved atoms so that nothing is cached; medians. Then one relaxation
of a rattled 30-atom cell to the same largest force: our LBFGS, and CHGNet's own optimiser with its default (FIRE).

    python benchmarks/chgnet_evaluation.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
from chgnet.model import CHGNet, CHGNetCalculator, StructOptimizer
from pymatgen.core import Structure
from record import record

from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.chgnet import FrozenCHGNet
from ionscape.levels.relaxation import relax_structure
from ionscape.phases.table import polymorphs
from ionscape.structures.exchange import to_atoms

MODEL = "0.3.0"
THREADS = (1, 2)
#: Repeats of the primitive cell (30 atoms): 30, 120 and 240 atoms.
REPEATS = ((1, 1, 1), (2, 2, 1), (2, 2, 2))
#: Largest force at the end of the relaxation, eV/Å, and how far atoms are moved before it, Å.
FMAX, RATTLE = 0.03, 0.1


def main() -> None:
    """Measure, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
    cell = primitive_cell()
    ours = FrozenCHGNet(MODEL, 1)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = CHGNetCalculator(CHGNet.load(model_name=MODEL, use_device="cpu", verbose=False), use_device="cpu")
    rows = []
    for threads in THREADS:
        for supercell in REPEATS:
            torch.set_num_threads(threads)
            rows.append(evaluations(cell.make_supercell(supercell, in_place=False), ours, theirs, repeats))
            show(rows[-1] | {"threads": threads})
    torch.set_num_threads(max(THREADS))
    relaxations = relaxation(cell)
    for row in relaxations:
        show(row)
    print(f"written: {record('chgnet_evaluation', {'evaluations': rows, 'relaxations': relaxations})}")


def primitive_cell() -> Structure:
    """Return the primitive cell of Li6Zr2O7, 30 atoms, every atom moved by `RATTLE` at random."""
    cell = polymorphs("Li6Zr2O7")[0].structure().get_primitive_structure()
    moves = np.random.default_rng(11).normal(size=(len(cell), 3))
    moves *= RATTLE / np.linalg.norm(moves, axis=1)[:, None]
    return Structure(cell.lattice, cell.species, cell.cart_coords + moves, coords_are_cartesian=True)


def evaluations(cell: Structure, ours: Any, theirs: Any, repeats: int) -> dict[str, Any]:
    """Return the median ms per evaluation of ours and theirs, their ratio, and how far the answers differ."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    rng, start = np.random.default_rng(3), to_atoms(cell)
    difference = energy = 0.0
    for repeat in range(repeats + 1):
        positions = start.get_positions() + rng.normal(0, 0.005, (len(cell), 3))
        answers = {}
        for name, calculator in (("ours", ours), ("theirs", theirs)):
            atoms = start.copy()
            atoms.set_positions(positions)
            atoms.calc = calculator
            began = time.perf_counter()
            answers[name] = (atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress())
            if repeat > 0:  # the first pair warms up
                times[name].append((time.perf_counter() - began) * 1000)
        energy = max(energy, abs(answers["ours"][0] - answers["theirs"][0]) / len(cell))
        difference = max(difference, float(np.abs(answers["ours"][1] - answers["theirs"][1]).max()))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "atoms": len(cell),
        "threads": torch.get_num_threads(),
        "ours_ms": round(medians["ours"], 1),
        "chgnet_ms": round(medians["theirs"], 1),
        "ratio": round(medians["theirs"] / medians["ours"], 2),
        "energy_difference_eV_per_atom": float(energy),
        "force_difference_eV_per_A": difference,
    }


def relaxation(cell: Structure) -> list[dict[str, Any]]:
    """Return steps, seconds and final energy of our relaxation and of CHGNet's own, positions and cell."""
    settings = RelaxationSettings(fmax_eV_per_A=FMAX, smax_eV_per_A3=0.002)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        state = relax_structure(cell, FrozenCHGNet(MODEL, torch.get_num_threads()), settings, Path(folder))
        seconds = time.perf_counter() - began
    rows = [row("ionscape LBFGS", len(cell), state.last.number, seconds, state.structure)]
    with contextlib.redirect_stdout(io.StringIO()):
        model = CHGNet.load(model_name=MODEL, use_device="cpu", verbose=False)
        optimizer = StructOptimizer(model=model, use_device="cpu")
        began = time.perf_counter()
        answer = optimizer.relax(cell, fmax=FMAX, steps=1000, verbose=False)
        seconds = time.perf_counter() - began
    # its trajectory holds the start as well
    rows.append(
        row("chgnet FIRE", len(cell), len(answer["trajectory"].energies) - 1, seconds, answer["final_structure"])
    )
    return rows


def row(name: str, atoms: int, steps: int, seconds: float, final: Structure) -> dict[str, Any]:
    """Return one relaxation, its end judged by one calculator for all: energy, largest force and stress."""
    judged = to_atoms(final)
    judged.calc = FrozenCHGNet(MODEL, torch.get_num_threads())
    return {
        "relaxation": name,
        "atoms": atoms,
        "threads": torch.get_num_threads(),
        "steps": steps,
        "seconds": round(seconds, 2),
        "energy_eV_per_atom": round(float(judged.get_potential_energy()) / atoms, 5),
        "fmax_eV_per_A": round(float(np.linalg.norm(judged.get_forces(), axis=1).max()), 4),
        "smax_eV_per_A3": round(float(np.abs(judged.get_stress()).max()), 5),
    }


def show(values: dict[str, Any]) -> None:
    """Print one row."""
    print(
        "  ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in values.items()
        )
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
