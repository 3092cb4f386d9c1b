"""Figures of transport: axes with units, what is drawn is what was given, nothing drawn where there is nothing."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.image import imread

from ionscape.errors import InputError
from ionscape.report.density_figures import DensityMap, JumpMap, density_figure, jump_figure, projected_plane
from ionscape.report.style import save
from ionscape.report.transport_figures import (
    ArrheniusPoints,
    ChannelSeries,
    DisplacementSeries,
    arrhenius_figure,
    channel_figure,
    displacement_figure,
    running_diffusion_figure,
)
from ionscape.report.transport_series import arrhenius_points
from ionscape.report.van_hove_figures import VanHoveMap, van_hove_figure
from ionscape.transport.arrhenius import arrhenius
from ionscape.transport.diffusion import Diffusion, NotDiffusive

TIMES = np.linspace(0, 10, 5001)
CELL = np.array([[6.0, 0.0, 0.0], [-2.0, 7.0, 0.0], [1.0, 1.5, 8.0]])


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


def has(figure, *words: str) -> bool:
    return all(any(word in text for text in texts(figure)) for word in words)


def test_displacements_are_drawn_up_to_half_the_run_with_their_elements():
    figure = displacement_figure(
        [
            DisplacementSeries("Li", TIMES, 3 * TIMES, 0.1 * TIMES),
            DisplacementSeries("Zr", TIMES, 0 * TIMES + 0.1),
        ],
        note="Li6Zr2O7",
    )
    assert has(figure, "ps", "Å²", "Li", "Zr")
    line, _ = figure.axes[0].lines
    x, y = line.get_data()
    assert np.allclose(y, 3 * x)
    assert x.max() == pytest.approx(5.0, abs=0.02)
    assert len(x) <= 2600


def test_the_running_coefficient_of_a_line_is_flat_at_its_slope():
    figure = running_diffusion_figure(
        DisplacementSeries("Li", TIMES, 1.2 * TIMES), (2e-5, 1e-5, 3e-5), begins_ps=1.0
    )
    running = figure.axes[0].lines[-1].get_ydata()
    assert np.allclose(running, running[0])
    assert has(figure, "95 %", "cm²/s")


def test_the_apparent_coefficient_is_in_cm2_per_s():
    # 6 Å²/ps: D = 1 Å²/ps = 1e-4 cm²/s
    figure = running_diffusion_figure(DisplacementSeries("Li", TIMES, 6 * TIMES), None, bound=2e-4)
    assert np.allclose(figure.axes[0].lines[-1].get_ydata(), 1e-4)
    assert has(figure, "smaller")


def run(value: float) -> Diffusion:
    return Diffusion(value, value / 1.1, value * 1.1, 10.0, np.eye(3) * value, 1.0, 10.0, 10, 1000, 1e5)


def test_arrhenius_plot_has_points_bounds_and_the_law():
    runs = [(t, run(1e-2 * np.exp(-0.3 / (8.617333e-5 * t)))) for t in (600.0, 800.0, 1000.0)]
    runs.append((500.0, NotDiffusive(1e-4, "flat", 1e6, 1e5)))
    points = arrhenius_points(runs, arrhenius(runs), 300.0, "Li6Zr2O7")
    law = np.asarray(points.line)
    assert law[:, 0].min() == pytest.approx(300)
    assert np.all((law[:, 2] <= law[:, 1]) & (law[:, 1] <= law[:, 3]))
    assert np.allclose(np.asarray(points.values), [0.1 * one.value for _, one in runs[:3]])
    figure = arrhenius_figure([points])
    assert has(figure, "1000/", "cm²/s", "(K)")
    assert figure.axes[0].get_yscale() == "log"
    assert len(figure.axes[0].texts) == 1  # the arrow of the bound


def test_channels_have_a_panel_each():
    x = [0.25, 0.0, 0.5]
    figure = channel_figure(
        [ChannelSeries("d1", x, [2.1, 2.0, 2.2], [0.1] * 3), ChannelSeries("d2", x, [3.1, 3.2, 3.0], [0.1] * 3)],
        dopant="N",
    )
    assert has(figure, "d1 (Å)", "d2 (Å)", "N content")
    assert list(figure.axes[0].lines[0].get_xdata()) == [0.0, 0.25, 0.5]


def van_hove(kind: str) -> VanHoveMap:
    r = np.linspace(0.05, 9.95, 100)
    return VanHoveMap("Li", kind, np.linspace(0, 5, 50), r, np.ones((50, 100)), 1.5)  # type: ignore[arg-type]


def test_van_hove_maps_have_scales_and_times():
    figure = van_hove_figure([van_hove("self"), van_hove("distinct")])
    assert has(figure, "τ$_1$ = 1.5 ps", "τ$_2$", "self", "distinct", "time (ps)")
    shapes = [mesh.get_array().shape for mesh in figure.findobj(QuadMesh)[:2]]
    assert (100, 49) in shapes  # t = 0 of the self part is a spike at r = 0
    assert (100, 50) in shapes


@given(st.integers(0, 2), st.lists(st.floats(-3, 3), min_size=9, max_size=9))
@settings(deadline=None, max_examples=30)
def test_the_plane_seen_along_a_vector_keeps_lengths_across_it(along, numbers):
    cell = CELL + np.reshape(numbers, (3, 3)) / 3
    plane = projected_plane(cell, along)
    assert np.allclose(plane[along], 0, atol=1e-9)
    depth = cell[along] / np.linalg.norm(cell[along])
    across = cell - np.outer(cell @ depth, depth)
    assert np.allclose(plane @ plane.T, across @ across.T, atol=1e-9)


def test_density_is_seen_along_every_axis():
    values = np.zeros((12, 14, 16))
    values[3, 4, :] = 1.0
    figure = density_figure([DensityMap("Li", values, CELL, ("Zr", "O"), [[0, 0, 0], [0.5, 0.5, 0.5]])])
    assert has(figure, "Å$^{-3}$", "Zr", "O")
    peaks = []
    for mesh in figure.findobj(QuadMesh):
        field = np.asarray(mesh.get_array())
        if field.shape in {(15, 17), (17, 13), (13, 15)}:
            peaks.append((field.shape, np.unravel_index(field.argmax(), field.shape)))
    assert dict(peaks)[(13, 15)] == (3, 4)  # a and b, seen along c


def test_an_element_has_one_colour_in_all_maps():
    values = np.ones((4, 4, 4))
    hosts = [(("Zr", "O"), [[0, 0, 0], [0.5, 0.5, 0.5]]), (("N", "O"), [[0.2, 0, 0], [0.5, 0.5, 0.5]])]
    figure = density_figure([DensityMap("Li", values, CELL, *host) for host in hosts], axes="c")
    told = {line.get_label(): line.get_markerfacecolor() for line in figure.legends[0].get_lines()}
    assert len(set(told.values())) == 3
    drawn = [
        [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"] for axes in figure.axes[:2]
    ]
    assert drawn == [[told["Zr"], told["O"]], [told["N"], told["O"]]]


def test_the_network_has_a_line_for_every_connection():
    jumps = JumpMap("Li", CELL, [[0, 0, 0], [0.5, 0, 0]], [0.9, 0.1], [(0, 1, 0, 0, 0), (1, 0, 1, 0, 0)], [5, 1])
    figure = jump_figure(jumps)
    for lines in figure.findobj(LineCollection):
        (one, other), widths = lines.get_segments(), lines.get_linewidths()
        assert np.allclose(one[1] - one[0], other[1] - other[0])  # the second leaves the cell
        assert widths[0] > widths[1]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: displacement_figure([]),
        lambda: arrhenius_figure([ArrheniusPoints("", [], [], [], [])]),
        lambda: channel_figure([]),
        lambda: van_hove_figure([]),
        lambda: density_figure([]),
        lambda: jump_figure(JumpMap("", CELL, [], [], [], [])),
    ],
)
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(InputError):
        draw()


def test_figures_come_out_the_same_twice_and_at_the_size_of_a_column(tmp_path):
    pages = []
    for folder in ("one", "two"):
        svg, png = save(van_hove_figure([van_hove("self")], width=3.5), tmp_path / folder / "map")
        pages.append((svg.read_bytes(), png.read_bytes()))
        assert imread(png).shape[1] == 1050
    assert pages[0] == pages[1]
