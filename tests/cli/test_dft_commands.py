"""Commands at the level gpaw, really run on two atoms; and how each says what is wrong."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from ionscape.cli.main import main
from ionscape.cli.options import level_settings
from ionscape.errors import InputError

needs_gpaw = pytest.mark.skipif(importlib.util.find_spec("gpaw") is None, reason="make install-dft")
CHEAP = ["--level-setting", "cutoff_eV=250.0", "--level-setting", "kpoints=[1, 1, 1]"]
CHEAP += ["--level-setting", "datasets={Li='paw'}", "--level-setting", "finite_basis_correction=false"]


@pytest.fixture
def crystal() -> Path:
    cell = 4.02 / 2 * np.array([[0.0, 1.1, 1], [1, 0.1, 1.05], [1, 1, 0]])
    atoms = Atoms("LiH", positions=[[0.0, 0.0, 0.0], [2.1, 2.2, 2.0]], cell=cell, pbc=True)
    write("crystal.cif", atoms)
    write("frames.extxyz", atoms)
    return Path("crystal.cif")


def refused(capsys, *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return code, told


def test_settings_of_a_level_are_read_as_toml():
    told = ["cutoff_eV=400.0", "preset=study", "kpoints=[2,2,1]", "hubbard_U_eV={Co=3.32}", "spin='none'"]
    found = level_settings(told)
    assert found["kpoints"] == [2, 2, 1]
    assert found["hubbard_U_eV"] == {"Co": 3.32}
    assert (found["preset"], found["spin"], found["cutoff_eV"]) == ("study", "none", 400.0)
    with pytest.raises(InputError, match="KEY=VALUE"):
        level_settings(["cutoff_eV"])


@needs_gpaw
def test_evaluate_tells_energies_and_how_they_converged(ionscape, crystal):
    found = ionscape("evaluate", "frames.extxyz", "--level", "gpaw", *CHEAP, "--out", "out.extxyz")
    told = found["frames"][0]["told"]
    assert told["mixer"] == "msr1"
    assert told["gap_eV"] > 0.5
    assert read("out.extxyz").get_potential_energy() == pytest.approx(found["frames"][0]["energy_eV"], abs=1e-6)


@needs_gpaw
def test_relax_ends_at_small_forces(ionscape, crystal):
    found = ionscape(
        "relax", str(crystal), "--level", "gpaw", *CHEAP, "--move", "positions", "--fmax-eV-per-A", "0.1"
    )
    assert found["converged"]
    assert found["fmax_eV_per_A"] <= 0.1
    again = ionscape(
        "relax", str(crystal), "--level", "gpaw", *CHEAP, "--move", "positions", "--fmax-eV-per-A", "0.1"
    )
    assert again["energy_eV"] == found["energy_eV"]


@needs_gpaw
def test_dynamics_learn_from_it(ionscape, crystal):
    run = ["--ensemble", "nvt", "--temperature-K", "300", "--time-ps", "0.02", "--equilibration-ps", "0.0"]
    learn = ["--learn-from", "gpaw", *CHEAP, "--inducing", "40", "--out", "run"]
    found = ionscape("md", str(crystal), *run, "--frame-interval-fs", "5", *learn)
    assert found["n_dear_calls"] >= 8
    frames = read(found["frames"], index=":")
    assert len(frames) == found["n_dear_calls"]
    energies = np.array([frame.get_potential_energy() for frame in frames])
    assert np.ptp(energies) > 1e-3


@needs_gpaw
@pytest.mark.parametrize(
    ("setting", "code", "message"),
    [
        ("max_iterations=1", 3, "not self-consistent after 1 iterations"),
        ("charge_e=1.0", 2, "spin"),
        ("cutoff=250.0", 2, "Did you mean 'cutoff_eV'"),
        ("datasets={Li='xx'}", 2, "no PAW data set of Li (xx)"),
    ],
)
def test_what_cannot_be_computed_is_told_in_one_message(capsys, crystal, setting, code, message):
    more = ["--level-setting", setting, "--level-setting", "spin=none", "--level-setting", "mixers=['msr1']"]
    for command in (["relax", str(crystal), "--move", "positions"], ["evaluate", "frames.extxyz"]):
        found, told = refused(capsys, *command, "--level", "gpaw", *CHEAP, *more)
        assert found == code
        assert message in told
        messages = [line for line in told.splitlines() if not line.startswith("[")]
        assert len(messages) == 1
