"""The store under fire: 200 kills with ``kill -9`` during a cheap study, beside the same study left alone.

Two hundred times a process of the run is killed: the runner, a worker, or whoever is writing a result at that
moment (a folder of the store that is filled and not yet renamed). Asked at the end: was every calculation that
was once finished still there, with the same files (inodes and times), was any done again, was any entry corrupt,
and is ``results.json`` the same bytes?

Runs in this process are forked from it, so that a start costs nothing; those with workers are whole runs of
Parsl's engine.

    python benchmarks/chaos.py [--kills 200] [--seed 1] [--workers-every 20] [--folder runs/chaos]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from kill_and_resume import WORKER, Ledger, compared, marked
from record import record

from ionscape.study.engine import end_orphans
from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, run_study
from ionscape.study.store import Store

#: Look whether a process has ended, and leave it to be waited for.
WATCH = os.WEXITED | os.WNOHANG | os.WNOWAIT

STUDY = """
[study]
name = "toy"
seed = 3

[host]
structure = "phase:Li2O"

[levels.cheap]
name = "toy_levels:SoftSpheres"
settings = {{ seconds = {seconds}, diary = "{diary}" }}

[relaxation]
move = "positions"
fmax_eV_per_A = 1.0

[voids]
method = "geometric"

[doping]
supercell = [2, 1, 1]
samples = {samples}
keep = {keep}

[engine]
workers = 2

[[doping.routes]]
name = "N on O"
replace = {{ O = "N" }}
insert = {{ Li = 1 }}
counts = [1, 2]
"""


@dataclass(frozen=True)
class Campaign:
    """What is fired at: the study, its folder, how large, how often, at what moments."""

    folder: Path
    kills: int
    seed: int
    keep: int = 30
    seconds: float = 0.25
    workers_every: int = 0
    longest: float = 0.6


@dataclass
class Toll:
    """What happened."""

    ledger: Ledger = field(default_factory=Ledger)
    writers: int = 0
    corrupt_seen: int = 0

    @property
    def kills(self) -> int:
        """Number of processes killed."""
        return self.ledger.driver_kills + self.ledger.worker_kills


def main() -> int:
    """Run the campaign, print and record; 0 if nothing was lost, repeated or changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=int, default=60, help="configurations relaxed of each content")
    parser.add_argument("--workers-every", type=int, default=20, help="one start in so many uses Parsl's workers")
    parser.add_argument("--folder", type=Path, default=Path("runs/chaos"))
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    results = campaign(
        Campaign(
            options.folder.resolve(),
            options.kills,
            options.seed,
            options.keep,
            workers_every=options.workers_every,
        )
    )
    for name, value in results.items():
        print(f"{name:36s} {value}")
    print(f"written: {record('chaos', results)}")
    return 0 if sound(results) else 1


def campaign(what: Campaign) -> dict:
    """Return what the kills did."""
    what.folder.mkdir(parents=True)
    prepare(what)
    started = time.monotonic()
    codes = [study(what, "alone", "process")]  # here: what it imports and compiles is there for all that follow
    alone, evaluations = time.monotonic() - started, counted(what)
    toll, started = Toll(), time.monotonic()
    codes.append(under_fire(what, toll, alone))
    ledger = toll.ledger
    return {
        "seconds_alone": round(alone, 1),
        "seconds_under_fire": round(time.monotonic() - started, 1),
        "kills": toll.kills,
        "of_the_runner": ledger.driver_kills - toll.writers,
        "of_who_was_writing": toll.writers,
        "of_workers": ledger.worker_kills,
        "starts": ledger.starts,
        "exit_codes": codes,
        **compared(what.folder / "alone", what.folder / "killed"),
        "finished_calculations": len(ledger.finished),
        "finished_calculations_changed_or_done_again": len(ledger.changed),
        "corrupt_entries_seen": toll.corrupt_seen,
        "evaluations_alone": evaluations,
        "evaluations_lost_per_kill": round((counted(what) - 2 * evaluations) / max(toll.kills, 1), 2),
        "processes_left": len(list(marked(what.folder / "killed" / "store"))),
    }


def sound(results: dict) -> bool:
    """Tell whether nothing was lost, repeated, changed or left behind."""
    same = all(value for value in results.values() if isinstance(value, bool))
    counts = ("finished_calculations_changed_or_done_again", "corrupt_entries_seen", "processes_left")
    return same and not any(results[name] for name in counts) and results["exit_codes"] == [0, 0]


