"""Mutual reactions at contacts: pymatgen's InterfacialReactivity pair by pair against one heat map of ours.

Run: ``OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/contact_reactions.py``. Two parts, on one core:

1. the study's heat map, 9 cathodes × 11 phases, from the packaged energies. pymatgen gets a `PhaseDiagram` of the
   pair's elements for each pair; both sides find every kink with its balanced reaction.
2. one pair among 300 random entries of 4 to 12 elements. pymatgen works in a process of its own with limits on
   time and memory, and is left out where the last smaller system exceeded them. HiGHS, at the kinks, says whether
   ours are right.

Energies at the kinks are compared in the same run. Compiled kernels are loaded before the clock starts; how long
loading takes, and compiling where nothing is cached, is measured in processes of their own.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from pymatgen.analysis.interface_reactions import InterfacialReactivity
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from record import record
from scipy.optimize import linprog

from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases, phase_energies, phases_from_rows, row_of
from ionscape.phases.table import unabbreviated
from ionscape.phases.uncertainty import energy_errors
from ionscape.stability.contact import MutualReaction, contact_matrix, mutual_reaction
from ionscape.stability.sampling import sampled_energies
from ionscape.stability.system import chemical_system, reactant

CATHODES = (
    "LiCoO2", "Li0.5CoO2", "LiNiO2", "NCM333", "NCM811", "LiMn2O4", "LiFePO4", "FePO4", "Li3V2(PO4)3",
)  # fmt: skip
PHASES = (
    "Li6Zr2O7", "Li49Zr16O55N", "Li2O", "Li2ZrN2", "Li3PS4", "Li3YBr6", "Li7La3Zr2O12", "LiNbO3", "LiTaO3",
    "Li3PO4", "Li2PO2N",
)  # fmt: skip
SYMBOLS = ("Li", "O", "Co", "Zr", "N", "P", "Na", "Mg", "S", "Fe", "Y", "Cl")
ENTRIES, DRAWS, REPEATS, PEER_REPEATS = 300, 200, 21, 3
PEER_LIMIT_S, PEER_LIMIT_BYTES = 300, 6 * 2**30
Kinks = list[tuple[float, float]]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of `work` in s, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def median_time(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    return statistics.median(timed(work)[0] for _ in range(repeats))


def composition(formula: str) -> Composition:
    return Composition(unabbreviated(formula))


def symbols(*formulas: str) -> set[str]:
    return {element.symbol for formula in formulas for element in composition(formula).elements}


def entries_of(phases: CompetingPhases, elements: set[str]) -> list[PDEntry]:
    pairs = [(Composition(formula), e) for formula, e in zip(phases.formulas, phases.energies, strict=True)]
    return [PDEntry(c, e * c.num_atoms) for c, e in pairs if {x.symbol for x in c.elements} <= elements]


def peer_kinks(cathode: str, other: str, diagram: PhaseDiagram) -> Kinks:
    first, second = composition(cathode), composition(other)
    kinks = InterfacialReactivity(first, second, diagram, norm=True, use_hull_energy=True).get_kinks()
    return [(float(x), float(energy)) for _, x, energy, _, _ in kinks]


def our_kinks(reaction: MutualReaction) -> Kinks:
    return [(point.x, point.energy) for point in reaction.profile]


def difference(first: Kinks, second: Kinks) -> float:
    """Return the largest difference of ΔE, eV/atom, at the kinks of either of two profiles."""
    (x, e), (y, f) = (np.array(sorted(kinks)).T for kinks in (first, second))
    return float(max(np.abs(np.interp(y, x, e) - f).max(), np.abs(np.interp(x, y, f) - e).max()))


def packaged() -> CompetingPhases:
    return phase_energies(Level.of("chgnet"), symbols(*CATHODES, *PHASES))


def heat_map() -> dict[str, Any]:
    """Time the whole heat map on both sides, and compare every pair."""
    phases_s, phases = timed(packaged)
    cathodes, others = ([reactant(name, phases) for name in names] for names in (CATHODES, PHASES))
    first_s, matrix = timed(lambda: contact_matrix(cathodes, others, phases))
    whole_s = median_time(lambda: contact_matrix(cathodes, others, phases))
    errors_s, errors = timed(lambda: energy_errors(Level.of("chgnet")))
    rng = np.random.default_rng(0)
    draws_s, sampled = timed(lambda: sampled_energies(phases, (*cathodes, *others), errors, DRAWS, rng))
    contact_matrix(cathodes[:1], others[:1], phases, sampled=sampled)
    intervals_s = median_time(lambda: contact_matrix(cathodes, others, phases, sampled=sampled), PEER_REPEATS)
    pairs = against_the_peer(matrix.reactions, phases)
    peer_s, diagrams_s = (sum(pair[name] for pair in pairs) for name in ("peer_s", "diagram_s"))
    ratios = [pair["peer_s"] / pair["ours_s"] for pair in pairs]
    return {
        "phases": len(phases.labels),
        "elements": len(phases.elements),
        "pairs": len(pairs),
        "kinks": sum(len(reaction.profile) for reaction in matrix.reactions),
        "reading_the_phases_s": phases_s,
        "first_call_s": first_s,
        "ours_s": whole_s,
        "ours_with_intervals_s": intervals_s,
        "draws": DRAWS,
        "drawing_s": draws_s,
        "fitting_the_errors_s": errors_s,
        "pymatgen_reactivity_s": peer_s,
        "pymatgen_diagrams_s": diagrams_s,
        "ratio_to_reactivity": peer_s / whole_s,
        "ratio_to_reactivity_with_diagrams": (peer_s + diagrams_s) / whole_s,
        "ratio_of_a_pair_alone": {
            "smallest": min(ratios), "median": statistics.median(ratios), "largest": max(ratios),
        },
        "largest_difference_eV_per_atom": max(pair["difference"] for pair in pairs),
        "by_pair": pairs,
    }  # fmt: skip


def against_the_peer(reactions: tuple[MutualReaction, ...], phases: CompetingPhases) -> list[dict[str, Any]]:
    system, pairs = chemical_system(phases), []
    for reaction in reactions:
        names = reaction.cathode, reaction.phase
        one, other = (reactant(name, phases) for name in names)
        entries = entries_of(phases, symbols(*names))
        diagram_s, diagram = timed(lambda entries=entries: PhaseDiagram(entries))
        kinks = peer_kinks(*names, diagram)
        pairs.append(
            {
                "pair": " | ".join(names),
                "elements": len(diagram.elements),
                "entries": len(entries),
                "kinks": len(reaction.profile),
                "ours_s": median_time(lambda one=one, other=other: mutual_reaction(one, other, system)),
                "peer_s": median_time(lambda n=names, d=diagram: peer_kinks(*n, d), PEER_REPEATS),
                "diagram_s": diagram_s,
                "difference": difference(our_kinks(reaction), kinks),
            }
        )
    return pairs


def random_phases(n_elements: int) -> CompetingPhases:
    """Return the elements and random compounds of 2 to 4 of them, with negative formation energies."""
    rng = np.random.default_rng(n_elements)
    counts = np.zeros((2 * ENTRIES, n_elements), dtype=int)
    for row in counts:
        chosen = rng.choice(n_elements, rng.integers(2, min(n_elements, 4) + 1), replace=False)
        row[chosen] = rng.permutation(12)[: len(chosen)] + 1
    counts = np.vstack([np.eye(n_elements, dtype=int), counts])
    distinct = np.unique((counts / counts.sum(axis=1, keepdims=True)).round(9), axis=0, return_index=True)[1]
    counts = counts[np.sort(distinct)[:ENTRIES]]
    fractions = counts / counts.sum(axis=1, keepdims=True)
    formation = -(1 - (fractions**2).sum(axis=1)) * rng.uniform(0.5, 2.0, len(counts))
    energies = formation + fractions @ rng.uniform(-9.0, -1.0, n_elements)
    names = SYMBOLS[:n_elements]
    rows = [
        row_of(Composition(dict(zip(names, map(int, row), strict=True))), float(e))
        for row, e in zip(counts, energies, strict=True)
    ]
    return phases_from_rows(rows, names, level="random", scheme="random", references={}, excluded={})


def random_pair(n_elements: int) -> tuple[str, str]:
    """Return two compositions that hold all elements between them and share one."""
    half = n_elements // 2
    sides = SYMBOLS[: half + 1], SYMBOLS[half:n_elements]
    return tuple("".join(f"{e}{i + 1}" for i, e in enumerate(side)) for side in sides)  # type: ignore[return-value]


def growth(counts: tuple[int, ...] = (4, 5, 6, 7, 8, 9, 10, 11, 12)) -> list[dict[str, Any]]:
    """Time one pair in systems of more and more elements; the peer until it exceeds its limits."""
    found, peer_runs = [], True
    for n_elements in counts:
        phases, names = random_phases(n_elements), random_pair(n_elements)
        one, other = (reactant(name, phases) for name in names)
        whole_s = median_time(lambda p=phases, a=one, b=other: mutual_reaction(a, b, chemical_system(p)))
        system = chemical_system(phases)
        reaction = mutual_reaction(one, other, system)
        run: dict[str, Any] = {
            "elements": n_elements,
            "entries": len(phases.labels),
            "kinks": len(reaction.profile),
            "ours_s": median_time(lambda a=one, b=other, s=system: mutual_reaction(a, b, s)),
            "ours_from_the_phases_s": whole_s,
            "difference_to_highs": difference_to_highs(reaction, phases),
        }
        peer = peer_in_its_own_process(n_elements) if peer_runs else "not tried: the last smaller system failed"
        peer_runs = isinstance(peer, dict)
        if isinstance(peer, dict):
            run |= {
                "pymatgen_diagram_s": peer["diagram_s"],
                "pymatgen_reactivity_s": peer["reactivity_s"],
                "ratio_to_reactivity": peer["reactivity_s"] / run["ours_s"],
                "ratio_to_reactivity_with_diagram": (peer["diagram_s"] + peer["reactivity_s"]) / whole_s,
                "difference_to_pymatgen": difference(our_kinks(reaction), peer["kinks"]),
            }
        else:
            run["pymatgen"] = peer
        found.append(run)
        print(
            {name: value if not isinstance(value, float) else float(f"{value:.3g}") for name, value in run.items()}
        )
    return found


def difference_to_highs(reaction: MutualReaction, phases: CompetingPhases) -> float:
    """Return the largest difference of ΔE, eV/atom, to linear programmes solved by HiGHS at the kinks."""

    def lowest(at: np.ndarray) -> float:
        return float(linprog(phases.energies, A_eq=phases.fractions.T, b_eq=at, method="highs-ds").fun)

    end, start = (phases.fractions_of(composition(name)) for name in (reaction.cathode, reaction.phase))
    at_start, at_end = lowest(start), lowest(end)
    return max(
        abs(lowest((1 - x) * start + x * end) - (1 - x) * at_start - x * at_end - energy)
        for x, energy in our_kinks(reaction)
    )


def peer_in_its_own_process(n_elements: int) -> dict[str, Any] | str:
    """Return what `peer` prints for a system, or why there is nothing."""
    command = [sys.executable, __file__, "peer", str(n_elements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {PEER_LIMIT_S} s"
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['killed'])[-1][:200]}"
    return dict(json.loads(done.stdout))


def peer(n_elements: int) -> None:
    """Print times and kinks of pymatgen for one random system, as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (PEER_LIMIT_BYTES, PEER_LIMIT_BYTES))
    phases, names = random_phases(n_elements), random_pair(n_elements)
    diagram_s, diagram = timed(lambda: PhaseDiagram(entries_of(phases, set(phases.elements))))
    reactivity_s, kinks = timed(lambda: peer_kinks(*names, diagram))
    print(json.dumps({"diagram_s": diagram_s, "reactivity_s": reactivity_s, "kinks": kinks}))


