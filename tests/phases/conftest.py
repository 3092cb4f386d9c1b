"""Shared by the tests of phase sources: a laboratory whose energies are simple arithmetic, and crystals."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.levels.calculation import Relaxation

SHEAR = np.array([[1.0, 0.1, -0.05], [0.0, 1.03, 0.08], [0.0, 0.0, 0.98]])


class ArithmeticLab:
    """Gives −1 eV per atom and −0.1 eV per unlike pair of element names; fails where it is told to."""

    def __init__(self) -> None:
        self.failing, self.asked = {}, []

    @staticmethod
    def energy_per_atom(structure: Structure) -> float:
        return -1.0 - 0.1 * len(structure.composition.elements) - 0.001 * structure.volume / len(structure)

    def relax(self, structures, level, settings):
        return [self._relax(structure) for structure in structures]

    def _relax(self, structure):
        formula = structure.composition.reduced_formula
        self.asked.append(formula)
        if formula in self.failing:
            return self.failing[formula]
        energy = self.energy_per_atom(structure)
        return Relaxation(structure, energy * len(structure), energy, 0.0, 0.0, 0.0, 1, True, "")


@pytest.fixture
def lab() -> ArithmeticLab:
    return ArithmeticLab()


@pytest.fixture(scope="session")
def crystals() -> dict[str, Structure]:
    """Return small crystals of Li, Na, Mg, Ag, O and Cl; one triclinic and sheared."""
    fluorite = [[0, 0, 0], [0.25, 0.25, 0.25]]
    cells = {
        "Li": Structure.from_spacegroup("Im-3m", Lattice.cubic(3.44), ["Li"], [[0, 0, 0]]),
        "Na": Structure.from_spacegroup("Im-3m", Lattice.cubic(4.20), ["Na"], [[0, 0, 0]]),
        "Ag": Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.09), ["Ag"], [[0, 0, 0]]),
        "Li2O": Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], fluorite),
        "NaCl": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0, 0]]),
        "LiAg": Structure(Lattice.cubic(3.17), ["Li", "Ag"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "O2": Structure(Lattice.orthorhombic(4.0, 4.2, 4.5), ["O", "O"], [[0, 0, 0], [0, 0, 0.27]]),
    }
    oxide = cells["Li2O"].get_primitive_structure()
    cells["Li2O sheared"] = Structure(oxide.lattice.matrix @ SHEAR, oxide.species, oxide.frac_coords)
    return cells
