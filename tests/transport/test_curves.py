"""Curves of an analysis: what is kept, that it comes back, and one message for what is no file of curves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_runs import made_run

from ionscape.errors import InputError
from ionscape.transport.analysis import analyse_transport
from ionscape.transport.curves import density_of, mean_host, read_curves, transport_curves, write_curves
from ionscape.transport.result import TransportResult
from ionscape.transport.settings import TransportSettings


@pytest.fixture(scope="module")
def result() -> TransportResult:
    analyses = ("diffusion", "host", "van-hove", "density", "jumps")
    settings = TransportSettings(analyses=analyses, r_max_A=5.0, resamples=20, threads=1, longest_time_ps=2.0)
    return analyse_transport(made_run(2500, rate=0.05, seed=2), settings)


def test_curves_come_back_as_they_were_written_with_the_same_bytes(
    result: TransportResult, tmp_path: Path
) -> None:
    curves = transport_curves(result)
    one, two = (write_curves(curves, tmp_path / name) for name in ("one.npz", "two.npz"))
    assert one.read_bytes() == two.read_bytes()
    back = read_curves(one)
    assert list(back) == list(curves)
    for name, values in curves.items():
        assert np.array_equal(back[name], values), name


def test_curves_are_those_of_the_result(result: TransportResult) -> None:
    curves = transport_curves(result)
    assert next(iter(curves)) == "displacement/Li"
    times, moved, _ = curves["displacement/Li"].T
    whole = result.displacement
    assert len(times) < len(whole.times)
    assert np.array_equal(times[:200], whole.times[:200] / 1000)
    assert np.allclose(moved, np.interp(times, whole.times / 1000, whole.total))
    shells = 4 * np.pi * curves["van-hove/distances"] ** 2
    assert np.allclose(curves["van-hove/self"], result.space_time.functions.self_part * shells, rtol=1e-6)
    density = density_of(curves, "Li")
    assert density is not None
    assert np.allclose(density.values, result.density.values, rtol=1e-6)
    assert (density.ions, density.frames) == (12, 2500)
    assert np.allclose(density.smoothed(0.2).values, result.density.smoothed(0.2).values, rtol=1e-4, atol=1e-8)
    assert mean_host(curves).get_chemical_symbols() == list(result.host.symbols)
    assert curves["jumps/edges"].shape == (len(result.hopping.network), 5)


def test_what_was_not_asked_for_is_not_among_them() -> None:
    curves = transport_curves(analyse_transport(made_run(300), TransportSettings(analyses=("diffusion",))))
    assert list(curves) == ["displacement/Li"]
    assert density_of(curves, "Li") is None


@pytest.mark.parametrize("content", [None, b"no zip", b""])
def test_what_is_no_file_of_curves_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "curves.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as curves"):
        read_curves(path)
