"""A store of a hundred thousand calculations, and thousands of short tasks: what each costs.

Entries are written as the store writes them (five files of a relaxation of 60 atoms, through `Store.publish`), so
the inodes, bytes and times are real. Asked: look-up and read of one entry, the first and later listings,
`status`, and the table by formula, level and kind. Then tasks that sleep 10 ms through two local workers: overhead
per task, and per task whose answer is in the store. Folders are removed at the end.

    python benchmarks/store_scale.py [--entries 100000] [--tasks 1000,10000] [--folder runs/store-scale]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from record import record

from ionscape.study import store as store_module
from ionscape.study.catalogue import Catalogue
from ionscape.study.engine import EngineSettings, InProcess, LocalWorkers
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.runner import study_status
from ionscape.study.store import Store, request_key

FORMULAS = (("Li", "O", 2), ("Zr", "O", 1), ("Li", "Zr", 3), ("Li", "N", 3))
ATOMS = 60
#: Entries that wait until the disk has them, as all entries do; the others are not waited for, to save hours.
FLUSHED = 100


def main() -> int:
    """Measure, print and record."""
    options = parse()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        results = {"store": store_figures(options.folder / "store", options.entries)}
        results["tasks"] = [task_figures(options.folder / f"tasks-{n}", n) for n in options.tasks]
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    print(json.dumps(results, indent=1))
    print(f"written: {record('store_scale', results)}")
    return 0


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument(
        "--tasks", type=lambda text: [int(n) for n in text.split(",") if n], default=[1000, 10_000]
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/store-scale"))
    return parser.parse_args()


def request(number: int) -> dict[str, Any]:
    """Return a relaxation request of `ATOMS` atoms, another for every number."""
    rng = random.Random(number)  # noqa: S311  places of atoms, not secrets
    one, other, ratio = FORMULAS[number % len(FORMULAS)]
    count = ATOMS // (ratio + 1)
    return {
        "kind": "relaxation" if number % 5 else "single-point",
        "meaning": 1,
        "level": {"settings": {}, "identity": {"name": ("chgnet", "gpaw")[number % 2], "version": "0.3.0"}},
        "structure": {
            "lattice": [[10.5, 0.0, 0.1], [0.0, 6.1, 0.0], [0.2, 0.0, 10.3]],
            "species": [one] * (ATOMS - count) + [other] * count,
            "fractional": [[round(rng.random(), 10) for _ in range(3)] for _ in range(ATOMS)],
        },
        "settings": {"fmax_eV_per_A": 0.01, "number": number},
    }


def publish(store: Store, number: int) -> str:
    """Publish one finished calculation and return its key."""
    asked = request(number)
    key = request_key(asked)
    files = {
        "input.json": asked,
        "result.json": {
            "structure": asked["structure"],
            "energy_eV": -1.0 * number,
            "converged": True,
            "steps": 9,
        },
        "provenance.json": {"finished": "2026-01-01T00:00:00+00:00", "seconds": 1.0},
    }
    working = store.working_folder(key)
    working.mkdir()
    (working / "relaxation.traj").write_bytes(hashlib.sha512(key.encode()).digest() * 40)
    with store.lock(key):
        store.publish(key, files)
    Catalogue(store).note(key, files)
    return key


def store_figures(folder: Path, entries: int) -> dict[str, Any]:
    """Fill a store and return what it costs to fill and to ask."""
    before = os.statvfs(folder.parent)
    store = Store(folder)
    flushed = timed(lambda: [publish(store, -1 - number) for number in range(FLUSHED)]) / FLUSHED
    started = time.perf_counter()
    with unflushed():
        keys = [publish(store, number) for number in range(entries - FLUSHED)]
    seconds = time.perf_counter() - started
    after = os.statvfs(folder.parent)
    (folder.parent / "run.json").write_text(json.dumps({"store": "store", "stages": {"host": {"state": "done"}}}))
    chosen = random.Random(1).sample(keys, min(2000, len(keys)))  # noqa: S311
    figures = {
        "entries": entries,
        "publish_ms": 1000 * flushed,
        "publish_without_waiting_for_the_disk_ms": 1000 * seconds / len(keys),
        "inodes_per_entry": (before.f_ffree - after.f_ffree) / entries,
        "kB_on_disk_per_entry": (before.f_bfree - after.f_bfree) * before.f_frsize / entries / 1000,
        "lookup_ms": each(chosen, lambda key: key in store),
        "lookup_of_missing_ms": each(chosen, lambda key: key[::-1] in store),
        "read_result_ms": each(chosen, store.read),
        "status_s": timed(lambda: study_status(folder.parent)),
        "table_s": timed(lambda: Catalogue(store).frame()),
        "table_by_formula_level_kind_s": timed(
            lambda: Catalogue(store).frame(formula="Li2O", level="chgnet", kind="relaxation")
        ),
    }
    assert len(Catalogue(store).frame()) == entries
    shutil.rmtree(folder / "index")
    figures["index_rebuilt_s"] = timed(lambda: study_status(folder.parent))
    figures["status_after_rebuilding_s"] = timed(lambda: study_status(folder.parent))
    assert study_status(folder.parent).complete == entries
    return figures


@contextlib.contextmanager
def unflushed() -> Iterator[None]:
    """Do not wait for the disk within the context."""
    with mock.patch.object(store_module, "_flush"):
        yield


def each(keys: list[str], act: Any) -> float:
    """Return the median time of `act` on a key, ms."""
    seconds = []
    for key in keys:
        started = time.perf_counter()
        act(key)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def timed(act: Any) -> float:
    """Return the time of `act`, s."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def task_figures(folder: Path, count: int) -> dict[str, Any]:
    """Return what `count` tasks of 10 ms cost through two local workers, and again from the store."""
    study = Path(__file__).parents[1] / "tests" / "study"
    sys.path.insert(0, str(study))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(study), os.environ.get("PYTHONPATH", "")])
    from pymatgen.core import Lattice, Structure

    from ionscape.levels.registry import Level

    level = Level.of("toy_levels:SoftSpheres", {"seconds": 0.01})
    structures = [
        Structure(Lattice.cubic(4.0 + number * 1e-5), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for number in range(count)
    ]
    workers = 2
    lab = Laboratory(Store(folder), LocalWorkers(EngineSettings(workers=workers)), Progress())
    try:
        lab.evaluate(structures[:1], Level.of("toy_levels:SoftSpheres", {}))  # workers start
        first = timed(lambda: lab.evaluate(structures, level))
        again = timed(lambda: lab.evaluate(structures, level))
    finally:
        lab.close()
    assert len(list(Store(folder).finished())) == count + 1
    alone = Laboratory(Store(folder.with_name(f"{folder.name}-alone")), InProcess(), Progress())
    serial = timed(lambda: alone.evaluate(structures[:200], level)) / 200
    shutil.rmtree(folder)
    return {
        "tasks": count,
        "workers": workers,
        "seconds": first,
        "overhead_ms_per_task_and_worker": 1000 * (first * workers / count - 0.01),
        "tasks_per_second": count / first,
        "cached_hit_ms": 1000 * again / count,
        "in_this_process_ms_per_task": 1000 * serial - 10,
    }


if __name__ == "__main__":
    sys.exit(main())
