"""The main job, timed: studies/lzon-quick.toml from an empty folder, then again with everything cached.

Prints and records the wall times and the decomposition energies, against all packaged phases and without Li8ZrO6,
which at the level of CHGNet takes the place of the Li2O among the products that the source study reports.

    python benchmarks/quick_study.py [STUDY.toml] [--folder runs/quick-study]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from record import record

from ionscape.levels.registry import Level
from ionscape.phases.competing import phase_energies
from ionscape.stability.conditions import without_excluded
from ionscape.stability.decomposition import decomposition_energy

#: Stable at the level of CHGNet, just above the hull in the Materials Project that the source study used.
DISPUTED = "Li8ZrO6"


def main() -> None:
    """Run the study twice, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[1] / "studies" / "lzon-quick.toml"
    parser.add_argument("study", nargs="?", type=Path, default=default)
    parser.add_argument("--folder", type=Path, default=Path("runs/quick-study"))
    options = parser.parse_args()
    out = options.folder / time.strftime("%Y%m%d-%H%M%S")
    seconds = [timed(options.study, out) for _ in range(2)]
    results = {
        "study": options.study.name,
        "seconds_from_empty_folder": round(seconds[0], 1),
        "seconds_all_cached": round(seconds[1], 1),
        "decomposition_energies_meV_per_atom": energies(out),
    }
    print(json.dumps(results, indent=1))
    print(f"written: {record('quick_study', results)}")


def timed(study: Path, out: Path) -> float:
    """Return the wall time of one run of `study` into `out`, in s."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "ionscape", "run", str(study), "--out", str(out)], check=True)
    return time.monotonic() - started


def energies(out: Path) -> dict[str, dict[str, float]]:
    """Return E_d of every target against all phases and without the disputed one, in meV/atom."""
    targets = json.loads((out / "results.json").read_text())["stages"]["stability"]["targets"]
    phases = phase_energies(Level.of("chgnet"), ["Li", "Zr", "O", "N"])
    fewer = without_excluded(phases, [DISPUTED])
    return {
        target["name"]: {
            "all phases": round(1000 * target["e_d"]["value"], 3),
            f"without {DISPUTED}": round(
                1000
                * decomposition_energy(
                    target["formula"], fewer, target["energy_per_atom"]["value"]
                ).decomposition_energy,
                3,
            ),
        }
        for target in targets
    }


if __name__ == "__main__":
    main()
