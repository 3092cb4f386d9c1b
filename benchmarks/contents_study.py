"""Conductivity at 300 K against content: what `studies/lzon-contents.toml` finds, in one small record.

    OMP_NUM_THREADS=1 python benchmarks/contents_study.py [--out runs/lzon-contents] [--stages transport]

Runs the study (half an hour of one idle core), or takes up what is in the folder; records errors of the learned
potential, the gate of every run, diffusion and conductivity with intervals or the reason why there are none, and
the laws with their extrapolation.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import record

STUDY = Path(__file__).parents[1] / "studies" / "lzon-contents.toml"
HEAD = ("material", "formula", "x_per_formula_unit", "temperature")
#: What is kept of a run's record and of its analysis; names that begin so.
RUN = ("averages", "gate", "steps", "unavailable")
ANALYSIS = ("D", "sigma", "is_diffusive", "haven_ratio", "unavailable")
LAW = ("Ea", "sigma", "D", "unavailable")


def main() -> None:
    """Run the study, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/lzon-contents"))
    parser.add_argument("--stages", default="transport", help="up to which stage")
    options = parser.parse_args()
    command = [sys.executable, "-m", "ionscape", "run", str(STUDY), "--out", str(options.out)]
    subprocess.run([*command, "--engine", "process", "--stages", options.stages], check=True)
    stages = json.loads((options.out / "results.json").read_text(encoding="utf-8"))["stages"]
    print(record("contents_study", summary(stages)))


def summary(stages: dict[str, Any]) -> dict[str, Any]:
    """Return the small record of the stages of a study."""
    learned, moved = stages["potential"], stages.get("transport", {"runs": [], "laws": []})
    names = ("teacher", "dear_calls", "taught", "held_out", "inducing", "errors", "calibration", "stretches")
    return {
        "potential": {name: learned[name] for name in names if name in learned},
        "runs": [kept(row, RUN) for row in stages.get("dynamics", {"runs": []})["runs"]],
        "transport": [kept(row, ANALYSIS) for row in moved["runs"]],
        "laws": [kept(row, LAW) for row in moved["laws"]],
    }


def kept(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the head of a row, and what has one of the names or begins with it."""
    chosen = {name for name in row if name in names or name.startswith(tuple(f"{one}_" for one in names))}
    return {name: value for name, value in row.items() if name in HEAD or name in chosen}


if __name__ == "__main__":
    main()
