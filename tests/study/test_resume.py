"""A whole study, killed again and again, writes what it writes when left alone."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, run_study

STUDY = """
[study]
name = "toy"
seed = 3

[host]
structure = "phase:Li6Zr2O7"

[levels.cheap]
name = "toy_levels:SoftSpheres"
settings = {{ diary = "{diary}" }}

[relaxation]
move = "positions"
fmax_eV_per_A = 0.1

[voids]
method = "geometric"

[doping]
supercell = [1, 1, 1]
samples = 50
keep = 2

[[doping.routes]]
name = "N on O"
replace = {{ O = "N" }}
insert = {{ Li = 1 }}
counts = [1, 2]
"""


def begin(study: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the study in its own process; levels beside the study file are importable."""
    options = ["--out", str(out), "--stages", "doping", "--engine", "process"]
    with (out.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ionscape", "run", str(study), *options], stdout=log, stderr=log
        )


def inodes(out: Path) -> dict[Path, tuple[int, int]]:
    files = (out / "store" / "calculations").glob("*/*/*")
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_killed_study_equals_the_one_left_alone(tmp_path: Path, lines: Callable[[Path], list[str]]) -> None:
    diary, study = tmp_path / "diary", tmp_path / "toy.toml"
    study.write_text(STUDY.format(diary=diary))
    (tmp_path / "toy_levels.py").write_text((Path(__file__).parent / "toy_levels.py").read_text())
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    run_study(study, RunOptions(out=alone, stages=["doping"], engine="process"), Progress())
    evaluations = len(lines(diary))
    assert evaluations > 50

    rng, seen = random.Random(5), inodes(killed)
    moments = sorted(rng.sample(range(evaluations + 1, 2 * evaluations), 4))
    for moment in moments:
        driver = begin(study, killed)
        end = time.monotonic() + 60
        while len(lines(diary)) < moment and driver.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        assert driver.poll() is None, (tmp_path / "log").read_text()
        driver.kill()
        driver.wait()
        now = inodes(killed)
        assert seen.items() <= now.items(), "a finished calculation was lost or done again"
        seen = now
    assert begin(study, killed).wait() == 0, (tmp_path / "log").read_text()
    assert seen.items() <= inodes(killed).items()
    assert 0 < len(seen) < len(inodes(killed))
    # each kill costs the evaluation in the air, and no other
    assert evaluations <= len(lines(diary)) - evaluations <= evaluations + len(moments)
    for name in ("results.json", *(f"structures/{path.name}" for path in (alone / "structures").iterdir())):
        assert (killed / name).read_bytes() == (alone / name).read_bytes(), name
    results = [path.relative_to(alone) for path in alone.glob("store/calculations/*/*/result.json")]
    assert len(results) == len(list(killed.glob("store/calculations/*/*/result.json"))) == 4 + 1
    for name in results:
        assert (killed / name).read_bytes() == (alone / name).read_bytes(), name
