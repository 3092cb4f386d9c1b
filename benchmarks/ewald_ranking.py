"""Ewald energies of doped configurations: pymatgen's sum per configuration against one interaction matrix.

Run: ``OMP_NUM_THREADS=1 python benchmarks/ewald_ranking.py``. The host is Li6Zr2O7 of the packaged phase table in
a 1×2×1 supercell of 120 atoms, N on O with one Li interstitial per N. Both sides compute the energy of the same
configurations; kernels are compiled before the clock starts (they are cached on disk).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure
from record import record

from ionscape.doping.configurations import layout, random_configurations
from ionscape.doping.ewald import changed_energies, interaction_matrix
from ionscape.doping.search import Landscape
from ionscape.doping.settings import DopingRoute
from ionscape.doping.sites import Placement, SiteLattice, doped_structure, placements, site_lattice
from ionscape.doping.symmetry import site_permutations, unique_configurations
from ionscape.phases.table import phase_table
from ionscape.structures.voids import find_empty_sites

CHARGES = {"Li": 1.0, "Zr": 4.0, "O": -2.0, "N": -3.0}
ROUTE = DopingRoute(name="N on O", replace={"O": "N"}, insert={"Li": 1})
PEER_CONFIGURATIONS = 20
REPEATS = 7


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of `work` in s, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def median_time(work: Callable[[], Any]) -> float:
    return statistics.median(timed(work)[0] for _ in range(REPEATS))


def doped_cell(count: int) -> tuple[SiteLattice, list[Placement]]:
    host = phase_table()["Li6Zr2O7"].structure()
    sites = site_lattice(host, find_empty_sites(host).all_fractional, (1, 2, 1), 1.5)
    return sites, placements(sites, ROUTE, count, CHARGES)


def peer_energy(structure: Structure) -> float:
    return float(EwaldSummation(structure).total_energy)


def against_the_peer() -> dict[str, Any]:
    """Compare the time per configuration, and the energies, for Li49Zr16O55N."""
    sites, placed = doped_cell(1)
    arrangement, host = layout(sites, placed), sites.charges(CHARGES)
    rows = random_configurations(arrangement, 500, np.random.default_rng(0))
    matrix = interaction_matrix(sites.lattice, sites.fractional)
    energies = changed_energies(matrix, host, rows, arrangement.changes)
    matrix_s = median_time(lambda: interaction_matrix(sites.lattice, sites.fractional))
    ranking_s = median_time(lambda: changed_energies(matrix, host, rows, arrangement.changes))
    structures = [doped_structure(sites, placed, row) for row in rows[:PEER_CONFIGURATIONS]]
    for structure in structures:
        structure.add_oxidation_state_by_element(CHARGES)
    peer = [timed(lambda s=structure: peer_energy(s)) for structure in structures]
    peer_s = statistics.median(seconds for seconds, _ in peer)
    difference = max(abs(e / ours - 1) for (_, e), ours in zip(peer, energies, strict=False))
    return {
        "cell": structures[0].composition.element_composition.formula.replace(" ", ""),
        "sites": len(sites.elements),
        "pymatgen_s_per_configuration": peer_s,
        "matrix_s": matrix_s,
        "ranking_of_500_s": ranking_s,
        "ours_s_per_configuration_of_500_with_matrix": (matrix_s + ranking_s) / 500,
        "ratio_for_500_with_matrix": 500 * peer_s / (matrix_s + ranking_s),
        "ratio_for_500_without_matrix": 500 * peer_s / ranking_s,
        "largest_relative_difference": difference,
    }


def a_million(count: int, number: int = 1_000_000) -> dict[str, Any]:
    """Time every part of the funnel before the relaxations, for a million configurations with `count` N."""
    sites, placed = doped_cell(count)
    arrangement = layout(sites, placed)
    permutations_s, permutations = timed(lambda: site_permutations(sites))
    matrix_s, matrix = timed(lambda: interaction_matrix(sites.lattice, sites.fractional))
    landscape = Landscape(matrix, sites.charges(CHARGES), arrangement, permutations)
    warm = random_configurations(arrangement, 10, np.random.default_rng(0))
    unique_configurations(warm, arrangement.starts, permutations)
    draw_s, rows = timed(lambda: random_configurations(arrangement, number, np.random.default_rng(1)))
    unique_s, unique = timed(lambda: unique_configurations(rows, arrangement.starts, permutations))
    energy_s, energies = timed(lambda: landscape.energies(unique.sites))
    sort_s, _ = timed(lambda: np.argsort(energies))
    return {
        "cell": doped_structure(sites, placed, rows[0]).composition.formula.replace(" ", ""),
        "changed_sites": rows.shape[1],
        "symmetry_operations": len(permutations),
        "configurations": number,
        "distinct": len(unique.sites),
        "symmetry_s": permutations_s,
        "matrix_s": matrix_s,
        "sampling_s": draw_s,
        "duplicates_s": unique_s,
        "energies_s": energy_s,
        "sorting_s": sort_s,
        "total_s": permutations_s + matrix_s + draw_s + unique_s + energy_s + sort_s,
    }


def main() -> None:
    results = {"against_pymatgen": against_the_peer(), "a_million": [a_million(count) for count in (1, 4, 7)]}
    for name, value in results["against_pymatgen"].items():
        print(f"{name:45s} {value if isinstance(value, str | int) else f'{value:.4g}'}")
    for run in results["a_million"]:
        print(f"\n10^6 configurations of {run['cell']} ({run['distinct']} distinct): {run['total_s']:.2f} s")
        print(
            "  " + ", ".join(f"{k[:-2]} {v:.3g} s" for k, v in run.items() if k.endswith("_s") and k != "total_s")
        )
    print(f"\n{record('ewald_ranking', results)}")


if __name__ == "__main__":
    main()
