"""Single points: energy, forces and stress of structures as they stand, and a level's errors against labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

from ionscape.errors import CalculationError, InputError
from ionscape.structures.exchange import to_atoms


def evaluate_structure(structure: Structure, calculator: Any) -> dict[str, Any]:
    """Return energy (eV), forces (eV/Å, (n, 3)) and stress (eV/Å³, Voigt) of `structure` as plain lists.

    Raises
    ------
    CalculationError
        If any of them is not finite: the structure is outside the domain of the level.
    """
    energy, forces, stress = _evaluate(to_atoms(structure), calculator)
    return {"energy_eV": energy, "forces_eV_per_A": forces.tolist(), "stress_eV_per_A3": stress.tolist()}


def _evaluate(atoms: Any, calculator: Any) -> tuple[float, Any, Any]:
    atoms.calc = calculator
    energy = float(atoms.get_potential_energy())
    forces, stress = np.asarray(atoms.get_forces()), np.asarray(atoms.get_stress())
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        message = "the energy, a force or the stress is not a finite number"
        raise CalculationError(message)
    return energy, forces, stress


def read_frames(path: Path) -> list[Any]:
    """Return all frames of `path` as ASE Atoms, with the energies and forces they were labelled with.

    Raises
    ------
    InputError
        If the file is missing or holds no frames that ASE can read.
    """
    from ase.io import read

    try:
        frames = read(path, index=":")
    except Exception as error:  # noqa: BLE001  parsers raise anything; one clear error leaves here
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot be read as frames ({reason[:160]})",
            where=str(path),
            expected="extxyz, .traj, vasprun.xml or another format that ASE reads",
            remedy="Check the path and the format.",
        ) from None
    return list(frames)


def evaluate_frames(frames: Sequence[Any], calculator: Any) -> dict[str, float]:
    """Return the errors of a level against the labels of `frames`, and its time per evaluation.

    Mean absolute and root-mean-square errors of energies (meV/atom) and force components (eV/Å) with R², for the
    frames that carry such labels; the keys are left out where no frame does.

    Parameters
    ----------
    frames
        ASE Atoms, labelled or not.
    calculator
        ASE calculator of the level.
    """
    energies: list[tuple[float, float]] = []
    forces: list[Any] = []
    started = time.perf_counter()
    for frame in frames:
        energy, force, _ = _evaluate(frame.copy(), calculator)
        labels = frame.calc.results if frame.calc is not None else {}
        if "energy" in labels:
            energies.append((energy / len(frame), labels["energy"] / len(frame)))
        if "forces" in labels:
            forces.append(np.stack([force.ravel(), np.asarray(labels["forces"]).ravel()]))
    seconds = time.perf_counter() - started
    result = {"n_frames": len(frames), "ms_per_evaluation": 1000 * seconds / len(frames)}
    if energies:
        result |= _errors(np.array(energies).T, "energy", "meV_per_atom", 1000.0)
    if forces:
        result |= _errors(np.concatenate(forces, axis=1), "force", "eV_per_A", 1.0)
    return result


def _errors(pairs: Any, what: str, unit: str, factor: float) -> dict[str, float]:
    ours, labels = pairs
    deviation = ours - labels
    errors = {
        f"{what}_mae_{unit}": float(factor * np.abs(deviation).mean()),
        f"{what}_rmse_{unit}": float(factor * np.sqrt((deviation**2).mean())),
    }
    spread = float(((labels - labels.mean()) ** 2).sum())
    if spread > 0:
        errors[f"{what}_r2"] = 1 - float((deviation**2).sum()) / spread
    return errors
