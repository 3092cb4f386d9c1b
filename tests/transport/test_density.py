"""Trajectory density and its percolation: normalised, in any cell, with the barrier that was put in."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import read_cube_data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ionscape.dynamics.trajectory import Chunk
from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.density import DensityCounter, TrajectoryDensity, write_cube, write_xsf
from ionscape.transport.percolation import (
    Percolation,
    percolates,
    percolation,
    percolation_levels,
    voronoi_neighbours,
)
from ionscape.units import BOLTZMANN_EV_PER_K

SHEARED = np.array([[6.0, 0.0, 0.0], [4.5, 5.5, 0.0], [-3.0, 2.5, 7.0]])


def density_of(
    fractional: np.ndarray, cell: np.ndarray, spacing: float = 0.3, chunk: int = 50
) -> TrajectoryDensity:
    counter = DensityCounter(np.arange(fractional.shape[1]), spacing)
    cells = np.broadcast_to(cell, (len(fractional), 3, 3))
    for first in range(0, len(fractional), chunk):
        part = fractional[first : first + chunk]
        counter.add(
            Chunk(first, part @ cell if cell.ndim == 2 else part, cells[first : first + chunk], part % 1.0)
        )
    return counter.finish("Li")


@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.7]))
@settings(deadline=None, max_examples=10)
def test_density_integrates_to_one_whatever_the_cell_does(seed: int, spacing: float) -> None:
    rng = np.random.default_rng(seed)
    cells = SHEARED @ (np.eye(3) + rng.normal(0, 0.03, (130, 3, 3)))
    density = density_of(rng.normal(0, 2, (130, 4, 3)), cells, spacing)
    voxel = abs(np.linalg.det(density.cell)) / density.values.size
    assert density.values.sum() * voxel == pytest.approx(1.0)
    assert density.smoothed(0.4).values.sum() * voxel == pytest.approx(1.0, rel=1e-3)
    assert density.samples == 130 * 4
    assert density.frames == 130
    assert density.cell == pytest.approx(cells.mean(axis=0))


def test_an_ion_at_a_grid_point_fills_that_voxel_from_all_sides() -> None:
    rng = np.random.default_rng(0)
    density = density_of(np.array([0.0, 0.5, 0.0]) + rng.normal(0, 0.001, (40, 1, 3)), np.eye(3) * 6.0, 0.5)
    assert density.values[0, 6, 0] == pytest.approx(1 / 0.125)


@pytest.mark.parametrize("most", [200, 5000])
def test_the_grid_of_a_large_cell_is_bounded_and_says_so(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    fractional = rng.random((70, 5, 3))
    fine = density_of(fractional, SHEARED)
    monkeypatch.setattr("ionscape.transport.density.MOST_VOXELS", most)
    coarse = density_of(fractional, SHEARED)
    assert 0.4 * most < coarse.values.size <= most < fine.values.size
    assert coarse.spacing > 0.33
    assert 0.25 < fine.spacing < 0.3001
    assert coarse.samples == fine.samples == 350
    assert coarse.values.mean() == pytest.approx(fine.values.mean())


def test_visits_are_those_of_a_plain_count() -> None:
    fractional = np.random.default_rng(2).normal(0, 1, (300, 3, 3))
    density = density_of(fractional, SHEARED, 0.9)
    shape = density.values.shape
    voxels = np.rint(fractional.reshape(-1, 3) % 1.0 * shape).astype(int) % shape
    plain = np.zeros(shape, int)
    np.add.at(plain, tuple(voxels.T), 1)
    np.testing.assert_array_equal(density.blocks.sum(axis=0), plain)
    assert len(density.blocks) == 3  # of 128 frames
    assert [int(block.sum()) for block in density.blocks] == [384, 384, 132]


def test_smoothing_is_isotropic_in_a_sheared_cell() -> None:
    density = density_of(np.zeros((10, 1, 3)), SHEARED, 0.2).smoothed(0.5)
    grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in density.values.shape], indexing="ij"), -1)
    r = np.linalg.norm((grid - np.rint(grid)) @ SHEARED, axis=-1)
    near = r < 1.2
    expected = np.exp(-0.5 * (r / 0.5) ** 2) / (2 * np.pi * 0.25) ** 1.5
    assert density.values[near] == pytest.approx(expected[near], rel=0.02)


@pytest.mark.parametrize("write", [write_cube, write_xsf])
def test_files_hold_the_density_and_the_host(write, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    density = density_of(rng.random((60, 3, 3)), SHEARED, 0.6)
    host = Atoms("ZrO", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=SHEARED * 1.1, pbc=True)
    path = write(density, tmp_path / "li.file", host)
    if write is write_cube:
        with path.open(encoding="utf-8") as handle:
            data, atoms = read_cube_data(handle)
    else:
        from ase.io.xsf import read_xsf

        with path.open(encoding="utf-8") as handle:
            data, _, _, atoms = read_xsf(handle, read_data=True)
        assert data.shape == tuple(n + 1 for n in density.values.shape)
        data = data[:-1, :-1, :-1]
        atoms = atoms[0] if isinstance(atoms, list) else atoms
    assert data == pytest.approx(density.values, abs=1e-5)
    assert atoms.cell.array == pytest.approx(density.cell, abs=1e-4)
    assert atoms.get_scaled_positions()[1] == pytest.approx([0.5] * 3, abs=1e-4)


# ---------------------------------------------------------------------------------------------- percolation


def plain_levels(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """For every level, walk from every voxel over those above it, and see in which images it is met again."""
    shape, levels = np.array(values.shape), np.zeros(3)
    for level in np.unique(values[values > 0]):
        for start in zip(*np.nonzero(values >= level), strict=True):
            seen, waiting = {start: (0, 0, 0)}, [start]
            while waiting:
                here = waiting.pop()
                for step in steps:
                    image, there = np.divmod(np.array(here) + step, shape)
                    key, image = tuple(there), np.array(seen[here]) + image
                    if values[key] < level:
                        continue
                    if key in seen:
                        levels[np.array(seen[key]) != image] = level
                    else:
                        seen[key] = tuple(image)
                        waiting.append(key)
    return levels / values.max()


@given(
    arrays(np.float64, (3, 4, 3), elements=st.integers(0, 6).map(float)).filter(lambda v: v.max() > 0),
    st.sampled_from([np.diag([3.0, 4.0, 5.0]), SHEARED]),
)
@settings(deadline=None, max_examples=12)
def test_levels_are_those_of_a_plain_walk(values: np.ndarray, cell: np.ndarray) -> None:
    steps = voronoi_neighbours(cell / np.array(values.shape)[:, None])
    levels, voxels = percolation_levels(values, cell)
    assert levels == pytest.approx(plain_levels(values, steps))
    assert [v >= 0 for v in voxels] == list(levels > 0)


@given(arrays(np.float64, (4, 4, 4), elements=st.floats(0, 1)).filter(lambda v: v.max() > 0))
@settings(deadline=None, max_examples=30)
def test_the_choice_of_the_cell_does_not_matter(values: np.ndarray) -> None:
    """b' = b + a: the same crystal. A path along b or c stays one, and the best of all is the same."""
    cell = np.diag([4.0, 4.4, 5.0])
    other = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ cell
    i, j, k = np.meshgrid(*[np.arange(4)] * 3, indexing="ij")
    levels, _ = percolation_levels(values, cell)
    same, _ = percolation_levels(values[(i + j) % 4, j, k], other)
    assert same[1:] == pytest.approx(levels[1:])
    assert same.max() == pytest.approx(levels.max())


