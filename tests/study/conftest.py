"""The toy level, importable here and in workers, and small cells to relax at it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.registry import Level

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)  # the tests of this folder share `toy_study` and one another's pieces


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def toy() -> Callable[..., Level]:
    """Return a maker of toy levels with settings."""
    return lambda name="SoftSpheres", **settings: Level.of(f"toy_levels:{name}", settings)


@pytest.fixture
def positions() -> RelaxationSettings:
    """Return settings that relax positions loosely."""
    return RelaxationSettings(move="positions", fmax_eV_per_A=0.02)


@pytest.fixture(scope="session")
def cells() -> Callable[..., list[Structure]]:
    """Return a maker of different small rattled triclinic cells."""

    def make(count: int, seed: int = 0) -> list[Structure]:
        rng = np.random.default_rng(seed)
        lattice = Lattice([[4.1, 0.4, -0.2], [0.0, 3.9, 0.3], [0.1, 0.0, 4.0]])
        start = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        return [
            Structure(lattice, ["Li", "O", "Li", "Zr"], start + rng.normal(0, 0.05, (4, 3))) for _ in range(count)
        ]

    return make


@pytest.fixture
def lines() -> Callable[[Path], list[str]]:
    """Return a reader of diaries: one line per evaluation, whole lines only."""

    def read(path: Path) -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    return read
