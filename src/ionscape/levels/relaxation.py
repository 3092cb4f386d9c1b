"""Relaxation of a structure at a level: positions, cell, or both, to stated tolerances.

Convergence is judged on the physical quantities, the largest force on an atom and the largest component of the
stress, never on the generalised force of a cell filter. A relaxation that leaves the domain of a crystal (an
energy that is no number, a volume that doubles or halves) stops and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.filters import FrechetCellFilter, StrainFilter
from ase.optimize import FIRE, LBFGS
from pymatgen.core import Structure

from ionscape.errors import CalculationError, InputError
from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.evaluation import begin_calculation, require_stress
from ionscape.levels.recording import RecordingCalculator
from ionscape.structures.exchange import constraints, fixed_coordinates, hold, to_atoms, to_structure
from ionscape.units import Energy, Force, Stress

OPTIMIZERS: dict[str, Callable[..., Any]] = {"FIRE": FIRE, "LBFGS": LBFGS}
TRAJECTORY = "relaxation.traj"
LOG = "relaxation.log"
#: A relaxation whose volume changes by more than this factor has left the domain of the level.
VOLUME_FACTOR = 2.0


@dataclass(frozen=True)
class Step:
    """State after one step of a relaxation: energy, largest force on an atom, largest component of the stress."""

    number: int
    energy: Energy
    fmax: Force
    smax: Stress


@dataclass(frozen=True)
class RelaxedState:
    """End of a relaxation: the structure, its last step, the first energy, and whether it converged."""

    structure: Structure
    last: Step
    initial_energy: Energy
    converged: bool


def relax_structure(
    structure: Structure, calculator: Any, settings: RelaxationSettings, folder: Path
) -> RelaxedState:
    """Relax `structure` with an ASE `calculator`, continuing what an interrupted run left in `folder`.

    Minimises E(R, h) over positions R and/or cell h (Fréchet cell filter, J. Phys.: Condens. Matter 32, 443002)
    until max |F| ≤ ``fmax_eV_per_A`` and, when the cell moves, max |σ| ≤ ``smax_eV_per_A3``.

    Parameters
    ----------
    structure
        Periodic structure to start from; coordinates that its selective dynamics hold stay, and the forces on them
        do not count.
    calculator
        Source of energy, forces and stress.
    settings
        What moves, optimiser and tolerances.
    folder
        Existing folder for the trajectory and the log, which are also the checkpoint.

    Raises
    ------
    InputError
        If the calculator gives no stress, or atoms are held while the cell moves.
    CalculationError
        If the energy is not finite or the volume changes by more than a factor of two.
    """
    require_stress(calculator)
    begin_calculation(calculator)
    atoms, held = to_atoms(structure), fixed_coordinates(structure)
    if held is not None:
        _refuse_moving_cell(settings.move)
        atoms.set_constraint(constraints(held))
    atoms.calc = recording = RecordingCalculator(calculator, folder / TRAJECTORY)
    start_volume = atoms.get_volume()
    try:
        with (folder / LOG).open("w") as log:
            initial = _step(atoms, 0)
            steps = [initial]
            optimizer = OPTIMIZERS[settings.optimizer](_movable(atoms, settings.move), logfile=None)
            started = time.monotonic()
            for _ in optimizer.irun(fmax=0.0, steps=settings.max_steps):
                steps.append(_step(atoms, optimizer.nsteps))
                _check_domain(steps[-1], atoms.get_volume() / start_volume)
                _write(log, steps[-1], time.monotonic() - started)
                if _is_converged(steps[-1], settings):
                    break
    finally:
        recording.close()
    last = steps[-1]
    end = to_structure(atoms) if held is None else hold(to_structure(atoms), held)
    return RelaxedState(end, last, initial.energy, _is_converged(last, settings))


def _refuse_moving_cell(move: str) -> None:
    if move != "positions":
        raise InputError(
            f"fixed atoms in a relaxation of '{move}'",
            where="selective dynamics of the structure",
            expected='a fixed cell (move = "positions") where atoms are held',
            remedy="Relax positions only, or take the selective dynamics out of the structure.",
        )


def _movable(atoms: Any, move: str) -> Any:
    if move == "positions":
        return atoms
    return StrainFilter(atoms) if move == "cell" else FrechetCellFilter(atoms)


def _step(atoms: Any, number: int) -> Step:
    forces, stress = atoms.get_forces(), atoms.get_stress()
    return Step(
        number,
        float(atoms.get_potential_energy()),
        float(np.sqrt((forces**2).sum(axis=1).max())),
        float(np.abs(stress).max()),
    )


def _is_converged(step: Step, settings: RelaxationSettings) -> bool:
    forces = settings.move == "cell" or step.fmax <= settings.fmax_eV_per_A
    stress = settings.move == "positions" or step.smax <= settings.smax_eV_per_A3
    return forces and stress


def _check_domain(step: Step, volume_ratio: float) -> None:
    if not np.isfinite([step.energy, step.fmax, step.smax]).all():
        message = f"the energy, a force or the stress is not a finite number at step {step.number}"
        raise CalculationError(message)
    if not 1 / VOLUME_FACTOR < volume_ratio < VOLUME_FACTOR:
        message = f"the volume changed by a factor {volume_ratio:.2f} at step {step.number}: not a relaxation"
        raise CalculationError(message)


def _write(log: Any, step: Step, seconds: float) -> None:
    log.write(
        f"step {step.number:5d}  E {step.energy:16.6f} eV  fmax {step.fmax:9.5f} eV/A  "
        f"smax {step.smax:9.6f} eV/A3  {seconds:8.1f} s\n"
    )
    log.flush()
