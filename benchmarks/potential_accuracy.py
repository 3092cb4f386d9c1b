"""The sparse-GP potential beside GAP and CHGNet: errors, training, time of a force call and of a step of dynamics.

    OMP_NUM_THREADS=1 python benchmarks/potential_accuracy.py [--only NAME …] [--division every_fifth last_blocks]

Trained on 144 frames and tested on 36 (`lzon_frames`). Every entry (ours, chgnet, gap-1 …) is measured in a
process of its own and merged into the result file; without --only ours and chgnet. GAP is fitted and evaluated by
the interpreter that ``IONSCAPE_PEER_PYTHON`` names, which needs `quippy-ase`; a fit takes minutes and up to 15 GB.
AutoForce's figures were measured once, on another machine of the same kind, and are quoted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write
from ase.md.velocitydistribution import thermalize_momenta
from entries import each_alone, merge, milliseconds, peak_memory_GB, rounded
from lzon_frames import DIVISIONS, atoms_of_frames, divided

from ionscape.dynamics.engines import EngineMaker
from ionscape.dynamics.guards import Guards
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.levels.registry import Level
from ionscape.potential.calculator import CalculatorSettings, PotentialCalculator
from ionscape.potential.core import CompiledPotential, instructions
from ionscape.potential.errors_of_model import Predictions, errors_of, prediction_errors
from ionscape.potential.evaluation import Precision
from ionscape.potential.frames import Frame
from ionscape.potential.model import SparseModel
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import train

NAME = "potential_accuracy"
#: Skin of the neighbour list, Å, and how far atoms move between two timed calls, Å (thermal motion in a few fs).
SKIN, MOVE = 0.6, 0.01
QUOTED = {
    "source": "issue on the potential: AutoForce, 415 inducing environments, one core, same frames as its trial",
    "energy_mae_meV_per_atom": 1.99,
    "force_mae_eV_per_A": 0.148,
    "ms_per_call": [8800, 24900],
    "training_s_of_15_frames": 990,
    "training_GB_of_15_frames": 10.5,
}


def soap(n: int, l: int, cutoff: float, zeta: int, sparse: int, width: float = 0.5) -> str:  # noqa: E741
    """Return the SOAP descriptor of a GAP, one for each element as centre."""
    return (
        f"soap n_max={n} l_max={l} cutoff={cutoff} cutoff_transition_width=1.0 zeta={zeta} n_sparse={sparse} "
        f"atom_sigma={width} delta=0.5 covariance_type=dot_product sparse_method=cur_points add_species=T"
    )


#: Descriptor of each GAP beside its pair term; scatter of energy (eV/atom), forces (eV/Å), virial (eV/atom); and
#: which part of the training frames it is taught, every so many-th. A fit to all 144 takes 9 minutes and 15 GB at
#: one of the smallest of these descriptors (gap-1): the others see fewer frames.
GAPS = {
    "gap-1": (soap(3, 3, 4.5, 4, 200), (0.001, 0.05, 0.05), 1),
    "gap-2": (soap(3, 3, 4.5, 4, 200), (0.001, 0.05, 0.05), 4),
    "gap-3": (soap(3, 3, 4.5, 2, 300), (0.001, 0.05, 0.05), 6),
    "gap-4": (soap(3, 2, 4.0, 4, 200), (0.001, 0.05, 0.05), 2),
    "gap-5": (soap(4, 3, 4.5, 4, 300), (0.0005, 0.05, 0.02), 6),
    "gap-6": (soap(3, 3, 5.0, 4, 300), (0.0005, 0.03, 0.02), 6),
    "gap-7": (soap(3, 3, 4.5, 4, 400, 0.4), (0.0005, 0.03, 0.02), 6),
}
PAIRS = "distance_2b cutoff=6.0 covariance_type=ard_se delta=1.0 theta_uniform=1.0 n_sparse=15 add_species=T"


def main() -> None:
    """Measure the entries asked for, print them, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=["ours", "chgnet", *GAPS], default=["ours", "chgnet"])
    parser.add_argument("--division", nargs="*", choices=sorted(DIVISIONS), default=sorted(DIVISIONS))
    parser.add_argument("--repeats", type=int, default=300)
    options = parser.parse_args()
    print(merge(NAME, {"autoforce, quoted": QUOTED}))
    tasks = [(name, one) for name in options.only for one in options.division[: 1 if name == "chgnet" else None]]
    if len(tasks) > 1:
        repeats = ("--repeats", str(options.repeats))
        succeeded = [each_alone(__file__, [name], "--division", division, *repeats) for name, division in tasks]
        raise SystemExit(0 if all(succeeded) else 1)
    ((name, division),) = tasks
    if name == "chgnet":
        entry, key = chgnet(), name
    else:
        entry = ours(division, options.repeats) if name == "ours" else gap(name, division)
        key = f"{name}, {division}"
    print(json.dumps({key: entry}, indent=1))
    print(merge(NAME, {key: entry}))


