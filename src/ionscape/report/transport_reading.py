"""Molecular dynamics and ion transport out of ``results.json``, as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ionscape.report.potential_records import gate
from ionscape.report.transport_records import (
    AnalysedRun,
    DynamicsRecord,
    DynamicsRun,
    Estimate,
    Law,
    RunHead,
    TransportRecord,
)
from ionscape.report.typography import converted
from ionscape.report.values import known, plain, quantity

#: Numbers of an analysis, and their units.
QUANTITIES = {
    "D": "cm²/s",
    "sigma": "S/cm",
    "sigma_collective": "S/cm",
    "haven_ratio": "1",
    "tau1": "ps",
    "tau2": "ps",
    "xi": "Å",
    "residence_time": "ps",
    "d1": "Å",
    "d2": "Å",
    "edge": "Å",
}
_AVERAGES = {"temperature": "K", "pressure": "eV/Å³", "volume": "Å³", "energy": "eV"}
_LINE = {"temperature": "K", "D": "cm²/s", "low95": "cm²/s", "high95": "cm²/s"}


def dynamics_record(node: Mapping[str, Any]) -> DynamicsRecord | None:
    """Return the stage of molecular dynamics; None if it was not run.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing, is no number or has another unit; as the other functions here.
    """
    if not node:
        return None
    return DynamicsRecord(str(node["level"]), str(node.get("ensemble") or ""), tuple(map(_run, node["runs"])))


def transport_record(node: Mapping[str, Any]) -> TransportRecord | None:
    """Return the stage of ion transport; None if it was not run."""
    if not node:
        return None
    at = converted(quantity(node["at"], "K"), "K")
    runs, laws = tuple(map(_analysed, node["runs"])), tuple(map(_law, node["laws"]))
    return TransportRecord(str(node["mobile"]), at, runs, laws)


def _head(node: Mapping[str, Any]) -> RunHead:
    return RunHead(
        material=str(node["material"]),
        formula=str(node["formula"]),
        x_per_formula_unit=float(plain(node["x_per_formula_unit"])),
        temperature_K=converted(quantity(node["temperature"], "K"), "K"),
        replica=int(plain(node["replica"])),
    )


def _run(node: Mapping[str, Any]) -> DynamicsRun:
    averages = node.get("averages") or {}
    steps = node.get("steps")
    return DynamicsRun(
        head=_head(node),
        steps=None if steps is None else int(plain(steps)),
        averages={
            name: (quantity(averages[name], unit), quantity(averages[f"{name}_error"], unit))
            for name, unit in _AVERAGES.items()
            if name in averages
        },
        drift=known(node.get("drift"), "eV/atom/ps"),
        unavailable=str(node.get("unavailable") or ""),
        trajectory_file=str(node.get("trajectory_file") or ""),
        key=str(node.get("key") or ""),
        gate=gate(node.get("gate")),
    )


def _analysed(node: Mapping[str, Any]) -> AnalysedRun:
    reason = str(node.get("unavailable") or "")
    found = {
        name: _estimate(node[name], unit, node.get(f"{name}_upper_bound"))
        for name, unit in QUANTITIES.items()
        if name in node
    }
    return AnalysedRun(
        head=_head(node),
        estimates=found or {name: Estimate(reason=reason) for name in QUANTITIES},
        host=_host(node.get("host") or {}),
        barriers=_barriers(node.get("percolation") or {}),
        run_time=known(node.get("run_time"), "ps"),
        notes=tuple(map(str, node.get("warnings") or ())),
        unavailable=reason,
        curves_file=str(node.get("curves_file") or ""),
        density_file=str(node.get("density_file") or ""),
        key=str(node.get("key") or ""),
    )


def _estimate(node: Any, unit: str, bound: Any = None) -> Estimate:
    """Return a number (with its interval, if it has one), or the reason why there is none."""
    if "unavailable" in node:
        return Estimate(reason=str(node["unavailable"]), bound=known(bound, unit))
    if isinstance(node["value"], Mapping):
        low, high = (known(node.get(end), unit) for end in ("low95", "high95"))
        return Estimate(quantity(node["value"], unit), low, high)
    return Estimate(quantity(node, unit))


def _host(node: Mapping[str, Any]) -> dict[str, str]:
    words = {True: "flat", False: "moves"}
    if "unavailable" in node:
        return {}
    return {str(name): words.get(found.get("is_flat"), "not known") for name, found in node.items()}


def _barriers(node: Mapping[str, Any]) -> dict[str, Estimate]:
    if "unavailable" in node:
        return {}
    return {str(axis): _estimate(found["barrier"], "eV") for axis, found in node.items()}


def _law(node: Mapping[str, Any]) -> Law:
    reason = {"unavailable": node["unavailable"]} if "unavailable" in node else None
    energy, sigma, diffusion = (
        _estimate(reason or node[name], unit) for name, unit in (("Ea", "eV"), ("sigma", "S/cm"), ("D", "cm²/s"))
    )
    line = node.get("line") or {}
    columns = [[float(x) for x in plain(line[name])] for name in _LINE] if line else []
    return Law(
        material=str(node["material"]),
        formula=str(node["formula"]),
        x_per_formula_unit=float(plain(node["x_per_formula_unit"])),
        activation_energy=energy,
        conductivity=sigma,
        diffusion=diffusion,
        temperatures_K=tuple(map(float, plain(node["temperatures"]))) if "temperatures" in node else (),
        curved=bool(node.get("is_curved", False)),
        line=tuple(zip(*columns, strict=True)),
    )
