"""Cheap dear levels and small potentials for the tests of learning on the fly."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from ionscape.potential.active import Learner
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.settings import DescriptorSettings, TrainingSettings

TOLERANCE = 0.12


class CountingEMT(Calculator):  # type: ignore[misc]
    """EMT that counts, fails at call number `fails`, and kills its process at call number `kills`."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, fails: int = 0, kills: int = 0) -> None:
        super().__init__()
        self.calls, self._fails, self._kills = 0, fails, kills

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        if self.calls == self._fails:
            message = "SCF not converged"
            raise RuntimeError(message)
        if self.calls == self._kills:
            os.kill(os.getpid(), signal.SIGKILL)
        asked = self.atoms.copy()
        asked.calc = EMT(asap_cutoff=True)
        asked.get_potential_energy()
        self.results = {"energy": asked.get_potential_energy(), "forces": asked.get_forces()}
        self.results |= {"free_energy": self.results["energy"], "stress": asked.get_stress()}


def alloy() -> Any:
    """Return 24 atoms of a triclinic copper-gold cell, ASE atoms, off their sites."""
    atoms = bulk("Cu", a=3.7) * (2, 3, 4)
    atoms.symbols[::3] = "Au"
    atoms.rattle(0.03, rng=np.random.default_rng(1))
    return atoms


def settings(**changes: Any) -> LearningSettings:
    """Return settings of a small potential."""
    descriptor = DescriptorSettings(cutoff_A=4.5, n_max=3, l_max=2)
    training = TrainingSettings(descriptor=descriptor, inducing=200, rank=0)
    values: dict[str, Any] = {
        "first_frames": 4,
        "tolerance_eV_per_A": TOLERANCE,
        "training": training,
        "look_fs": 10.0,
        "environment_share": 0.5,
    }
    return LearningSettings(**(values | changes))


def learner(folder: Path, dear: Any | None = None, **changes: Any) -> Learner:
    """Return a learner from EMT, with its record in `folder`."""
    return Learner(dear or CountingEMT(), {"Cu", "Au"}, settings(**changes), folder / "frames.extxyz", "emt")