def ours(division: str, repeats: int) -> dict[str, Any]:
    """Return errors and times of the potential with its default settings."""
    taught, tests = divided(division)
    before = peak_memory_GB()
    began, busy = time.perf_counter(), time.process_time()
    model = train(taught, TrainingSettings(held_out=0.0))
    entry: dict[str, Any] = {
        "training_frames": len(taught),
        "test_frames": len(tests),
        "training_s": round(time.perf_counter() - began, 1),
        "training_processor_s": round(time.process_time() - busy, 1),
        "training_peak_GB": peak_memory_GB(),
        "peak_GB_before_training": before,
        "inducing": [len(q) for q in model.inducing],
        "noise": rounded(vars(model.noise)),
        "errors": rounded(prediction_errors(model, tests)),
        "instructions": instructions(),
    }
    entry["calls"] = calls(model, tests[0], repeats)
    entry["npt_steps"] = [
        npt_step(model, precision, threads) for precision in ("single", "double") for threads in (1, 2)
    ]
    return entry


def calls(model: SparseModel, frame: Frame, repeats: int) -> list[dict[str, Any]]:
    """Return the time of a force call of 124 atoms, and how far it is from double precision."""
    kinds = model.descriptor.indices(list(frame.symbols), "benchmark")
    reference = CompiledPotential(model.collapsed(), "double").evaluate(frame.positions, frame.cell, kinds)
    rows = []
    for precision in ("single", "double"):
        for threads in (1, 2):
            potential = CompiledPotential(model.collapsed(), precision, threads, SKIN)
            found = potential.evaluate(frame.positions, frame.cell, kinds)
            rows.append(
                {"precision": precision, "threads": threads}
                | call_times(potential, frame, kinds, repeats)
                | {"force_difference_eV_per_A": float(f"{np.abs(found.forces - reference.forces).max():.2g}")}
            )
    return rows


def call_times(potential: Any, frame: Frame, kinds: Any, repeats: int) -> dict[str, float]:
    """Return the time of a force call on atoms that move a little from call to call."""
    moves = np.random.default_rng(5).normal(0, MOVE, (8, *frame.positions.shape))
    places = frame.positions + moves
    return milliseconds(lambda number: potential.evaluate(places[number % 8], frame.cell, kinds), repeats, warm=20)


def npt_step(model: SparseModel, precision: Precision, threads: int, steps: int = 1000) -> dict[str, Any]:
    """Return the time of a step of NPT dynamics (full cell) at 600 K in compiled code, list and all."""
    settings = DynamicsSettings(ensemble="npt", temperature_K=600.0)
    start = atoms_of_frames()[0]
    atoms = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True)
    rng = np.random.default_rng(7)
    thermalize_momenta(atoms, temperature_K=600.0, rng=rng)
    symbols = tuple(atoms.get_chemical_symbols())
    calculator = PotentialCalculator(model, CalculatorSettings(precision=precision), threads)
    guards = Guards(settings, symbols, atoms.get_positions(), atoms.cell.array)
    engine = EngineMaker.of(calculator, symbols, forget=True).make(atoms, settings, rng, guards)
    times = milliseconds(lambda _: engine.advance(steps), 5, warm=1)
    per_step = {name: round(value / steps, 4) for name, value in times.items()}
    minutes = round(per_step["ms_median"] * 500_000 / 60_000, 2)
    return (
        {"precision": precision, "threads": threads, "engine": engine.name}
        | per_step
        | {"min_for_500_ps": minutes}
    )


