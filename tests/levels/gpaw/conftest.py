"""Small crystals and cheap settings for GPAW; its tests say how to install it where it is missing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from ase import Atoms

SHEAR = np.array([[1.0, 0.12, -0.07], [0.03, 1.02, 0.09], [0.0, -0.05, 0.97]])


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("gpaw") is not None:
        return
    for item in items:
        if "gpaw" in item.path.parent.name and "settings" not in item.path.name:
            item.add_marker(pytest.mark.skip(reason="make install-dft"))


@pytest.fixture
def hydride() -> Atoms:
    """LiH in a sheared cell, off its ideal positions: two atoms."""
    cell = 4.02 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) @ SHEAR
    return Atoms("LiH", positions=[[0.03, 0.0, -0.02], [2.0, 0.1, 0.05]], cell=cell, pbc=True)


@pytest.fixture
def rocksalt() -> Atoms:
    """LiH as it is, with all symmetries of its lattice."""
    cell = 4.02 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Atoms("LiH", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=cell, pbc=True)


@pytest.fixture
def cathode() -> Atoms:
    """LiCoO2 in its flat rhombohedral cell (angles of 33°), which GPAW wants reduced."""
    a, c = 2.816, 14.05
    cell = [[a / 2, -a / 12**0.5, c / 3], [0, a / 3**0.5, c / 3], [-a / 2, -a / 12**0.5, c / 3]]
    fractional = [[0, 0, 0], [0.5, 0.5, 0.5], [0.24, 0.24, 0.24], [0.76, 0.76, 0.76]]
    return Atoms("LiCoO2", scaled_positions=fractional, cell=cell, pbc=True)
