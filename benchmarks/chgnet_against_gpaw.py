"""CHGNet beside GPAW on frames of Li6Zr2O7 that GPAW labelled: what `ionscape calibrate` tells.

    OMP_NUM_THREADS=1 python benchmarks/chgnet_against_gpaw.py FRAMES

FRAMES are those of `gpaw_taught.py` (DIR/frames.extxyz): the primitive cell, its atoms displaced by thermal flight
and dynamics at 600 K. The result, with the number of frames, is written to results/chgnet_against_gpaw.json.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from gpaw_taught import DFT
from record import record

from ionscape.levels.comparison import compare_levels
from ionscape.levels.evaluation import evaluate_frames, read_frames
from ionscape.levels.registry import Level


def main() -> None:
    """Evaluate the frames with CHGNet, and compare."""
    frames = read_frames(Path(sys.argv[1]))
    cheap, _ = evaluate_frames(frames, Level.of("chgnet").calculator(1))
    found = dataclasses.asdict(compare_levels(cheap, frames))
    print(record("chgnet_against_gpaw", {"dft": Level.of("gpaw", DFT).identity(), "chgnet": found}))


if __name__ == "__main__":
    main()