def prepare(what: Campaign) -> None:
    """Write the study, and its level beside it."""
    levels = Path(__file__).parents[1] / "tests" / "study" / "toy_levels.py"
    (what.folder / "toy_levels.py").write_text(levels.read_text())
    places = {
        "seconds": what.seconds,
        "diary": what.folder / "diary",
        "samples": 20 * what.keep,
        "keep": what.keep,
    }
    (what.folder / "toy.toml").write_text(STUDY.format(**places))


def counted(what: Campaign) -> int:
    """Return the number of evaluations so far, of both runs."""
    path = what.folder / "diary"
    return len(path.read_text().splitlines()) if path.exists() else 0


def begin(what: Campaign, name: str, engine: str) -> int:
    """Start the study in a process forked from this one, and return its number."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        log = os.open(what.folder / f"{name}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = study(what, name, engine)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def study(what: Campaign, name: str, engine: str) -> int:
    """Run the study, or go on with it, in this process; return its exit code."""
    options = RunOptions(out=what.folder / name, stages=("doping",), engine=engine)
    done = run_study(what.folder / "toy.toml", options, Progress())
    return max(record.exit_code for record in done.stages.values())


def ended(child: int) -> int:
    """Wait for a process and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def under_fire(what: Campaign, toll: Toll, alone: float) -> int:
    """Kill until there were enough kills, then let the run end; return its exit code."""
    rng, store = random.Random(what.seed), what.folder / "killed" / "store"  # noqa: S311  moments, not secrets
    longest = min(alone / 2, what.longest)
    while toll.kills < what.kills:
        toll.ledger.starts += 1
        with_workers = what.workers_every and toll.ledger.starts % what.workers_every == 0
        driver = begin(what, "killed", "local" if with_workers else "process")
        if with_workers:
            fire_at_workers(driver, what, toll, rng)
        else:
            fire_at_runner(driver, toll, rng.uniform(0, 2 * longest), store if rng.random() < 0.5 else None)
        look(store, toll)
    code = ended(begin(what, "killed", "process"))
    end_orphans(store)  # what the next run with workers does first
    look(store, toll)
    return code


def fire_at_runner(driver: int, toll: Toll, moment: float, store: Path | None) -> None:
    """Kill the runner at the moment, or from then on when it is writing a result to `store`."""
    end, latest = time.monotonic() + moment, time.monotonic() + 30
    writing = False
    while time.monotonic() < latest and not os.waitid(os.P_PID, driver, WATCH):
        writing = store is not None and is_writing(store)
        if time.monotonic() > end and (writing or store is None):
            break
        time.sleep(0.0002)
    if os.waitid(os.P_PID, driver, WATCH) is None:
        os.kill(driver, signal.SIGKILL)
        toll.ledger.driver_kills += 1
        toll.writers += writing
    ended(driver)


def is_writing(store: Path) -> bool:
    """Tell whether a result is being published: it is written, and its folder not yet renamed."""
    try:
        return any((folder / "result.json").exists() for folder in (store / "working").iterdir())
    except OSError:
        return False


def fire_at_workers(driver: int, what: Campaign, toll: Toll, rng: random.Random) -> None:
    """Kill four workers while the run goes on, then the runner; its workers live on as orphans."""
    store = what.folder / "killed" / "store"
    latest = time.monotonic() + 120
    for _ in range(4):
        workers: list = []
        while not workers and time.monotonic() < latest and not os.waitid(os.P_PID, driver, WATCH):
            time.sleep(0.1)
            workers = [one for one in marked(store) if WORKER in " ".join(one.cmdline())]
        time.sleep(rng.uniform(0, 1.0))
        with contextlib.suppress(psutil.Error):
            if workers:
                rng.choice(workers).kill()
                toll.ledger.worker_kills += 1
        look(store, toll)
    if os.waitid(os.P_PID, driver, WATCH) is None:
        os.kill(driver, signal.SIGKILL)
        toll.ledger.driver_kills += 1
    ended(driver)


def look(folder: Path, toll: Toll) -> None:
    """Note what is finished, what is no longer what it was, and what is corrupt."""
    toll.ledger.look(folder)
    if (folder / "store.json").exists():
        store = Store(folder)
        toll.corrupt_seen += sum(store.damage(key) is not None for key in store.finished())


if __name__ == "__main__":
    sys.exit(main())
