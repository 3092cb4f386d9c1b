"""Setting up small studies at toy levels: the levels importable, the text changed, the run begun."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.structures.exchange import write_cif
from ionscape.study.progress import Progress
from ionscape.study.runner import RunOptions, StudyRun, run_study

HERE = Path(__file__).parent


@contextlib.contextmanager
def toy_levels_importable() -> Iterator[None]:
    """Let the levels of this folder be imported, here and in workers; what the run sets for them ends too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        patch.setenv("PYTHONPATH", str(HERE))
        yield


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Return the text of a study after changes, each of something that stands in it once."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def antifluorite(noise: float = 0.0) -> Structure:
    """Return Li2O without symmetry in a sheared cell, its atoms displaced by some noise (Å at most a few)."""
    cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    shear = np.array([[1.0, 0.12, -0.07], [0.0, 1.02, 0.09], [0.0, 0.0, 0.97]])
    moves = np.random.default_rng(7).normal(0, noise, (12, 3))
    return Structure(cubic.lattice.matrix @ shear, cubic.species, cubic.frac_coords + moves)


def written(folder: Path, text: str, host: Structure) -> Path:
    """Return the study file, written beside the structure of its host."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cif(host, folder / "host.cif")
    (folder / "s.toml").write_text(text)
    return folder / "s.toml"


def begin(file: Path, out: Path, **options: Any) -> StudyRun:
    """Return the study after its run in this process."""
    return run_study(file, RunOptions(out=out, engine="process", **options), Progress())


def results_of(run: StudyRun) -> dict[str, Any]:
    """Return what the run wrote."""
    return json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
