"""How the cost of the sparse-GP potential grows, and how far its arithmetic is from what the machine can do.

    OMP_NUM_THREADS=1 python benchmarks/potential_scaling.py [--only atoms elements stages]

atoms: a force call of 124 to 10,000 atoms on one thread and two. elements: two to six of them, training (its own
process each) and force call, on the frames of `lzon_frames` with elements dealt out anew at random: labels do not
change what it costs. stages: time and arithmetic of every stage of a force call (`potential_stages.cpp`, compiled
with g++) beside the machine's peak of multiply-adds, measured in the same process.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from entries import merge, milliseconds, peak_memory_GB
from lzon_frames import divided
from potential_accuracy import MOVE, SKIN

from ionscape.potential.baseline import screened_nuclei
from ionscape.potential.core import CompiledPotential, instructions
from ionscape.potential.evaluation import Precision
from ionscape.potential.frames import Frame
from ionscape.potential.library import SOURCES
from ionscape.potential.model import SparseModel
from ionscape.potential.neighbours import NeighbourList
from ionscape.potential.settings import TrainingSettings
from ionscape.potential.training import train

NAME = "potential_scaling"
#: Repeats of the cell of 124 atoms.
SUPERCELLS = ((1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 3, 3), (5, 4, 4))
ELEMENTS = ("Li", "O", "Zr", "N", "Ti", "Al")
#: Frames of the trainings with many elements.
FEW = 36
#: What keeps a stage below the peak, as far as its code tells.
HELD_BY = {
    "gather": "scattered loads, a conversion and a compaction of every listed pair; a root and a quotient",
    "radial functions": "four rows of eight table entries for each neighbour, of which n_max are used",
    "pair repulsion": "one decision and, rarely, one table look-up for each neighbour",
    "spherical harmonics": "lanes are turned into rows of lm",
    "densities": "rows of (l_max + 1)² numbers: little more than a multiply-add for each load",
    "power spectrum": "rows of a packed triangle: masked stores at odd places",
    "quadratic form": "near the peak; the remainder is loads of the packed matrix",
    "spectrum, backwards": "the packed triangle is unfolded to a square for every degree",
    "densities and forces, backwards": "rows of lm turned into lanes; forces are added atom by atom in 64 bits",
}
FLAGS = {"sse4": "-march=x86-64-v2", "avx2": "-march=x86-64-v3", "avx512": "-march=x86-64-v4"}


def main() -> None:
    """Measure what was asked for, print it, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="*", choices=["atoms", "elements", "stages"], default=["atoms", "elements", "stages"]
    )
    parser.add_argument("--count", type=int, help="(for itself) measure with so many elements, print JSON")
    options = parser.parse_args()
    if options.count:
        print(json.dumps(with_elements(options.count)))
        return
    measures = {"atoms": by_atoms, "elements": by_elements, "stages": by_stage}
    for name in options.only:
        entry = {"instructions": instructions()} | measures[name]()
        print(json.dumps({name: entry}, indent=1))
        print(merge(NAME, {name: entry}))


def by_atoms() -> dict[str, Any]:
    """Return the time of a force call against the number of atoms."""
    taught, tests = divided("every_fifth")
    model = train(taught[:FEW], TrainingSettings(held_out=0.0))
    rows = []
    for repeats in SUPERCELLS:
        frame = supercell(tests[0], repeats)
        kinds = model.descriptor.indices(list(frame.symbols), "benchmark")
        for threads in (1, 2):
            times = force_call(model, frame, kinds, threads)
            per_atom = 1000 * times["ms_least"] / len(kinds)
            rows.append({"atoms": len(kinds), "threads": threads, **times, "us_per_atom": round(per_atom, 4)})
    sizes = np.log([row["atoms"] for row in rows if row["threads"] == 1])
    times_1 = np.log([row["ms_least"] for row in rows if row["threads"] == 1])
    return {"calls": rows, "exponent_of_the_time": round(float(np.polyfit(sizes, times_1, 1)[0]), 3)}


