"""Relaxed cells against measured ones: the data, and no deviation without a reason."""

import dataclasses

import pytest

from ionscape.levels.registry import Level
from ionscape.phases.cells import (
    KINDS,
    TOLERANCE,
    cell_checks,
    explained_deviations,
    magnetic_orders,
    measured_lengths,
)
from ionscape.phases.energies import packaged_energies
from ionscape.phases.table import phase_table

#: Tabulated DFT cells farther than 6 % from the measured one, and why (see `deviations.toml`).
DOUBTFUL_TABLE = {"CoBr2", "Mn2P", "NO2", "NiBr2", "VO", "LiMn2O4"}


@pytest.fixture(scope="module")
def file():
    found = packaged_energies(Level.of("chgnet"))
    assert found is not None
    return found


def test_measured_lengths_belong_to_phases_and_fit_their_crystal_systems():
    for name, (a, b, c) in measured_lengths().items():
        phase = phase_table()[name]
        x, y, z = phase.lengths
        assert (a == b) or abs(x - y) > 1e-3, name
        assert (b == c) or abs(y - z) > 1e-3, name


def test_measured_lengths_are_in_the_setting_of_the_table():
    """Permuted axes or another choice of cell would be off by far more than DFT is."""
    far = set()
    for name, measured in measured_lengths().items():
        tabulated = phase_table()[name].lengths
        if max(abs(x / y - 1) for x, y in zip(tabulated, measured, strict=True)) > 0.06:
            far.add(name)
    assert far <= DOUBTFUL_TABLE


def test_well_known_cells():
    """CRC Handbook; Orman & Wiseman 1984."""
    assert measured_lengths()["NiO"] == pytest.approx((4.178,) * 3)
    assert measured_lengths()["ZrO2"] == pytest.approx((5.15, 5.21, 5.317), abs=0.01)
    assert measured_lengths()["LiCoO2"] == phase_table()["LiCoO2"].measured_lengths


def test_no_deviation_without_a_reason(file):
    checks = cell_checks(file)
    assert checks
    unexplained = [f"{check.phase} {check.largest:+.1%}" for check in checks if not check.explained]
    assert not unexplained


def test_reasons_are_of_known_kinds_and_only_for_deviations(file):
    deviating = {check.phase: check for check in cell_checks(file)}
    for name, told in explained_deviations().items():
        assert told["kind"] in KINDS, name
        assert told["reason"], name
        assert name not in deviating or abs(deviating[name].largest) > TOLERANCE, name


def test_deviations_are_relative_to_the_measured_cell(file):
    name = "Li2O"
    entry = {**file.entries[name], "cell": [4.7, 4.7, 4.7, 90.0, 90.0, 90.0]}
    (check,) = cell_checks(dataclasses.replace(file, entries={name: entry}))
    assert check.measured
    assert check.largest == pytest.approx(4.7 / 4.619 - 1, abs=1e-4)
    worse = dataclasses.replace(check, deviations=(0.0, -0.05, 0.03), kind="")
    assert worse.largest == -0.05
    assert not worse.explained


def test_magnetic_orders_name_phases_with_a_source():
    for name, told in magnetic_orders().items():
        assert name in phase_table()
        assert told["order"]
        assert told["source"]
    assert {"NiO", "MnO", "CoO", "Fe2O3", "LiMn2O4", "LiFePO4"} <= set(magnetic_orders())
