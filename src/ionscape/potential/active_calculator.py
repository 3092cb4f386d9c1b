"""ASE calculator that learns on the fly: it drives any molecular dynamics, relaxation or band of images."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from ionscape.potential.active import Learner
from ionscape.potential.calculator import DEVIATIONS
from ionscape.units import Count, Force

#: Frames of the dear level before the uncertainty is trusted.
_FIRST = 3


class ActiveCalculator(Calculator):
    """Energy, forces and stress of the learner's potential, or of the dear level where it does not know.

    The uncertainty is looked at in every evaluation. Where the largest calibrated standard deviation of a force
    exceeds the tolerance, the dear level is asked, the potential learns, and the answer is that of the dear level.
    So it is in the first three evaluations. The potential changes then: energies before and after do not belong to
    one surface, and a line search over them may stumble (take FIRE or LBFGS).

    Parameters
    ----------
    learner
        Owns the potential and the dear level.
    confirmed_below
        Where the largest predicted force is below this, eV/Å, the dear level is asked too: an optimiser then only
        converges on forces of the dear level. 0 never asks for it.

    Attributes
    ----------
    evaluations
        All evaluations, those by the dear level too.

    Raises
    ------
    CalculationError
        If the dear level fails.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress", DEVIATIONS]

    def __init__(self, learner: Learner, confirmed_below: Force = 0.0) -> None:
        super().__init__()
        self.learner, self.evaluations = learner, 0
        self._confirmed_below = confirmed_below

    @property
    def dear_calls(self) -> Count:
        """Evaluations of the dear level that were taught."""
        return len(self.learner.lessons)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results``: energy (eV), forces (eV/Å), stress (eV/Å³) and the standard deviations of forces."""
        super().calculate(atoms, properties, system_changes)
        self.evaluations += 1
        deviations = self.learner.deviations(self.atoms)
        early = len(self.learner.lessons) < _FIRST
        if early or deviations.max() > self.learner.settings.tolerance_eV_per_A or self._predict(deviations):
            self._ask()

    def _predict(self, deviations: Any) -> bool:
        """Fill the results with those of the potential; return whether they are to be confirmed."""
        asked = self.atoms.copy()
        asked.set_constraint()
        asked.calc = self.learner.calculator
        asked.get_potential_energy()
        self.results = {**self.learner.calculator.results, DEVIATIONS: deviations}
        return bool(np.linalg.norm(self.results["forces"], axis=1).max() < self._confirmed_below)

    def _ask(self) -> None:
        frame = self.learner.ask(self.atoms)
        self.results = {"energy": frame.energy, "free_energy": frame.energy, "forces": frame.forces.copy()}
        self.results[DEVIATIONS] = np.zeros(len(frame.symbols))
        if frame.stress is not None:
            self.results["stress"] = frame.stress.copy()
