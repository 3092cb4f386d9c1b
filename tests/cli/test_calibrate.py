"""The command that compares levels on the same frames."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from ionscape.cli.main import main

EMT_LEVEL = "ase.calculators.emt:EMT"


@pytest.fixture(autouse=True)
def labelled_frames(folder):
    made = []
    for seed in range(5):
        atoms = ase.build.bulk("Cu", cubic=True).repeat((2, 1, 1))
        shear = np.array([[0, 0.2, 0], [0, 0, 0.1], [0.1, 0, 0]])
        atoms.set_cell(atoms.cell.array + shear, scale_atoms=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy() + 2.0, 1.25 * atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=atoms.get_stress())
        made.append(atoms)
    write("frames.extxyz", made)


def test_labels_are_the_dear_level_where_none_is_named(ionscape):
    found = ionscape("calibrate", "frames.extxyz", "--level", EMT_LEVEL)
    assert found["n_frames"] == 5
    assert found["softening_slope"] == pytest.approx(0.8, abs=1e-6)
    assert found["energy_mae_meV_per_atom"] == pytest.approx(0.0, abs=1e-4)
    assert found["offsets_eV_per_atom"] == {"Cu1": pytest.approx(0.25)}
    assert found["orderings"]["kept"] == found["orderings"]["pairs"] == 10
    assert found["stress_mae_GPa"] == pytest.approx(0.0, abs=1e-6)


def test_a_dear_level_labels_frames_spread_over_the_file(ionscape):
    more = ["--dear", EMT_LEVEL, "--most", "3", "--out", "dear.extxyz"]
    found = ionscape("calibrate", "frames.extxyz", "--level", EMT_LEVEL, *more)
    assert found["n_frames"] == 3
    assert found["force_mae_eV_per_A"] == pytest.approx(0.0, abs=1e-9)
    assert [atoms.info["level"] for atoms in read("dear.extxyz", index=":")] == [EMT_LEVEL] * 3


def test_frames_without_labels_are_refused(capsys):
    frames = read("frames.extxyz", index=":")
    for atoms in frames:
        atoms.calc = None
    write("bare.extxyz", frames)
    assert main(["calibrate", "bare.extxyz", "--level", EMT_LEVEL]) == 2
    assert "--dear" in capsys.readouterr().err


def test_a_table_for_people(capsys):
    assert main(["calibrate", "frames.extxyz", "--level", EMT_LEVEL]) == 0
    assert np.isfinite(
        float(next(line for line in capsys.readouterr().out.splitlines() if "softening" in line).split()[1])
    )
