"""The made-up study of `made_study` as fixtures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_study import (
    CATHODES,
    PHASES,
    cobaltate,
    contact_matrix,
    electrochemical_windows,
    sample_results,
    write_study,
    zirconate,
)

from ionscape.report.page import build_page
from ionscape.stability.contact import ContactMatrix
from ionscape.stability.window import ElectrochemicalWindow
from ionscape.structures.exchange import write_cif


@pytest.fixture
def results() -> dict[str, Any]:
    """Return results that a test may alter."""
    return sample_results()


@pytest.fixture(scope="session")
def matrix() -> ContactMatrix:
    """Return a matrix of the size of the study's."""
    return contact_matrix(CATHODES, PHASES)


@pytest.fixture(scope="session")
def windows() -> tuple[ElectrochemicalWindow, ...]:
    """Return three electrochemical windows."""
    return electrochemical_windows()


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory):
    """Return the folder of a finished study with its page and figures; tests only read it."""
    folder = write_study(tmp_path_factory.mktemp("study"), sample_results())
    write_cif(zirconate(), folder / "structures" / "Li6Zr2O7.cif")
    write_cif(cobaltate(), folder / "structures" / "LiCoO2.cif")
    build_page(folder)
    return folder
