"""Figures of surfaces: what can be seen of a shape, γ against thickness, and records as they were written."""

from __future__ import annotations

import numpy as np
import pytest

from ionscape.errors import InputError
from ionscape.interfaces.wulff import WulffShape, wulff_shape
from ionscape.report.style import save
from ionscape.report.surface_figures import shape_figure, thickness_figure
from ionscape.report.surface_records import SurfaceRow, SurfacesRecord, match_record, plane_text, surfaces_record
from ionscape.results import to_json
from ionscape.units import J_PER_M2_PER_EV_PER_A2

CUBE = np.concatenate([np.eye(3), -np.eye(3)])
CORNERS = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)]) / np.sqrt(3)


def node(gammas: tuple[float, ...] = (0.06, 0.062)) -> dict[str, object]:
    """Return surfaces of a crystal as they stand in ``results.json``: one with a line, one with a range."""
    shape = wulff_shape([(1, 0, 0), (1, 1, 1)], [CUBE, CORNERS], [0.06, 0.058])
    assert isinstance(shape, WulffShape)
    slab = {"miller": [1, 0, -1], "termination": {"value": 2, "unit": "1"}, "symmetric": True, "polar": False,
            "tasker": "I", "split": False, "excess": {}}  # fmt: skip
    energy = {"unit": "eV/Å²"}
    line = {
        "slab": slab, "gamma": {"value": 0.0621, **energy}, "unrelaxed": {"value": 0.08, **energy},
        "relaxed": True,
        "converged": True, "n_atoms": {"value": 20, "unit": "1"}, "notes": [], "key": "abc",
        "thicknesses": {"value": [9.0, 13.0], "unit": "Å"}, "fit": {"gammas": {"value": list(gammas), **energy}},
    }  # fmt: skip
    excess = {**slab, "polar": True, "tasker": "III", "excess": {"O": {"value": 1.0, "unit": "1"}}}
    ranged = {
        **{name: value for name, value in line.items() if name != "fit"}, "slab": excess, "relaxed": False,
        "range": {"low": {"value": -0.01, **energy}, "high": {"value": 0.2, **energy}},
    }  # fmt: skip
    unknown = {**ranged, "gamma": {"unavailable": "no phases"}}
    del unknown["range"]
    table = {"formula": "MgO", "level": "toy", "surfaces": [line, ranged, unknown], "wulff": to_json(shape)}
    return {"crystals": {"host": table}}


@pytest.fixture
def crystal() -> SurfacesRecord:
    """Return the record of one crystal."""
    (record,) = surfaces_record(node())
    return record


def test_numbers_are_in_joules_per_square_metre(crystal: SurfacesRecord) -> None:
    line, ranged, unknown = crystal.rows
    assert line.gamma == pytest.approx(0.0621 * J_PER_M2_PER_EV_PER_A2)
    assert line.gammas == pytest.approx((0.06 * J_PER_M2_PER_EV_PER_A2, 0.062 * J_PER_M2_PER_EV_PER_A2))
    assert ranged.bounds == pytest.approx((-0.01 * J_PER_M2_PER_EV_PER_A2, 0.2 * J_PER_M2_PER_EV_PER_A2))
    assert (ranged.kind, line.kind) == ("III, polar, O +1.0", "I")
    assert (unknown.gamma, unknown.reason) == (None, "no phases")
    assert crystal.shown == (line,)
    assert crystal.shape is not None
    assert sum(crystal.shape.shares) == pytest.approx(1.0)


def test_planes_carry_their_minus_signs_above() -> None:
    assert plane_text((1, 0, -4)) == "(1 0 4\u0305)"


def test_half_of_a_shape_is_seen(crystal: SurfacesRecord) -> None:
    assert crystal.shape is not None
    figure = shape_figure(crystal.shape, "MgO")
    patches = figure.axes[0].patches
    assert len(patches) == len(crystal.shape.faces) / 2  # each face has an opposite one
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.partition(")")[0] for text in legend] == ["(1 0 0", "(1 1 1"]


def test_thickness_figure_shows_lines_of_several_slabs_only(crystal: SurfacesRecord, tmp_path) -> None:
    figure = thickness_figure(crystal)
    (curve, dashed) = figure.axes[0].lines
    assert curve.get_ydata() == pytest.approx(crystal.rows[0].gammas)
    assert dashed.get_ydata()[0] == pytest.approx(crystal.rows[0].gamma)
    first = [path.read_bytes() for path in save(figure, tmp_path / "a")]
    assert first == [path.read_bytes() for path in save(thickness_figure(crystal), tmp_path / "b")]


def test_without_slabs_of_several_thicknesses_there_is_nothing_to_draw() -> None:
    row = SurfaceRow(
        "(1 0 0)", (1, 0, 0), 0, 1.0, "", 1.0, None, "I", True, False, True, True, 4, (5.0,), (), (), "", ""
    )
    with pytest.raises(InputError, match="several thicknesses"):
        thickness_figure(SurfacesRecord("host", "X", "toy", (row,), None, "no shape"))


def test_a_study_without_the_stages_has_no_records() -> None:
    assert surfaces_record({}) == ()
    assert match_record({}) is None
