r"""Vibrations at a saddle: whether it is one.

    H_ab = −[F_b(+h e_a) − F_b(−h e_a)] / 2h,  D_ab = H_ab / √(m_a m_b),  ω² its eigenvalues,

of the atoms that are displaced, all others held. A saddle of first order has exactly one negative eigenvalue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy import constants

from ionscape.migration.surface import LevelSurface
from ionscape.results import frozen
from ionscape.units import Array, Count, FrequencyArray, Indices, Length

#: Displacement of a coordinate, Å.
STEP = 0.02
#: ω² below this, in (THz)², counts as none (translations of a cell that is displaced whole).
_ZERO_THZ = 0.5
#: √(eV/Å²/amu) / 2π in THz.
_THZ = float(np.sqrt(constants.e / constants.atomic_mass) * 1e10 / (2 * np.pi) * 1e-12)


@dataclass(frozen=True)
class SaddleModes:
    """Vibrations of some atoms at a saddle, the others held.

    Attributes
    ----------
    frequencies
        THz, ascending; imaginary ones are given as negative numbers.
    n_imaginary
        Number of imaginary ones beyond 0.5 THz.
    atoms
        Indices of the atoms that were displaced.
    step
        Displacement of each coordinate.
    """

    frequencies: FrequencyArray
    n_imaginary: Count
    atoms: Indices
    step: Length


def moving_atoms(displacement: Array, share: float = 0.2) -> Indices:
    """Return the atoms that go at least `share` of the way of the one that goes farthest, (m,)."""
    lengths = np.linalg.norm(displacement, axis=1)
    return np.flatnonzero(lengths >= share * lengths.max())


def saddle_modes(saddle: Atoms, atoms: Indices, surface: LevelSurface, free: Array) -> SaddleModes:
    """Return the vibrations of `atoms` at `saddle` by central differences, six evaluations an atom.

    Parameters
    ----------
    saddle
        The structure.
    atoms
        Indices of the atoms that are displaced.
    surface
        The level.
    free
        Which coordinates may move, (atoms, 3); the others are not displaced.
    """
    coordinates = [(int(atom), axis) for atom in atoms for axis in range(3) if free[atom, axis]]
    rows = []
    for atom, axis in coordinates:
        forces = []
        for sign in (1, -1):
            moved = saddle.positions.copy()
            moved[atom, axis] += sign * STEP
            forces.append(surface.at(moved).forces)
        change = (forces[0] - forces[1]) / (2 * STEP)
        rows.append([-change[other, along] for other, along in coordinates])
    hessian = np.array(rows)
    roots = np.sqrt(saddle.get_masses()[[atom for atom, _ in coordinates]])
    squares = np.linalg.eigvalsh((hessian + hessian.T) / 2 / np.outer(roots, roots))
    frequencies = _THZ * np.sign(squares) * np.sqrt(np.abs(squares))
    return SaddleModes(frozen(frequencies), int((frequencies < -_ZERO_THZ).sum()), np.asarray(atoms), STEP)
