"""Density differences of made-up densities in a tilted cell."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.electronic.difference import density_difference, write_difference
from ionscape.errors import InputError
from ionscape.structures.density import DensityGrid, read_density

LATTICE = Lattice([[4.0, 0.3, 0.0], [-0.7, 5.0, 0.0], [3.0, 2.0, 11.0]])
WHOLE = Structure(LATTICE, ["Li", "O", "Co"], [[0.1, 0.2, 0.2], [0.6, 0.7, 0.3], [0.4, 0.4, 0.7]])
SHAPE = (8, 10, 22)


def part(indices: list[int], seed: int) -> DensityGrid:
    structure = Structure.from_sites([WHOLE[i] for i in indices])
    return DensityGrid(np.random.default_rng(seed).random(SHAPE), structure, "made up")


@pytest.fixture
def parts() -> tuple[DensityGrid, DensityGrid]:
    return part([0, 1], 1), part([2], 2)


def wave(amplitude: float, axis: int = 2) -> np.ndarray:
    phase = 2 * np.pi * np.arange(SHAPE[axis]) / SHAPE[axis]
    return np.broadcast_to(np.expand_dims(amplitude * np.sin(phase), [k for k in range(3) if k != axis]), SHAPE)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_was_moved_along_an_axis_is_found(parts, axis):
    moved = wave(0.02, axis)
    whole = DensityGrid(parts[0].values + parts[1].values + moved, WHOLE, "made up")
    found = density_difference(whole, parts, axis)
    spacing = 1 / np.linalg.norm(LATTICE.reciprocal_lattice_crystallographic.matrix[axis])
    area = LATTICE.volume / spacing
    assert found.total == pytest.approx(0.0, abs=1e-9)
    assert found.planar == pytest.approx(0.02 * area * np.sin(2 * np.pi * np.arange(SHAPE[axis]) / SHAPE[axis]))
    assert found.heights[-1] == pytest.approx(spacing * (1 - 1 / SHAPE[axis]))
    assert found.planar.mean() * spacing == pytest.approx(found.total, abs=1e-9)
    assert found.moved == pytest.approx(np.abs(moved).mean() * LATTICE.volume / 2)


def test_cube_files_are_read_back(parts, tmp_path):
    whole = DensityGrid(parts[0].values + parts[1].values + wave(0.02), WHOLE, "made up")
    found = density_difference(whole, parts)
    back = read_density(write_difference(found, whole, tmp_path / "difference.cube"))
    assert back.values == pytest.approx(found.values, abs=1e-6)
    assert np.allclose(back.structure.lattice.matrix, LATTICE.matrix, atol=1e-4)


def test_other_grids_cells_and_atoms_are_refused(parts):
    whole = DensityGrid(parts[0].values + parts[1].values, WHOLE, "made up")
    coarse = DensityGrid(parts[1].values[::2], parts[1].structure, "coarse")
    moved, fewer = parts[1].structure.copy(), parts[0].structure.copy()
    moved.translate_sites([0], [0.0, 0.0, 0.05])
    fewer.remove_sites([0])
    strained = parts[1].structure.copy()
    strained.apply_strain(0.01)
    for wrong, told in (
        ((parts[0], coarse), "a grid of"),
        ((parts[0], DensityGrid(parts[1].values, strained, "")), "another cell in B"),
        ((DensityGrid(parts[0].values, fewer, ""), parts[1]), "2 atoms in A and B, 3 in AB"),
        ((parts[0], DensityGrid(parts[1].values, moved, "")), "no atom Co"),
    ):
        with pytest.raises(InputError, match=told):
            density_difference(whole, wrong)
