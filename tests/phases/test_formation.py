"""Formation energies against experiment, and the pages that tell them."""

import importlib.util
from pathlib import Path

import pytest
from pymatgen.core import Composition

from ionscape.levels.registry import Level
from ionscape.phases.competing import phase_energies
from ionscape.phases.energies import packaged_energies
from ionscape.phases.enthalpies import formation_enthalpies
from ionscape.phases.formation import (
    FormationCheck,
    compound_class,
    formation_checks,
    level_references,
    mean_absolute_error,
    packaged_checks,
)
from ionscape.phases.table import phase_table

TOOL = Path(__file__).parents[2] / "tools" / "phase_pages.py"


@pytest.fixture(scope="module")
def file():
    found = packaged_energies(Level.of("chgnet"))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("phase_pages", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Li2O", "oxides"), ("Li2O2", "oxides"), ("LiCoO2", "oxides"), ("LiFePO4", "phosphates and sulfates"),
        ("P2O5", "phosphates and sulfates"), ("Li2SO4", "phosphates and sulfates"), ("Li2S", "sulfides"),
        ("P4S7", "sulfides"), ("LiNO3", "nitrates and azides"), ("LiN3", "nitrates and azides"),
        ("Li3N", "nitrides"), ("FeBr2", "bromides"), ("CoP", "phosphides"), ("LaNi5", "intermetallics"),
    ],
)  # fmt: skip
def test_classes(formula, expected):
    assert compound_class(formula) == expected


def test_all_systems_together_agree_with_each_alone(file):
    phases = phase_energies(Level.of("chgnet"), ["Li", "Zr", "O", "N"])
    together = {check.formula: check for check in packaged_checks(file)}
    alone = formation_checks(phases)
    assert len(alone) >= 8
    for check in alone:
        assert together[check.formula].calculated == pytest.approx(check.calculated, abs=1e-9)
        assert together[check.formula].calibrates == check.calibrates


def test_enough_compounds_and_right_for_oxides(file):
    """Targets of the packaged level: at least 60 compounds; oxides to 0.1 eV/atom on average."""
    checks = packaged_checks(file)
    assert len(checks) >= 60
    oxides = [check for check in checks if compound_class(check.formula) == "oxides"]
    assert mean_absolute_error(oxides) < 0.1
    assert mean_absolute_error(checks) < 0.15
    assert all(check.source for check in checks)


def test_gases_without_calibration_leave_their_compounds_out(file):
    only = {name: entry for name, entry in file.entries.items() if "Br" not in phase_table()[name].elements}
    import dataclasses

    fewer = dataclasses.replace(file, entries=only)
    _, references = level_references(fewer)
    assert "Br" not in references
    assert {"O", "N"} <= set(references)
    assert not any("Br" in Composition(check.formula) for check in packaged_checks(fewer))


def test_error_is_calculated_minus_measured():
    checks = [FormationCheck("A", -1.0, -1.1, False, ""), FormationCheck("B", -1.3, -1.1, False, "")]
    assert [check.error for check in checks] == pytest.approx([0.1, -0.2])
    assert mean_absolute_error(checks) == pytest.approx(0.15)


def test_every_outlier_has_a_reason(file, tool):
    reasons = tool.outlier_reasons()
    labels = {phase_table()[row.phase].label for row in formation_enthalpies().values()}
    assert set(reasons) <= labels
    for check in packaged_checks(file):
        if abs(check.error) > tool.OUTLIER:
            assert check.formula in reasons, f"{check.formula} {1000 * check.error:+.0f} meV/atom"


def test_pages_are_up_to_date(file, tool):
    for name, text in tool.pages(file).items():
        assert (tool.FOLDER / name).read_text(encoding="utf-8") == text, f"run tools/phase_pages.py ({name})"