def test_neighbours_of_simple_lattices_are_those_of_their_voronoi_cells() -> None:
    assert len(voronoi_neighbours(np.eye(3))) == 6
    bcc = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2
    fcc = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    assert len(voronoi_neighbours(bcc)) == 14
    assert len(voronoi_neighbours(fcc)) == 12
    skewed = np.array([[1, 0, 0], [7, 1, 0], [-3, 5, 1]])  # the simple cubic lattice in another basis
    vectors = voronoi_neighbours(skewed) @ skewed
    assert sorted(map(tuple, np.abs(vectors))) == sorted(
        tuple(map(int, row)) for row in itertools.chain(np.eye(3), np.eye(3))
    )


def boltzmann_sample(rng: np.random.Generator, barrier: float, temperature: float, ions: int) -> np.ndarray:
    """Positions in a channel along c with two wells and a barrier in the unit eV; harmonic across."""
    n = 120
    x = (np.arange(n) + 0.5) / n
    beta = 1 / (BOLTZMANN_EV_PER_K * temperature)
    along = np.exp(-beta * barrier / 2 * (1 - np.cos(4 * np.pi * x)))
    across = np.exp(-beta * 20.0 * (x - 0.5) ** 2)
    draw = [rng.choice(x, ions, p=p / p.sum()) + rng.uniform(-0.5, 0.5, ions) / n for p in (across, across, along)]
    return np.stack(draw, -1)


def test_barrier_of_a_known_potential_and_only_along_its_channel() -> None:
    rng = np.random.default_rng(5)
    positions = boltzmann_sample(rng, 0.2, 800.0, 400_000).reshape(1000, 400, 3)
    density = density_of(positions, np.diag([6.0, 6.0, 6.0]), 0.3, chunk=200)
    found = percolation(density, 800.0)
    assert isinstance(found["c"], Percolation)
    assert found["c"].barrier == pytest.approx(0.2, abs=0.02)
    assert not isinstance(found["c"].spread, Failure)
    assert found["c"].spread < 0.05
    assert found["c"].visits > 10
    for axis in ("a", "b"):
        assert isinstance(found[axis], Failure)
        assert "above" in found[axis].reason
    assert percolates(density, found["c"].level * 0.99) == {"a": False, "b": False, "c": True}
    assert not any(percolates(density, found["c"].level * 1.01).values())


def test_rattling_ions_do_not_percolate() -> None:
    rng = np.random.default_rng(6)
    density = density_of(0.25 + rng.normal(0, 0.02, (500, 1, 3)), SHEARED, 0.2)
    assert all(isinstance(one, Failure) for one in percolation(density, 300.0).values())


@pytest.mark.parametrize(("indices", "spacing"), [(np.arange(0), 0.2), (np.arange(3), 0.0), (np.arange(3), 5.0)])
def test_bad_grids_are_refused(indices: np.ndarray, spacing: float) -> None:
    with pytest.raises(InputError, match="trajectory density"):
        DensityCounter(indices, spacing)


def test_no_frames_and_no_temperature_are_refused() -> None:
    with pytest.raises(InputError, match="no frames"):
        DensityCounter(np.arange(3)).finish("Li")
    with pytest.raises(InputError, match="temperature"):
        percolation(density_of(np.zeros((5, 1, 3)), SHEARED), 0.0)
