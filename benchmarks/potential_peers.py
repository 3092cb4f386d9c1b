"""Test frames as a GAP sees them; run by the interpreter that has `quippy-ase`, for `potential_accuracy.py`.

    python potential_peers.py FOLDER

FOLDER holds ``gap.xml`` and ``tests.xyz``; ``found.npz`` is written into it and one line of JSON is printed.
"""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import all_changes
from ase.io import read
from quippy.potential import Potential


def main() -> None:
    """Evaluate the test frames, each once."""
    folder = Path(sys.argv[1])
    potential = Potential(param_filename=str(folder / "gap.xml"))
    energies, forces, stresses, seconds = [], [], [], []
    for atoms in read(folder / "tests.xyz", index=":"):
        began = time.perf_counter()
        potential.calculate(atoms, ["energy", "forces", "stress"], all_changes)
        seconds.append(time.perf_counter() - began)
        energies.append(potential.results["energy"])
        forces.append(potential.results["forces"])
        stresses.append(potential.results["stress"])
    np.savez(folder / "found.npz", energies=energies, forces=forces, stresses=stresses)
    told = {
        "ms_per_call_median": round(1000 * statistics.median(seconds), 1),
        "ms_per_call_least": round(1000 * min(seconds), 1),
        "quippy-ase": importlib.metadata.version("quippy-ase"),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
