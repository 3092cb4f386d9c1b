"""Frames of Li52Zr16O52N4 labelled by CHGNet, and the two ways in which they are divided.

`data/README.md` tells where they come from; `make_lzon_frames.py` makes such frames.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ase.io import read

from ionscape.potential.frames import Frame, labelled_frames

DATA = Path(__file__).parent / "data" / "lzon_chgnet_frames.extxyz.gz"
#: One frame in so many is a test.
ONE_IN = 5

Division = tuple[list[Any], list[Any]]


def atoms_of_frames(path: Path = DATA) -> list[Any]:
    """Return the frames as ASE Atoms with their labels, trajectory after trajectory."""
    with gzip.open(path, "rt", encoding="utf-8") as text:
        return list(read(io.StringIO(text.read()), index=":", format="extxyz"))


def every_fifth(frames: Sequence[Any]) -> Division:
    """Return training and test frames; a test frame has taught neighbours 40 fs before and after it."""
    tests = range(ONE_IN - 1, len(frames), ONE_IN)
    return [frame for k, frame in enumerate(frames) if k not in tests], [frames[k] for k in tests]


def last_blocks(frames: Sequence[Any]) -> Division:
    """Return training and test frames; the last part of every trajectory is test."""
    taught: list[Any] = []
    tests: list[Any] = []
    for one in _trajectories(frames):
        first = len(one) - round(len(one) / ONE_IN)
        taught += one[:first]
        tests += one[first:]
    return taught, tests


DIVISIONS: dict[str, Callable[[Sequence[Any]], Division]] = {
    "every_fifth": every_fifth,
    "last_blocks": last_blocks,
}


def divided(division: str) -> tuple[list[Frame], list[Frame]]:
    """Return labelled frames to train and to test with."""
    taught, tests = DIVISIONS[division](atoms_of_frames())
    return labelled_frames(taught, str(DATA)), labelled_frames(tests, str(DATA))


def _trajectories(frames: Sequence[Any]) -> list[list[Any]]:
    found: dict[Any, list[Any]] = {}
    for frame in frames:
        found.setdefault((frame.info["run"], frame.info["temperature_K"]), []).append(frame)
    return list(found.values())
