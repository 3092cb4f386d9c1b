"""Calculations as tasks: from a request to a finished folder in the store, in whatever process runs it.

A task is safe to run at any time, anywhere, more than once: it takes the lock of its key, leaves at once if the
answer is there, continues from the checkpoint that an interrupted run left, and publishes its own result.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import importlib.util
import json
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape import __version__
from ionscape.errors import CalculationError, InputError
from ionscape.levels.allocation import AllocationEnd, stop_if_over
from ionscape.structures.exchange import fixed_coordinates, hold
from ionscape.study.catalogue import Catalogue
from ionscape.study.progress import steps_so_far
from ionscape.study.running import sign
from ionscape.study.store import INPUT, PROVENANCE, RESULT, Store, request_key

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.dynamics.runs import RunRequest
    from ionscape.dynamics.settings import DynamicsSettings
    from ionscape.dynamics.simulate import RunEnd
    from ionscape.levels.calculation import RelaxationSettings
    from ionscape.levels.registry import Level
    from ionscape.migration.requests import BandRequest
    from ionscape.study.learned import LearningRequest
    from ionscape.transport.stage import TransportRequest

#: Beside the result of a run of molecular dynamics: what differs from machine to machine.
TIMING = "timing.json"
#: Beside the result of an analysis of transport: the arrays that figures show.
CURVES = "curves.npz"
#: Raised by one whenever a change of code changes what a calculation of this kind means.
MEANING = {"relaxation": 1, "single-point": 1, "dynamics": 1, "transport": 1, "learning": 1, "band": 1}
#: Kind of a task that makes several runs of molecular dynamics at once.
BATCH = "batch"
#: Frames whose analysis takes about as long as a step of molecular dynamics: for the time left, not for results.
FRAMES_PER_STEP = 1000
#: Settings of an analysis that change how it is done, not what it gives.
MEANS = {"threads", "memory_limit_GB"}


@dataclass(frozen=True)
class Desk:
    """Where a calculation is done: its folder, the store it belongs to, and its threads."""

    folder: Path
    store: Store
    threads: int


def relaxation_request(structure: Structure, level: Level, settings: RelaxationSettings) -> dict[str, Any]:
    """Return the request for a relaxation: all that defines its result, and nothing else."""
    return {**_request("relaxation", structure, level), "settings": settings.model_dump()}


def single_point_request(structure: Structure, level: Level) -> dict[str, Any]:
    """Return the request for a single point."""
    return _request("single-point", structure, level)


def dynamics_request(run: RunRequest) -> dict[str, Any]:
    """Return the request for a run of molecular dynamics."""
    return {**_request("dynamics", run.structure, run.level), "settings": run.settings.model_dump(mode="json")}


def transport_request(analysis: TransportRequest) -> dict[str, Any]:
    """Return the request for the analysis of a stored run.

    An analysis without the optional package of the channels is another one than with it.
    """
    channels = "channels" in analysis.settings.analyses and importlib.util.find_spec("pyzeo") is not None
    return {
        "kind": "transport",
        "meaning": MEANING["transport"],
        "run": analysis.run.key,
        "settings": analysis.settings.model_dump(mode="json", exclude=MEANS),
        "channels": channels,
        "seed": analysis.seed,
    }


def learning_request(asked: LearningRequest) -> dict[str, Any]:
    """Return the request for a potential that is learned on the fly."""
    return {
        "kind": "learning",
        "meaning": MEANING["learning"],
        "level": level_request(asked.level),
        "cells": [structure_to_json(cell, digits=10) for cell in asked.cells],
        "stretches": [
            {"cell": one.cell, "settings": one.settings.model_dump(mode="json")} for one in asked.stretches
        ],
        "learning": asked.learning.model_dump(mode="json"),
        "training": asked.training.model_dump(mode="json"),
    }


def band_request(band: BandRequest) -> dict[str, Any]:
    """Return the request for a band between two end points that belong together (`migration.band.check_path`)."""
    return {
        **_request("band", band.ends.initial, band.level),
        "final": structure_to_json(band.ends.final, digits=10),
        "displacement": (band.ends.displacement.round(10) + 0.0).tolist(),
        "settings": band.settings.model_dump(mode="json"),
    }


def size(request: dict[str, Any], store: Store) -> int:
    """Return the number of atoms that `request` is about."""
    if request["kind"] == "transport":
        request = store.read(request["run"], "input.json")
    if request["kind"] == "learning":
        return max(len(cell["species"]) for cell in request["cells"])
    return len(request["structure"]["species"])


def expected_steps(request: dict[str, Any], store: Store) -> int:
    """Return the number of steps that `request` will take; 0 if only its end will tell."""
    if request["kind"] == "transport":
        return 1 + int(store.read(request["run"])["frames"]) // FRAMES_PER_STEP
    if request["kind"] == "learning":
        return sum(dynamics_settings(stretch).steps for stretch in request["stretches"])
    return dynamics_settings(request).steps if request["kind"] == "dynamics" else 0


def expected_frames(request: dict[str, Any]) -> int:
    """Return the number of frames that a run of molecular dynamics will record; 0 for other calculations."""
    if request["kind"] != "dynamics":
        return 0
    settings = dynamics_settings(request)
    return settings.steps // settings.steps_per_frame


def title(request: dict[str, Any]) -> str:
    """Return what `request` is in a few words: its kind, what it is about, the temperature of dynamics."""
    species = request["structure"]["species"] if "structure" in request else []
    formula = "".join(f"{one}{species.count(one)}" for one in dict.fromkeys(species))
    settings = request.get("settings")
    kelvin = settings.get("temperature_K") if isinstance(settings, dict) else None
    words = (str(request["kind"]).replace("-", " "), formula, "" if kelvin is None else f"{kelvin:g} K")
    return ", ".join(filter(None, words))


def pace(request: dict[str, Any]) -> str:
    """Return what `request` has in common with others that take equally long for an atom and step: its level."""
    level = request.get("level")
    return request["kind"] if level is None or request["kind"] == "learning" else json.dumps(level, sort_keys=True)


def pace_of_level(level: Level) -> str:
    """Return the `pace` of relaxations, runs and single points at `level`."""
    return json.dumps(level_request(level), sort_keys=True)


def dynamics_settings(request: dict[str, Any]) -> DynamicsSettings:
    """Return the settings of a request for a run of molecular dynamics, or of a stretch of a learning."""
    from ionscape.dynamics.settings import DynamicsSettings

    return DynamicsSettings.model_validate_json(json.dumps(request["settings"]))


def _request(kind: str, structure: Structure, level: Level) -> dict[str, Any]:
    return {
        "kind": kind,
        "meaning": MEANING[kind],
        "level": level_request(level),
        "structure": structure_to_json(structure, digits=10),
    }


def level_request(level: Level) -> dict[str, Any]:
    """Return what a request says of its level."""
    identity = level.identity()
    elsewhere = {} if level.address == identity["name"] else {"address": level.address}
    return {"settings": dict(level.settings), "identity": identity, **elsewhere}


def structure_to_json(structure: Structure, digits: int | None = None) -> dict[str, Any]:
    """Return lattice (Å), species, fractional coordinates and, if any is, which Cartesian coordinates are held.

    Numbers are rounded to `digits`, exact without.
    """
    held = fixed_coordinates(structure)

    def plain(array: Any) -> Any:
        return (array if digits is None else array.round(digits) + 0.0).tolist()

    return {
        "lattice": plain(structure.lattice.matrix),
        "species": [site.specie.symbol for site in structure],
        "fractional": plain(structure.frac_coords),
        **({} if held is None else {"held": held.tolist()}),
    }


def structure_from_json(data: dict[str, Any]) -> Structure:
    """Return the structure that `structure_to_json` wrote."""
    from pymatgen.core import Structure

    structure = Structure(data["lattice"], data["species"], data["fractional"])
    return hold(structure, np.array(data["held"])) if "held" in data else structure


def perform(request: dict[str, Any], store_root: str, threads: int) -> dict[str, Any]:
    """Carry out `request` unless it is finished, and return ``{"error": …}`` if something unforeseen broke.

    What the physics says (not converged, outside the domain of the level) is a result and is stored; what the
    machine says (no memory, a missing module, a full disk) is not, so that another try may succeed. Where the time
    of the job ended before the calculation did, ``paused`` stands in the answer, with the steps made so far: the
    next try goes on from there. A batch of runs (`batches`) publishes each of them as it ends.
    """
    if request["kind"] == BATCH:
        from ionscape.study.batches import perform_batch

        return perform_batch(request, Store(Path(store_root)), threads)
    store, key = Store(Path(store_root)), request_key(request)
    try:
        with store.lock(key):
            if key not in store:
                stop_if_over()
                sign(request, key, store)
                _calculate(request, key, store, threads)
    except AllocationEnd:
        return {"error": "", "paused": True, "steps": steps_so_far(store.working_folder(key))}
    except Exception as error:  # noqa: BLE001  one broken task must not end the others; it is told
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"error": ""}


def _calculate(request: dict[str, Any], key: str, store: Store, threads: int) -> None:
    folder = store.working_folder(key)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    desk = Desk(folder, store, threads)
    try:
        result = KINDS[request["kind"]](request, desk)
    except CalculationError as error:
        result = {"failure": str(error)}
    made = provenance_of(time.monotonic() - started, threads, _device(request, desk))
    publish(request, result, made, store)


def publish(request: dict[str, Any], result: dict[str, Any], provenance: dict[str, Any], store: Store) -> None:
    """Make the working folder of `request` a finished calculation; its lock is held."""
    key = request_key(request)
    files = {INPUT: request, RESULT: result, PROVENANCE: provenance}
    store.publish(key, files)
    Catalogue(store).note(key, files)


def _relaxation(request: dict[str, Any], desk: Desk) -> dict[str, Any]:
    from ionscape.levels.calculation import RelaxationSettings
    from ionscape.levels.relaxation import relax_structure

    structure = structure_from_json(request["structure"])
    settings = RelaxationSettings(**request["settings"])
    state = relax_structure(structure, level_of(request, desk).calculator(desk.threads), settings, desk.folder)
    return {
        "structure": structure_to_json(state.structure),
        "energy_eV": state.last.energy,
        "initial_energy_eV": state.initial_energy,
        "fmax_eV_per_A": state.last.fmax,
        "smax_eV_per_A3": state.last.smax,
        "steps": state.last.number,
        "converged": state.converged,
    }


def _single_point(request: dict[str, Any], desk: Desk) -> dict[str, Any]:
    from ionscape.levels.evaluation import evaluate_structure

    calculator = level_of(request, desk).calculator(desk.threads)
    return evaluate_structure(structure_from_json(request["structure"]), calculator)


def _dynamics(request: dict[str, Any], desk: Desk) -> dict[str, Any]:
    from ionscape.dynamics.simulate import simulate

    identity = json.dumps(request["level"]["identity"], sort_keys=True)
    calculator = level_of(request, desk).own_calculator(desk.threads)
    structure = structure_from_json(request["structure"])
    return run_result(
        simulate(structure, calculator, dynamics_settings(request), desk.folder, identity), desk.folder
    )


def run_result(end: RunEnd, folder: Path) -> dict[str, Any]:
    """Return what is stored of a run that ended in `folder`, and write its timing there."""
    from dataclasses import asdict

    from ionscape.dynamics.averages import run_averages
    from ionscape.dynamics.simulate import PRODUCTION

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


def _transport(request: dict[str, Any], desk: Desk) -> dict[str, Any]:
    from ionscape.dynamics.readers import open_trajectory
    from ionscape.dynamics.simulate import PRODUCTION
    from ionscape.transport.analysis import analyse_transport
    from ionscape.transport.curves import transport_curves, write_curves
    from ionscape.transport.records import transport_record
    from ionscape.transport.settings import TransportSettings

    settings = TransportSettings(**request["settings"], threads=desk.threads)
    try:
        trajectory = open_trajectory(desk.store.folder(request["run"]) / PRODUCTION, mobile=settings.mobile)
        result = analyse_transport(trajectory, settings, np.random.default_rng(request["seed"]))
    except InputError as error:  # another try would end the same way
        raise CalculationError(str(error)) from None
    write_curves(transport_curves(result), desk.folder / CURVES)
    return transport_record(result)


def _band(request: dict[str, Any], desk: Desk) -> dict[str, Any]:
    from ionscape.study.bands import find_band

    calculator = level_of(request, desk).calculator(desk.threads)
    return find_band(request, calculator, desk.folder)


def _learning(request: dict[str, Any], desk: Desk) -> dict[str, Any]:
    from ionscape.study.learned import learn

    return learn(request, level_of(request, desk), desk.folder, desk.threads, structure_from_json)


def level_of(request: dict[str, Any], desk: Desk) -> Level:
    """Return the level of a request, as it can be had here."""
    from ionscape.levels.registry import Level
    from ionscape.study.learned import MODEL, STORED

    asked = request["level"]
    name = asked.get("address", asked["identity"]["name"])
    if name.startswith(STORED):
        name = f"sgpr:{desk.store.folder(name.removeprefix(STORED)) / MODEL}"
    level = Level.of(name, asked["settings"])
    if "address" in asked and level.identity() != asked["identity"]:
        message = f"{name} was changed since it was asked for: give the command again"
        raise RuntimeError(message)
    return level


KINDS: dict[str, Callable[[dict[str, Any], Desk], dict[str, Any]]] = {
    "relaxation": _relaxation,
    "single-point": _single_point,
    "dynamics": _dynamics,
    "transport": _transport,
    "learning": _learning,
    "band": _band,
}


def _device(request: dict[str, Any], desk: Desk) -> str:
    """Return on which device the level of a request is evaluated here."""
    return level_of(request, desk).device() if "level" in request else "cpu"


def provenance_of(seconds: float, threads: int, device: str) -> dict[str, Any]:
    """Return how a calculation was done: versions, machine, date, duration, threads, device."""
    packages = ("ase", "chgnet", "numpy", "pymatgen", "torch")
    return {
        "ionscape": __version__,
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "threads": threads,
        "device": device,
    }
