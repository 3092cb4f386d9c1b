"""A study killed with ``kill -9`` at random moments, again and again, beside the same study left alone.

Asked each time: does every resume go on, are the results the same bytes, was any finished calculation done again?
The driver is killed alone, as a crash would; its workers live on as orphans, and the next start has to deal with
them. Now and then a worker is killed instead, and the run has to replace it.

    python benchmarks/kill_and_resume.py [STUDY.toml] [--kills 20] [--seed 1] [--folder runs/kill-and-resume]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from record import record

from ionscape.study.engine import MARK

#: One in so many kills takes a worker instead of the driver.
WORKER_EVERY = 5
WORKER = "multiprocessing.spawn"

#: Inode, time and size of each file of a published calculation.
Print = dict[str, tuple[int, int, int]]


@dataclass
class Ledger:
    """What happened: the kills, and the finished calculations as they were first seen."""

    driver_kills: int = 0
    worker_kills: int = 0
    starts: int = 0
    finished: dict[str, Print] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def look(self, store: Path) -> None:
        """Note the calculations that are finished, and those that are no longer what they were."""
        now = {folder.name: fingerprint(folder) for folder in store.glob("calculations/??/*")}
        self.changed |= {key for key, first in self.finished.items() if now.get(key) != first}
        self.finished = {**now, **self.finished}


def fingerprint(folder: Path) -> Print:
    """Return inode, time of change and size of every file in `folder`."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()
    }


def main() -> int:
    """Run the comparison, print the table, write the record; return 0 if nothing was lost or repeated."""
    options = parse()
    folder = options.folder / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    started = time.monotonic()
    with start(options, folder / "alone") as alone:
        code = alone.wait()
    seconds = time.monotonic() - started
    print(f"left alone: {seconds:.0f} s, exit code {code}")
    ledger, started = Ledger(), time.monotonic()
    killed_code = run_killed(options, folder / "killed", ledger, seconds / options.kills)
    results = {
        "study": options.study.name,
        "seed": options.seed,
        "seconds_alone": round(seconds, 1),
        "seconds_killed": round(time.monotonic() - started, 1),
        "starts": ledger.starts,
        "driver_kills": ledger.driver_kills,
        "worker_kills": ledger.worker_kills,
        "exit_codes": [code, killed_code],
        **compared(folder / "alone", folder / "killed"),
        "finished_calculations": len(ledger.finished),
        "finished_calculations_done_again": len(ledger.changed),
        "processes_left": len(list(marked(folder / "killed" / "store"))),
    }
    for name, value in results.items():
        print(f"{name:36s} {value}")
    print(f"written: {record('kill_and_resume', results)}")
    return 0 if sound(results) else 1


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[1] / "studies" / "lzon-quick.toml"
    parser.add_argument("study", nargs="?", type=Path, default=default)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stages", default="", help="as in `ionscape run`")
    parser.add_argument("--folder", type=Path, default=Path("runs/kill-and-resume"))
    return parser.parse_args()


@contextlib.contextmanager
def start(options: argparse.Namespace, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Provide a running study that writes to `out`."""
    command = [sys.executable, "-m", "ionscape", "run", str(options.study), "--out", str(out)]
    with out.with_suffix(".log").open("ab") as log:
        stages = ["--stages", options.stages] if options.stages else []
        process = subprocess.Popen([*command, *stages], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def run_killed(options: argparse.Namespace, out: Path, ledger: Ledger, mean: float) -> int:
    """Run the study to its end through all kills and return its last exit code.

    The moments are drawn uniformly between 0 and 2 `mean` seconds after a start or after the last kill, so that
    some fall into the start of the workers, some into calculations, some into their publication.
    """
    rng, store = random.Random(options.seed), out / "store"  # noqa: S311  moments, not secrets
    while True:
        ledger.starts += 1
        with start(options, out) as driver:
            code = live(driver, options, ledger, rng, mean, store)
        ledger.look(store)
        if code is not None:
            return code
        time.sleep(rng.uniform(0, 2))  # orphans go on for a while


def live(
    driver: subprocess.Popen[bytes],
    options: argparse.Namespace,
    ledger: Ledger,
    rng: random.Random,
    mean: float,
    store: Path,
) -> int | None:
    """Let the driver live until it is killed (None) or ends by itself (its exit code)."""
    while ledger.driver_kills + ledger.worker_kills < options.kills:
        moment = time.monotonic() + rng.uniform(0, 2 * mean)
        while time.monotonic() < moment and driver.poll() is None:
            time.sleep(0.05)
        ledger.look(store)
        if driver.poll() is not None:
            return driver.returncode
        workers = [process for process in marked(store) if WORKER in " ".join(process.cmdline())]
        if workers and rng.randrange(WORKER_EVERY) == 0:
            rng.choice(workers).kill()
            ledger.worker_kills += 1
            continue
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        ledger.driver_kills += 1
        print(f"kill {ledger.driver_kills + ledger.worker_kills}: {len(ledger.finished)} finished", flush=True)
        return None
    return driver.wait()


def marked(store: Path) -> Iterator[psutil.Process]:
    """Yield the processes of runs on `store`."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK, "")
            if mark.startswith(f"{store.resolve()}|") and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def compared(alone: Path, killed: Path) -> dict[str, bool]:
    """Return whether two study folders hold the same bytes, keys and stored results."""
    same = {"results_json_identical": same_bytes(alone / "results.json", killed / "results.json")}
    names = sorted(path.name for path in (alone / "structures").glob("*"))
    same["structures_identical"] = names == sorted(
        path.name for path in (killed / "structures").glob("*")
    ) and all(same_bytes(alone / "structures" / name, killed / "structures" / name) for name in names)
    stored = [
        {path.parent.name: path.read_bytes() for path in folder.glob("store/calculations/??/*/result.json")}
        for folder in (alone, killed)
    ]
    same["stored_results_identical"] = stored[0] == stored[1] != {}
    verify = [sys.executable, "-m", "ionscape", "verify", str(killed), "--json"]
    answer = json.loads(subprocess.run(verify, capture_output=True, check=False).stdout or b'{"corrupt": ["?"]}')
    same["store_intact"] = answer["corrupt"] == []
    return same


def same_bytes(one: Path, two: Path) -> bool:
    """Tell whether both files exist and hold the same bytes."""
    return one.is_file() and two.is_file() and one.read_bytes() == two.read_bytes()


def sound(results: dict) -> bool:
    """Tell whether nothing was lost, repeated, changed or left behind."""
    same = all(value for value in results.values() if isinstance(value, bool))
    again = results["finished_calculations_done_again"] + results["processes_left"]
    return same and again == 0 and results["exit_codes"] == [0, 0]


if __name__ == "__main__":
    sys.exit(main())
