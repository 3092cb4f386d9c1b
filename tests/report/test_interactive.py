"""Interactive figures and structures that turn: the numbers they were given, in forms a page can hold."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

sys.path.insert(0, str(Path(__file__).parent))

from made_study import write_study, zirconate
from test_page import HOSTILE

from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader
from ionscape.report.content_figures import ContentSeries, DisplacementPanel
from ionscape.report.crystal import bond_limit, scene
from ionscape.report.density_figures import DensityMap
from ionscape.report.energy_figures import DecompositionSeries, decomposition_figure
from ionscape.report.figures import FIGURES
from ionscape.report.interactive.energies import decomposition_plot, window_plot
from ionscape.report.interactive.figures import interactive_figures
from ionscape.report.interactive.plot import numbers
from ionscape.report.interactive.runs import arrhenius_plot, content_plot, displacement_plot, van_hove_plot
from ionscape.report.models import drawn, models, with_density, with_paths
from ionscape.report.movies import frames
from ionscape.report.page import STAGE_NAMES
from ionscape.report.path_figure import DrawnPath
from ionscape.report.questions import answered
from ionscape.report.reading import read_study
from ionscape.report.reported import beside, difference
from ionscape.report.style import save
from ionscape.report.transport_figures import ArrheniusPoints, DisplacementSeries
from ionscape.report.van_hove_figures import VanHoveMap
from ionscape.report.verdict import verdict
from ionscape.report.window_figures import WindowBar

ROUTE = DecompositionSeries(f"N on O{HOSTILE}", [0, 0.125, 0.25], [0, 7.2, 14.3], [(), ("Li2O", "ZrN"), ()])


def test_a_series_keeps_its_numbers_and_its_name_stays_text():
    reported = DecompositionSeries(ROUTE.label, [0.125], [15.3], reported=True)
    ours, theirs = decomposition_plot([ROUTE, reported], "N").traces
    assert (ours["x"], ours["y"]) == ([0, 0.125, 0.25], [0, 7.2, 14.3])
    assert "<script" not in json.dumps([ours, theirs])
    assert "Li<sub>2</sub>O + ZrN" in ours["text"][1]
    assert theirs["marker"]["symbol"] == f"{ours['marker']['symbol']}-open"
    assert theirs["marker"]["color"] == ours["marker"]["color"]


def test_unknown_numbers_become_gaps_and_others_keep_five_digits():
    assert numbers([1 / 3, np.nan, -np.inf, 1e-12 / 7]) == [0.33333, None, None, 1.4286e-13]
    assert numbers([[1, np.nan]]) == [[1.0, None]]


def test_a_window_without_a_limit_reaches_the_edge_of_the_axis():
    bars = [WindowBar("Li2O", 0.5, None, (0.3, 0.8)), WindowBar("X", None, 2.0)]
    plot = window_plot(bars, "Li/Li<sup>+</sup>")
    low, high = plot.layout["xaxis"]["range"]
    bar, reduction, oxidation = plot.traces
    ends = [(base, base + length) for base, length in zip(bar["base"], bar["x"], strict=True)]
    assert ends == [(0.5, pytest.approx(high)), (low, pytest.approx(2.0))]
    assert (reduction["x"], oxidation["x"]) == ([0.5], [2.0])
    assert reduction["error_x"]["array"] == [pytest.approx(0.3)]
    assert reduction["error_x"]["arrayminus"] == [pytest.approx(0.2)]


def test_intervals_bounds_and_laws_stand_where_they_are():
    law = np.array([[1000.0, 2e-5, 1e-5, 4e-5], [500.0, 1e-7, 3e-8, 3e-7]])
    one = ArrheniusPoints("N on O", [1000.0], [2e-5], [1e-5], [3e-5], [(600.0, 1e-7)], law)
    points, bound, shade, line = arrhenius_plot([one], 300.0).traces
    assert points["x"] == [1.0]
    assert points["error_y"]["array"] == [pytest.approx(1e-5)]
    assert (bound["x"], bound["y"]) == ([pytest.approx(1000 / 600, rel=1e-4)], [1e-7])
    assert line["y"] == [2e-5, 1e-7]
    assert max(shade["y"]) == 4e-5
    content = content_plot([ContentSeries("300 K", [], [], [], [], [(0.5, 1e-3)])], "σ", "N", logarithmic=True)
    assert [trace["y"] for trace in content.traces] == [[1e-3]]


def test_only_the_mobile_ion_is_shown_at_first():
    times = np.linspace(0, 10, 500)
    series = [DisplacementSeries(name, times, times * k, times * 0.1) for name, k in (("Li", 2.0), ("O", 0.01))]
    runs = [DisplacementPanel("host", f"{kelvin} K", series) for kelvin in (800, 1000)]
    traces = displacement_plot(runs, "Li").traces
    hosts = [trace for trace in traces if trace.get("name", "").startswith("O")]
    assert [(one["visible"], one["showlegend"]) for one in hosts] == [("legendonly", True), ("legendonly", False)]
    mobile = [trace for trace in traces if trace.get("name", "").startswith("host")]
    assert [one["name"] for one in mobile] == ["host, 800 K", "host, 1000 K"]
    for one in mobile:
        assert np.allclose(one["y"], 2 * np.array(one["x"]), rtol=1e-4)
        assert max(one["x"]) == pytest.approx(5, rel=0.02)
        assert min(one["x"]) > 0


def test_maps_are_thinned_and_keep_their_scales():
    times, r = np.linspace(0, 20, 400), np.linspace(0.05, 10, 300)
    values = np.exp(-r[None] / 3) * (1 + times[:, None])
    plots = van_hove_plot([VanHoveMap("Li", kind, times, r, values, 3.0) for kind in ("self", "distinct")])
    own, distinct = plots.traces
    assert np.shape(own["z"]) == (len(own["y"]), len(own["x"]))
    assert len(own["x"]) <= 90
    assert len(own["y"]) <= 110
    place = np.log10(np.interp(own["y"][5], r, values[np.searchsorted(times, own["x"][7] - 1e-6)]))
    assert own["z"][5][7] == pytest.approx(place, abs=0.03)
    assert distinct["zmax"] == 3.0
    assert [shape["x0"] for shape in plots.layout["shapes"]] == [3.0, 3.0]


def test_bonds_of_a_turning_structure_are_those_of_the_drawing():
    structure = zirconate()
    data = drawn(scene(structure))
    positions = np.array([atom[1:] for atom in data["atoms"]])
    elements = [atom[0] for atom in data["atoms"]]
    assert len(data["bonds"]) > len(structure)
    for i, j in data["bonds"]:
        assert np.linalg.norm(positions[i] - positions[j]) <= bond_limit(elements[i], elements[j]) + 2e-3
    assert set(data["kinds"]) == {"Li", "Zr", "O"}
    assert len(data["solids"]) >= 8
    assert np.allclose(data["cell"], structure.lattice.matrix, atol=1e-3)


def test_a_density_in_bytes_keeps_its_surfaces_and_closes_at_the_faces():
    cell = Lattice.from_parameters(6, 7, 9, 75, 98, 112).matrix
    axes = [np.arange(n) / n for n in (24, 30, 50)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    values = 0.02 * np.exp(2 * np.cos(2 * np.pi * x) + np.cos(2 * np.pi * (y + z)))
    model = with_density(DensityMap("Li", values, cell, ["Zr"], [[0.5, 0.5, 0.5]]))
    grid = model.data["grid"]
    coarse = np.frombuffer(base64.b64decode(grid["bytes"]), dtype=np.uint8).reshape(grid["n"])
    assert max(grid["n"]) <= 37
    for axis in range(3):
        assert np.array_equal(np.take(coarse, 0, axis), np.take(coarse, -1, axis))
    assert coarse.max() == 255
    for level in grid["levels"]:  # as much of the cell lies above a level as before
        share = (coarse[:-1, :-1, :-1] >= 255 * level["share"] ** 0.5).mean()
        assert share == pytest.approx((values >= level["share"] * values.max()).mean(), abs=0.04)
    assert [atom[0] for atom in model.data["atoms"]] == ["Zr"]


def test_paths_lie_in_the_cell_in_which_they_are_drawn():
    lattice = Lattice.from_parameters(5, 6, 7, 80, 95, 110)
    images = [Structure(lattice, ["Li", "O"], [[-2.1 + 0.1 * k, 3.2, 0.4], [0.5, 0.5, 0.5]]) for k in range(4)]
    data = with_paths("hops", [DrawnPath("A", images)]).data
    (track,) = data["paths"]
    middle = lattice.get_fractional_coords(np.mean(track["points"], axis=0))
    assert np.all((middle > -1e-3) & (middle < 1 + 1e-3))
    assert np.allclose(np.diff(track["points"], axis=0), 0.1 * lattice.matrix[0], atol=2e-3)


def test_a_study_has_figures_and_models_of_what_it_has(whole_study):
    record = read_study(whole_study)
    plots = interactive_figures(record)
    files = {path.stem for path in (whole_study / "figures").glob("*.svg")}
    assert set(plots) <= files
    assert {"decomposition-energy", "ewald-ranking", "electrochemical-window", "arrhenius"} <= set(plots)
    json.dumps([plot.as_data() for plot in plots.values()], allow_nan=False)
    assert {name: len(found) for name, found in models(record).items()} == {"host": 2}


def test_every_question_is_answered_or_told_why_not(results, tmp_path):
    results["stages"]["window"] = {"failed": "no energies"}
    record = read_study(write_study(tmp_path, results))
    found = {one.question.key: one for one in answered(record, verdict(record), STAGE_NAMES)}
    assert list(found) == ["stable", "reacts", "sticks", "conducts", "crosses", "cell"]
    assert len(found["stable"].statements) >= 3
    assert any("failed: no energies" in text for text in found["reacts"].missing)
    assert "not run" in found["sticks"].missing[0]
    assert "not run" in found["crosses"].missing[0]
    assert all(statement.level for one in found.values() for statement in one.statements)


def test_the_number_of_the_reference_stands_beside_ours_with_the_difference(results, tmp_path):
    record = read_study(write_study(tmp_path, results))
    told = beside(record, "decomposition energy", "N on O, 1")
    assert "study 15.3 (−8.1)" in told
    assert "DFT" in told
    assert beside(record, "decomposition energy", "N on O, 2") == ""
    assert "study 5.1" in beside(record, "tau1", "N on O, 4", 1000.0)
    assert beside(record, "tau1", "N on O, 4", 800.0) == ""
    assert [difference(row) for row in record.comparison] == ["−8.1", "−8.5", ""]


def test_a_film_has_the_positions_and_times_of_the_run(tmp_path):
    path = tmp_path / "run.trajectory"
    header = RunHeader(("Li", "O"), np.array([6.94, 16.0]), 20.0, 1000.0, "nvt", {"name": "toy"}, 1)
    cell = Lattice.from_parameters(6, 7, 9, 75, 98, 112).matrix
    moved = [np.array([[0.1 * k, 0.0, 20.0], [1.0, 2.0, 3.0]]) for k in range(450)]
    with Recorder.create(path, header, moved[0]) as recorder:
        for positions in moved:
            recorder.append(RecordedFrame(positions, cell, -4.0, 900.0, 0.0))
    shown = list(frames(path))
    assert 150 <= len(shown) <= 200
    assert np.allclose([one.info["time_fs"] for one in shown], 20.0 * (1 + np.arange(0, 450, 3)))
    assert np.allclose(shown[-1].positions, moved[447], atol=1e-5)
    assert np.allclose(shown[0].cell, cell)


def test_a_notebook_shows_the_vector_graphic_of_the_file(tmp_path):
    figure = decomposition_figure([DecompositionSeries("N on O", [0, 0.5], [0, 30])])
    svg, _ = save(figure, tmp_path / "one")
    assert figure._repr_svg_() == svg.read_text(encoding="utf-8")
    assert len(FIGURES) == len({function.__name__ for function in FIGURES.values()})