def first_call() -> None:
    """Print how long the first mutual reaction of a process takes, in s."""
    phases = random_phases(6)
    one, other = (reactant(name, phases) for name in random_pair(6))
    system = chemical_system(phases)
    print(timed(lambda: mutual_reaction(one, other, system))[0])


def compiling() -> dict[str, float]:
    """Return the time of a process's first reaction with no compiled kernel on disk, and with all of them."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, __file__, "first-call"]
        cold, cached = (
            float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
            for _ in range(2)
        )
    return {"first_reaction_compiling_s": cold, "first_reaction_from_the_cache_s": cached}


def main() -> None:
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["peer"]:
        return peer(int(sys.argv[2]))
    if sys.argv[1:2] == ["first-call"]:
        return first_call()
    results = {"compiling": compiling(), "heat_map": heat_map(), "random_entries": growth()}
    for name, value in (results["compiling"] | results["heat_map"]).items():
        if name != "by_pair":
            print(f"{name:40s} {f'{value:.4g}' if isinstance(value, float) else value}")
    random = [run[name] for run in results["random_entries"] for name in run if name.startswith("difference")]
    worst = max(results["heat_map"]["largest_difference_eV_per_atom"], *random)
    assert worst < 1e-6, f"the two disagree by {worst} eV/atom"
    print(f"\n{record('contact_reactions', results)}")
    return None


if __name__ == "__main__":
    main()