def chgnet() -> dict[str, Any]:
    """Return the time of a call (energy, forces, stress) of CHGNet itself, on one thread and two."""
    start = atoms_of_frames()[0]
    rows = []
    for threads in (1, 2):
        atoms = Atoms(start.symbols, start.positions, cell=start.cell, pbc=True)
        atoms.calc = Level.of("chgnet").own_calculator(threads)
        rng = np.random.default_rng(5)

        def call(_: int, atoms: Atoms = atoms, rng: np.random.Generator = rng) -> None:
            atoms.set_positions(start.positions + rng.normal(0, MOVE, start.positions.shape))
            atoms.get_forces()

        rows.append({"threads": threads} | milliseconds(call, 7, warm=2))
    return {"calls": rows}


def gap(name: str, division: str) -> dict[str, Any]:
    """Return errors and times of a GAP; its interpreter is that of `IONSCAPE_PEER_PYTHON`."""
    python = Path(os.environ.get("IONSCAPE_PEER_PYTHON", sys.executable))
    descriptor, scatter, every = GAPS[name]
    taught, tests = (chosen for chosen in DIVISIONS[division](atoms_of_frames()))
    taught = taught[::every]
    with tempfile.TemporaryDirectory() as folder:
        write_for_gap(taught, Path(folder) / "taught.xyz")
        write_for_gap(tests, Path(folder) / "tests.xyz")
        command = [
            *(str(python.with_name("gap_fit")), "at_file=taught.xyz", "gp_file=gap.xml", "do_copy_at_file=F"),
            *("energy_parameter_name=dear_energy", "force_parameter_name=dear_forces"),
            *("virial_parameter_name=dear_virial", "e0_method=average", "sparse_jitter=1e-8"),
            f"gap={{{PAIRS} : {descriptor}}}",
            f"default_sigma={{{scatter[0]} {scatter[1]} {scatter[2]} 0.0}}",
        ]
        began = time.perf_counter()
        with (Path(folder) / "gap.log").open("w") as log:
            fit = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(fit.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            raise SystemExit(f"gap_fit failed ({status}):\n{(Path(folder) / 'gap.log').read_text()[-2000:]}")
        check_labels((Path(folder) / "gap.log").read_text())
        script = Path(__file__).with_name("potential_peers.py")
        done = subprocess.run([python, script, folder], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        found = np.load(Path(folder) / "found.npz")
        errors = errors_of(predicted(found, divided(division)[1]))
    return {
        "descriptor": descriptor,
        "pair_term": PAIRS,
        "scatter": scatter,
        "training_frames": len(taught),
        "test_frames": len(tests),
        "training_s": round(seconds, 1),
        "training_processor_s": round(used.ru_utime + used.ru_stime, 1),
        "training_peak_GB": round(used.ru_maxrss * 1024 / 1e9, 2),
        "errors": rounded(errors),
        **told,
    }


def write_for_gap(frames: list[Any], path: Path) -> None:
    """Write frames under names that ASE takes for no results of its own."""
    plain = []
    for frame in frames:
        atoms = Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True)
        atoms.info["dear_energy"] = frame.get_potential_energy()
        atoms.info["dear_virial"] = -frame.get_volume() * frame.get_stress(voigt=False).ravel()
        atoms.arrays["dear_forces"] = frame.get_forces()
        plain.append(atoms)
    write(path, plain, format="extxyz")


def check_labels(log: str) -> None:
    """Stop unless gap_fit found labels of all three kinds: it goes on silently without."""
    found = dict(re.findall(r"Number of target (\w+) \(property name: \w+\) found: +(\d+)", log))
    if not all(int(found.get(kind, 0)) for kind in ("energies", "forces", "virials")):
        raise SystemExit(f"gap_fit found labels: {found}")


def predicted(found: Any, tests: list[Frame]) -> Predictions:
    """Return what a peer said of the test frames, beside their labels."""
    atoms = np.array([len(frame.symbols) for frame in tests])
    energies = np.array([frame.energy for frame in tests])
    return Predictions(
        energies=np.stack([found["energies"], energies]) / atoms,
        forces=np.stack([found["forces"].ravel(), np.concatenate([frame.forces.ravel() for frame in tests])]),
        stresses=np.stack([found["stresses"].ravel(), np.concatenate([frame.stress for frame in tests])]),
        losses=np.zeros(0),
        species=np.zeros(0, dtype=np.int64),
    )


if __name__ == "__main__":
    main()
