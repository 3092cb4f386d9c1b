"""Dynamics and transport on the page: numbers with intervals, bounds, reasons; figures from numbers alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pages import Reader, page_of, write_study

from ionscape.errors import InputError
from ionscape.report.content_figures import (
    ContentSeries,
    DisplacementPanel,
    content_figure,
    displacement_panels,
)
from ionscape.report.reading import read_study
from ionscape.report.run_figures import run_figures
from ionscape.report.transport_figures import DisplacementSeries
from ionscape.report.transport_records import Estimate
from ionscape.report.transport_table import estimate_html, scientific
from ionscape.report.verdict import verdict


def test_runs_and_laws_are_told_with_intervals_bounds_and_reasons(results, tmp_path):
    text = page_of(write_study(tmp_path, results)).text
    for expected in (
        "120000", "998.0 ± 3", "0.002", "step 512 (0.512 ps): host melted", "Zr flat, O flat", "a note of the",
        "2.00 × 10−5", "1.5 × 10−5 to 2.6 × 10−5", "below 2.0 × 10−8", "800, 1000", "0.29 to 0.35",
        "none: 0 temperatures with a diffusion coefficient, 1 with a bound only", "more than 940 ps needed",
    ):  # fmt: skip
        assert expected in text, expected


def test_verdict_tells_the_law_or_how_far_the_runs_are_from_one(results, tmp_path):
    found = [s for s in verdict(read_study(write_study(tmp_path, results))) if s.section == "transport"]
    host, doped = (Reader(f"{s.figure} {s.claim} {s.grounds}").text for s in found)
    assert host.startswith("< 3.0 × 10−3 S/cm No diffusion of Li in Li6Zr2O7 at 1000 K within 100 ps")
    assert "more than 940 ps needed" in host
    assert doped.startswith("0.32 eV Activation energy of Li in N on O, 4")
    assert "σ(300 K) = 4.2 × 10−5 S/cm" in doped
    assert {s.level for s in found} == {"chgnet"}


def test_comparison_tells_temperature_and_reason(results, tmp_path):
    page = page_of(write_study(tmp_path, results))
    assert "N on O, 4, 1000 K" in page.text.replace(" ", " ")
    assert "no jumps yet" in page.values("title")


def test_statements_stand_beside_our_numbers(results, tmp_path):
    numbers = [
        {"target": "Li6Zr2O7", "flag": False},
        {"target": "N on O, 4", "unavailable": "the gate refuses it"},
    ]
    said = {"says": "<b>It</b> diffuses", "source": "Fig. 4", "outcome": "unknown", "note": "", "numbers": numbers}
    page = page_of(write_study(tmp_path, results | {"comparison": [], "claims": [said]}))
    assert "comparison" in page.values("id")
    for told in ("<b>It</b> diffuses", "Li6Zr2O7: no", "N on O, 4: none (the gate refuses it)", "not comparable"):
        assert told in page.text


def test_figures_come_from_the_numbers_where_there_are_no_curves(results, tmp_path):
    record = read_study(write_study(tmp_path, results))
    assert set(dict(run_figures(record, "N"))) == {"arrhenius", "conductivity-content"}


def test_study_without_these_stages_says_nothing_of_them(results, tmp_path):
    for stage in ("dynamics", "transport"):
        del results["stages"][stage]
    page = page_of(write_study(tmp_path, results))
    assert not {"dynamics", "transport"} & set(page.values("id"))
    assert "ion transport" not in page.text


@pytest.mark.parametrize("stage", ["dynamics", "transport"])
def test_broken_runs_are_refused_in_one_message(results, tmp_path, stage):
    del results["stages"][stage]["runs"][0]["temperature"]
    with pytest.raises(InputError, match=f"'{stage}' cannot be understood"):
        read_study(write_study(tmp_path, results))


def test_curves_outside_the_study_are_not_read(results, tmp_path):
    results["stages"]["transport"]["runs"][0]["curves_file"] = "../secret.npz"
    (tmp_path / "secret.npz").write_text("nothing")
    record = read_study(write_study(tmp_path / "study", results))
    assert "arrhenius" in dict(run_figures(record, "N"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.98e-4, "2.98 × 10<sup>−4</sup>"), (0.0123, "0.0123"), (999.6, "1.00 × 10<sup>3</sup>"), (5.2, "5.20"),
     (-0.09, "−0.0900"), (0.0, "0"), (1e5, "1.00 × 10<sup>5</sup>")],
)  # fmt: skip
def test_numbers_have_as_many_digits_as_they_are_worth(value, shown):
    assert " ".join(scientific(value, 3).split()) == shown


def test_reasons_are_escaped():
    assert "<b>" not in estimate_html(Estimate(reason='<b> "quoted"'))


def test_a_panel_for_every_material_and_temperature():
    t = np.linspace(0, 10, 50)
    series = [DisplacementSeries("Li", t, t, 0.1 * t), DisplacementSeries("O", t, 0 * t)]
    figure = displacement_panels(
        [DisplacementPanel(row, column, series) for row in ("A", "B") for column in ("600 K", "800 K", "1000 K")]
    )
    assert len(figure.axes) == 6
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Li", "O"]
    with pytest.raises(InputError):
        displacement_panels([])


def test_content_is_drawn_in_order_with_bounds():
    series = [ContentSeries("1000 K", [0.5, 0.25], [1.0, 2.0], [0.8, 1.5], [1.2, 2.5], bounds=[(0.0, 0.1)])]
    axes = content_figure(series, "σ", dopant="N", logarithmic=True).axes[0]
    assert list(axes.lines[0].get_xdata()) == [0.25, 0.5]
    assert axes.get_yscale() == "log"
    assert "N content" in axes.get_xlabel()
    with pytest.raises(InputError):
        content_figure([ContentSeries("", [], [], [], [])], "σ")
