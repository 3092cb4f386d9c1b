"""Frames held out by trajectory, and the calibration of uncertainties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st
from made_frames import alloys, frames, model

from ionscape.errors import InputError
from ionscape.potential import held_out
from ionscape.potential.calibration import calibration, spread_of
from ionscape.potential.errors_of_model import error_summary, with_unknown
from ionscape.potential.frames import labelled_frames, of_one_level, training_set_hash
from ionscape.potential.held_out import divided, last_parts, trajectories
from ionscape.results import Failure


def frame(symbols="CuAu", **info):
    atoms = Atoms(symbols, positions=np.zeros((2, 3)))
    atoms.info.update(info)
    return atoms


def test_runs_at_several_temperatures_in_one_file_are_told_apart():
    mixed = [frame(temperature_K=t, step=20 * k) for k in range(5) for t in (600.0, 900.0)]
    assert trajectories(mixed) == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]


def test_a_clock_that_falls_begins_another_run():
    steps = [0, 10, 20, 0, 10]
    assert trajectories([frame(step=k) for k in steps]) == [[0, 1, 2], [3, 4]]
    assert trajectories([frame() for _ in steps]) == [[0, 1, 2, 3, 4]]


def test_other_atoms_are_another_trajectory():
    assert trajectories([frame("CuAu"), frame("AuCu"), frame("CuAu")]) == [[0, 2], [1]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0.02, 0.6), st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_about_the_part_is_held_out_and_always_the_ends(lengths, part, seed):
    starts = np.cumsum([0, *lengths])
    stretches = [list(range(a, b)) for a, b in itertools.pairwise(starts)]
    held = last_parts(stretches, part, np.random.default_rng(seed))
    assert held <= set(range(starts[-1]))
    assert 1 <= len(held) <= part * starts[-1] + 0.5 * len(lengths) + 1
    for one in stretches:
        inside = [index for index in one if index in held]
        assert inside == one[len(one) - len(inside) :]


def test_division_loses_nothing():
    every = frames(6)
    taught, held = divided(every, {1, 5})
    assert [id(one) for one in held] == [id(every[1]), id(every[5])]
    assert len(taught) == 4


def test_tested_model_carries_errors_and_spread():
    better, found, quality = held_out.tested(model(), frames(3, 400))
    assert set(better.provenance.errors) >= {"energy_mae_meV_per_atom", "force_rmse_eV_per_A", "stress_mae_GPa"}
    assert better.provenance.errors["force_mae_eV_per_A"] == pytest.approx(np.abs(found.force_errors).mean())
    assert len(better.spread) == 2
    assert quality.atoms == 24


def test_spread_of_gaussian_errors_is_found_and_covers():
    rng = np.random.default_rng(0)
    loss, species = rng.uniform(0.01, 1, 4000), rng.integers(0, 2, 4000)
    true = np.array([0.3, 1.1])
    sigma = true[species] * np.sqrt(loss)
    errors = sigma[:, None] * rng.normal(size=(4000, 3))
    assert np.allclose(spread_of(loss, errors, species, 2), true, rtol=0.03)
    found = calibration(sigma, errors)
    assert found.coverage_one == pytest.approx(0.6827, abs=0.01)
    assert found.coverage_two == pytest.approx(0.9545, abs=0.01)
    assert 0.5 < found.rank_correlation < 0.9


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    sigma, errors = rng.uniform(size=50), rng.normal(size=(50, 3))
    expected = spearmanr(sigma, (errors**2).sum(axis=1)).statistic
    assert calibration(sigma, errors).rank_correlation == pytest.approx(expected)
    assert isinstance(calibration(np.ones(50), errors).rank_correlation, Failure)


def test_two_atoms_have_no_rank_correlation():
    deviations, errors = np.array([0.1, 0.2, 0.3]), np.array([[0.1, 0, 0], [0.3, 0, 0], [0.2, 0, 0]])
    assert calibration(deviations, errors).rank_correlation == pytest.approx(0.5)
    found = calibration(deviations[:2], errors[:2]).rank_correlation
    assert isinstance(found, Failure)
    assert found.reason == "ranks need 3 atoms or more, there are 2"


def test_r2_of_equal_labels_is_unknown_and_says_so():
    errors = error_summary(np.array([[1.0, 1.1], [1.0, 1.0]]), "energy", "meV_per_atom", 1000.0)
    errors |= error_summary(np.array([[1.0, 2.0], [1.0, 2.5]]), "force", "eV_per_A", 1.0)
    found = with_unknown(errors)
    assert found["energy_r2"] == Failure("all energy labels are equal")
    assert found["force_r2"] == errors["force_r2"]
    assert {name: found[name] for name in errors} == errors
    assert with_unknown({}) == {}


def test_species_of_few_atoms_has_the_factor_of_all():
    rng = np.random.default_rng(2)
    loss, species = np.full(103, 0.25), np.array([0] * 100 + [1] * 3)
    errors = rng.normal(size=(103, 3))
    assert spread_of(loss, errors, species, 2)[1] == pytest.approx(2.0, rel=0.15)


def changed(name, value):
    atoms = alloys(1)[0]
    atoms.calc.results[name] = value
    return atoms


def placed(**changes):
    atoms = Atoms("Cu2", **{"positions": [[0, 0, 0], [2, 0, 0]], "cell": [4, 4, 4], "pbc": True} | changes)
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((2, 3)))
    return atoms


@pytest.mark.parametrize(
    ("atoms", "told"),
    [
        (lambda: Atoms("Cu"), "no energy and no forces"),
        (lambda: changed("forces", None), "no forces"),
        (lambda: changed("energy", float("nan")), "energy: not finite"),
        (lambda: changed("forces", np.full((8, 3), np.inf)), "forces: not finite"),
        (lambda: changed("stress", np.full(6, np.nan)), "stress: not finite"),
        (lambda: changed("forces", np.zeros((7, 3))), "forces of shape"),
        (lambda: changed("forces", np.full((8, 3), 1e6)), "a force of 1e"),
        (lambda: Atoms("X", positions=[[0, 0, 0]]), "no element"),
        (Atoms, "no atoms|no energy"),
        (lambda: placed(cell=[[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "not independent"),
        (lambda: placed(positions=[[0.5, 0, 0], [8.5 - 1e-9, 0, 4]]), "atoms 0 and 1 .* in one place"),
        (lambda: placed(positions=[[0, 0, 0], [-1e-17, 0, 0]], pbc=False), "in one place"),
    ],
)
def test_frames_that_teach_nothing_are_refused(atoms, told):
    with pytest.raises(InputError, match=told) as caught:
        labelled_frames([alloys(1)[0], atoms()], "file.xyz")
    assert "file.xyz, frame 1" in str(caught.value)


def test_atoms_near_one_another_and_molecules_without_a_cell_are_no_harm():
    near = [placed(positions=[[0, 0, 0], [0, 0.01, 3.99]]), placed(cell=None, pbc=False)]
    assert len(labelled_frames(near, "file.xyz")) == 2


def test_frames_of_two_levels_are_refused():
    mixed = alloys(2)
    mixed[1].info["level"] = "chgnet"
    with pytest.raises(InputError, match="'chgnet', 'emt'"):
        labelled_frames(mixed, "file.xyz")
    assert len(of_one_level(frames(2), "here")) == 2


def test_hash_of_the_training_set_sees_every_label():
    first = training_set_hash(frames(2))
    assert training_set_hash(frames(2)) == first
    other = alloys(2)
    other[1].calc.results["forces"][3, 1] += 1e-12
    assert training_set_hash(labelled_frames(other, "x")) != first


def test_a_virial_stands_for_the_stress_where_a_frame_has_no_other() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    with_stress, with_virial, bare = (atoms.copy() for _ in range(3))
    with_stress.calc = SinglePointCalculator(with_stress, **labels, stress=atoms.get_stress())
    with_virial.calc = SinglePointCalculator(with_virial, **labels)
    with_virial.info["virial"] = -atoms.get_stress(voigt=False) * atoms.get_volume()
    bare.calc = SinglePointCalculator(bare, **labels)
    one, other, none = labelled_frames([with_stress, with_virial, bare], "made")
    assert one.stress is not None
    assert other.stress == pytest.approx(one.stress, abs=1e-12)
    assert none.stress is None
