"""Slabs and energy landscapes whose registry is known."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from ionscape.interfaces.displacements import DisplacementCell

OBLIQUE = np.array([[2.9, 0.0], [0.8, 4.1]])
HEXAGONAL = np.array([[2.55, 0.0], [-1.275, 2.55 * np.sqrt(3) / 2]])
IDENTITY = np.eye(2)[None]


def plain_cell(vectors: np.ndarray) -> DisplacementCell:
    """Return a displacement cell without symmetry."""
    return DisplacementCell(np.asarray(vectors), IDENTITY, np.zeros((1, 2)))


def waves(vectors: np.ndarray, minimum: np.ndarray, phases: tuple[float, ...] = (0.0, 0.0, 0.0)):
    """Return E(t) periodic in the lattice `vectors`, lowest (−1.75) at `minimum` where the phases are 0."""
    reciprocal = 2 * np.pi * np.linalg.inv(vectors).T
    shells = np.array([reciprocal[0], reciprocal[1], reciprocal[0] + reciprocal[1]])
    heights = np.array([1.0, 0.5, 0.25])

    def energy(lateral: np.ndarray) -> np.ndarray:
        angles = (np.atleast_2d(lateral) - minimum) @ shells.T + np.array(phases)
        return -(heights * np.cos(angles)).sum(axis=1)

    return energy


def slab(
    vectors: np.ndarray, atoms: list[tuple[str, tuple[float, float, float]]], repeat=((1, 0), (0, 1))
) -> Structure:
    """Return a supercell of a slab: in-plane lattice, atoms as fractional in the plane and height in Å."""
    lattice = np.zeros((3, 3))
    lattice[:2, :2], lattice[2, 2] = vectors, 20.0
    cell = Structure(Lattice(lattice), [a for a, _ in atoms], [(x, y, z / 20.0) for _, (x, y, z) in atoms])
    matrix = np.eye(3, dtype=int)
    matrix[:2, :2] = repeat
    return cell.make_supercell(matrix, in_place=False)
