"""Entries of one result file that are measured one by one, each in a process of its own, and merged."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from record import FOLDER, record

#: Bytes in a unit of ``ru_maxrss``.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def merge(name: str, entries: dict[str, Any]) -> Path:
    """Put `entries`, each with date and load, among those in ``results/NAME.json``; return the path."""
    stamp = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "load_1min": round(os.getloadavg()[0], 2)}
    stamped = {key: {**entry, "measured": stamp} for key, entry in entries.items()}
    return record(name, results_of(name) | stamped)


def results_of(name: str) -> dict[str, Any]:
    """Return the entries of ``results/NAME.json``; none if there is no such file."""
    path = FOLDER / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["results"]) if path.is_file() else {}


def each_alone(script: str, names: Sequence[str], *options: str) -> bool:
    """Run `script` once for every name, with ``--only NAME``; return whether all succeeded."""
    commands = [[sys.executable, script, "--only", name, *options] for name in names]
    return not any([subprocess.run(command, check=False).returncode for command in commands])  # noqa: C419


def peak_memory_GB() -> float:
    """Return the largest memory of this process so far, GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e9, 3)


def milliseconds(call: Callable[[int], Any], repeats: int, warm: int = 3) -> dict[str, float]:
    """Return the median and least time of ``call(number)``, ms."""
    seconds = []
    for number in range(warm + repeats):
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
    return {
        "ms_median": round(1000 * statistics.median(seconds[warm:]), 4),
        "ms_least": round(1000 * min(seconds[warm:]), 4),
    }


def rounded(values: dict[str, float], digits: int = 4) -> dict[str, float]:
    """Return `values` with so many significant digits."""
    return {name: float(f"{value:.{digits}g}") for name, value in values.items()}