def force_call(
    model: SparseModel, frame: Frame, kinds: Any, threads: int, precision: Precision = "single"
) -> dict[str, float]:
    """Return the time of a force call on atoms that move a little, and of building the neighbour list, ms."""
    potential = CompiledPotential(model.collapsed(), precision, threads, SKIN)
    moves = np.random.default_rng(5).normal(0, MOVE, (4, *frame.positions.shape))
    places = frame.positions + moves
    repeats = max(7, 20_000 // len(kinds))
    times = milliseconds(lambda number: potential.evaluate(places[number % 4], frame.cell, kinds), repeats)
    neighbours = NeighbourList(kinds, potential.form.n_species, potential.form.cutoff, SKIN)
    build = milliseconds(lambda number: neighbours.build(places[number % 4], frame.cell), 5)
    return times | {"list_ms_least": build["ms_least"]}


def supercell(frame: Frame, repeats: tuple[int, int, int]) -> Frame:
    """Return the frame repeated along its lattice vectors, with the energy of one."""
    steps = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (frame.positions[None] + (steps @ frame.cell)[:, None]).reshape(-1, 3)
    cell = frame.cell * np.array(repeats)[:, None]
    return dataclasses.replace(frame, symbols=frame.symbols * len(steps), positions=positions, cell=cell)


def by_elements() -> dict[str, Any]:
    """Return training and force call against the number of elements, each in its own process."""
    rows = []
    for count in range(2, len(ELEMENTS) + 1):
        done = subprocess.run([sys.executable, __file__, "--count", str(count)], capture_output=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    counts = np.log([row["elements"] for row in rows])
    powers = {
        f"exponent_of_{name}": round(float(np.polyfit(counts, np.log([row[name] for row in rows]), 1)[0]), 2)
        for name in ("ms_least", "training_processor_s", "training_peak_GB", "features")
    }
    return {"rows": rows} | powers


def with_elements(count: int) -> dict[str, Any]:
    """Return what so many elements cost."""
    rng = np.random.default_rng(count)
    taught, tests = divided("every_fifth")
    frames = [mixed(frame, count, np.random.default_rng(1)) for frame in taught[:: len(taught) // FEW][:FEW]]
    began = time.process_time()
    model = train(frames, TrainingSettings(held_out=0.0))
    row: dict[str, Any] = {"elements": count, "training_frames": len(frames), "inducing": model.n_inducing}
    row["features"] = model.inducing[0].shape[1]
    row |= {"training_processor_s": round(time.process_time() - began, 1), "training_peak_GB": peak_memory_GB()}
    frame = mixed(tests[0], count, rng)
    kinds = model.descriptor.indices(list(frame.symbols), "benchmark")
    return row | force_call(model, frame, kinds, 1)


def mixed(frame: Frame, count: int, rng: np.random.Generator) -> Frame:
    """Return the frame with elements dealt out at random, as many atoms of each."""
    symbols = np.resize(np.array(ELEMENTS[:count]), len(frame.symbols))
    return dataclasses.replace(frame, symbols=tuple(str(one) for one in rng.permutation(symbols)))


def by_stage() -> dict[str, Any]:
    """Return time and arithmetic of every stage of a force call of 124 atoms, in both precisions."""
    _, tests = divided("every_fifth")
    settings = TrainingSettings()
    variant = instructions()
    found: dict[str, Any] = {"rank": settings.rank, "settings": settings.descriptor.model_dump()}
    with tempfile.TemporaryDirectory() as folder:
        program, data = Path(folder) / "stages", Path(folder) / "list.bin"
        source = Path(__file__).with_name("potential_stages.cpp")
        flags = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-DIONSCAPE_VARIANT=clocked"]
        if platform.machine() in {"x86_64", "AMD64"}:
            flags.append(FLAGS[variant])
        subprocess.run(["g++", *flags, f"-I{SOURCES}", source, "-o", program], check=True)
        counts = written_list(tests[0], settings, data)
        descriptor = settings.descriptor
        for precision in ("single", "double"):
            words = [precision, *map(str, (descriptor.n_max, descriptor.l_max, settings.rank, 400))]
            done = subprocess.run([program, data, *words], capture_output=True, text=True, check=True)
            found[precision] = stages(json.loads(done.stdout), settings, **counts)
    return found


def written_list(frame: Frame, settings: TrainingSettings, path: Path) -> dict[str, int]:
    """Write the neighbour list of a frame for potential_stages.cpp; return numbers of atoms and species."""
    elements = sorted(set(frame.symbols))
    kinds = np.array([elements.index(symbol) for symbol in frame.symbols], dtype=np.int32)
    pairs = screened_nuclei(tuple(elements))
    neighbours = NeighbourList(kinds, len(elements), settings.descriptor.cutoff_A, SKIN)
    neighbours.build(frame.positions, frame.cell)
    images, code = np.unique(neighbours.image, axis=0, return_inverse=True)
    sizes = np.array([len(kinds), len(elements), neighbours.pairs, len(images)], dtype=np.int32)
    arrays = [
        sizes,
        np.array([settings.descriptor.cutoff_A, pairs.cutoff]),
        np.pad(frame.positions, ((0, 0), (0, 1))),
        np.pad(images @ frame.cell, ((0, 0), (0, 1))),
        kinds,
        *(one.ravel().astype(np.int32) for one in (neighbours.start, neighbours.index, code)),
    ]
    path.write_bytes(b"".join(array.tobytes() for array in arrays))
    return {"atoms": len(kinds), "species": len(elements)}


def stages(told: dict[str, Any], settings: TrainingSettings, atoms: int, species: int) -> dict[str, Any]:
    """Return stage times beside their floor: useful arithmetic at the measured peak."""
    flops = arithmetic(settings, species, told["neighbours"], told["listed"])
    peak = told["peak_GFlop_per_s"]
    rows = []
    for name, ns in told["ns"].items():
        floor = atoms * flops[name] / peak
        rows.append(
            {"stage": name, "flops_per_atom": round(flops[name]), "us": round(ns / 1000, 2)}
            | {"floor_us": round(floor / 1000, 2), "part_of_peak": round(floor / ns, 3), "held_by": HELD_BY[name]}
        )
    total, floor = sum(row["us"] for row in rows), sum(row["floor_us"] for row in rows)
    return {
        "peak_GFlop_per_s": peak,
        "neighbours": told["neighbours"],
        "listed": told["listed"],
        "stages": rows,
        "sum_ms": round(total / 1000, 4),
        "floor_ms": round(floor / 1000, 4),
        "Mflop": round(atoms * sum(flops.values()) / 1e6, 2),
        "part_of_peak": round(floor / total, 3),
    }


def arithmetic(settings: TrainingSettings, species: int, neighbours: float, listed: float) -> dict[str, float]:
    """Return the additions and multiplications an atom needs, without padding; roots and quotients count one."""
    n, degree = settings.descriptor.n_max, settings.descriptor.l_max
    channels, lm = species * n, (degree + 1) ** 2
    features = (degree + 1) * channels * (channels + 1) // 2
    return {
        "gather": 11 * listed + 10 * neighbours,
        "radial functions": 13 * n * neighbours,
        "pair repulsion": 2 * neighbours,
        "spherical harmonics": neighbours * harmonic_values(degree),
        "densities": 2 * n * lm * neighbours,
        "power spectrum": lm * channels * (channels + 1) + 4 * features,
        "quadratic form": 4 * features * min(settings.rank or features, features),
        "spectrum, backwards": 2 * lm * channels**2 + 5 * features,
        "densities and forces, backwards": neighbours * (4 * n * lm + harmonic_adjoint(degree) + 45),
    }


def harmonic_values(degree: int) -> int:
    """Return the operations of all real spherical harmonics of one vector: recurrences and products."""
    circular = 6 * max(degree - 1, 0)
    legendre = sum(2 if step == 1 else 4 for m in range(degree + 1) for step in range(1, degree - m + 1))
    return circular + legendre + degree * (degree + 1)


def harmonic_adjoint(degree: int) -> int:
    """Return the operations of the way back through the harmonics: recurrences, sums over l, then over m."""
    sums = sum(
        (8 if m else 4) + ((5 if m else 3) if l > m else 0)
        for m in range(degree + 1)
        for l in range(m, degree + 1)  # noqa: E741
    )
    return harmonic_values(degree) - degree * (degree + 1) + sums + 4 + 20 * degree


if __name__ == "__main__":
    main()
