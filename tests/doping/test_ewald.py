"""Ewald energies: Madelung constants, pymatgen's sum, a plain sum, and the invariances of the energy."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from ionscape.doping.ewald import changed_energies, energies, interaction_matrix
from ionscape.errors import InputError
from ionscape.units import COULOMB_EV_ANGSTROM

seeds = st.integers(0, 2**32 - 1)


def random_cell(seed: int, n: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sheared triclinic cell with well separated sites and neutral charges."""
    rng = np.random.default_rng(seed)
    lattice = np.diag(rng.uniform(3.5, 7.0, 3)) + np.tril(rng.uniform(-6.0, 6.0, (3, 3)), -1)
    fractional = rng.random((n, 3))
    distances = Lattice(lattice).get_all_distances(fractional, fractional) + 9 * np.eye(n)
    assume(distances.min() > 0.5)
    charges = rng.normal(size=n)
    return lattice, fractional, charges - charges.mean()


def energy(lattice: np.ndarray, fractional: np.ndarray, charges: np.ndarray) -> float:
    return float(energies(interaction_matrix(lattice, fractional, tolerance=1e-14), charges)[0])


def plain_energy(lattice: np.ndarray, fractional: np.ndarray, charges: np.ndarray, alpha: float) -> float:
    """The Ewald sum as in a textbook, with far more images than needed."""
    span = range(-14, 15)
    shifts = np.array([[a, b, c] for a in span for b in span for c in span])
    reciprocal = shifts @ (2 * math.pi * np.linalg.inv(lattice).T)
    square = (reciprocal**2).sum(axis=1)
    volume = abs(np.linalg.det(lattice))
    total = -alpha / math.sqrt(math.pi) * (charges**2).sum()
    wave = square > 1e-12
    structure_factor = np.exp(1j * reciprocal[wave] @ (fractional @ lattice).T) @ charges
    weight = np.exp(-square[wave] / (4 * alpha**2)) / square[wave]
    total += 2 * math.pi / volume * (weight * abs(structure_factor) ** 2).sum()
    for i in range(len(charges)):
        for j in range(len(charges)):
            r = np.linalg.norm((fractional[i] - fractional[j] + shifts) @ lattice, axis=1)
            r = r[(r > 1e-9) & (alpha * r < 6)]
            total += 0.5 * charges[i] * charges[j] * sum(math.erfc(alpha * x) / x for x in r)
    return COULOMB_EV_ANGSTROM * total


# NaCl, CsCl, zinc blende: OEIS A085469, A181152, A182566 (negated there). Fluorite: Q. C. Johnson,
# D. H. Templeton, J. Chem. Phys. 34, 2004 (1961). Referred to the shortest distance, 1 here, per formula unit.
CRYSTALS = {
    "NaCl": ("Fm-3m", Lattice.cubic(2.0), [(1, [0, 0, 0]), (-1, [0.5, 0, 0])], 4, 1.0, 1.74756459463318, 1e-11),
    "CsCl": (
        "Pm-3m",
        Lattice.cubic(2 / 3**0.5),
        [(1, [0, 0, 0]), (-1, [0.5] * 3)],
        1,
        1.0,
        1.76267477307099,
        1e-11,
    ),
    "ZnS": (
        "F-43m",
        Lattice.cubic(4 / 3**0.5),
        [(1, [0, 0, 0]), (-1, [0.25] * 3)],
        4,
        1.0,
        1.63805505338879,
        1e-11,
    ),
    "CaF2": ("Fm-3m", Lattice.cubic(4 / 3**0.5), [(2, [0, 0, 0]), (-1, [0.25] * 3)], 4, 2.0, 2.51939, 2e-6),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_madelung_constants(name):
    group, lattice, ions, formulas, product, madelung, accuracy = CRYSTALS[name]
    crystal = Structure.from_spacegroup(group, lattice, ["Na", "Cl"], [position for _, position in ions])
    charges = [{"Na": ions[0][0], "Cl": ions[1][0]}[site.specie.symbol] for site in crystal]
    found = -energy(lattice.matrix, crystal.frac_coords, charges) / (COULOMB_EV_ANGSTROM * formulas * product)
    assert_allclose(found, madelung, rtol=accuracy)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_agrees_with_pymatgen_in_sheared_cells(seed):
    lattice, fractional, charges = random_cell(seed)
    charges = np.round(charges, 3)
    charges[0] -= charges.sum()
    crystal = Structure(lattice, ["Na"] * len(charges), fractional)
    crystal.add_oxidation_state_by_site(list(charges))
    expected = EwaldSummation(crystal, acc_factor=14).total_energy
    found = float(energies(interaction_matrix(lattice, fractional), charges)[0])
    assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=5)
