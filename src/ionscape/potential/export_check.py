"""Whether an exported potential is its model: energies, forces and stresses of both on disordered structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import get_distances

from ionscape.errors import CalculationError
from ionscape.potential.model import SparseModel
from ionscape.units import CellArray, Count, EnergyPerAtom, Force, Length, Number, Stress

#: Largest differences that are let pass.
ENERGY_TOLERANCE, FORCE_TOLERANCE, STRESS_TOLERANCE = 1e-6, 1e-5, 1e-6
#: Part of the volume that spheres of `_CLOSE` times the covalent radii fill: about that of oxides.
_FILLING, _CLOSE = 0.25, 0.7
_CANDIDATES = 100
_MOST_ATOMS = 160


@dataclass(frozen=True)
class Agreement:
    """Largest differences between an exported potential and its model.

    Attributes
    ----------
    n_structures
        Structures compared.
    energy
        eV/atom.
    force
        Of a component, eV/Å.
    stress
        Of a component, in the periodic structures, eV/Å³.
    largest_force
        Largest component of the model's forces in these structures, eV/Å.
    """

    n_structures: Count
    energy: EnergyPerAtom
    force: Force
    stress: Stress
    largest_force: Force


def check_structures(model: SparseModel, seed: int = 0) -> list[Atoms]:
    """Return disordered structures of the elements of `model`.

    A sheared cell of the largest composition the model was trained on (at most about 160 atoms), the same with
    displacements and strain, a cell much smaller than the cutoff with one atom of each element, and a cluster.
    """
    rng = np.random.default_rng(seed)
    species = model.descriptor.species
    counts = np.max([(1,) * len(species), *model.provenance.compositions], axis=0)
    counts = np.maximum(1, counts * min(1.0, _MOST_ATOMS / counts.sum())).astype(int)
    symbols = [symbol for symbol, count in zip(species, counts, strict=True) for _ in range(count)]
    crystal = _packed(symbols, rng, periodic=True)
    moved = crystal.copy()
    moved.set_cell(moved.cell.array @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3))), scale_atoms=True)
    moved.positions += rng.normal(scale=0.1, size=moved.positions.shape)
    moved.positions += rng.integers(-1, 2, moved.positions.shape) @ moved.cell.array
    return [crystal, moved, _packed(list(species), rng, periodic=True), _packed(symbols[::4], rng, periodic=False)]


def agreement(ours: Any, theirs: Any, structures: list[Atoms]) -> Agreement:
    """Return the largest differences between two ASE calculators on `structures`.

    Raises
    ------
    CalculationError
        If they exceed 1e-6 eV/atom, 1e-5 eV/Å or 1e-6 eV/Å³.
    """
    worst = {"energy": 0.0, "force": 0.0, "stress": 0.0}
    largest = 0.0
    for atoms in structures:
        one, other = atoms.copy(), atoms.copy()
        one.calc, other.calc = ours, theirs
        forces = one.get_forces()
        largest = max(largest, float(np.abs(forces).max()))
        found = {
            "energy": abs(one.get_potential_energy() - other.get_potential_energy()) / len(atoms),
            "force": np.abs(forces - other.get_forces()).max(),
        }
        if all(atoms.pbc):
            found["stress"] = np.abs(one.get_stress() - other.get_stress()).max()
        # np.maximum keeps a NaN, which then fails the comparison below.
        worst |= {name: float(np.maximum(worst[name], value)) for name, value in found.items()}
    result = Agreement(len(structures), **worst, largest_force=largest)
    _require(result)
    return result


def _require(found: Agreement) -> None:
    within = (
        found.energy <= ENERGY_TOLERANCE and found.force <= FORCE_TOLERANCE and found.stress <= STRESS_TOLERANCE
    )
    if not within:
        message = (
            f"the exported potential differs from its model by {found.energy:.2g} eV/atom, {found.force:.2g} eV/Å "
            f"and {found.stress:.2g} eV/Å³, more than {ENERGY_TOLERANCE:g} eV/atom, {FORCE_TOLERANCE:g} eV/Å and "
            f"{STRESS_TOLERANCE:g} eV/Å³: nothing was written"
        )
        raise CalculationError(message)


def _packed(symbols: list[str], rng: np.random.Generator, *, periodic: bool) -> Atoms:
    """Return atoms put one after another where they are least crowded among random places."""
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])
    volume = (4 / 3 * np.pi * (_CLOSE * radii) ** 3).sum() / _FILLING
    cell = _sheared(rng, volume ** (1 / 3))
    positions = np.zeros((0, 3))
    for k in range(len(symbols)):
        places = rng.uniform(size=(_CANDIDATES, 3)) @ cell
        room = np.ones(_CANDIDATES)
        if k:
            _, apart = get_distances(places, positions, cell=cell, pbc=periodic)
            room = (apart / (radii[k] + radii[:k])).min(axis=1)
        positions = np.vstack([positions, places[room.argmax()]])
    return Atoms(symbols, positions=positions, cell=cell if periodic else None, pbc=periodic)


def _sheared(rng: np.random.Generator, edge: Length, most: Number = 0.2) -> CellArray:
    cell = np.eye(3) + most * rng.uniform(-1, 1, (3, 3))
    return np.asarray(cell * edge / np.cbrt(np.linalg.det(cell)))
