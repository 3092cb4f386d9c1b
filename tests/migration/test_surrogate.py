"""The Gaussian process beside its dense form, and the band on arrays beside ASE's."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.mep import NEB
from hop_cases import copper_hop

from ionscape.migration.array_band import band_forces
from ionscape.migration.band import check_path
from ionscape.migration.gaussian_process import ENERGY_NOISE, GRADIENT_NOISE, TREND_SIZES, SurfaceProcess
from ionscape.migration.interpolation import first_images
from ionscape.migration.pair_trend import CUTOFF, NEAREST, WIDTH, PairTrend
from ionscape.migration.settings import BandSettings

LENGTH = 1.3


def surface(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and gradients of a smooth surface in any number of dimensions."""
    waves = np.sin(points @ np.linspace(0.3, 1.1, points.shape[1]))
    slopes = np.cos(points @ np.linspace(0.3, 1.1, points.shape[1]))[:, None] * np.linspace(
        0.3, 1.1, points.shape[1]
    )
    return waves + 0.2 * (points**2).sum(axis=1), slopes + 0.4 * points


def dense(
    points: np.ndarray, energies: np.ndarray, gradients: np.ndarray, place: np.ndarray, trend=None, size=0.0
):
    """Return energy, gradient and deviation at `place`, and the evidence, from the covariance of all observations.

    With a trend, `size`² times the products of its functions and their gradients are part of the covariance.
    """
    n, p = points.shape

    def functions(a: np.ndarray) -> np.ndarray:
        values, slopes = trend.values(a[None])
        return np.vstack([values, slopes[0]])

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        d = a - b
        k = np.exp(-0.5 * d @ d / LENGTH**2)
        block = np.empty((1 + p, 1 + p))
        block[0, 0] = k
        block[0, 1:], block[1:, 0] = k * d / LENGTH**2, -k * d / LENGTH**2
        block[1:, 1:] = k * (np.eye(p) / LENGTH**2 - np.outer(d, d) / LENGTH**4)
        return block if trend is None else block + size**2 * functions(a) @ functions(b).T

    whole = np.block([[covariance(a, b) for b in points] for a in points])
    whole += np.diag(np.tile([ENERGY_NOISE**2, *[(GRADIENT_NOISE / LENGTH) ** 2] * p], n))
    mean = energies.max()
    data = np.column_stack([energies - mean, gradients]).ravel()
    cross = np.hstack([covariance(place, b) for b in points])
    found = cross @ np.linalg.solve(whole, data)
    variance = data @ np.linalg.solve(whole, data) / len(data)
    left = covariance(place, place)[0, 0] - cross[0] @ np.linalg.solve(whole, cross[0])
    evidence = -0.5 * (np.linalg.slogdet(whole)[1] + len(data) * np.log(variance))
    return found[0] + mean, found[1:], np.sqrt(variance * max(left, 0.0)), evidence


def crystallite() -> tuple[Atoms, np.ndarray]:
    """Return two elements in a sheared cell smaller than the cutoff, and what is free of it: one atom is held."""
    cell = np.array([[3.1, 0.2, 0.0], [0.4, 2.9, 0.3], [0.0, 0.5, 3.3]])
    fractional = [[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.6, 0.55]]
    atoms = Atoms("CuAuCu", scaled_positions=fractional, cell=cell, pbc=True)
    free = np.ones((3, 3), dtype=bool)
    free[0] = False
    return atoms, free