@given(seeds, st.floats(0.55, 0.75))
def test_agrees_with_a_plain_sum_at_any_splitting(seed, alpha):
    lattice, fractional, charges = random_cell(seed, n=3)
    assert_allclose(
        energy(lattice, fractional, charges), plain_energy(lattice, fractional, charges, alpha), rtol=1e-9
    )


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_energy_knows_neither_origin_nor_orientation_nor_order(seed):
    lattice, fractional, charges = random_cell(seed)
    rng = np.random.default_rng(seed + 1)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(charges))
    moved = (fractional + rng.normal(size=3))[order]
    assert_allclose(
        energy(lattice @ rotation, moved, charges[order]), energy(lattice, fractional, charges), rtol=1e-10
    )


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]), st.integers(-3, 3))
def test_energy_does_not_depend_on_the_choice_of_cell(seed, axes, shear):
    lattice, fractional, charges = random_cell(seed)
    change = np.eye(3)
    change[axes] = shear
    sheared = energy(change @ lattice, fractional @ np.linalg.inv(change), charges)
    assert_allclose(sheared, energy(lattice, fractional, charges), rtol=1e-10)


@settings(deadline=None, max_examples=15)
@given(seeds, st.tuples(*[st.integers(1, 3)] * 3))
def test_energy_is_extensive(seed, repeats):
    lattice, fractional, charges = random_cell(seed, n=4)
    shifts = np.array(list(np.ndindex(*repeats)))
    copies = ((fractional[:, None] + shifts) / repeats).reshape(-1, 3)
    large = energy(lattice * np.array(repeats)[:, None], copies, np.repeat(charges, len(shifts)))
    assert_allclose(large, len(shifts) * energy(lattice, fractional, charges), rtol=1e-10)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_truncation_stays_below_the_tolerance(seed):
    lattice, fractional, _ = random_cell(seed)
    exact = interaction_matrix(lattice, fractional, tolerance=1e-16)
    scale = COULOMB_EV_ANGSTROM / abs(np.linalg.det(lattice)) ** (1 / 3)
    for tolerance in (1e-4, 1e-7, 1e-10):
        rough = interaction_matrix(lattice, fractional, tolerance=tolerance)
        assert 0 < abs(rough - exact).max() < tolerance * scale


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 4))
def test_changes_of_few_charges_give_the_energy_of_the_whole(seed, k):
    lattice, fractional, charges = random_cell(seed)
    rng = np.random.default_rng(seed)
    matrix = interaction_matrix(lattice, fractional)
    sites = np.array([rng.choice(len(charges), k, replace=False) for _ in range(7)])
    changes = rng.normal(size=k)
    charges[0] -= changes.sum()
    full = np.tile(charges, (7, 1))
    for row, occupied in zip(full, sites, strict=True):
        row[occupied] += changes
    expected = [0.5 * row @ matrix @ row for row in full]
    assert_allclose(changed_energies(matrix, charges, sites, changes), expected, rtol=1e-10, atol=1e-9)
    assert_allclose(energies(matrix, full), expected, rtol=1e-10, atol=1e-9)


def test_matrix_is_symmetric_and_does_not_change_its_input():
    lattice, fractional = (
        np.array([[4.0, 0, 0], [5.0, 4, 0], [-3, 2, 5]]),
        np.array([[1.2, -0.4, 0], [0.5, 0.5, 0.5]]),
    )
    before = fractional.copy()
    matrix = interaction_matrix(lattice, fractional)
    assert_allclose(matrix, matrix.T, rtol=1e-13)
    assert (fractional == before).all()


@pytest.mark.parametrize("shift", [[0, 0, 0], [1, -2, 1], [1e-6, 0, 0]])
def test_coincident_sites_are_refused(shift):
    first = np.array([0.2, 0.3, 0.4])
    with pytest.raises(InputError, match="sites 0 and 1 coincide"):
        interaction_matrix(np.eye(3) * 4 + np.eye(3, k=-1), np.array([first, first + shift]))


def test_flat_cells_are_refused():
    with pytest.raises(InputError, match="volume"):
        interaction_matrix(np.array([[1.0, 0, 0], [2, 0, 0], [0, 0, 1]]), np.zeros((1, 3)))


def test_charged_cells_are_refused_with_the_charge():
    matrix = interaction_matrix(np.eye(3) * 4, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    with pytest.raises(InputError, match=r"net charge of \+2 e"):
        energies(matrix, np.array([[1.0, -1.0], [3.0, -1.0]]))
    with pytest.raises(InputError, match="net charge of -1 e"):
        changed_energies(matrix, np.array([1.0, -1.0]), np.array([[0]]), np.array([-1.0]))
