"""Evaluations without memory: energy, forces and stress as functions of positions and cell alone.

Calculators keep things from one evaluation to the next: neighbour lists with a skin, guesses, caches. The order in
which they then add numbers up depends on when the list was made, so that a continued run differs from the
uninterrupted one in the last bit, and after some picoseconds everywhere.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

#: Attributes of these types are changed in place by calculators, so that copies are put back.
_CONTAINERS = (dict, list, set, np.ndarray)


class IndependentCalculator(Calculator):
    """Wrap `inner` so that each evaluation finds it as it was made.

    Parameters
    ----------
    inner
        A calculator of energy, forces and stress that has not evaluated anything yet and that nothing else uses.
    forget
        Put the attributes of `inner` back before each evaluation; False only separates the two results.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, inner: Any, *, forget: bool = True) -> None:
        super().__init__()
        self._inner = inner
        self._pristine = _copied(vars(inner)) if forget else None

    def check_state(self, atoms: Any, tol: float = 0.0) -> list[str]:
        """Return what changed since the last evaluation; exactly: ASE takes close numbers as equal."""
        del tol
        return changed(self.atoms, atoms)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results`` with energy and free energy (eV), forces (eV/Å, (n, 3)) and stress (eV/Å³, Voigt)."""
        super().calculate(atoms, properties, system_changes)
        if self._pristine is not None:
            vars(self._inner).clear()
            vars(self._inner).update(_copied(self._pristine))
        asked = self.atoms.copy()
        asked.set_constraint()
        asked.calc = self._inner
        energy = float(asked.get_potential_energy())
        given = getattr(self._inner, "results", {})
        forces, stress = given.get("forces"), given.get("stress")
        self.results = {
            "energy": energy,
            "free_energy": float(given.get("free_energy", energy)),
            "forces": np.array(asked.get_forces() if forces is None else forces, dtype=float),
            "stress": np.array(asked.get_stress() if stress is None or len(stress) != 6 else stress, dtype=float),
        }


def changed(last: Any, atoms: Any) -> list[str]:
    """Return what differs between ASE `atoms` and those of the last evaluation (None: there was none), exactly."""
    if last is None or len(last) != len(atoms):
        return list(all_changes)
    pairs = {
        "positions": (last.positions, atoms.positions),
        "numbers": (last.numbers, atoms.numbers),
        "cell": (last.cell.array, atoms.cell.array),
        "pbc": (last.pbc, atoms.pbc),
    }
    return [name for name, (before, now) in pairs.items() if not np.array_equal(before, now)]


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: copy.copy(value) if isinstance(value, _CONTAINERS) else value for name, value in attributes.items()
    }
