"""Runs of molecular dynamics as films that OVITO, VMD and ASE open, beside the trajectories themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from ionscape.dynamics.recording import read_header, record_blocks, start_positions
from ionscape.report.records import StudyRecord
from ionscape.structures.exchange import replacing

#: Most frames of a film.
FRAMES = 200


def write_movies(record: StudyRecord) -> list[Path]:
    """Write every recorded run as extended XYZ of at most 200 frames, positions unwrapped; return the files.

    What is there and not older than its trajectory stays.
    """
    runs = record.dynamics.runs if record.dynamics else ()
    paths = [path for run in runs if (path := record.file(run.trajectory_file)) and path.suffix == ".trajectory"]
    for path in paths:
        film = path.with_suffix(".extxyz")
        if not film.is_file() or film.stat().st_mtime < path.stat().st_mtime:
            with replacing(film) as part:
                write(part, list(frames(path)), format="extxyz")
    return [path.with_suffix(".extxyz") for path in paths]


def frames(path: Path, most: int = FRAMES) -> Iterator[Atoms]:
    """Yield at most `most` frames of a trajectory, evenly chosen, with their time, fs, and temperature, K."""
    header, start, blocks = read_header(path), start_positions(path), list(record_blocks(path))
    every = max(1, -(-sum(map(len, blocks)) // most))
    for block in blocks:
        for one in block[np.flatnonzero(block["frame"] % every == 0)]:
            atoms = Atoms(header.symbols, start + one["shift"], cell=one["cell"], pbc=True)
            time = header.frame_interval * (int(one["frame"]) + 1)
            atoms.info |= {"time_fs": time, "temperature_K": float(one["temperature"])}
            yield atoms
