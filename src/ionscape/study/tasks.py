"""Calculations as tasks: from a request to a finished folder in the store, in whatever process runs it.

A task is safe to run at any time, anywhere, more than once: it takes the lock of its key, leaves at once if the
answer is there, continues from the checkpoint that an interrupted run left, and publishes its own result.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import platform
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape import __version__
from ionscape.errors import CalculationError
from ionscape.study.store import Store, request_key

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.dynamics.runs import RunRequest
    from ionscape.dynamics.settings import DynamicsSettings
    from ionscape.levels.calculation import RelaxationSettings
    from ionscape.levels.registry import Level

#: Beside the result of a run of molecular dynamics: what differs from machine to machine.
TIMING = "timing.json"
#: Raised by one whenever a change of code changes what a calculation of this kind means.
MEANING = {"relaxation": 1, "single-point": 1, "dynamics": 1}


def relaxation_request(structure: Structure, level: Level, settings: RelaxationSettings) -> dict[str, Any]:
    """Return the request for a relaxation: all that defines its result, and nothing else."""
    return {**_request("relaxation", structure, level), "settings": settings.model_dump()}


def single_point_request(structure: Structure, level: Level) -> dict[str, Any]:
    """Return the request for a single point."""
    return _request("single-point", structure, level)


def dynamics_request(run: RunRequest) -> dict[str, Any]:
    """Return the request for a run of molecular dynamics."""
    return {**_request("dynamics", run.structure, run.level), "settings": run.settings.model_dump(mode="json")}


def expected_steps(request: dict[str, Any]) -> int:
    """Return the number of steps that `request` will take; 0 if only its end will tell."""
    if request["kind"] != "dynamics":
        return 0
    return _dynamics_settings(request).steps


def _dynamics_settings(request: dict[str, Any]) -> DynamicsSettings:
    from ionscape.dynamics.settings import DynamicsSettings

    return DynamicsSettings.model_validate_json(json.dumps(request["settings"]))


def _request(kind: str, structure: Structure, level: Level) -> dict[str, Any]:
    return {
        "kind": kind,
        "meaning": MEANING[kind],
        "level": {"settings": dict(level.settings), "identity": level.identity()},
        "structure": structure_to_json(structure, digits=10),
    }


def structure_to_json(structure: Structure, digits: int | None = None) -> dict[str, Any]:
    """Return lattice (Å), species and fractional coordinates; rounded to `digits`, exact without."""

    def plain(array: Any) -> Any:
        return (array if digits is None else array.round(digits) + 0.0).tolist()

    return {
        "lattice": plain(structure.lattice.matrix),
        "species": [site.specie.symbol for site in structure],
        "fractional": plain(structure.frac_coords),
    }


def structure_from_json(data: dict[str, Any]) -> Structure:
    """Return the structure that `structure_to_json` wrote."""
    from pymatgen.core import Structure

    return Structure(data["lattice"], data["species"], data["fractional"])


def perform(request: dict[str, Any], store_root: str, threads: int) -> dict[str, Any]:
    """Carry out `request` unless it is finished, and return ``{"error": …}`` if something unforeseen broke.

    What the physics says (not converged, outside the domain of the level) is a result and is stored; what the
    machine says (no memory, a missing module, a full disk) is not, so that another try may succeed.
    """
    store, key = Store(Path(store_root)), request_key(request)
    try:
        with store.lock(key):
            if key not in store:
                _calculate(request, key, store, threads)
    except Exception as error:  # noqa: BLE001  one broken task must not end the others; it is told
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"error": ""}


def _calculate(request: dict[str, Any], key: str, store: Store, threads: int) -> None:
    folder = store.working_folder(key)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        result = KINDS[request["kind"]](request, folder, threads)
    except CalculationError as error:
        result = {"failure": str(error)}
    provenance = _provenance(time.monotonic() - started, threads)
    store.publish(key, {"input.json": request, "result.json": result, "provenance.json": provenance})


def _relaxation(request: dict[str, Any], folder: Path, threads: int) -> dict[str, Any]:
    from ionscape.levels.calculation import RelaxationSettings
    from ionscape.levels.relaxation import relax_structure

    structure = structure_from_json(request["structure"])
    settings = RelaxationSettings(**request["settings"])
    state = relax_structure(structure, _calculator(request, threads), settings, folder)
    return {
        "structure": structure_to_json(state.structure),
        "energy_eV": state.last.energy,
        "initial_energy_eV": state.initial_energy,
        "fmax_eV_per_A": state.last.fmax,
        "smax_eV_per_A3": state.last.smax,
        "steps": state.last.number,
        "converged": state.converged,
    }


def _single_point(request: dict[str, Any], folder: Path, threads: int) -> dict[str, Any]:
    from ionscape.levels.evaluation import evaluate_structure

    del folder
    return evaluate_structure(structure_from_json(request["structure"]), _calculator(request, threads))


def _dynamics(request: dict[str, Any], folder: Path, threads: int) -> dict[str, Any]:
    from dataclasses import asdict

    from ionscape.dynamics.averages import run_averages
    from ionscape.dynamics.simulate import PRODUCTION, simulate

    identity = json.dumps(request["level"]["identity"], sort_keys=True)
    calculator = _level(request).own_calculator(threads)
    structure = structure_from_json(request["structure"])
    end = simulate(structure, calculator, _dynamics_settings(request), folder, identity)
    averages = run_averages(folder / PRODUCTION)
    (folder / TIMING).write_text(json.dumps({"ms_per_step": end.ms_per_step}))
    result: dict[str, Any] = {
        "steps": end.steps,
        "frames": end.frames,
        "equilibration_frames": end.equilibration_frames,
        "averages": None if averages is None else asdict(averages),
    }
    if end.stopped:
        return {**result, "stopped": end.stopped}
    return {**result, "structure": structure_to_json(end.structure), "drift_eV_per_atom_per_ps": end.drift}


def _calculator(request: dict[str, Any], threads: int) -> Any:
    return _level(request).calculator(threads)


def _level(request: dict[str, Any]) -> Level:
    from ionscape.levels.registry import Level

    level = request["level"]
    return Level.of(level["identity"]["name"], level["settings"])


KINDS: dict[str, Callable[[dict[str, Any], Path, int], dict[str, Any]]] = {
    "relaxation": _relaxation,
    "single-point": _single_point,
    "dynamics": _dynamics,
}


def _provenance(seconds: float, threads: int) -> dict[str, Any]:
    packages = ("ase", "chgnet", "numpy", "pymatgen", "torch")
    return {
        "ionscape": __version__,
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "threads": threads,
    }
