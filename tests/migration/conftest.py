"""Ends of paths as fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pymatgen.core import Structure

sys.path.insert(0, str(Path(__file__).parent))

from hop_cases import copper_hop, well_ends


@pytest.fixture
def wells() -> tuple[Structure, Structure]:
    """Return both ends of the double well."""
    return well_ends()


@pytest.fixture
def copper() -> tuple[Structure, Structure]:
    """Return a vacancy hop in copper."""
    return copper_hop()
