"""Evaluations that registry searches need to reach the lowest contact, beside their peers (targets: Fig. S6).

Four interfaces of 24 to 54 atoms, each a landscape E(x, y, z) of a pair model (`registry_pair_model`) whose full
grid over the displacements that are not the same is computed here, in steps of 0.1 Å laterally and 0.05 Å along
the normal. A search has reached the minimum when its best lies within 5 meV/Å² of contact (0.08 J/m²) of the
lowest of the full grid. Every seed starts from another origin, drawn in the cell of displacements: how slabs
happen to be joined is arbitrary.

ours              Bayesian search over the displacement cell; the cheap energy is the same model with charges 20 %
and radii 4 % smaller, shifted by a random 0.1 Å: a level that is wrong in depth and place
ours, blind       the same without a cheap energy
study             the algorithm of the source study on its grid of 676 shifts
random            uniform draws from the study's box
botorch, skopt    in the study's box (3 Å × 3 Å × 0.75 Å), and in the cell of displacements (`…, cell`)

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/registry_search.py [--peers PYTHON] [--seeds 20]

PYTHON is an interpreter with botorch and scikit-optimize; without it peers are left out. Writes
``results/registry_search.json`` and the regret curves ``results/registry_search.svg``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from record import FOLDER, record
from registry_landscapes import PAIRS, interface
from registry_pair_model import pair_energy

from ionscape.interfaces.bayesian_search import SearchRules, SearchSpace, bayesian_search
from ionscape.interfaces.displacements import DisplacementCell, displacement_cell
from ionscape.interfaces.planar_symmetry import planar_group
from ionscape.interfaces.shifts import overlapping, reduced_grid, shortest_distances, study_grid
from ionscape.interfaces.study_search import StudyRules, study_search

#: Within so much of the lowest the minimum counts as reached, eV/Å².
REACHED = 0.005
EVALUATIONS = 60
NORMALS = (0.0, 0.25, 0.5, 0.75)
CHARGES = {"Li": 1, "Co": 3, "O": -2, "Ni": 2, "Nb": 5, "S": -2, "Zr": 4, "N": -3}
RADII = {"Li": 0.76, "Co": 0.55, "O": 1.38, "Ni": 0.69, "Nb": 0.64, "S": 1.84, "Zr": 0.8, "N": 1.46}
NAMES = tuple(name for name, pair in PAIRS.items() if isinstance(pair[0], str))


@dataclass(frozen=True)
class Landscape:
    """A contact whose full grid is known: model, cell, area, lowest energy, and overlaps by shift."""

    name: str
    model: dict[str, np.ndarray]
    cell: DisplacementCell
    area: float
    lowest: float
    contact: Any


def landscape(name: str) -> Landscape:
    """Return a landscape with the lowest energy of its full grid."""
    contact = interface(name)
    cell = displacement_cell(planar_group(contact.film_slab), planar_group(contact.substrate_slab))
    model = {"cell": np.array(contact.cell)}
    for side, slab in (("film", contact.film_slab), ("substrate", contact.substrate_slab)):
        symbols = [site.specie.symbol for site in slab]
        model |= {
            side: np.array(slab.cart_coords),
            f"q_{side}": np.array([CHARGES[s] for s in symbols], dtype=float),
            f"r_{side}": np.array([RADII[s] for s in symbols]),
        }
    coarse = reduced_grid(cell, np.arange(0.0, 0.76, 0.125), 0.3)
    energies = np.array([pair_energy(model, shift) for shift in coarse])
    lowest = energies.min()
    for start in coarse[np.argsort(energies)[:6]]:  # the full grid is refined about its lowest points
        offsets = np.stack(np.meshgrid(*[np.arange(-2, 3) * 0.08] * 2, np.arange(-2, 3) * 0.05), axis=-1).reshape(
            -1, 3
        )
        near = start + offsets
        near = near[(near[:, 2] >= 0) & (near[:, 2] <= 0.75)]
        lowest = min(lowest, *(pair_energy(model, shift) for shift in near))
    print(f"{name}: {len(coarse)} grid points, cell {cell.area:.1f} Å², lowest {lowest:.2f} eV", flush=True)
    return Landscape(name, model, cell, contact.area, float(lowest), contact)


def origins(one: Landscape, seeds: int) -> np.ndarray:
    """Return the origin of every seed: a lateral shift in the cell of displacements."""
    parts = np.random.default_rng(7).uniform(0, 1, (seeds, 2)) @ one.cell.vectors
    return np.column_stack([parts, np.zeros(seeds)])


def evaluator(one: Landscape, origin: np.ndarray) -> Any:
    """Return the objective of a seed."""
    return lambda shifts: [pair_energy(one.model, shift + origin) for shift in shifts]


def ours(one: Landscape, origin: np.ndarray, seed: int, *, informed: bool) -> list[float]:
    """Return the energies that our search found, in their order."""
    rng = np.random.default_rng([seed, 1])
    turned = DisplacementCell(
        one.cell.vectors,
        one.cell.rotations,
        # an operation t → tW + w seen from another origin
        one.cell.shifts + np.einsum("j,kij->ki", origin[:2], one.cell.rotations.transpose(0, 2, 1)) - origin[:2],
    )
    candidates = reduced_grid(turned, NORMALS, 0.25)
    film = np.isin(np.arange(len(one.contact.structure)), one.contact.film_sites)
    shortest = shortest_distances(one.contact.film_slab, one.contact.substrate_slab)
    allowed = ~overlapping(one.contact.structure, film, candidates + origin, shortest)
    cheap = None
    if informed:
        wrong = {
            **one.model,
            "q_film": 0.8 * one.model["q_film"],
            "q_substrate": 0.8 * one.model["q_substrate"],
            "r_film": 0.96 * one.model["r_film"],
            "r_substrate": 0.96 * one.model["r_substrate"],
        }
        error = np.append(rng.normal(0, 0.1, 2), 0.0)
        cheap = np.array([pair_energy(wrong, shift + origin + error) for shift in candidates])
    space = SearchSpace(candidates, turned, allowed, cheap)
    rules = SearchRules(tolerance=1e-12, max_evaluations=min(EVALUATIONS, 30), min_evaluations=30)
    trace = bayesian_search(space, evaluator(one, origin), rng, rules)
    return [float(e.outcome) for e in trace.evaluations]


def study(one: Landscape, origin: np.ndarray, seed: int) -> list[float]:
    """Return the energies that the study's search found, as long as it went on (its own stop rule)."""
    trace = study_search(study_grid(), evaluator(one, origin), np.random.default_rng([seed, 2]), StudyRules())
    return [float(e.outcome) for e in trace.evaluations]


