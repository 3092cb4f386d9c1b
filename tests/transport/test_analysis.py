"""Everything a run of known truth tells: sheared, breathing cells, wrapped, drifting, with a rattling host."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_runs import MadeRun, made_run

from ionscape.dynamics.drift import seen_from_host
from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.analysis import analyse_transport, percolation_spacing
from ionscape.transport.conductivity import HavenRatio, IonicConductivity
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.held_run import held_run
from ionscape.transport.hopping import CorrelationFactor, HoppingPicture, SpaceTimePicture
from ionscape.transport.percolation import Percolation
from ionscape.transport.records import transport_record
from ionscape.transport.settings import ANALYSES, TransportSettings


def quick(*analyses: str) -> TransportSettings:
    return TransportSettings(analyses=analyses or ANALYSES, threads=1, resamples=50)


@pytest.fixture(scope="module")
def walk() -> tuple[MadeRun, object]:
    run = made_run()
    return run, analyse_transport(run, quick())


@pytest.fixture(scope="module")
def channel():
    return analyse_transport(made_run(axes=1, rate=0.03), quick("diffusion", "conductivity", "density", "jumps"))


def test_diffusion_of_walkers_lies_in_its_interval(walk):
    run, found = walk
    assert isinstance(found.diffusion, Diffusion)
    assert found.diffusion.low95 <= run.diffusivity <= found.diffusion.high95
    assert found.diffusion.high95 / found.diffusion.low95 < 1.4


def test_walkers_that_do_not_know_one_another_have_a_haven_ratio_of_one(walk):
    _, found = walk
    assert isinstance(found.haven, HavenRatio)
    assert 0.6 < found.haven.low95 < found.haven.high95 < 1.8


def test_conductivity_is_that_of_nernst_and_einstein(walk):
    run, found = walk
    assert isinstance(found.conductivity, IonicConductivity)
    # e²/k_B = 1.8594e-15 C² K/J; D in m²/s is 1e-5 times that in Å²/fs, S/cm is 100 S/m
    density = 12 / np.abs(np.linalg.det(run.cells)).mean() * 1e30
    sigma = density * 1.8594e-15 * found.diffusion.value * 1e-5 / 1000 / 100
    assert found.conductivity.value == pytest.approx(sigma, rel=1e-3)


def test_a_rattling_host_is_flat(walk):
    _, found = walk
    assert {name: one.is_flat for name, one in found.host.mobility.items()} == {"Zr": True, "O": True}


def test_mean_host_is_where_it_was_put(walk):
    run, found = walk
    first = run.fractional[:, 12:].mean(axis=0) - run.fractional[:, 12:].mean(axis=(0, 1))
    seen = found.host.fractional - found.host.fractional[0] - first + first[0]
    assert np.abs(seen - np.rint(seen)).max() < 0.01


def test_first_jumps_go_to_the_next_site_after_the_residence_time(walk):
    _, found = walk
    assert isinstance(found.space_time, SpaceTimePicture)
    assert 2.0 < found.space_time.first_jump.band.peak < 3.0
    # one hop in 50 frames of 10 fs; τ1 is the time by which 1/e of the ions is still on its site
    assert found.space_time.first_jump.value == pytest.approx(500, rel=0.35)
    assert isinstance(found.hopping, HoppingPicture)
    assert found.hopping.residence.value == pytest.approx(500, rel=0.15)


def test_hops_at_random_are_not_correlated(walk):
    _, found = walk
    factor = found.hopping.correlation
    assert isinstance(factor, CorrelationFactor)
    assert factor.low95 < 1.1
    assert factor.high95 > 0.95


def test_a_channel_percolates_along_its_axis_only(channel):
    assert isinstance(channel.percolation["a"], Percolation)
    assert isinstance(channel.percolation["b"], Failure)
    assert isinstance(channel.percolation["c"], Failure)
    values, vectors = np.linalg.eigh(channel.diffusion.tensor)
    assert values[1] < 0.1 * values[2]
    assert abs(vectors[0, 2]) > 0.99


def test_ions_that_rattle_get_a_bound_and_no_diffusion_coefficient():
    found = analyse_transport(made_run(1500, rate=0.0), quick("diffusion", "conductivity", "van-hove", "jumps"))
    assert isinstance(found.diffusion, NotDiffusive)
    record = transport_record(found)
    assert record["is_diffusive"] is False
    assert "ps needed" in record["D_cm2_per_s"]["unavailable"]
    assert 0 < record["D_upper_bound_cm2_per_s"] < 1e-4
    assert record["sigma_upper_bound_S_per_cm"] > 0
    for key in ("tau1_ps", "tau2_ps", "haven_ratio", "residence_time_ps"):
        assert record[key]["unavailable"]


def test_a_host_that_melts_moves():
    run = made_run(2000, rate=0.0)
    rng = np.random.default_rng(3)
    loose = np.array([symbol == "O" for symbol in run.symbols])
    walk = np.cumsum(rng.normal(0, 0.08, (2000, int(loose.sum()), 3)), axis=0) @ np.linalg.inv(run.cells[0])
    moved = run.fractional.copy()
    moved[:, loose] += walk
    melted = MadeRun(run.symbols, moved, moved @ run.cells[0], run.cells, 10.0, 1000.0, 0.0)
    record = transport_record(analyse_transport(melted, quick("host")))
    assert record["host_is_flat"] is False
    assert record["host"]["O"]["is_flat"] is False


def test_ions_that_move_together_have_a_small_haven_ratio():
    run = made_run(6000, together=True, ions=6, rate=0.05)
    found = analyse_transport(run, quick("diffusion", "conductivity"))
    record = transport_record(found)
    together, alone = found.collective, found.diffusion
    assert isinstance(together, Diffusion)
    # one random walk of six ions: the charge diffuses six times as fast as an ion
    assert together.low95 < 6 * run.diffusivity < together.high95 * 1.1
    if isinstance(alone, Diffusion):
        assert record["haven_ratio"] == pytest.approx(1 / 6, rel=0.5)
    else:
        assert alone.upper_bound > run.diffusivity


def test_what_was_not_asked_for_is_told_and_the_temperature_is_needed_only_where_it_is():
    run = made_run(200)
    cold = replace(run, temperature=None)
    record = transport_record(analyse_transport(cold, quick("diffusion")))
    assert record["tau1_ps"] == {"unavailable": "not asked for"}
    assert "no temperature" in record["temperature_K"]["unavailable"]
    with pytest.raises(InputError, match="temperature"):
        analyse_transport(cold, quick("conductivity"))


def test_a_run_held_on_disk_says_the_same():
    run = made_run(400)
    ions, host = held_run(seen_from_host(run, "Li"), "Li")
    again, _ = held_run(seen_from_host(run, "Li"), "Li", memory_limit_GB=1e-6)
    assert not ions.on_disk
    assert again.on_disk
    assert np.array_equal(ions.positions, again.positions)
    assert host is not None
    assert host.stride == 1
    one, other = (
        analyse_transport(run, TransportSettings(analyses=("diffusion",), memory_limit_GB=limit))
        for limit in (1.0, 1e-6)
    )
    assert one.diffusion.value == pytest.approx(other.diffusion.value, rel=1e-6)


def test_positions_beyond_the_limit_go_to_the_scratch_folder(tmp_path):
    run, settings = made_run(300), TransportSettings(analyses=("diffusion",), memory_limit_GB=1e-6)
    found = analyse_transport(run, settings, scratch=tmp_path)
    assert found.diffusion.value == pytest.approx(analyse_transport(run, settings).diffusion.value)
    assert list(tmp_path.iterdir()) == []  # files without names
    with pytest.raises(InputError, match="cannot be written") as caught:
        analyse_transport(run, settings, scratch=tmp_path / "missing")
    assert str(tmp_path / "missing") in str(caught.value)


def test_held_frames_are_those_of_the_run_after_the_equilibration():
    run = made_run(300)
    ions, host = held_run(run, "Li", skip=1000.0)
    assert len(ions.cells) == 200
    assert np.allclose(ions.positions, run.positions[100:, :12], atol=1e-4)
    assert np.allclose(host.positions, run.positions[100:, 12:], atol=1e-4)
    with pytest.raises(InputError, match="after the first"):
        held_run(run, "Li", skip=3000.0)


def test_a_long_host_is_thinned_evenly(monkeypatch):
    monkeypatch.setattr("ionscape.transport.held_run.HOST_FRAMES", 64)
    run = made_run(500)
    _, host = held_run(run, "Li")
    assert host.stride == 8
    assert np.allclose(host.positions, run.positions[::8, 12:], atol=1e-4)
    assert host.frame_interval == 80.0


def test_records_are_plain_and_complete(walk):
    import json

    _, found = walk
    record = transport_record(found)
    json.dumps(record, allow_nan=False)
    keys = (
        "temperature_K n_frames D_cm2_per_s sigma_S_per_cm is_diffusive haven_ratio tau1_ps tau2_ps xi_A d1_A d2_A"
        " D_principal_cm2_per_s sigma_collective_S_per_cm percolation host correlation_factor residence_time_ps"
    )
    for key in keys.split():
        assert key in record, key
    assert record["tau1_low95_ps"] <= record["tau1_ps"] <= record["tau1_high95_ps"]


def test_percolation_grid_is_as_coarse_as_the_run_is_short(walk):
    _, found = walk
    assert percolation_spacing(found.density, 0.2) > 0.3
    assert percolation_spacing(found.density, 0.5) == 0.5


def test_channels_are_those_of_the_host_with_the_radii_that_were_given():
    pytest.importorskip("pyzeo", reason="pip install 'ionscape[channels]'")
    settings = TransportSettings(
        analyses=("channels",), threads=1, channel_frames=4, radii_A={"Zr": 0.72, "O": 1.0}
    )
    found = analyse_transport(made_run(40), settings)
    assert not isinstance(found.channels, Failure)
    assert found.channels.radii == {"Zr": 0.72, "O": 1.0}
    assert 0 < found.channels.free.mean <= found.channels.included.mean
    assert transport_record(found)["d1_A"] == found.channels.free.mean
