"""Molecular dynamics of a structure at a level: equilibration, production, guards, and exact continuation.

A run is a function of its structure, level and settings alone. Between two steps all of its state is in the
engine, the random numbers, the guards and three counts; a checkpoint holds exactly these. A run that was
killed continues from its last checkpoint: frames recorded after it are cut off and come again, bit for bit.
Levels that offer compiled forces are run by the compiled engine, others by ASE's integrators (`engines`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from ionscape.dynamics.checkpoints import read_checkpoint
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.dynamics.underway import (
    CHECKPOINT,
    CHECKPOINT_S,
    EQUILIBRATION,
    PRODUCTION,
    STEPS,
    RunEnd,
    Underway,
)
from ionscape.errors import InputError, nearest
from ionscape.levels.evaluation import require_stress
from ionscape.units import Seconds

__all__ = ["CHECKPOINT", "EQUILIBRATION", "PRODUCTION", "STEPS", "RunEnd", "check_run", "simulate"]


def simulate(
    structure: Structure,
    calculator: Any,
    settings: DynamicsSettings,
    folder: Path,
    level: str = "",
    checkpoint_s: Seconds = CHECKPOINT_S,
) -> RunEnd:
    """Simulate `structure` with an ASE `calculator`, continuing what an interrupted run left in `folder`.

    Velocities are drawn from the Maxwell–Boltzmann distribution at ``temperature_K``, the centre of mass at rest.
    The first half of the equilibration is thermalised by Langevin forces in the fixed cell: from atoms at their
    lattice sites a Nosé–Hoover chain swings for long in a nearly harmonic crystal, and its temperatures scatter
    too much.
    Frames go to ``production.trajectory``, those before to ``equilibration.trajectory`` (`recording`),
    every frame at once.

    Parameters
    ----------
    structure
        Periodic structure of two atoms or more.
    calculator
        Source of energy, forces and stress; newly made, used by nothing else (`independence`). An
        `ActiveCalculator` makes a run that teaches its potential (`learning`).
    settings
        Ensemble, conditions, times and guards.
    folder
        Existing folder for trajectories and checkpoint.
    level
        Name or identity of the level, for the header of the trajectories.
    checkpoint_s
        Wall time between checkpoints, s.

    Raises
    ------
    InputError
        If there are fewer than two atoms, a mobile element is not there, the calculator gives no stress, or a file
        cannot be written.
    """
    require_stress(calculator)
    check_run(structure, settings)
    run = Underway(structure, calculator, settings, folder)
    try:
        run.open(level, read_checkpoint(folder / CHECKPOINT))
        run.go(checkpoint_s)
        return run.end()
    finally:
        run.close()


def check_run(structure: Structure, settings: DynamicsSettings) -> None:
    """Raise `InputError` unless `structure` has two atoms or more, and the mobile elements of `settings`."""
    symbols = [site.specie.symbol for site in structure]
    if len(symbols) < 2:
        raise InputError(
            f"{len(symbols)} atom",
            where="structure",
            expected="at least two atoms, for the centre of mass is at rest",
            remedy="Use a supercell.",
        )
    for element in settings.mobile:
        if element not in symbols:
            raise InputError(
                f"no atom of the mobile element {element}",
                where="structure",
                expected=f"one of {', '.join(dict.fromkeys(symbols))}",
                remedy=nearest(element, set(symbols)),
            )
