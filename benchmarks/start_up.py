"""How long ``import ionscape`` and the help of every command take, each in a process of its own.

Targets: 0.3 s and 0.5 s.
Processor seconds, best and median of several starts: the machine may be busy. Wall times stand beside them.

    python benchmarks/start_up.py [--starts 7]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from record import record

from ionscape.cli.main import parser

TARGETS_S = {"import ionscape": 0.3, "--help": 0.5}


def main() -> None:
    """Time the starts, print the table, write the record."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--starts", type=int, default=7)
    starts = options.parse_args().starts
    python = [sys.executable]
    results: dict[str, Any] = {
        "python alone": timed([*python, "-c", "pass"], starts),
        "import ionscape": timed([*python, "-c", "import ionscape"], starts),
        "--help": timed([*python, "-m", "ionscape", "--help"], starts),
    }
    for name in commands():
        results[f"{name} --help"] = timed([*python, "-m", "ionscape", name, "--help"], max(1, starts // 3))
    print(json.dumps(results, indent=1))
    print(f"written: {record('start_up', {'targets_s': TARGETS_S, 'starts': results})}")


def commands() -> list[str]:
    """Return the names of all commands."""
    (choices,) = [action.choices for action in parser()._actions if isinstance(action.choices, dict)]  # noqa: SLF001
    return list(choices)


def timed(command: list[str], starts: int) -> dict[str, float]:
    """Return processor and wall seconds of `command`: best and median of `starts` runs after one that warms up."""
    runs = [once(command) for _ in range(starts + 1)][1:]
    processor, wall = zip(*runs, strict=True)
    return {
        "processor_s_best": round(min(processor), 3),
        "processor_s_median": round(statistics.median(processor), 3),
        "wall_s_best": round(min(wall), 3),
        "wall_s_median": round(statistics.median(wall), 3),
    }


def once(command: list[str]) -> tuple[float, float]:
    """Return processor and wall seconds of one run of `command`."""
    before, started = spent(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return spent() - before, time.perf_counter() - started


def spent() -> float:
    """Return the processor seconds of all processes that this one started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
