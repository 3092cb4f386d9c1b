"""GPAW itself, in this process: self-consistency on a ladder of mixers, and what comes of it.

The session keeps density and wave functions from one geometry to the next, starts again where that is impossible
(the symmetry broke, the plan is another one), and goes down the ladder of mixers where self-consistency is not
reached.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.errors import CalculationError
from ionscape.units import Energy

#: Mixers by name, from the fastest to the surest; the parameters are GPAW's.
MIXERS: dict[str, dict[str, Any]] = {
    "msr1": {"name": "msr1"},
    "pulay": {"name": "pulay", "beta": 0.05, "nmaxold": 8, "weight": 50.0},
    "damped": {"name": "pulay", "beta": 0.02, "nmaxold": 8, "weight": 100.0},
    "slow": {"name": "pulay", "beta": 0.005, "nmaxold": 12, "weight": 200.0},
}


class Session:
    """Evaluates geometries one after the other with GPAW.

    Parameters
    ----------
    log
        File for GPAW's log; nowhere if None.
    restart
        File (.gpw) for density and wave functions; none if None.
    """

    def __init__(self, log: str | None, restart: str | None) -> None:
        self._log, self._restart = log, None if restart is None else Path(restart)
        self._calculator: Any = None
        self._asked: dict[str, Any] = {}
        self._mixer = ""

    def forget(self) -> None:
        """Drop density and wave functions: what comes next is another calculation."""
        self._calculator, self._asked, self._mixer = None, {}, ""

    def evaluate(self, atoms: Any, asked: dict[str, Any], cutoffs: Sequence[Energy] = ()) -> dict[str, Any]:
        """Return energy, free energy (eV), forces (eV/Å), stress (eV/Å³, Voigt) and what there is to tell.

        Parameters
        ----------
        atoms
            ASE Atoms in a compact cell.
        asked
            ``parameters`` of GPAW, ``mixers`` by name, ``symmetry`` (``auto`` or ``off``).
        cutoffs
            At which the energy is wanted too (``energy_by_cutoff``), eV.

        Raises
        ------
        CalculationError
            If no mixer of the ladder reaches self-consistency.
        """
        calculator = self._converged(atoms, asked)
        answer = self._answer(calculator, atoms)
        answer["energy_by_cutoff"] = [self._energy_at(cutoff, atoms, asked) for cutoff in cutoffs]
        self._keep(calculator, asked)
        return answer

    def _converged(self, atoms: Any, asked: dict[str, Any]) -> Any:
        from gpaw import KohnShamConvergenceError

        if asked != self._asked:
            self.forget()
            self._asked = asked
        ladder = list(asked["mixers"])
        for mixer in ladder[ladder.index(self._mixer) if self._mixer else 0 :]:
            try:
                return self._with(mixer, atoms, asked)
            except (KohnShamConvergenceError, FloatingPointError, np.linalg.LinAlgError):
                self._calculator = None
        raise self._unconverged(asked)

    def _unconverged(self, asked: dict[str, Any]) -> CalculationError:
        self.forget()
        iterations = asked["parameters"]["maxiter"]
        return CalculationError(
            f"GPAW is not self-consistent after {iterations} iterations with any of the mixers "
            f"{', '.join(asked['mixers'])}: raise max_iterations or smearing_width_eV, or look at the moments"
        )

    def _with(self, mixer: str, atoms: Any, asked: dict[str, Any]) -> Any:
        from gpaw.new.symmetry import SymmetryBrokenError

        if self._calculator is None or mixer != self._mixer:
            self._calculator = self._restarted(asked) or self._new(mixer, asked)
            self._mixer = mixer
        try:
            _energy(self._calculator, atoms)
        except SymmetryBrokenError:  # the first structure had symmetries that this one lacks
            self._calculator = self._new(mixer, asked)
            _energy(self._calculator, atoms)
        return self._calculator

    def _new(self, mixer: str, asked: dict[str, Any], **changes: Any) -> Any:
        from gpaw.new.ase_interface import GPAW

        symmetry = {"point_group": asked["symmetry"] == "auto"}
        return GPAW(
            **{**asked["parameters"], **changes}, mixer=MIXERS[mixer], symmetry=symmetry, txt=self._stream()
        )

    def _stream(self) -> Any:
        return None if self._log is None else Path(self._log).open("a", encoding="utf-8")  # GPAW closes it

    def _answer(self, calculator: Any, atoms: Any) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            energy, free = (calculator.get_potential_energy(atoms, force_consistent=one) for one in (False, True))
            forces, stress = calculator.get_forces(atoms), calculator.get_stress(atoms)
        below, above = calculator.get_homo_lumo()
        return {
            "energy": float(energy),
            "free_energy": float(free),
            "forces": np.asarray(forces, dtype=float).tolist(),
            "stress": np.asarray(stress, dtype=float).tolist(),
            "told": {
                "mixer": self._mixer,
                "iterations": int(calculator.dft.scf_loop.niter),
                "gap_eV": float(above - below) if np.isfinite(above - below) else None,
                "magnetic_moment_muB": float(calculator.get_magnetic_moment(atoms)),
                "symmetries": len(calculator.dft.ibzwfs.ibz.symmetries),
            },
        }

    def _energy_at(self, cutoff: float, atoms: Any, asked: dict[str, Any]) -> float:
        from gpaw import KohnShamConvergenceError

        other = self._new(self._mixer, asked, mode={"name": "pw", "ecut": cutoff})
        try:
            return float(_energy(other, atoms))
        except KohnShamConvergenceError:
            raise self._unconverged(asked) from None

    def _keep(self, calculator: Any, asked: dict[str, Any]) -> None:
        if self._restart is None:
            return
        part = self._restart.with_suffix(".part.gpw")
        calculator.write(part, mode="all", precision="single")
        if calculator.comm.rank == 0:
            part.replace(self._restart)
            self._note.write_text(json.dumps(asked["parameters"], sort_keys=True), encoding="utf-8")
        calculator.comm.barrier()

    @property
    def _note(self) -> Path:
        return Path(f"{self._restart}.json")

    def _restarted(self, asked: dict[str, Any]) -> Any | None:
        """Return GPAW with the saved density and wave functions, if they are of the very same parameters."""
        from gpaw.new.ase_interface import GPAW

        if self._restart is None or not self._restart.is_file() or not self._note.is_file():
            return None
        if self._note.read_text(encoding="utf-8") != json.dumps(asked["parameters"], sort_keys=True):
            return None
        return GPAW(str(self._restart), txt=self._stream())


def _energy(calculator: Any, atoms: Any) -> float:
    with warnings.catch_warnings():  # about grids that are enlarged to be symmetric, and the like
        warnings.simplefilter("ignore")
        return float(calculator.get_potential_energy(atoms))
