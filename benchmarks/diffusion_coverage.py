"""How often the 95 % interval of a diffusion coefficient holds the truth, on walks seen and not seen before.

Run: ``OMP_NUM_THREADS=1 python benchmarks/diffusion_coverage.py [--runs 1000] [--only TEXT] [--set …]``. The
walks of `SEEN` were looked at while the method was made, those of `FRESH` when it was changed for mobility that
fluctuates and for vibrations; those of `HELD_BACK` were written down after that and run once. Runs without a
coefficient are left out of all but `refused` and `bound_holds`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import coverage_walks as walks
import numpy as np
from record import record

from ionscape.transport.diffusion import Diffusion, diffusion

SEED = 2024

SEEN: dict[str, walks.Model] = {
    "Brownian, 50 ions, 1000 frames": walks.brownian(1000, 50),
    "Brownian, 4 ions, 300 frames": walks.brownian(300, 4),
    "Brownian with noise 25 times a step, 10 ions": walks.brownian(2000, 10, 0.01, 0.5),
    "hops, 50 ions, 20 each": walks.hopping(3000, 50, 0.02 / 3),
    "hops, 50 ions, 4 each": walks.hopping(3000, 50, 0.004 / 3),
    "hops, 8 ions, 40 each": walks.hopping(4000, 8, 0.01),
    "hops, 4 ions, 30 each": walks.hopping(3000, 4, 0.01),
    "hops, 52 ions, 15 each, every 20th frame": walks.strided(600, 52, 0.00125, 20),
    "back-jumps, f = 1/3, 50 ions, 80 each": walks.hopping(4000, 50, 0.02, 0.5),
    "back-jumps, f = 1/9, 20 ions, 200 each": walks.hopping(5000, 20, 0.04, 0.8),
    "back-jumps, f = 0.54, 4 ions, 60 each": walks.hopping(6000, 4, 0.01, 0.3),
    "back-jumps, f = 0.54, 20 ions, 30 each": walks.hopping(3000, 20, 0.01, 0.3),
    "double wells, 20 ions": walks.double_well(6000, 20, 0.004, 0.02),
    "16 of 24 ions immobile": walks.immobile(4000, 24, 8, 0.01),
    "trios that hop together, 48 ions": walks.groups(4000, 16, 3, 0.0075),
    "hops along one direction, 20 ions": walks.one_direction(4000, 20, 0.0075),
    "switching, 24 ions, 300 frames on, 300 off": walks.switching(6000, 24, 300, 300),
    "rattling only": walks.still(3000, 20, 150, 0.3),
}

FRESH: dict[str, walks.Model] = {
    "lattice gas, 62 ions, 2 vacancies": walks.lattice_gas(3000, 4, 2, 0.6),
    "lattice gas, 24 ions, 3 vacancies": walks.lattice_gas(2500, 3, 3, 0.2),
    "cosine potential, 12 ions": walks.cosine(4000, 12, 5.0),
    "cosine potential, 40 ions, short": walks.cosine(1000, 40, 4.0),
    "alternating bonds, 30 ions": walks.alternating(3000, 30, 0.02, 0.005),
    "alternating bonds, 6 ions": walks.alternating(5000, 6, 0.02, 0.005),
    "traps, 30 ions": walks.traps(4000, 30, 0.04, 10.0, 0.2),
    "traps, 8 ions, long": walks.traps(10000, 8, 0.04, 10.0, 0.2),
    "chains of 1 to 5 ions, 30 ions": walks.chains(4000, 30, 0.02, 5),
    "chains of 1 to 3 ions, 12 ions": walks.chains(5000, 12, 0.02, 3),
    "anisotropic, sheared, 16 ions": walks.anisotropic(3000, 16, (0.02, 0.005, 0.001)),
    "anisotropic, vibrations resolved, 52 ions": walks.anisotropic(
        3000, 52, (0.004, 0.004, 0.001), vibrations=True
    ),
    "persistent, 10 ions": walks.persistent(2000, 10, 20.0),
    "switching, 40 ions, 100 on, 900 off": walks.switching(8000, 40, 100, 900, 0.05),
    "switching, 6 ions, 100 on, 100 off": walks.switching(6000, 6, 100, 100),
    "switching all at once, 20 ions": walks.switching(8000, 20, 100, 100, all_at_once=True),
    "hops, 4 ions, 100 each": walks.hopping(5000, 4, 0.02),
    "hops, 52 ions, 3 each, 300 frames": walks.hopping(300, 52, 0.01),
    "hops, 20 ions, every 50th frame": walks.strided(200, 20, 0.004, 50),
    "back-jumps, f = 0.6, 52 ions, every 20th frame": walks.strided(500, 52, 0.004, 20, 0.25),
    "back-jumps, f = 1/5, 8 ions, 150 each": walks.hopping(5000, 8, 0.03, 2 / 3),
    "20 of 52 ions immobile": walks.immobile(3000, 52, 32, 0.005),
    "pairs that hop together, 10 ions": walks.groups(5000, 5, 2, 0.02),
    "Brownian with noise, 4 ions, 200 frames": walks.brownian(200, 4, 0.5, 0.5),
    "Brownian, 1 ion, 1000 frames": walks.brownian(1000, 1),
    "slow cages only": walks.still(3000, 30, 400, 0.5),
}


#: Written down when the method had last been changed with an eye on all of the above, and run once.
HELD_BACK: dict[str, walks.Model] = {
    "Brownian, 20 ions, 500 frames": walks.brownian(500, 20),
    "two mobilities, 16 ions": walks.two_mobilities(5000, 16, 150, 0.03, 0.003),
    "switching, 12 ions, 50 on, 450 off": walks.switching(5000, 12, 50, 450, 0.05),
    "drifting mobility, 20 ions": walks.drifting_mobility(4000, 20, 200, 1.0, 0.02),
    "bursts of 6 hops, 20 ions": walks.bursts(4000, 20, 0.003, 5.0, 20.0),
    "vibrations of 25 frames, hops, 20 ions": walks.vibrating_hops(3000, 20, 0.01, 25, 100),
    "vibrations of 8 frames, back-jumps, 40 ions": walks.vibrating_hops(3000, 40, 0.02, 8, 30, 1 / 3),
    "back-jumps, f = 0.43, 6 ions, 80 each": walks.hopping(6000, 6, 0.0133, 0.4),
    "10 of 30 ions immobile": walks.immobile(3000, 30, 20, 0.008),
    "hops, 30 ions, 12 each": walks.hopping(2500, 30, 0.005),
    "pairs that hop together, 16 ions": walks.groups(3000, 8, 2, 0.012),
    "cages of two kinds only": walks.still(3000, 16, 250, 0.4),
}


def coverage(model: walks.Model, runs: int) -> dict[str, Any]:
    """Return how often the interval holds the truth, bias, width, scatter and refusals; all relative to D."""
    rng, truth = np.random.default_rng(SEED), model.truth()
    told, bounds, seconds = [], [], 0.0
    for _ in range(runs):
        positions = model.walk(rng)
        start = time.perf_counter()
        found = diffusion(positions, 1.0)
        seconds += time.perf_counter() - start
        if isinstance(found, Diffusion):
            told.append((found.value, found.low95, found.high95))
        else:
            bounds.append(found.upper_bound)
    results: dict[str, Any] = {"runs": runs, "refused": len(bounds) / runs, "s_per_run": seconds / runs}
    if bounds:
        results["bound_holds"] = float(np.mean(np.array(bounds) >= truth))
    if len(told) > 1 and truth:
        results |= _summary(np.array(told).T / truth)
    return results


def _summary(told: np.ndarray) -> dict[str, Any]:
    value, low, high = told
    held = float(np.mean((low <= 1) & (high >= 1)))
    # both in the logarithm, in which intervals are nearly symmetric
    scatter, width = float(np.log(value).std()), float(np.mean(np.log(high / low)) / 3.92)
    return {
        "coverage": held,
        "coverage_error": math.sqrt(max(held * (1 - held), 1 / len(value)) / len(value)),
        "truth_below": float(np.mean(low > 1)),
        "truth_above": float(np.mean(high < 1)),
        "bias": float(value.mean() - 1),
        "scatter": scatter,
        "width": width,
        "width_over_scatter": width / scatter,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", default="", help="only models whose name has this text; nothing is recorded")
    parser.add_argument(
        "--set", choices=("seen", "fresh", "held-back", "all"), default="all", help="one alone is not recorded"
    )
    options = parser.parse_args()
    sets = {"seen": SEEN, "fresh": FRESH, "held-back": HELD_BACK}
    diffusion(walks.brownian(100, 3).walk(np.random.default_rng(0)), 1.0)
    results: dict[str, Any] = {}
    for name in sets if options.set == "all" else [options.set]:
        results[name] = {}
        for model in (m for m in sets[name] if options.only in m):
            results[name][model] = coverage(sets[name][model], options.runs)
            print(model, json.dumps(results[name][model]), flush=True)
    if options.set == "all" and not options.only:
        print(record("diffusion_coverage", results))


if __name__ == "__main__":
    main()
