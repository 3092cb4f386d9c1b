"""Makes `phase_tables` importable from the tests of this folder, and packaged phases for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases, phase_energies

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def packaged() -> CompetingPhases:
    """Return the packaged phases of Li–Zr–O–N–Co with CHGNet's energies."""
    return phase_energies(Level.of("chgnet"), ["Li", "Zr", "O", "N", "Co"])