@pytest.mark.parametrize(("count", "dimensions"), [(2, 9), (5, 12), (6, 3)])
def test_the_small_matrices_lose_nothing(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(count)
    points = rng.normal(0, 0.6, (count, dimensions))
    energies, gradients = surface(points)
    process = SurfaceProcess(points, energies, gradients, np.array([LENGTH]))
    for place in rng.normal(0, 0.6, (4, dimensions)):
        energy, gradient, deviation, _ = dense(points, energies, gradients, place)
        found = process.predict(place[None])
        assert found[0][0] == pytest.approx(energy, abs=1e-5)
        assert np.allclose(found[1][0], gradient, atol=1e-5)
        assert process.deviation(place) == pytest.approx(deviation, rel=1e-3, abs=1e-5)


def test_pair_functions_are_the_sums_over_all_pairs() -> None:
    atoms, free = crystallite()
    trend = PairTrend([atoms], free)
    point = atoms.positions[free] + np.random.default_rng(2).normal(0, 0.05, 6)
    moved = atoms.copy()
    moved.positions[free] = point
    expected = np.zeros(trend.size)
    centres = np.arange(NEAREST, CUTOFF, WIDTH)
    kinds = {("Au", "Au"): 2, ("Au", "Cu"): 1, ("Cu", "Cu"): 0}  # in the order of atomic numbers
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    for i in range(3):
        for j in range(3):
            for shift in steps:
                r = np.linalg.norm(moved.positions[j] - moved.positions[i] + shift @ moved.cell.array)
                if 1e-6 < r < CUTOFF and (free[i].any() or free[j].any()):
                    kind = kinds[tuple(sorted((moved.symbols[i], moved.symbols[j])))]
                    cut = 0.5 + 0.5 * np.cos(np.pi * r / CUTOFF)
                    one = 0.5 * cut * np.exp(-0.5 * ((r - centres) / WIDTH) ** 2)  # every pair is met twice
                    expected[kind * len(centres) : (kind + 1) * len(centres)] += one
    found, slopes = trend.values(point[None])
    assert np.allclose(found[0], expected, atol=1e-10)
    weights = np.random.default_rng(3).normal(size=trend.size)
    energies, gradients = trend.summed(point[None], weights)
    assert energies[0] == pytest.approx(found[0] @ weights)
    assert np.allclose(gradients[0], slopes[0] @ weights)
    step = 1e-5
    ends = [trend.values(point[None] + sign * step * np.eye(6))[0] for sign in (1, -1)]
    assert np.abs(slopes).max() > 0.1
    assert np.allclose(slopes[0], (ends[0] - ends[1]) / (2 * step), atol=1e-6)


def test_a_trend_is_a_part_of_the_covariance() -> None:
    atoms, free = crystallite()
    trend = PairTrend([atoms], free)
    rng = np.random.default_rng(8)
    points = atoms.positions[free] + rng.normal(0, 0.15, (5, 6))
    values, slopes = trend.values(points)
    weights = rng.normal(0, 1.0, trend.size)
    energies, gradients = surface(points)
    energies, gradients = energies + values @ weights, gradients + slopes @ weights
    process = SurfaceProcess(points, energies, gradients, np.array([LENGTH]), trend)
    places = atoms.positions[free] + rng.normal(0, 0.15, (4, 6))
    sizes = (0.0, *TREND_SIZES)
    evidence = [dense(points, energies, gradients, places[0], trend, size)[-1] for size in sizes]
    likely = sizes[int(np.argmax(evidence))]
    assert likely > 0
    for place in places:
        energy, gradient, deviation, _ = dense(points, energies, gradients, place, trend, likely)
        found = process.predict(place[None])
        assert found[0][0] == pytest.approx(energy, abs=1e-4)
        assert np.allclose(found[1][0], gradient, atol=1e-3)
        assert process.deviation(place) == pytest.approx(deviation, rel=1e-2, abs=1e-4)


def test_a_surface_of_pairs_is_known_from_its_ends() -> None:
    """Where nothing but pairs act, the middle of a path follows from its ends."""
    atoms, free = crystallite()
    trend = PairTrend([atoms], free)
    rng = np.random.default_rng(9)
    weights = rng.normal(0, 0.5, trend.size)
    points = atoms.positions[free] + rng.normal(0, 0.3, (12, 6))
    place = atoms.positions[free][None]
    told = trend.summed(points, weights)
    found = [SurfaceProcess(points, *told, np.geomspace(0.3, 6, 14), of).predict(place)[0] for of in (trend, None)]
    errors = np.abs(np.array(found) - trend.summed(place, weights)[0])
    assert errors[0] < 0.1 * errors[1]


def test_what_was_seen_is_known_and_what_is_far_is_not() -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(0, 0.6, (6, 12))
    energies, gradients = surface(points)
    process = SurfaceProcess(points, energies, gradients, np.geomspace(0.3, 6, 14))
    found = process.predict(points)
    assert np.allclose(found[0], energies, atol=1e-3)
    assert np.allclose(found[1], gradients, atol=1e-2)
    seen, far = process.deviation(points[0]), process.deviation(points[0] + 5 * process.length)
    assert seen < 0.01 * far


def test_gradients_are_those_of_the_energy() -> None:
    rng = np.random.default_rng(6)
    points = rng.normal(0, 0.6, (5, 7))
    process = SurfaceProcess(points, *surface(points), np.array([LENGTH]))
    place, step = rng.normal(0, 0.5, 7), 1e-5
    ends = [process.predict(place[None] + sign * step * np.eye(7))[0] for sign in (1, -1)]
    slopes = (ends[0] - ends[1]) / (2 * step)
    assert np.abs(slopes).max() > 0.1
    assert np.allclose(process.predict(place[None])[1][0], slopes, atol=1e-5)


@pytest.mark.parametrize("climbing", [None, 2])
def test_forces_of_the_band_are_those_of_ase(climbing: int | None) -> None:
    images = first_images(check_path(*copper_hop(), BandSettings()), 3, "idpp")
    rng = np.random.default_rng(7)
    for image in images[1:-1]:
        image.positions += rng.normal(0, 0.03, image.positions.shape)
    for image in images:
        image.calc = EMT()
    band = NEB(images, k=0.7, climb=climbing is not None, method="improvedtangent")
    expected = band.get_forces().reshape(3, -1, 3)
    assert climbing is None or band.imax == climbing
    points = np.array([image.positions for image in images])
    energies = np.array([image.get_potential_energy() for image in images])
    gradients = -np.array([Atoms.get_forces(image) for image in images])
    assert np.allclose(band_forces(points, energies, gradients, 0.7, climbing), expected, atol=1e-9)
