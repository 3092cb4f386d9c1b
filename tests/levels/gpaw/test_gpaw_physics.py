"""GPAW really run, on cells of two to four atoms."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ionscape.errors import CalculationError
from ionscape.levels.gpaw import session
from ionscape.levels.registry import Level

sys.path.insert(0, str(Path(__file__).parent))
from cheap_settings import CHEAP

TIGHT = {**CHEAP, "density_tolerance": 1e-7, "energy_tolerance_eV_per_electron": 1e-6}


def calculator(processes: int = 1, **settings):
    return Level.of("gpaw", {**CHEAP, **settings}).own_calculator(processes)


def test_forces_are_minus_the_derivatives_of_the_energy(hydride):
    hydride.calc = calculator(**TIGHT)
    forces, start = hydride.get_forces(), hydride.positions.copy()
    direction = np.array([[0.3, -0.5, 0.8], [-0.6, 0.2, 0.4]]) + 2 * forces / np.linalg.norm(forces)
    energies = []
    for step in (-0.02, 0.02):
        hydride.positions = start + step * direction
        energies.append(hydride.get_potential_energy())
    slope = (energies[1] - energies[0]) / 0.04
    assert abs(slope) > 0.1
    assert -(forces * direction).sum() == pytest.approx(slope, rel=0.02)


def test_the_corrected_stress_is_that_of_a_large_basis(rocksalt):
    rocksalt.calc = calculator(cutoff_eV=900.0)
    expected = rocksalt.get_stress()
    errors = []
    for corrected in (False, True):
        rocksalt.calc = calculator(cutoff_eV=250.0, finite_basis_correction=corrected)
        errors.append(np.abs(rocksalt.get_stress() - expected).max())
    assert errors[0] > 0.005
    assert errors[1] < 0.35 * errors[0]


def test_a_geometry_after_others_is_what_it_is_alone(rocksalt):
    """The first structure is symmetric, the next one is not; and the density of the one starts the next."""
    calc = calculator(**TIGHT)
    rocksalt.calc = calc
    rocksalt.get_potential_energy()
    assert calc.told["symmetries"] == 48
    rocksalt.positions[1] += [0.1, 0.05, -0.02]
    moved, forces = rocksalt.get_potential_energy(), rocksalt.get_forces()
    assert calc.told["symmetries"] == 1
    alone = rocksalt.copy()
    alone.calc = calculator(**TIGHT)
    assert alone.get_potential_energy() == pytest.approx(moved, abs=2e-5)
    assert np.allclose(alone.get_forces(), forces, atol=2e-3)


def test_two_processes_give_what_one_gives(hydride):
    hydride.calc = calculator(kpoints=(1, 1, 2))
    first, forces = hydride.get_potential_energy(), hydride.get_forces()
    hydride.calc = several = calculator(2, kpoints=(1, 1, 2))
    assert hydride.get_potential_energy() == pytest.approx(first, abs=1e-6)
    assert type(several._session).__name__ == "MPISession"
    assert np.allclose(hydride.get_forces(), forces, atol=1e-4)


def test_the_ladder_goes_on_where_a_mixer_fails_and_tells_which_one_converged(hydride, monkeypatch):
    monkeypatch.setitem(session.MIXERS, "msr1", {"name": "pulay", "beta": 1e-6, "nmaxold": 1, "weight": 1.0})
    hydride.calc = calculator(max_iterations=25)
    hydride.get_potential_energy()
    assert hydride.calc.told["mixer"] == "pulay"


def test_what_is_not_self_consistent_is_a_failure(hydride):
    hydride.calc = calculator(max_iterations=2, mixers=("msr1", "damped"))
    with pytest.raises(CalculationError, match=r"not self-consistent after 2 iterations .* msr1, damped"):
        hydride.get_potential_energy()


def test_a_saved_density_starts_the_next_calculation(hydride, tmp_path):
    file = tmp_path / "kept.gpw"
    hydride.calc = first = calculator(restart_file=str(file))
    energy = hydride.get_potential_energy()
    assert file.is_file()
    hydride.positions[1] += 0.01
    hydride.calc = second = calculator(restart_file=str(file))
    moved = hydride.get_potential_energy()
    assert second.told["iterations"] < first.told["iterations"]
    hydride.calc = calculator()
    assert hydride.get_potential_energy() == pytest.approx(moved, abs=1e-3)
    assert moved != pytest.approx(energy, abs=1e-6)


def test_another_calculation_begins_anew(hydride):
    """The grid of a calculation stays while its cell changes, and is chosen again for the next."""
    calc = calculator(kpoints=None, kpoint_density=54.0, kpoint_scheme="gamma")
    hydride.calc = calc
    hydride.get_potential_energy()
    grid = calc.told["kpoints"]
    long = hydride.copy()
    long.set_cell(hydride.cell.array * [[1.0], [1.0], [2.2]], scale_atoms=True)
    long.calc = calc
    long.get_potential_energy()
    assert calc.told["kpoints"] == grid
    calc.begin()
    long.get_potential_energy()
    assert calc.told["kpoints"] != grid


def test_iron_in_an_oxide_starts_and_stays_high_spin():
    """FeO with one formula unit: Fe(II), four unpaired electrons."""
    from ase import Atoms

    cell = 4.3 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    wustite = Atoms("FeO", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=cell, pbc=True)
    wustite.calc = calculator(cutoff_eV=350.0, hubbard_U_eV={"Fe": 4.0})
    wustite.get_potential_energy()
    assert wustite.calc.told["magnetic_moment_muB"] == pytest.approx(4.0, abs=0.3)


@pytest.mark.slow
def test_gaps_of_lithium_cobalt_oxide(cathode):
    """1.1 eV with PBE, 2.43 eV with U = 3.32 eV on truncated projectors (4 × 4 × 4, 520 eV)."""
    common = {"cutoff_eV": 400.0, "kpoints": (4, 4, 4), "datasets": {"Li": "sv"}}
    gaps = []
    for U in ({}, {"Co": 3.32}):
        cathode.calc = calculator(**common, hubbard_U_eV=U)
        cathode.get_potential_energy()
        gaps.append(cathode.calc.told["gap_eV"])
    assert gaps == pytest.approx([1.1, 2.43], abs=0.15)
