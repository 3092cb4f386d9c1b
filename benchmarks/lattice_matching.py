"""Lattice matching beside pymatgen's ZSLGenerator: time, and whether every one of its matches is found.

    python benchmarks/lattice_matching.py [--repeats 5]

LiCoO2(104)|Li6Zr2O7(001) at relative tolerances of 0.03 (lengths) and 0.01 (angles) and ten other pairs, up to
300 Å². pymatgen is timed twice: its first search in a process, which compiles its functions and is what a user
waits for, and the following ones. Both search the same surface lattices; the matches compared are pairs of
superlattices, whatever vectors they are written in. ``benchmarks/results/lattice_matching.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from typing import Any

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
from record import record  # noqa: E402

from ionscape.interfaces.matching import lattice_matches  # noqa: E402
from ionscape.interfaces.orientation import orientation  # noqa: E402
from ionscape.interfaces.settings import MatchSettings  # noqa: E402
from ionscape.study.inputs import structure_named  # noqa: E402

AREA, LENGTH, ANGLE = 300.0, 0.03, 0.01
PAIRS = [
    ("LiCoO2", (1, 0, 4), "Li6Zr2O7", (0, 0, 1)),
    ("LiCoO2", (0, 0, 1), "Li6Zr2O7", (0, 0, 1)),
    ("LiCoO2", (1, 0, 4), "Li2O", (1, 1, 1)),
    ("LiCoO2", (1, 0, 4), "LiNbO3", (0, 1, 2)),
    ("LiCoO2", (1, 0, 4), "Li3PS4", (1, 0, 0)),
    ("LiCoO2", (1, 0, 4), "LiTaO3", (0, 1, 2)),
    ("LiNiO2", (1, 0, 4), "Li6Zr2O7", (1, 1, 0)),
    ("Li2ZrN2", (0, 0, 1), "Li2O", (1, 1, 0)),
    ("ZrO2", (0, 0, 1), "Li2O", (1, 0, 0)),
    ("Li", (1, 1, 0), "Li2O", (1, 1, 1)),
    ("Li", (1, 0, 0), "LiCoO2", (0, 0, 1)),
]
#: Run in a process of its own: the first search there compiles.
PEER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from pymatgen.analysis.interfaces.zsl import ZSLGenerator
area, length, angle, film, substrate, repeats = json.load(sys.stdin)
flat = [np.column_stack([v, [0.0, 0.0]]) for v in (film, substrate)]
seconds = []
for _ in range(repeats + 1):
    start = time.perf_counter()
    found = list(ZSLGenerator(max_area=area, max_length_tol=length, max_angle_tol=angle)(*flat))
    seconds.append(time.perf_counter() - start)
pairs = [[m.film_transformation.tolist(), m.substrate_transformation.tolist()] for m in found]
print(json.dumps({"first": seconds[0], "next": min(seconds[1:]), "pairs": pairs}))
"""


def key(matrix: Any) -> tuple[int, int, int]:
    """Return the Hermite form of the superlattice that the rows of an integer matrix span."""
    (a, b), (c, d) = (list(map(int, np.rint(row))) for row in np.asarray(matrix))
    while c:
        q = a // c
        a, b, c, d = c, d, a - q * c, b - q * d
    if a < 0:
        a, b = -a, -b
    return a, b % abs(d), abs(d)


def ours(film: Any, substrate: Any, settings: MatchSettings, repeats: int) -> tuple[float, float, Any]:
    """Return seconds of the first and of the fastest search, and the matches."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        found = lattice_matches(film, substrate, settings)
        len(found)
        seconds.append(time.perf_counter() - start)
    return seconds[0], min(seconds[1:]), found


def violations(found: Any) -> int:
    """Return how many matches lie outside the tolerances."""
    film = found.film_matrices @ found.film_lattice
    substrate = found.substrate_matrices @ found.substrate_lattice
    lengths = [np.linalg.norm(v, axis=2) for v in (film, substrate)]
    angles = [
        np.arccos(np.einsum("ni,ni->n", v[:, 0], v[:, 1]) / n.prod(axis=1))
        for v, n in zip((film, substrate), lengths, strict=True)
    ]
    # the vectors as listed may be a reduced pair in the other order, or its obtuse partner
    acute = [np.minimum(angle, np.pi - angle) for angle in angles]
    bad = np.any(np.abs(lengths[1] / lengths[0] - 1) > LENGTH + 1e-7, axis=1)
    bad |= np.minimum(np.abs(angles[1] / angles[0] - 1), np.abs(acute[1] / acute[0] - 1)) > ANGLE + 1e-7
    return int(bad.sum())


def measure(pair: tuple[Any, ...], repeats: int) -> dict[str, Any]:
    """Return times and matches of one pair."""
    film = orientation(structure_named(f"phase:{pair[0]}"), pair[1]).vectors
    substrate = orientation(structure_named(f"phase:{pair[2]}"), pair[3]).vectors
    settings = MatchSettings(max_area_A2=AREA, length_tolerance=LENGTH, angle_tolerance=ANGLE)
    first, fastest, found = ours(film, substrate, settings, repeats)
    given = json.dumps([AREA, LENGTH, ANGLE, film.tolist(), substrate.tolist(), 2])
    done = subprocess.run([sys.executable, "-c", PEER], input=given, capture_output=True, text=True, check=True)
    peer = json.loads(done.stdout)
    own = {(key(f), key(s)) for f, s in zip(found.film_matrices, found.substrate_matrices, strict=True)}
    theirs = {(key(f), key(s)) for f, s in peer["pairs"]}
    return {
        "pair": f"{pair[0]}{pair[1]} | {pair[2]}{pair[3]}",
        "ionscape_first_s": first,
        "ionscape_s": fastest,
        "pymatgen_first_s": peer["first"],
        "pymatgen_s": peer["next"],
        "times_faster_first": peer["first"] / first,
        "times_faster": peer["next"] / fastest,
        "pairs_ionscape": len(own),
        "pairs_pymatgen": len(theirs),
        "pymatgen_missed_by_ionscape": len(theirs - own),
        "outside_tolerances": violations(found),
    }


def main() -> None:
    """Measure all pairs and write the record."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=5)
    repeats = options.parse_args().repeats
    rows = []
    for pair in PAIRS:
        rows.append(measure(pair, repeats))
        print(json.dumps(rows[-1]), flush=True)
    record(
        "lattice_matching",
        {"max_area_A2": AREA, "length_tolerance": LENGTH, "angle_tolerance": ANGLE, "pairs": rows},
    )


if __name__ == "__main__":
    main()
