"""Lattice matching beside pymatgen's ZSLGenerator: time, and whether every one of its matches is found.

    python benchmarks/lattice_matching.py [--repeats 20]

LiCoO2(104)|Li6Zr2O7(001) at relative tolerances of 0.03 (lengths) and 0.01 (angles) and ten other pairs, up to
300 Å². pymatgen's first search in a process compiles its functions; the first pair tells what a user waits for
then, the others what a search takes afterwards. Both search the same surface lattices; the matches compared are
pairs of superlattices, whatever vectors they are written in. Times are processor time of one core.
``benchmarks/results/lattice_matching.json``.
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
#: Run in a process of its own: the first search there compiles. The others are timed after it.
PEER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from pymatgen.analysis.interfaces.zsl import ZSLGenerator
area, length, angle, pairs = json.load(sys.stdin)
answers = []
for lattices in pairs:
    flat = [np.column_stack([v, [0.0, 0.0]]) for v in lattices]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        found = list(ZSLGenerator(max_area=area, max_length_tol=length, max_angle_tol=angle)(*flat))
        seconds.append(time.process_time() - start)
    matches = [[m.film_transformation.tolist(), m.substrate_transformation.tolist()] for m in found]
    answers.append({"first": seconds[0], "next": min(seconds[1:]), "matches": matches})
print(json.dumps(answers))
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
        start = time.process_time()
        found = lattice_matches(film, substrate, settings)
        len(found)
        seconds.append(time.process_time() - start)
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


def peers(lattices: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Return what pymatgen takes and finds for every pair of surface lattices."""
    given = json.dumps([AREA, LENGTH, ANGLE, [[v.tolist() for v in pair] for pair in lattices]])
    done = subprocess.run([sys.executable, "-c", PEER], input=given, capture_output=True, text=True, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def measure(name: str, lattices: tuple[Any, Any], peer: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return times and matches of one pair."""
    settings = MatchSettings(max_area_A2=AREA, length_tolerance=LENGTH, angle_tolerance=ANGLE)
    first, fastest, found = ours(*lattices, settings, repeats)
    own = {(key(f), key(s)) for f, s in zip(found.film_matrices, found.substrate_matrices, strict=True)}
    theirs = {(key(f), key(s)) for f, s in peer["matches"]}
    return {
        "pair": name,
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
    options.add_argument("--repeats", type=int, default=20)
    repeats = options.parse_args().repeats
    lattices = [
        (
            orientation(structure_named(f"phase:{film}"), film_plane).vectors,
            orientation(structure_named(f"phase:{substrate}"), substrate_plane).vectors,
        )
        for film, film_plane, substrate, substrate_plane in PAIRS
    ]
    rows = []
    for pair, vectors, peer in zip(PAIRS, lattices, peers(lattices), strict=True):
        rows.append(measure(f"{pair[0]}{pair[1]} | {pair[2]}{pair[3]}", vectors, peer, repeats))
        print(json.dumps(rows[-1]), flush=True)
    limits = {"max_area_A2": AREA, "length_tolerance": LENGTH, "angle_tolerance": ANGLE}
    record("lattice_matching", {**limits, "pairs": rows})


if __name__ == "__main__":
    main()
