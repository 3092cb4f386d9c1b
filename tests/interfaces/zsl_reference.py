"""pymatgen's ZSLGenerator in a process of its own, without compilation, which takes longer than the search.

Reads [[film, substrate, max_area, length tolerance, angle tolerance], …] from standard input, writes for each pair
[[film matrix, substrate matrix], …].
"""

from __future__ import annotations

import json
import os
import sys
import warnings

os.environ["NUMBA_DISABLE_JIT"] = "1"
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
from pymatgen.analysis.interfaces.zsl import ZSLGenerator  # noqa: E402


def matches(film: list[list[float]], substrate: list[list[float]], *limits: float) -> list[list[list[list[int]]]]:
    area, length, angle = limits
    flat = [np.column_stack([vectors, [0.0, 0.0]]) for vectors in (film, substrate)]
    found = ZSLGenerator(max_area=area, max_length_tol=length, max_angle_tol=angle)(*flat)
    return [
        [
            np.rint(one.film_transformation).astype(int).tolist(),
            np.rint(one.substrate_transformation).astype(int).tolist(),
        ]
        for one in found
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps([matches(*case) for case in json.load(sys.stdin)]))