def random_draws(one: Landscape, origin: np.ndarray, seed: int) -> list[float]:
    """Return the energies of random shifts in the study's box."""
    rng = np.random.default_rng([seed, 3])
    return evaluator(one, origin)(rng.uniform(0, 1, (EVALUATIONS, 3)) * [3, 3, 0.75])


def peer(python: str, name: str, one: Landscape, seeds: int, *, in_cell: bool) -> list[list[float]]:
    """Return the energies that a peer found for every seed."""
    side = np.linalg.norm(one.cell.vectors, axis=1) if in_cell else np.array([3.0, 3.0])
    box = np.array([[0, side[0]], [0, side[1]], [0, 0.75]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        np.savez(path, **one.model, box=box, origins=origins(one, seeds))
        script = Path(__file__).with_name("registry_peers.py")
        command = [python, str(script), name, str(path), str(seeds), str(30)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line)["energies"] for line in done.stdout.splitlines()]


def needed(energies: list[float], one: Landscape) -> int | None:
    """Return the number of evaluations until the minimum was reached; None if it never was."""
    reached = [i for i, e in enumerate(energies, start=1) if (e - one.lowest) / one.area <= REACHED]
    return reached[0] if reached else None


def runs_of(one: Landscape, seeds: int, python: str | None) -> dict[str, list[list[float]]]:
    """Return the energies of all methods and seeds."""
    starts = origins(one, seeds)
    found = {
        "ours": [ours(one, o, k, informed=True) for k, o in enumerate(starts)],
        "ours, blind": [ours(one, o, k, informed=False) for k, o in enumerate(starts)],
        "study": [study(one, o, k) for k, o in enumerate(starts)],
        "random": [random_draws(one, o, k) for k, o in enumerate(starts)],
    }
    for name in ("skopt", "botorch") if python else ():
        found[name] = peer(python, name, one, seeds, in_cell=False)
        found[f"{name}, cell"] = peer(python, name, one, seeds, in_cell=True)
    return found


def summary(found: dict[str, list[list[float]]], one: Landscape) -> dict[str, Any]:
    """Return for every method the median of the evaluations needed, and in how many seeds it got there.

    A search that never got there counts as needing more than it made.
    """
    told = {}
    for name, runs in found.items():
        counts = [needed(run, one) for run in runs]
        median = float(np.median([np.inf if n is None else n for n in counts]))
        told[name] = {
            "median_evaluations": median if np.isfinite(median) else "not reached",
            "reached": sum(n is not None for n in counts),
            "seeds": len(runs),
            "evaluations_made": float(np.median([len(run) for run in runs])),
        }
    return told


def regret_curves(found: dict[str, dict[str, list[list[float]]]], landscapes: list[Landscape]) -> Path:
    """Draw the median of the lowest energy so far above the minimum against the evaluations, a panel a contact."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.4 * ((len(landscapes) + 1) // 2)), layout="constrained")
    panels = figure.subplots((len(landscapes) + 1) // 2, 2, squeeze=False).flat
    for axes, one in zip(panels, landscapes, strict=False):
        for name, runs in found[one.name].items():
            length = min(len(run) for run in runs)
            best = np.array([np.minimum.accumulate(run[:length]) for run in runs])
            regret = 16.0218 * (best - one.lowest) / one.area
            axes.plot(np.arange(1, length + 1), np.maximum(np.median(regret, axis=0), 1e-3), label=name)
        axes.axhline(16.0218 * REACHED, color="grey", linewidth=0.6)
        axes.set(title=one.name, yscale="log", xlabel="evaluations", ylabel="above the minimum (J/m²)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    path = FOLDER / "registry_search.svg"
    FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})
    return path


def main() -> None:
    """Run all searches, print the medians, write results and figure."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="interpreter with botorch and scikit-optimize")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    landscapes = [landscape(name) for name in NAMES]
    found, told = {}, {}
    for one in landscapes:
        found[one.name] = runs_of(one, options.seeds, options.peers)
        told[one.name] = summary(found[one.name], one)
        for name, row in told[one.name].items():
            print(f"{one.name:24s} {name:14s} {row}", flush=True)
        record("registry_search", {"reached_eV_per_A2": REACHED, "landscapes": told})
        regret_curves(found, landscapes[: len(found)])


if __name__ == "__main__":
    main()
