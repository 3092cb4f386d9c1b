"""Two levels on the same frames: errors that are known because they were put in."""

from __future__ import annotations

from typing import Any

import ase.build
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ionscape.errors import InputError
from ionscape.levels.comparison import compare_levels
from ionscape.results import Failure

SHEAR = np.array([[1.0, 0.12, -0.07], [0.03, 1.02, 0.09], [0.0, -0.05, 0.97]])


def labelled(atoms: Atoms, energy: float, forces: Any, **more: Any) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, **more)
    return atoms


def frames(count: int = 6, symbols: str = "CuAu") -> tuple[list[Atoms], np.random.Generator]:
    rng = np.random.default_rng(4)
    cell = ase.build.bulk("Cu", cubic=True).cell.array @ SHEAR
    made = [Atoms(symbols, positions=rng.random((2, 3)) * 3, cell=cell, pbc=True) for _ in range(count)]
    return made, rng


def test_offsets_slopes_and_shifts_that_were_put_in_are_found():
    made, rng = frames()
    energies, forces = rng.normal(size=6), rng.normal(size=(6, 2, 3))
    stress = rng.normal(size=(6, 6))
    pressure = np.array([1, 1, 1, 0, 0, 0]) * 0.01
    dear = [labelled(a, e, f, stress=s) for a, e, f, s in zip(made, energies, forces, stress, strict=True)]
    cheap = [
        labelled(a, e - 3.0, 0.8 * f, stress=s + pressure)
        for a, e, f, s in zip(made, energies, forces, stress, strict=True)
    ]
    found = compare_levels(cheap, dear)
    assert found.offsets == {"Au1Cu1": pytest.approx(1.5)}
    assert found.energy_mae == pytest.approx(0, abs=1e-12)
    assert found.softening == pytest.approx(0.8)
    assert found.force_correlation == pytest.approx(1.0)
    assert found.force_mae == pytest.approx(0.2 * np.abs(forces).mean())
    assert found.stress_shift == pytest.approx(0.01)
    assert found.stress_mae == pytest.approx(0.005)
    assert found.orderings is not None
    assert (found.orderings.kept, found.orderings.pairs) == (15, 15)
    assert found.orderings.worst is None


def test_wrong_orders_are_counted_with_the_gap_they_get_wrong():
    made, rng = frames(3)
    forces = rng.normal(size=(3, 2, 3))
    dear = [labelled(a, e, f) for a, e, f in zip(made, (0.0, 0.2, 1.0), forces, strict=True)]
    cheap = [labelled(a, e, f) for a, e, f in zip(made, (0.1, 0.0, 1.0), forces, strict=True)]
    orderings = compare_levels(cheap, dear).orderings
    assert orderings is not None
    assert (orderings.pairs, orderings.kept, orderings.same_lowest, orderings.compositions) == (3, 2, 0, 1)
    assert orderings.worst == pytest.approx(0.1)


def test_compositions_do_not_mix_and_supercells_are_one_composition():
    made, rng = frames(2)
    other = [Atoms("AgPd", positions=made[0].positions, cell=made[0].cell, pbc=True)]
    large = [made[0].repeat((2, 1, 1))]
    all_frames = [*made, *other, *large]
    dear = [labelled(a, float(len(a)), rng.normal(size=(len(a), 3))) for a in all_frames]
    cheap = [labelled(a, 0.0, one.calc.results["forces"]) for a, one in zip(all_frames, dear, strict=True)]
    found = compare_levels(cheap, dear)
    assert found.offsets == {"Au1Cu1": pytest.approx(1.0), "Ag1Pd1": pytest.approx(1.0)}
    assert found.stress_mae is None


def test_single_frames_tell_no_energy_error():
    made, rng = frames(1)
    forces = rng.normal(size=(2, 3))
    found = compare_levels([labelled(made[0], 1.0, forces)], [labelled(made[0], 2.0, forces)])
    assert found.energy_mae is None
    assert found.orderings is None


def test_equal_forces_of_the_cheap_level_have_no_correlation():
    made, rng = frames(2)
    dear = [labelled(a, 0.0, rng.normal(size=(2, 3))) for a in made]
    found = compare_levels([labelled(a, 0.0, np.zeros((2, 3))) for a in made], dear)
    assert found.force_correlation == Failure("all forces of the cheap level are equal")


def test_barriers_of_bands():
    made, rng = frames(6)
    forces = rng.normal(size=(6, 2, 3))
    for number, atoms in enumerate(made):
        atoms.info["band"] = "ab"[number // 3]
    dear = [labelled(a, e, f) for a, e, f in zip(made, (0, 0.8, 0.1, 5, 5.5, 5.2), forces, strict=True)]
    cheap = [labelled(a, e, f) for a, e, f in zip(made, (1, 1.6, 1.1, 2, 2.4, 2.2), forces, strict=True)]
    found = {one.band: (one.cheap, one.dear) for one in compare_levels(cheap, dear).barriers}
    assert found["a"] == pytest.approx((0.6, 0.8))
    assert found["b"] == pytest.approx((0.4, 0.5))


def test_what_cannot_be_compared_is_refused():
    made, rng = frames(2)
    forces = rng.normal(size=(2, 3))
    good = [labelled(a, 0.0, forces) for a in made]
    moved = made[1].copy()
    moved.positions += 0.1
    for cheap, dear, told in (
        ([], [], "no frames"),
        (good[:1], good, "1 and 2 frames"),
        (made, good, "frame 1 .* no energy"),
        ([good[0], labelled(moved, 0.0, forces)], good, "frame 1 .* another structure"),
        ([labelled(a, 0.0, 0 * forces) for a in made], [labelled(a, 0.0, 0 * forces) for a in made], "equal"),
    ):
        with pytest.raises(InputError, match=told):
            compare_levels(cheap, dear)
