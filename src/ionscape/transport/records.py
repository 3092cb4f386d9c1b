"""What a transport analysis hands on as JSON: numbers with their units in the keys, and back again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ionscape.errors import InputError
from ionscape.files import Wanted, json_of
from ionscape.results import Failure, frozen
from ionscape.transport.conductivity import CM2_PER_S_PER_A2_PER_FS, ConductivityBound
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.result import TransportResult, in_cm2_per_s
from ionscape.units import Temperature, Unit

FILE = "transport.json"
_REMEDY = "Give files that `ionscape transport --out` or `--json` wrote, or folders that hold transport.json."
RESULTS = Wanted("JSON", "results of `ionscape transport`", _REMEDY)
#: Numbers of a record that are read again where it has them, each at least 0.
_COUNTS = ("run_time_ps", "needed_ps", "diffusive_from_ps", "group_size", "hops_per_ion", "n_ions", "n_frames")


def transport_record(result: TransportResult) -> dict[str, Any]:
    """Return a result as plain JSON; what could not be had is ``{"unavailable": reason}``."""
    run = result.run
    return {
        "mobile": run.mobile,
        "temperature_K": _told(run.temperature),
        "n_frames": run.n_frames,
        "n_ions": run.counts[run.mobile],
        "atoms": dict(run.counts),
        "frame_interval_fs": run.frame_interval,
        "run_time_ps": run.run_time / 1000,
        "charge_e": run.charge,
        "volume_A3": run.volume,
        "squared_charge_density_e2_per_A3": run.squared_charge_density,
        **_diffusion(result),
        **_conductivity(result),
        **_host(result),
        **_space_time(result),
        **_paths(result),
        **_channels(result),
        "strides": dict(run.strides),
        "warnings": list(run.notes),
    }


def _told(number: Any, factor: float = 1.0) -> Any:
    return {"unavailable": number.reason} if hasattr(number, "reason") else factor * number


def _estimate(found: Any, factor: float = 1.0) -> dict[str, Any]:
    """Return value and interval, in whichever words the estimate has them."""
    if hasattr(found, "reason"):
        return {"unavailable": found.reason}
    low, high = (getattr(found, f"{end}95" if hasattr(found, "low95") else end) for end in ("low", "high"))
    return {"value": factor * found.value, "low95": factor * low, "high95": factor * high}


def _number(name: str, unit: str, found: Any, factor: float = 1.0) -> dict[str, Any]:
    """Return a number under its name, and the ends of its interval beside it."""
    key = f"{name}_{unit}" if unit else name
    if hasattr(found, "reason"):
        return {key: {"unavailable": found.reason}}
    told = _estimate(found, factor)
    ends = {f"{name}_{end}{f'_{unit}' if unit else ''}": told[end] for end in ("low95", "high95")}
    return {key: told["value"], **ends}


def _diffusion(result: TransportResult) -> dict[str, Any]:
    found, told = result.diffusion, {"is_diffusive": _is_diffusive(result.diffusion)}
    told |= {"D_cm2_per_s": _estimate(found, CM2_PER_S_PER_A2_PER_FS)}
    if isinstance(found, NotDiffusive):
        bound = in_cm2_per_s(found.upper_bound)
        return told | {"D_upper_bound_cm2_per_s": bound, "needed_ps": found.needed / 1000}
    if isinstance(found, Failure):
        return told
    values, vectors = np.linalg.eigh(found.tensor)
    return told | {
        "D_tensor_cm2_per_s": (found.tensor * CM2_PER_S_PER_A2_PER_FS).tolist(),
        "D_principal_cm2_per_s": (values[::-1] * CM2_PER_S_PER_A2_PER_FS).tolist(),
        "D_principal_axes": vectors.T[::-1].tolist(),
        "diffusive_from_ps": found.begins_at / 1000,
        "group_size": found.group_size,
        "hops_per_ion": found.hops_per_ion,
    }


def _is_diffusive(found: Diffusion | NotDiffusive | Failure) -> Any:
    return _told(found) if isinstance(found, Failure) else isinstance(found, Diffusion)


def _conductivity(result: TransportResult) -> dict[str, Any]:
    told: dict[str, Any] = {}
    pairs = (
        ("sigma", result.conductivity, result.diffusion),
        ("sigma_collective", result.collective_conductivity, result.collective),
    )
    for name, found, source in pairs:
        if isinstance(found, ConductivityBound):
            why = source.reason if isinstance(source, NotDiffusive) else "the run is not diffusive"
            told[f"{name}_S_per_cm"] = {"unavailable": why}
            told[f"{name}_upper_bound_S_per_cm"] = found.upper_bound
        else:
            told[f"{name}_S_per_cm"] = _estimate(found)
    together = {"D_collective_cm2_per_s": _estimate(result.collective, CM2_PER_S_PER_A2_PER_FS)}
    return told | together | _number("haven_ratio", "", result.haven)


def _host(result: TransportResult) -> dict[str, Any]:
    if isinstance(result.host, Failure):
        return {"host": _told(result.host), "host_is_flat": _told(result.host)}
    told: dict[str, Any] = {}
    for name, found in result.host.mobility.items():
        if isinstance(found, Failure):
            told[name] = {"unavailable": found.reason}
            continue
        key = "D_upper_bound_cm2_per_s" if found.is_flat else "D_cm2_per_s"
        told[name] = {"is_flat": found.is_flat, key: in_cm2_per_s(found.diffusivity)}
    known = [one["is_flat"] for one in told.values() if "is_flat" in one]
    flat = all(known) if len(known) == len(told) else {"unavailable": "not all elements of the host can be judged"}
    return {"host": told, "host_is_flat": False if False in known else flat}


def _space_time(result: TransportResult) -> dict[str, Any]:
    found = result.space_time
    names = ("first_jump", "concerted_onset", "correlation_length")
    first, onset, length = ((found if isinstance(found, Failure) else getattr(found, name)) for name in names)
    told = _number("tau1", "ps", first, 1e-3) | _number("tau2", "ps", onset, 1e-3)
    band = getattr(first, "band", None)
    return told | _number("xi", "A", length) | ({"first_jump_A": band.peak} if band else {})


def _paths(result: TransportResult) -> dict[str, Any]:
    told: dict[str, Any] = {"percolation": _percolation(result)}
    hopping = result.hopping
    if isinstance(hopping, Failure):
        names = ("n_sites", "n_jumps", "residence_time_ps", "D_hop_cm2_per_s", "correlation_factor")
        return told | dict.fromkeys(names, _told(hopping))
    hop = hopping.diffusion
    return told | {
        "n_sites": len(hopping.jumps.sites.fractional),
        "n_jumps": hopping.jumps.total,
        "residence_time_ps": _estimate(hopping.residence, 1e-3),
        "D_hop_cm2_per_s": _estimate(hop),
        "mean_cosine": _told(hop if isinstance(hop, Failure) else hop.mean_cosine),
        "correlation_factor": _estimate(hopping.correlation),
    }


def _percolation(result: TransportResult) -> dict[str, Any]:
    if isinstance(result.percolation, Failure):
        return {"unavailable": result.percolation.reason}
    told: dict[str, Any] = {}
    for axis, found in result.percolation.items():
        if isinstance(found, Failure):
            told[axis] = {"connected": False, "barrier_eV": {"unavailable": found.reason}}
            continue
        told[axis] = {
            "connected": True,
            "level": found.level,
            "barrier_eV": found.barrier,
            "barrier_spread_eV": _told(found.spread),
            "visits": found.visits,
        }
    return told


def _channels(result: TransportResult) -> dict[str, Any]:
    told: dict[str, Any] = {}
    found = result.channels
    free, included = (found, found) if isinstance(found, Failure) else (found.free, found.included)
    for name, series in (("d1", free), ("d2", included)):
        told[f"{name}_A"] = _told(series) if isinstance(series, Failure) else series.mean
        if not isinstance(series, Failure):
            told |= {f"{name}_error_A": series.error, f"{name}_deviation_A": series.deviation}
    if not isinstance(found, Failure):
        told["radii_A"] = dict(found.radii)
    edges = result.edges
    return told | {"edge_A": _told(edges) if isinstance(edges, Failure) else edges.average.mean}


@dataclass(frozen=True)
class StoredRun:
    """One run as `arrhenius` needs it.

    Attributes
    ----------
    source
        File it was read from.
    temperature
        Of the run, K.
    outcome
        Diffusion coefficient or its bound.
    squared_charge_density
        Σ z²/V of the mobile ions, or why it is not known.
    """

    source: str
    temperature: Temperature
    outcome: Diffusion | NotDiffusive
    squared_charge_density: Annotated[float, Unit("e²/Å³")] | Failure


def read_runs(paths: Iterable[str | Path]) -> tuple[list[StoredRun], dict[str, str]]:
    """Return the runs in files or folders, and those that cannot be used with the reason.

    Raises
    ------
    InputError
        If a file is missing or not what `ionscape transport` writes.
    """
    runs: list[StoredRun] = []
    left_out: dict[str, str] = {}
    for path in paths:
        for source, record in _records(Path(path)):
            found = _stored(source, record)
            if isinstance(found, Failure):
                left_out[source] = found.reason
            else:
                runs.append(found)
    return runs, left_out


def _records(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    file = path / FILE if path.is_dir() else path
    data = json_of(file, RESULTS)
    several = data if isinstance(data, list) else [data]
    for record in several:
        if not isinstance(record, dict) or not {"temperature_K", "D_cm2_per_s"} <= record.keys():
            raise InputError(
                "no keys temperature_K and D_cm2_per_s",
                where=str(file),
                expected="results of `ionscape transport`",
                remedy=_REMEDY,
            )
    return [(f"{file}[{k}]" if len(several) > 1 else str(file), record) for k, record in enumerate(several)]


def _stored(source: str, record: Mapping[str, Any]) -> StoredRun | Failure:
    _check_record(source, record)
    kelvin, found = record["temperature_K"], record["D_cm2_per_s"]
    if not _positive(kelvin):
        return Failure("its temperature is not known: analyse it again with --temperature-K")
    time = record.get("run_time_ps", 0.0) * 1000
    outcome: Diffusion | NotDiffusive
    if isinstance(found, dict) and all(_positive(found.get(key)) for key in ("value", "low95", "high95")):
        value, low, high = (found[key] / CM2_PER_S_PER_A2_PER_FS for key in ("value", "low95", "high95"))
        outcome = _diffusion_of(value, (low, high), record, time)
    elif _positive(record.get("D_upper_bound_cm2_per_s")):
        bound = record["D_upper_bound_cm2_per_s"] / CM2_PER_S_PER_A2_PER_FS
        reason = found.get("unavailable", "not diffusive") if isinstance(found, dict) else "not diffusive"
        outcome = NotDiffusive(bound, reason, record.get("needed_ps", 0.0) * 1000, time)
    else:
        return Failure(_why(found))
    density = record.get("squared_charge_density_e2_per_A3")
    known = float(density or 0) if _positive(density) else Failure("the density of the mobile ions is not known")
    return StoredRun(source, float(kelvin), outcome, known)


def _check_record(source: str, record: Mapping[str, Any]) -> None:
    """Raise `InputError` if a number that is read from a record is none, or D lies outside its own interval."""
    for key in _COUNTS:
        if key in record and not (_positive(record[key]) or record[key] == 0):
            raise _altered(f"{key} = {record[key]!r}", source, "a number of at least 0")
    density = record.get("squared_charge_density_e2_per_A3")
    if not isinstance(density, int | float | dict | None):
        raise _altered(f"squared_charge_density_e2_per_A3 = {density!r}", source, "a number of e²/Å³")
    found, tensor = record["D_cm2_per_s"], record.get("D_tensor_cm2_per_s")
    if isinstance(found, dict) and all(_positive(found.get(key)) for key in ("value", "low95", "high95")):
        if not found["low95"] <= found["value"] <= found["high95"]:
            raise _altered("a value outside its own interval", f"{source}, D_cm2_per_s", "low95 ≤ value ≤ high95")
    elif not isinstance(found, dict | None):
        raise _altered(f"D_cm2_per_s = {found!r}", source, "value, low95 and high95, each above 0")
    if tensor is not None and not _is_tensor(tensor):
        raise _altered("D_tensor_cm2_per_s is no tensor", source, "three rows of three numbers")


def _is_tensor(tensor: Any) -> bool:
    rows = isinstance(tensor, list) and all(isinstance(row, list) for row in tensor)
    if not rows or [len(row) for row in tensor] != [3, 3, 3]:
        return False
    return all(isinstance(x, int | float) and math.isfinite(x) for row in tensor for x in row)


def _altered(found: str, source: str, expected: str) -> InputError:
    return InputError(found[:200], where=source, expected=expected, remedy=_REMEDY)


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _why(found: Any) -> str:
    reason = found.get("unavailable") if isinstance(found, dict) else None
    return str(reason or "neither a diffusion coefficient nor a bound of it")


def _diffusion_of(value: float, ends: tuple[float, float], record: Mapping[str, Any], time: float) -> Diffusion:
    tensor = record.get("D_tensor_cm2_per_s")
    known = np.eye(3) * value if tensor is None else np.array(tensor, dtype=float) / CM2_PER_S_PER_A2_PER_FS
    return Diffusion(
        value=value,
        low95=ends[0],
        high95=ends[1],
        begins_at=record.get("diffusive_from_ps", 0.0) * 1000,
        tensor=frozen(known),
        group_size=record.get("group_size", 1.0),
        hops_per_ion=record.get("hops_per_ion", 1.0),
        n_ions=int(record.get("n_ions", 1)),
        n_frames=int(record.get("n_frames", 1)),
        run_time=time,
    )
