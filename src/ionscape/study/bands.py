"""Paths between sites as calculations: carried out by tasks, stored, and given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ionscape.levels.calculation import Broken
from ionscape.migration.band import find_path
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.modes import SaddleModes
from ionscape.migration.profile import Profile
from ionscape.migration.requests import FoundPath
from ionscape.migration.result import MigrationPath
from ionscape.migration.settings import BandSettings
from ionscape.results import Failure, frozen
from ionscape.study import tasks


def find_band(request: dict[str, Any], calculator: Any, folder: Path) -> dict[str, Any]:
    """Carry out a ``band`` request in `folder` and return its result as plain JSON data."""
    ends = EndPoints(
        tasks.structure_from_json(request["structure"]),
        tasks.structure_from_json(request["final"]),
        np.array(request["displacement"]),
    )
    path = find_path(ends, calculator, BandSettings(**request["settings"]), folder)
    return {
        "coordinates_A": path.profile.coordinates.tolist(),
        "energies_eV": path.profile.energies.tolist(),
        "slopes_eV_per_A": path.profile.slopes.tolist(),
        "images": [tasks.structure_to_json(image) for image in path.images],
        "climbing": path.climbing,
        "saddle_error_eV": path.saddle_error,
        "saddle_force_eV_per_A": path.saddle_force,
        "path_force_eV_per_A": path.path_force,
        "converged": path.converged,
        "resolved": path.resolved,
        "state": path.state,
        "steps": path.iterations,
        "n_force_calls": path.n_force_calls,
        "n_end_calls": path.n_end_calls,
        "initial_energy_eV": path.initial_energy,
        "modes": None if path.modes is None else _modes_to_json(path.modes),
    }


def found_path(key: str, result: dict[str, Any]) -> FoundPath | Failure:
    """Return the path `key` from its stored `result`; a failure if there is none."""
    if "error" in result:
        return Broken(result["error"], key)
    if "failure" in result:
        return Failure(result["failure"], key)
    profile = Profile(
        frozen(result["coordinates_A"]), frozen(result["energies_eV"]), frozen(result["slopes_eV_per_A"])
    )
    path = MigrationPath(
        profile=profile,
        images=tuple(tasks.structure_from_json(image) for image in result["images"]),
        climbing=result["climbing"],
        saddle_error=result["saddle_error_eV"],
        saddle_force=result["saddle_force_eV_per_A"],
        path_force=result["path_force_eV_per_A"],
        converged=result["converged"],
        resolved=result["resolved"],
        state=result["state"],
        iterations=result["steps"],
        n_force_calls=result["n_force_calls"],
        n_end_calls=result["n_end_calls"],
        initial_energy=result["initial_energy_eV"],
        modes=None if result["modes"] is None else _modes_from_json(result["modes"]),
    )
    return FoundPath(path, key)


def _modes_to_json(modes: SaddleModes) -> dict[str, Any]:
    return {
        "frequencies_THz": modes.frequencies.tolist(),
        "n_imaginary": modes.n_imaginary,
        "atoms": modes.atoms.tolist(),
        "step_A": modes.step,
    }


def _modes_from_json(data: dict[str, Any]) -> SaddleModes:
    atoms = np.array(data["atoms"], dtype=np.int64)
    return SaddleModes(frozen(data["frequencies_THz"]), data["n_imaginary"], atoms, data["step_A"])
