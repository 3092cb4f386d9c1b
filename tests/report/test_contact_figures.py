"""Figures of contacts and windows: numbers in the cells, marks where they belong, units, readable colours."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from ionscape.errors import InputError
from ionscape.report.contact_figures import (
    ContactEnergies,
    ProfileSeries,
    contact_heat_map,
    reaction_profile_figure,
)
from ionscape.report.contact_series import contact_energies, profile_series, voltage_steps, window_bars
from ionscape.report.heat_scale import HeatScale, contrast, luminance, readable
from ionscape.report.style import journal_style, save
from ionscape.report.typography import formula_math
from ionscape.report.window_figures import VoltageSteps, WindowBar, voltage_profile_figure, window_figure

PAIR = ProfileSeries(
    "LiCoO2",
    "Li3PS4",
    [0, 0.3, 0.6, 1],
    [0, -120, -345, 0],
    [("Li3PS4",), ("Li2S", "CoS2"), ("Li2O",), ("LiCoO2",)],
)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


def hatched(figure) -> list[tuple[float, float]]:
    marks = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    return [patch.get_xy() for patch in marks]


def test_every_cell_of_the_heat_map_has_its_number_and_every_row_and_column_its_formula(matrix):
    figure = contact_heat_map(contact_energies(matrix), level=matrix.level)
    shown = texts(figure)
    energies = np.reshape([1000 * r.strongest.energy for r in matrix.reactions], (9, 11))
    axes = figure.axes[0]
    for text in axes.texts:
        column, row = (int(coordinate) for coordinate in text.get_position())
        assert float(text.get_text().replace("−", "-")) == pytest.approx(energies[row, column], abs=0.5)
    assert len(axes.texts) == 99
    assert set(map(formula_math, matrix.cathodes + matrix.phases)) <= set(shown)
    assert any("meV/atom" in text for text in shown)
    assert any(matrix.level in text for text in shown)


def test_only_cells_whose_interval_reaches_no_reaction_are_hatched():
    values, upper = [[-40.0, -3.0], [0.0, -200.0]], [[-1.5, -0.5], [0.0, -120.0]]
    figure = contact_heat_map(ContactEnergies(("A", "B"), ("C", "D"), values, upper))
    assert sorted(hatched(figure)) == [(0, 1), (1, 0)]
    assert any("may not react" in text for text in texts(figure))
    assert hatched(contact_heat_map(ContactEnergies(("A", "B"), ("C", "D"), values))) == []


def test_intervals_that_are_not_all_known_mark_nothing(matrix):
    assert contact_energies(matrix).high95_meV_per_atom is not None
    partly = matrix.__class__(**{**vars(matrix), "reactions": tuple(map(without_interval, matrix.reactions))})
    assert contact_energies(partly).high95_meV_per_atom is None


def without_interval(reaction):
    return reaction.__class__(**{**vars(reaction), "interval": None})


@pytest.mark.parametrize(
    ("cathodes", "phases", "energies"),
    [((), (), []), (("A",), ("B", "C"), [[-1.0]]), (("A",), ("B",), [[-1], [-2]])],
)
def test_a_matrix_of_another_shape_is_refused(cathodes, phases, energies):
    with pytest.raises(InputError, match="one energy for every cathode with every phase"):
        contact_heat_map(ContactEnergies(cathodes, phases, energies))


@settings(deadline=None, max_examples=50)
@given(st.floats(-900, 0), st.floats(0, 1))
def test_text_can_be_read_on_every_colour(lowest, share):
    scale = HeatScale.over(lowest)
    assert min(lowest - 50, -50) <= scale.lowest <= min(lowest, -50)
    for colour in (scale.day(share * lowest), scale.night(share * lowest)):
        assert contrast(readable(colour), colour) >= 4.5


def test_colours_can_be_ordered_without_hue():
    scale = HeatScale(-400.0)
    energies = np.linspace(0, -400, 41)
    day, night = ([luminance(colour(energy)) for energy in energies] for colour in (scale.day, scale.night))
    assert np.all(np.diff(day) < 0)
    assert np.all(np.diff(night) > 0)


def test_profiles_show_every_kink_with_its_products_and_ring_the_lowest():
    figure = reaction_profile_figure([PAIR], level="CHGNet 0.3.0")
    line, ring = figure.axes[0].lines[1:3]
    assert line.get_xdata() == pytest.approx([0, 0.3, 0.6, 1])
    assert line.get_ydata() == pytest.approx([0, -120, -345, 0])
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == pytest.approx((0.6, -345))
    shown = "\n".join(texts(figure))
    assert f"(1) {formula_math('Li2S + CoS2')}\n(2) {formula_math('Li2O')}" in shown
    assert "(3)" not in shown
    assert "(meV/atom)" in shown
    low, high = figure.axes[0].get_ylim()
    assert low < -345
    assert high > 0


def test_profiles_of_the_report_are_the_strongest_of_the_host_and_of_all(matrix):
    drawn = profile_series(matrix, "Li2O")
    assert [(s.cathode, s.phase) for s in drawn[:3]] == [(c, "Li2O") for c in ("Li3V2(PO4)3", "FePO4", "LiFePO4")]
    assert (drawn[3].cathode, drawn[3].phase) == ("Li3V2(PO4)3", "Li2ZrN2")
    unreactive = profile_series(matrix, "Li6Zr2O7")
    assert [s.phase for s in unreactive] == ["Li2ZrN2"]


def test_long_products_are_broken_inside_the_panel():
    many = ("Li7La3Zr2O12", "Li6.125Zr2O6.875N0.125", "LiNi0.8Co0.1Mn0.1O2", "Li3V2(PO4)3", "Li4Zr3(PO4)4")
    series = ProfileSeries("A", "B", [0, 0.5, 1], [0, -1, 0], [(), many, ()])
    figure = reaction_profile_figure([series, series, series])
    with journal_style():
        figure.draw_without_rendering()
    (note,) = [text for text in figure.axes[0].texts if "Li$_{7}$" in text.get_text()]
    box, panel = note.get_window_extent(), figure.axes[0].get_window_extent()
    assert box.x1 <= panel.x1 + 3
    assert "\n" in note.get_text()


def test_windows_are_bars_with_intervals_and_hollow_off_the_hull(windows):
    figure = window_figure(window_bars(windows), level="CHGNet 0.3.0")
    axes = figure.axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars[:2]] == [
        pytest.approx(limits) for limits in [(0.51, 3.42), (0.35, 1.02)]
    ]
    assert [bar.get_facecolor()[3] for bar in bars] == [1, 0, 0]
    assert bars[2].get_x() + bars[2].get_width() == pytest.approx(axes.get_xlim()[1])  # no oxidation limit
    intervals = [sorted(line.get_xdata()) for line in axes.lines if line.get_marker() == "|"]
    assert intervals == [[0.38, 0.66], [3.20, 3.61]]
    assert [line.get_marker() for line in axes.lines if line.get_marker() in "<>"] == [">"]
    assert "Li/Li" in axes.get_xlabel()
    assert "(V)" in axes.get_xlabel()


def test_windows_below_0_V_and_of_other_ions_are_shown():
    axes = window_figure([WindowBar("MgS", -0.4, 0.2)], mobile="Mg").axes[0]
    assert axes.get_xlim()[0] < -0.4
    assert "Mg/Mg$^{2+}$" in axes.get_xlabel()
    assert "Xx metal" in window_figure([WindowBar("XxS", 0.1, 0.2)], mobile="Xx").axes[0].get_xlabel()


def test_voltage_profiles_are_steps_through_every_plateau(windows):
    steps = voltage_steps(windows)
    assert [s.label for s in steps] == ["Li6Zr2O7", "Li2ZrN2"]
    assert [s.as_made for s in steps] == [6.0, 2.0]
    figure = voltage_profile_figure(steps, level="CHGNet 0.3.0")
    line = figure.axes[0].lines[0]
    assert line.get_xdata() == pytest.approx([0, 6, 6, 14])
    assert line.get_ydata() == pytest.approx([3.42, 3.42, 0.51, 0.51])
    shown = "\n".join(texts(figure))
    assert "(1) 3.42 V" in shown
    assert "Li per formula unit" in shown


@pytest.mark.parametrize("draw", [reaction_profile_figure, window_figure, voltage_profile_figure])
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(InputError, match="at least one"):
        draw([])
    with pytest.raises(InputError, match="at least one"):
        voltage_profile_figure([VoltageSteps("Li2O", [], [])])


def test_figures_are_not_blank_and_the_same_twice(windows, tmp_path):
    two = ContactEnergies(("LiCoO2",), ("Li2O", "Li2ZrN2"), [[0.0, -300.0]], [[0.0, -200.0]])
    figures = {
        "map": lambda: contact_heat_map(two, note="4.20 V against Li metal"),
        "window": lambda: window_figure(window_bars(windows)),
    }
    for name, draw in figures.items():
        first = [path.read_bytes() for path in save(draw(), tmp_path / name)]
        assert [path.read_bytes() for path in save(draw(), tmp_path / "again" / name)] == first
        image = imread(tmp_path / f"{name}.png")[..., :3]
        assert np.mean(image.min(axis=2) < 0.9) > 0.01


def test_names_of_any_length_leave_room_for_the_cells(windows):
    long = "LiNi0.8Co0.1Mn0.1O2 " * 5
    names = ContactEnergies((long,), (long, long), [[-1.0, -2.0]])
    drawn = [
        contact_heat_map(names, level=long),
        window_figure([WindowBar(long, 0.5, 1.0)]),
        reaction_profile_figure([ProfileSeries(long, long, [0, 0.5, 1], [0, -1, 0], [(), (long,), ()])]),
    ]
    for figure in drawn:
        with journal_style():
            figure.draw_without_rendering()
        assert min(figure.axes[0].get_window_extent().size) > 40
