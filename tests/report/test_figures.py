"""Figures: something is drawn, it follows the data, axes have units, the same data give the same bytes."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from ionscape.errors import InputError
from ionscape.report.energy_figures import DecompositionSeries, EwaldSeries, decomposition_figure, ewald_figure
from ionscape.report.figures import build_figures
from ionscape.report.style import save
from ionscape.report.typography import formula_math

ROUTE = DecompositionSeries("N on O", [0.0, 0.125, 0.5], [0.0, 7.2, 34.0], [(), ("Li2O", "Li2ZrN2"), ("Li2O",)])


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def ranking(offset: float = 0.0) -> EwaldSeries:
    return EwaldSeries("N on O, x = 0.125", [-10.0, -9.0, -8.5], [-6.7, -6.699 + offset, -6.69], 0.5, 0.67, 1)


def test_every_figure_of_a_study_is_written_and_not_blank(whole_study):
    files = sorted((whole_study / "figures").iterdir())
    stems = {"structure-host", "structure-cathode", "decomposition-energy", "ewald-ranking"}
    stems |= {"contact-heat-map", "contact-heat-map-4-20V", "reaction-profiles"}
    stems |= {"electrochemical-window", "voltage-profiles", "arrhenius", "conductivity-content"}
    assert {f.stem for f in files} == stems
    assert {f.suffix for f in files} == {".svg", ".png"}
    for png in (f for f in files if f.suffix == ".png"):
        image = imread(png)[..., :3]
        assert 0.002 < np.mean(image.min(axis=2) < 0.9) < 0.7
        assert image.shape[1] > 900  # 300 dpi, at least one column


def test_figures_come_out_the_same_twice_and_differ_with_the_data(whole_study, tmp_path):
    before = {f.name: f.read_bytes() for f in (whole_study / "figures").iterdir()}
    assert {f.name: f.read_bytes() for f in build_figures(whole_study)} == before
    one, two = (save(ewald_figure([ranking(x)]), tmp_path / f"{x}")[0].read_text() for x in (0.0, 0.004))
    assert one != two


def test_decomposition_axes_have_units_and_points_are_the_data():
    figure = decomposition_figure([ROUTE], level="CHGNet 0.3.0", dopant="N")
    (axes,) = figure.axes
    assert "(meV/atom)" in axes.get_ylabel()
    assert "per formula unit" in axes.get_xlabel()
    assert axes.get_xlabel().startswith("N content")
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert drawn[0].get_ydata() == pytest.approx([0.0, 7.2, 34.0])


def test_products_that_change_are_numbered_and_named():
    shown = texts(decomposition_figure([ROUTE]))
    assert "(1) into" in shown
    assert "(2) into" in shown
    assert formula_math("Li2ZrN2") in shown


def test_the_line_of_plausible_synthesis_is_drawn_only_in_range():
    high = DecompositionSeries("N on O", [0.125], [74.2])
    assert "synthesised" in texts(decomposition_figure([high]))
    assert "synthesised" not in texts(decomposition_figure([ROUTE]))


def test_energies_below_the_hull_stay_in_view():
    figure = decomposition_figure([DecompositionSeries("host", [0.0, 0.1], [-12.0, 3.0])])
    assert figure.axes[0].get_ylim()[0] < -12.0


def test_reported_values_are_hollow_and_take_the_colour_of_their_route():
    reported = DecompositionSeries("N on O", [0.125], [15.3], reported=True)
    lines = decomposition_figure([ROUTE, reported]).axes[0].lines
    assert lines[1].get_markerfacecolor() == "none"
    assert lines[1].get_markeredgecolor() == lines[0].get_color()


def test_ewald_panels_are_relative_to_the_lowest_and_tell_rho_p_n_and_failures():
    figure = ewald_figure([ranking(), ranking(0.001)], level="CHGNet 0.3.0")
    assert len(figure.axes) == 2
    points = figure.axes[0].lines[1]
    assert points.get_xdata() == pytest.approx([0.0, 1.0, 1.5])
    assert points.get_ydata() == pytest.approx([0.0, 1.0, 10.0])
    shown = texts(figure)
    assert "eV per cell" in shown
    assert "(meV/atom)" in shown
    title = figure.axes[0].get_title()
    assert "ρ = 0.50" in title
    assert "0.67" in title
    assert "= 3, 1 failed" in title


def test_ring_marks_the_lowest_relaxed_configuration():
    ring = ewald_figure([EwaldSeries("x", [0.0, 2.0], [-1.0, -1.5])]).axes[0].lines[2]
    assert ring.get_xdata() == pytest.approx([2.0])


@pytest.mark.parametrize("draw", [decomposition_figure, ewald_figure])
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(InputError, match="at least one point"):
        draw([])


def test_names_with_dollars_or_braces_are_drawn_as_text(tmp_path):
    series = DecompositionSeries(r"a $\frac{ Li2O", [0.1], [3.0], [("Li2O", "$x$")])
    assert save(decomposition_figure([series]), tmp_path / "odd")[0].stat().st_size > 1000


def test_settings_of_matplotlib_are_left_alone(tmp_path):
    before = dict(mpl.rcParams)
    save(ewald_figure([ranking()]), tmp_path / "figure")
    assert dict(mpl.rcParams) == before
