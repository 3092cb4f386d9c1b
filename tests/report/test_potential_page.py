"""The learned potential on the page: what taught it, its errors, gates that pass, refuse, or could not judge."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pages import page_of, write_study

from ionscape.errors import InputError
from ionscape.report.learning_figures import RunSeries, learning_curve_figure, learning_figures, series_figure
from ionscape.report.reading import read_study


def number(value, unit="1"):
    return {"value": value, "unit": unit}


@pytest.fixture
def learned(results):
    """Return results with a learned potential, and one run of each verdict."""
    stretches = [
        {"material": "N on O, 4", "temperature": number(1000.0, "K"), "time": number(1.5, "ps"),
         "dear_calls": number(12)},
        {"material": "Li6Zr2O7", "temperature": number(1000.0, "K"), "time": number(0.25, "ps"),
         "dear_calls": number(21), "stopped": "step 125: host melted"},
    ]  # fmt: skip
    results["stages"]["potential"] = {
        "teacher": "chgnet", "dear_calls": number(21), "taught": number(19), "held_out": number(2),
        "inducing": {"Li": number(481), "Zr": number(148)}, "errors": {"force_mae": number(0.0912, "eV/Å")},
        "calibration": {"coverage_two": number(0.94), "rank_correlation": number(0.62)}, "stretches": stretches,
        "curve": {"time": number([0.0, 1.5, 1.75], "ps"), "dear_calls": number([8, 12, 21])},
    }  # fmt: skip
    gate = {
        "frames": number(8), "energy_mae": number(0.0012, "eV/atom"), "energy_shift": number(-0.0007, "eV/atom"),
        "force_mae": number(0.0543, "eV/Å"), "force_r2": number(0.984), "softening": number(1.019),
        "stress_mae": number(0.001, "eV/Å³"), "calibration": {"coverage_two": number(0.95)}, "failures": [],
    }  # fmt: skip
    first, second, _ = results["stages"]["dynamics"]["runs"]
    first["gate"] = {**gate, "passed": True}
    second["gate"] = {**gate, "failures": ["force error 0.2 eV/Å (limit 0.12)"], "passed": False}
    return results


def test_teacher_errors_and_verdicts_are_told(learned, tmp_path):
    page = page_of(write_study(tmp_path, learned))
    assert "potential" in page.values("id")
    for expected in (
        "learned on the fly from chgnet", "(21 calls)", "Li 481, Zr 148", "94 %", "0.62", "step 125: host melted",
        "passed", "refused: force error 0.2 eV/Å (limit 0.12)", "1.20", "−0.70", "0.054", "0.984", "1.019", "0.16",
    ):  # fmt: skip
        assert expected in page.text.replace("\u2009", " "), expected


def test_run_that_could_not_be_judged_is_refused(learned, tmp_path):
    learned["stages"]["dynamics"]["runs"][0]["gate"] = {"unavailable": "1 of 8 frames could not be labelled: <b>"}
    assert "refused: not judged: 1 of 8 frames" in page_of(write_study(tmp_path, learned)).text


def test_what_a_gate_passed_without_is_told(learned, tmp_path):
    gate = learned["stages"]["dynamics"]["runs"][0]["gate"]
    gate |= {"stress_mae": {"unavailable": "no stress"}, "unjudged": ["stress error: no stress of 8 of 8 frames"]}
    assert (
        "passed; not judged: stress error: no stress of 8 of 8 frames"
        in page_of(write_study(tmp_path, learned)).text
    )


def test_gates_stand_without_a_learned_potential(learned, tmp_path):
    del learned["stages"]["potential"]
    page = page_of(write_study(tmp_path, learned))
    assert "Gate" in page.text
    assert "learned on the fly" not in page.text


def test_study_without_a_potential_says_nothing_of_it(results, tmp_path):
    page = page_of(write_study(tmp_path, results))
    assert "potential" not in page.values("id")
    assert "learned potential" not in page.text


@pytest.mark.parametrize(
    ("change", "told"),
    [({"force_mae": None}, "dynamics"), ({"energy_mae": number(1.2, "meV/atom")}, "dynamics")],
)
def test_broken_gates_are_refused_in_one_message(learned, tmp_path, change, told):
    learned["stages"]["dynamics"]["runs"][0]["gate"] |= change
    with pytest.raises(InputError, match=f"'{told}' cannot be understood"):
        read_study(write_study(tmp_path, learned))


def test_figures_come_from_what_there_is(learned, tmp_path):
    assert set(dict(learning_figures(read_study(write_study(tmp_path, learned))))) == {"potential-learning"}


def test_runs_are_drawn_in_time():
    t = np.linspace(0, 10, 20)
    figure = series_figure([RunSeries(name, t, t, t + 900, 1 + 0 * t) for name in ("Li6Zr2O7", "N on O, 4")])
    assert [len(axes.lines) for axes in figure.axes] == [3, 2, 3]
    assert all("ps" in axes.get_xlabel() for axes in figure.axes)
    for nothing in (lambda: series_figure([]), lambda: learning_curve_figure([], [])):
        with pytest.raises(InputError):
            nothing()
