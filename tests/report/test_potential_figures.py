"""Figures of learned potentials: the pairs that were given, units on the axes, errors as they are counted."""

from __future__ import annotations

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest

from ionscape.errors import InputError
from ionscape.potential.errors_of_model import Predictions, errors_of
from ionscape.report.potential_figures import calibration_figure, parity_figure
from ionscape.report.style import save


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


@pytest.fixture
def found() -> Predictions:
    rng = np.random.default_rng(0)
    energies, forces, stresses = (rng.normal(size=(1, n)) + 0.1 * rng.normal(size=(2, n)) for n in (9, 600, 54))
    return Predictions(energies, forces, stresses, rng.uniform(0.1, 1, 200), np.zeros(200, dtype=int))


def test_parity_plot_shows_every_pair_about_the_diagonal(found, tmp_path):
    figure = parity_figure(found, note="9 frames")
    assert len(figure.axes) == 3
    x, y = figure.axes[1].lines[1].get_data()
    assert np.array_equal(x, found.forces[1])
    assert np.array_equal(y, found.forces[0])
    ends = figure.axes[1].lines[0].get_data()
    assert np.array_equal(*ends)
    for word in ("meV/atom", "eV/Å", "GPa", "dear level", "potential", "9 frames"):
        assert word in texts(figure)
    assert f"MAE {errors_of(found)['force_mae_eV_per_A']:.3g} eV/Å" in texts(figure)
    assert [path.suffix for path in save(figure, tmp_path / "parity")] == [".svg", ".png"]


def test_frames_without_stress_have_two_panels(found):
    assert len(parity_figure(dataclasses.replace(found, stresses=np.zeros((2, 0)))).axes) == 2


def test_calibrated_errors_lie_on_the_diagonal():
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.1, 0.5, 24000)
    figure = calibration_figure(sigma, sigma[:, None] * rng.normal(size=(24000, 3)))
    x, y = figure.axes[0].lines[-1].get_data()
    assert np.allclose(x, y, rtol=0.06)
    assert "eV/Å" in texts(figure)


def test_nothing_to_draw_is_refused(found):
    with pytest.raises(InputError, match="no frames"):
        parity_figure(dataclasses.replace(found, energies=np.zeros((2, 0))))
    with pytest.raises(InputError, match="no atoms"):
        calibration_figure([], np.zeros((0, 3)))
