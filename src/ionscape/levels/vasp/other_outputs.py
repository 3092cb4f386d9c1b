"""Results of VASP from the files beside vasprun.xml: vaspout.h5 (VASP 6) and OUTCAR."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.errors import CalculationError
from ionscape.units import GPA_PER_EV_PER_A3, Array

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_DYNAMICS = "intermediate/ion_dynamics"
#: What VASP writes at the very end of OUTCAR.
_END = "General timing and accounting"
_ITERATION = re.compile(r"Iteration\s+(\d+)\(\s*(\d+)\)")


class DamagedOutputError(CalculationError):
    """An output that is cut short or lacks what is asked for; another file of the run may have it."""


def voigt_stress(kbar: Array) -> Array:
    """Return the stress (6,), eV/Å³, positive under tension, of VASP's (3, 3), kbar, of the other sign."""
    tensor = -np.asarray(kbar) / 10 / GPA_PER_EV_PER_A3
    return np.array([(tensor[i, j] + tensor[j, i]) / 2 for i, j in _VOIGT])


def read_hdf5(path: Path) -> dict[str, Any]:
    """Return energies, forces and stress of the last ionic step in a ``vaspout.h5``.

    Raises
    ------
    DamagedOutputError
        If the file cannot be read or lacks one of them, or does not tell whether the step converged.
    CalculationError
        If it was not self-consistent.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            steps = file[_DYNAMICS]
            tags = [one.decode().strip() for one in steps["energies_tags"][()]]
            energies = dict(zip(tags, steps["energies"][-1].tolist(), strict=True))
            forces, stress = np.array(steps["forces"][-1]), np.array(steps["stress"][-1])
            converged = _is_converged(steps)
        free = _energy(energies, "free energy")
        found = {"free_energy": free, "energy": _energy(energies, "energy(sigma->0)")}
    except (OSError, KeyError, ValueError, IndexError) as error:
        message = f"{path}: cut short or damaged ({' '.join(str(error).split())[:120]})"
        raise DamagedOutputError(message) from None
    if converged is None:
        message = f"{path}: does not tell whether the last ionic step is self-consistent"
        raise DamagedOutputError(message)
    if not converged:
        message = f"{path}: the last ionic step is not self-consistent (NELM)"
        raise CalculationError(message)
    return {**found, "forces": forces, "stress": voigt_stress(stress)}


def _energy(energies: dict[str, float], name: str) -> float:
    (value,) = (value for tag, value in energies.items() if tag.startswith(name))
    return float(value)


def _is_converged(steps: Any) -> bool | None:
    """Return whether the last step's electrons converged; VASP writes 0 where they did."""
    name = "electronic_step_converged"
    return bool(np.ravel(steps[name])[-1] == 0) if name in steps else None


def read_outcar(path: Path) -> dict[str, Any]:
    """Return energies, forces and stress of the last ionic step in an ``OUTCAR``.

    Raises
    ------
    DamagedOutputError
        If the file has no end or lacks one of them.
    CalculationError
        If the last step took all the electronic steps that it was allowed (NELM).
    """
    from ase.io import read

    text = path.read_text(encoding="utf-8", errors="replace")
    if _END not in text:
        message = f"{path}: has no end: VASP did not end"
        raise DamagedOutputError(message)
    try:
        atoms = read(path, index=-1, format="vasp-out")
        results = atoms.calc.results
        found = {name: results[name] for name in ("energy", "free_energy", "forces", "stress")}
    except Exception as error:  # noqa: BLE001  the parser raises anything; one clear error leaves here
        message = f"{path}: lacks energy, forces or stress ({' '.join(str(error).split())[:120]})"
        raise DamagedOutputError(message) from None
    _check_iterations(text, path)
    return found


def _check_iterations(text: str, path: Path) -> None:
    allowed = re.search(r"NELM\s*=\s*(\d+)", text)
    taken = _ITERATION.findall(text)
    if allowed and taken and int(taken[-1][1]) >= int(allowed[1]):
        message = f"{path}: not self-consistent after {taken[-1][1]} electronic steps (NELM)"
        raise CalculationError(message)
