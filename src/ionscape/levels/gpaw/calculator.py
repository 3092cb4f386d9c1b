"""ASE calculator of the level: energy, forces and stress by GPAW, and how they were reached."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from ionscape.levels.gpaw.parallel import MPISession, useful_processes
from ionscape.levels.gpaw.plan import Plan
from ionscape.levels.gpaw.session import Session
from ionscape.levels.gpaw.settings import GPAWSettings
from ionscape.units import Count


class GPAWCalculator(Calculator):
    """Energy (extrapolated to no smearing), forces and stress of plane-wave DFT.

    The grid of k-points, the starting moments and the compact cell are those of the first structure of a
    calculation: they stay while it is moved, so that energies along a relaxation belong to one surface. `begin`
    starts another one, and so does a structure of other atoms.

    With ``finite_basis_correction`` the stress is that of a constant cutoff, σ_ii + (2/3V) dE/d ln E_cut, where
    GPAW's own is that of a constant number of plane waves (Francis & Payne, doi:10.1088/0953-8984/2/19/007); the
    derivative is measured at the first structure.

    Parameters
    ----------
    settings
        What is computed.
    processes
        Most MPI processes; in this process if there is no mpiexec, or one k-point only and no ScaLAPACK.

    Attributes
    ----------
    told
        About the last evaluation: mixer, iterations, gap (None in metals), magnetic moment, symmetries, k-points.

    Raises
    ------
    InputError
        If the structure cannot be computed with these settings.
    CalculationError
        If self-consistency is not reached.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, settings: GPAWSettings, processes: Count = 1) -> None:
        super().__init__()
        self._settings, self._processes = settings, processes
        self._session: Any = None
        self._plan: Plan | None = None
        self._slope: float | None = None
        self.told: dict[str, Any] = {}

    def begin(self) -> None:
        """Forget the last calculation: its grid, moments, density and wave functions."""
        self.reset()
        self._forget()

    def _forget(self) -> None:
        if self._session is not None:
            self._session.forget()
        self._plan, self._slope = None, None

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results``."""
        super().calculate(atoms, properties, system_changes)
        plan = self._planned()
        measured = self._settings.finite_basis_correction and self._slope is None
        answer = self._session.evaluate(
            plan.compact(self.atoms),
            {
                "parameters": plan.parameters,
                "mixers": list(self._settings.mixers),
                "symmetry": self._settings.symmetry,
            },
            list(plan.corrected_cutoffs()) if measured else [],
        )
        if measured:
            low, high = plan.corrected_cutoffs()
            first, second = answer["energy_by_cutoff"]
            self._slope = (second - first) / float(np.log(high / low))
        self.told = {**answer["told"], "kpoints": plan.parameters["kpts"]["size"]}
        self.results = {name: np.array(answer[name]) for name in ("forces", "stress")}
        self.results |= {name: answer[name] for name in ("energy", "free_energy")}
        self.results["stress"][:3] += (self._slope or 0.0) * 2 / 3 / self.atoms.get_volume()

    def _planned(self) -> Plan:
        if self._plan is None or self._plan.symbols != tuple(self.atoms.get_chemical_symbols()):
            self._forget()
            self._plan = Plan.of(self.atoms, self._settings)
            self._session = self._session_for(self._plan)
        return self._plan

    def _session_for(self, plan: Plan) -> Any:
        channels = plan.channels(self.atoms) if self._processes > 1 else 1
        processes = useful_processes(self._processes, channels)
        files = (self._settings.log_file, self._settings.restart_file)
        if processes == 1:
            return self._session if isinstance(self._session, Session) else Session(*files)
        kept = isinstance(self._session, MPISession) and self._session.processes == processes
        return self._session if kept else MPISession(processes, *files)
