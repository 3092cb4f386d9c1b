"""Coincident superlattices: all of them, no false one, whatever the cells are written in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.errors import InputError
from ionscape.interfaces.matching import VARIANTS, common_cell, lattice_matches, required_matches, shared
from ionscape.interfaces.settings import MatchSettings
from ionscape.interfaces.strain import mean_strains
from ionscape.interfaces.superlattices import (
    angles_of,
    forms_of_index,
    hermite_forms,
    products_of,
    reduced,
    superlattices,
)

HERE = Path(__file__).parent
SQUARE = np.eye(2) * 3.0


@st.composite
def lattices(draw: st.DrawFn, low: float = 2.5, high: float = 7.0) -> np.ndarray:
    """Lattices in the plane, oblique ones and those with ties of lengths and angles."""
    a = draw(st.floats(low, high))
    kind = draw(st.sampled_from(["oblique", "square", "hexagonal", "rectangular", "rhombic"]))
    b, angle = draw(st.floats(low, high)), draw(st.floats(40.0, 140.0))
    b = a if kind in {"square", "hexagonal", "rhombic"} else b
    angle = {"square": 90.0, "rectangular": 90.0, "hexagonal": 120.0}.get(kind, angle)
    return np.array([[a, 0.0], [b * np.cos(np.radians(angle)), b * np.sin(np.radians(angle))]])


def key(matrix: np.ndarray) -> tuple[int, ...]:
    """Return the Hermite form of the superlattice that the rows of an integer matrix span."""
    (a, b), (c, d) = (list(map(int, row)) for row in matrix)
    while c:
        q = a // c
        a, b, c, d = c, d, a - q * c, b - q * d
    a, b, d = (a, b, d) if a > 0 else (-a, -b, d)
    d = abs(d)
    return a, b % d, d


def brute_force(
    film: np.ndarray, substrate: np.ndarray, limits: MatchSettings
) -> set[tuple[tuple[int, ...], ...]]:
    """Return all pairs of superlattices some bases of which match: every pair is compared in every basis."""
    found = set()
    every = [superlattices(lattice, limits.max_area_A2) for lattice in (film, substrate)]
    fa, fb = every[0].lengths.T[:, :, None]
    for variant in VARIANTS:
        vectors = variant @ every[1].matrices @ substrate
        sa, sb = np.linalg.norm(vectors, axis=2).T
        sangle = np.degrees(np.arccos(np.clip(np.einsum("ni,ni->n", *vectors.swapaxes(0, 1)) / sa / sb, -1, 1)))
        lengths = np.maximum(np.abs(sa / fa - 1), np.abs(sb / fb - 1)) <= (limits.length_tolerance or 0)
        angles = np.abs(sangle / every[0].angles[:, None] - 1) <= (limits.angle_tolerance or 0)
        for m, n in np.argwhere(lengths & angles):
            found.add((key(every[0].matrices[m]), key(every[1].matrices[n])))
    return found


@pytest.mark.parametrize("index", [1, 2, 6, 12])
def test_there_are_as_many_superlattices_as_the_sum_of_divisors(index: int) -> None:
    forms = forms_of_index(index)
    assert (
        len({key(form) for form in forms}) == len(forms) == sum(d for d in range(1, index + 1) if index % d == 0)
    )
    assert len(hermite_forms(index)) == sum(len(forms_of_index(k)) for k in range(1, index + 1))


@settings(max_examples=40, deadline=None)
@given(lattices())
def test_reduced_bases_span_the_same_and_are_shortest(lattice: np.ndarray) -> None:
    forms = hermite_forms(8)
    found = reduced(forms, lattice)
    assert [key(m) for m in found] == [key(m) for m in forms]
    products = products_of(found, lattice)
    aa, ab, bb = products.T
    assert np.all(aa <= bb * (1 + 1e-8))
    assert np.all((ab >= -1e-8 * aa) & (2 * ab <= aa * (1 + 1e-8)))
    angles = angles_of(products)
    assert angles.min() > 60 - 1e-4
    assert angles.max() < 90 + 1e-4


@settings(max_examples=15, deadline=None)
@given(lattices(), lattices(), st.sampled_from([(0.03, 0.01), (0.06, 0.05), (0.01, 0.002)]))
def test_all_matches_are_found_and_no_false_one(
    film: np.ndarray, substrate: np.ndarray, tolerances: tuple[float, float]
) -> None:
    limits = MatchSettings(max_area_A2=50.0, length_tolerance=tolerances[0], angle_tolerance=tolerances[1])
    found = lattice_matches(film, substrate, limits)
    pairs = {(key(m.film_matrix), key(m.substrate_matrix)) for m in found}
    near = MatchSettings(
        max_area_A2=50.0, length_tolerance=tolerances[0] + 1e-7, angle_tolerance=tolerances[1] + 1e-7
    )
    assert brute_force(film, substrate, limits) <= pairs <= brute_force(film, substrate, near)
    for m in found:
        ratios = np.linalg.norm(m.substrate_vectors, axis=1) / np.linalg.norm(m.film_vectors, axis=1)
        assert np.all(np.abs(ratios - 1) <= tolerances[0] + 1e-7)
        assert m.area <= 50.0 * (1 + 1e-9)
        assert abs(np.linalg.det(m.film_vectors)) <= 50.0 * (1 + 1e-9)


def test_every_match_of_pymatgen_is_found() -> None:
    rng = np.random.default_rng(5)
    cases = []
    for _ in range(4):
        pair = [np.array([[a, 0.0], [c, b]]) for a, b, c in rng.uniform([2.5, 3, -1.5], [5, 6, 1.5], (2, 3))]
        cases.append((*pair, 70.0, float(rng.uniform(0.02, 0.06)), float(rng.uniform(0.01, 0.05))))
    hexagonal = np.array([[3.0, 0], [1.5, 1.5 * np.sqrt(3)]])
    cases += [(SQUARE, hexagonal, 80.0, 0.04, 0.03), (hexagonal, hexagonal * 1.01, 70.0, 0.02, 0.02)]
    given = json.dumps([[case[0].tolist(), case[1].tolist(), *case[2:]] for case in cases])
    done = subprocess.run(
        [sys.executable, str(HERE / "zsl_reference.py")], input=given, capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    assert sum(map(len, theirs)) > 30
    for (film, substrate, area, length, angle), pairs in zip(cases, theirs, strict=True):
        limits = MatchSettings(max_area_A2=area, length_tolerance=length, angle_tolerance=angle)
        ours = {(key(m.film_matrix), key(m.substrate_matrix)) for m in lattice_matches(film, substrate, limits)}
        assert {(key(np.array(f)), key(np.array(s))) for f, s in pairs} <= ours


@settings(max_examples=15, deadline=None)
@given(lattices(), lattices(), st.floats(0, 6.28), st.integers(-2, 2), st.integers(-2, 2))
def test_turning_a_lattice_or_writing_it_in_other_vectors_changes_nothing(
    film: np.ndarray, substrate: np.ndarray, angle: float, i: int, j: int
) -> None:
    limits = MatchSettings(max_area_A2=90.0, length_tolerance=0.05, angle_tolerance=0.03)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    other = np.array([[1, i], [0, 1]]) @ np.array([[1, 0], [j, 1]]) @ film @ turn
    one, two = lattice_matches(film, substrate, limits), lattice_matches(other, substrate, limits)
    # at the edge of a tolerance rounding decides
    wider = lattice_matches(
        film, substrate, MatchSettings(max_area_A2=90.001, length_tolerance=0.05001, angle_tolerance=0.03001)
    )
    if len(wider) == len(one):
        assert len(one) == len(two)
        assert np.sort(one.mean_strains) == pytest.approx(np.sort(two.mean_strains), abs=1e-6)


def test_equal_lattices_match_without_strain_smallest_first() -> None:
    best = lattice_matches(SQUARE, SQUARE)[0]
    assert best.mean_strain == pytest.approx(0.0, abs=1e-12)
    assert best.area == pytest.approx(9.0)


def test_strain_of_a_stretched_lattice_is_what_it_was_stretched_by() -> None:
    stretch = np.diag([1.02, 0.99])
    best = next(
        m
        for m in lattice_matches(SQUARE, SQUARE @ stretch, MatchSettings(max_area_A2=10.0, length_tolerance=0.05))
        if m.film_matrix.tolist() == [[1, 0], [0, 1]] and not m.mirrored
    )
    assert sorted(np.linalg.eigvalsh(best.film_strain)) == pytest.approx([-0.01, 0.02])
    assert best.mean_strain == pytest.approx((np.log(1.02) - np.log(0.99)) / 2)


@settings(max_examples=30, deadline=None)
@given(lattices(), st.floats(0.0, 1.0), st.floats(0, 6.28))
def test_both_crystals_strained_by_their_shares_have_one_cell(
    film: np.ndarray, share: float, angle: float
) -> None:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    substrate = film @ np.array([[1.03, 0.01], [0.0, 0.98]]) @ turn
    limits = MatchSettings(max_area_A2=100.0, length_tolerance=0.06, angle_tolerance=0.05)
    for m in lattice_matches(film, substrate, limits)[:5]:
        both = shared(m, share)
        cell = common_cell(both)
        seen = (
            (m.film_vectors @ (np.eye(2) + both.film_strain))
            if not m.mirrored
            else (m.film_vectors * [1, -1] @ (np.eye(2) + both.film_strain))
        )
        assert seen @ seen.T == pytest.approx(cell @ cell.T, abs=1e-6)
        assert np.linalg.det(cell) > 0


@settings(max_examples=50, deadline=None)
@given(
    lattices(), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(0, 3.1), st.floats(0, 6.28), st.booleans()
)
def test_mean_strain_is_that_of_the_principal_axes_and_of_no_frame(
    film: np.ndarray, one: float, two: float, axis: float, angle: float, mirrored: bool
) -> None:
    def turn(x: float) -> np.ndarray:
        return np.array([[np.cos(x), np.sin(x)], [-np.sin(x), np.cos(x)]])

    strained = film @ turn(axis) @ np.diag(np.exp([one, two])) @ turn(angle)
    strained = strained * [1, -1] if mirrored else strained
    expected = (abs(one) + abs(two)) / 2
    assert mean_strains(film[None], strained[None])[0] == pytest.approx(expected, abs=1e-9)
    assert mean_strains(strained[None], film[None])[0] == pytest.approx(expected, abs=1e-9)


def test_an_oblique_film_must_be_turned_over_to_match_its_mirror_image() -> None:
    oblique = np.array([[3.0, 0.0], [1.1, 4.0]])
    limits = MatchSettings(max_area_A2=12.1)
    (same,) = lattice_matches(oblique, oblique, limits)
    (turned,) = lattice_matches(oblique, oblique * [1, -1], limits)
    assert not same.mirrored
    assert turned.mirrored


def test_without_a_match_the_nearest_are_listed() -> None:
    with pytest.raises(InputError, match=r"nearest: 9\.\d Å² with lengths off by"):
        required_matches(SQUARE, SQUARE * 1.05, MatchSettings(max_area_A2=20.0, length_tolerance=0.01))


def test_a_cell_larger_than_the_largest_area_is_refused() -> None:
    with pytest.raises(InputError, match="largest area"):
        lattice_matches(SQUARE, SQUARE, MatchSettings(max_area_A2=8.0))
