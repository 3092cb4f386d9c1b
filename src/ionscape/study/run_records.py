"""Dynamics and transport in ``results.json``: runs, laws, and the files that figures and users take from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.dynamics.runs import SimulatedRun, StoppedRun
from ionscape.results import Failure, to_json
from ionscape.study.potential_record import gate_record, linked
from ionscape.transport.curves import density_of, mean_host, read_curves
from ionscape.transport.density import write_cube
from ionscape.transport.law_records import law_line, law_record

if TYPE_CHECKING:
    from ionscape.dynamics.stage import MaterialRun, MaterialRuns
    from ionscape.transport.curves import Curves
    from ionscape.transport.stage import MaterialLaw, MaterialTransport, TransportRun

#: Ends of the keys of a record, and the units they stand for; the longest come first.
UNITS = {
    "_e2_per_A3": "e²/Å³",
    "_cm2_per_s": "cm²/s",
    "_S_per_cm": "S/cm",
    "_A3": "Å³",
    "_eV": "eV",
    "_ps": "ps",
    "_fs": "fs",
    "_A": "Å",
    "_K": "K",
    "_e": "e",
}
ENDS = ("low95", "high95")


def dynamics_record(found: MaterialRuns, folder: Path) -> dict[str, Any]:
    """Return all runs as they stand in ``results.json``; their frames go to ``trajectories``."""
    return {"level": found.level, "runs": [_run(run, folder) for run in found.runs]}


def _run(run: MaterialRun, folder: Path) -> dict[str, Any]:
    head = {
        "material": run.cell.name,
        "formula": run.cell.formula,
        "x_per_formula_unit": to_json(run.cell.x_per_formula_unit, "1"),
        "temperature": to_json(run.temperature, "K"),
        "replica": to_json(run.replica, "1"),
        "key": run.outcome.key,
    }
    if isinstance(run.outcome, Failure):
        head["unavailable"] = run.outcome.reason
    if not isinstance(run.outcome, SimulatedRun | StoppedRun):
        return head
    path = folder / "trajectories" / f"{run_stem(run.cell.name, run.temperature, run.replica)}.trajectory"
    head |= {
        "steps": to_json(run.outcome.steps, "1"),
        "trajectory_file": str(linked(run.outcome.trajectory, path).relative_to(folder)),
    }
    if run.outcome.averages is not None:
        head["averages"] = to_json(run.outcome.averages)
    if run.gate is not None:
        head["gate"] = gate_record(run.gate)
    if isinstance(run.outcome, SimulatedRun) and run.outcome.drift is not None:
        head["drift"] = to_json(run.outcome.drift, "eV/atom/ps")
    return head


def run_stem(material: str, temperature: float, replica: int) -> str:
    """Return the stem of the files of a run: ``N-on-O-4-1000K``, of further replicas ``N-on-O-4-1000K-2``."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", material).strip("-")
    return f"{name}-{temperature:g}K" + (f"-{replica}" if replica > 1 else "")


def transport_stage_record(found: MaterialTransport, folder: Path) -> dict[str, Any]:
    """Return all analyses and laws as they stand in ``results.json``.

    Curves go to ``transport``, densities to ``volumetric``.
    """
    return {
        "mobile": found.mobile,
        "at": to_json(found.at, "K"),
        "runs": [_analysed(run, found.mobile, folder) for run in found.runs],
        "laws": [_law(law, found.at) for law in found.laws],
    }


def _analysed(run: TransportRun, mobile: str, folder: Path) -> dict[str, Any]:
    of = run.of
    head = {
        "material": of.material,
        "formula": of.formula,
        "x_per_formula_unit": to_json(of.x_per_formula_unit, "1"),
        "replica": to_json(of.replica, "1"),
        "asked_temperature": to_json(of.temperature, "K"),
        "key": run.outcome.key,
    }
    if isinstance(run.outcome, Failure):
        return {**head, "temperature": to_json(of.temperature, "K"), "unavailable": run.outcome.reason}
    stem = run_stem(of.material, of.temperature, of.replica)
    curves_file = linked(run.outcome.curves_file, folder / "transport" / f"{stem}.npz")
    files = {"curves_file": str(curves_file.relative_to(folder))}
    density = _cube(read_curves(curves_file), mobile, folder / "volumetric" / f"{stem}-{mobile}.cube")
    if density is not None:
        files["density_file"] = str(density.relative_to(folder))
    return {**head, **files, **with_units(run.outcome.record)}


def _cube(curves: Curves, species: str, path: Path) -> Path | None:
    density = density_of(curves, species)
    return None if density is None else write_cube(density, path, mean_host(curves))


def _law(found: MaterialLaw, at: float) -> dict[str, Any]:
    head = {
        "material": found.material,
        "formula": found.formula,
        "x_per_formula_unit": to_json(found.x_per_formula_unit, "1"),
    }
    if isinstance(found.law, Failure):
        return {**head, "unavailable": found.law.reason}
    record = {
        key.replace(f"_{at:g}K_", "_"): value for key, value in law_record(found.law, found.runs, at).items()
    }
    kelvin = [run.temperature for run in found.runs]
    columns = law_line(found.law, min(at, *kelvin), max(kelvin)).T
    names = (("temperature", "K"), ("D", "cm²/s"), ("low95", "cm²/s"), ("high95", "cm²/s"))
    line = {name: to_json(column, unit) for (name, unit), column in zip(names, columns, strict=True)}
    return {**head, **with_units(record), "line": line}


def with_units(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose keys tell units with every number beside its unit instead: D_cm2_per_s becomes D.

    The ends of an interval stand below its value: ``{"value": …, "low95": …, "high95": …}``.
    """
    named = {}
    for key, value in record.items():
        name, unit = _split(key, "1")
        named[name] = _valued(value, unit)
    for name in [name for name in named if f"{name}_{ENDS[0]}" in named]:
        named[name] = {"value": named[name], **{end: named.pop(f"{name}_{end}") for end in ENDS}}
    return named


def _split(key: str, inherited: str) -> tuple[str, str]:
    end = next((end for end in UNITS if key.endswith(end)), "")
    return key.removesuffix(end), UNITS.get(end, inherited)


def _valued(value: Any, unit: str) -> Any:
    if isinstance(value, Mapping):
        parts = {}
        for key, below in value.items():
            name, own = _split(key, unit)
            parts[name] = _valued(below, own)
        return parts
    if isinstance(value, list) and any(isinstance(one, str) for one in value):
        return value
    return to_json(np.array(value), unit) if isinstance(value, list) and value else to_json(value, unit)
