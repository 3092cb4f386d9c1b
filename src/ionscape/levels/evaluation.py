"""Single points: energy, forces and stress of a structure as it stands."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.core import Structure

from ionscape.errors import CalculationError
from ionscape.structures.exchange import to_atoms


def evaluate_structure(structure: Structure, calculator: Any) -> dict[str, Any]:
    """Return energy (eV), forces (eV/Å, (n, 3)) and stress (eV/Å³, Voigt) of `structure` as plain lists.

    Raises
    ------
    CalculationError
        If any of them is not finite: the structure is outside the domain of the level.
    """
    atoms = to_atoms(structure)
    atoms.calc = calculator
    energy = float(atoms.get_potential_energy())
    forces, stress = np.asarray(atoms.get_forces()), np.asarray(atoms.get_stress())
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        message = "the energy, a force or the stress is not a finite number"
        raise CalculationError(message)
    return {"energy_eV": energy, "forces_eV_per_A": forces.tolist(), "stress_eV_per_A3": stress.tolist()}
