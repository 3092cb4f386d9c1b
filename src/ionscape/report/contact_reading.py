"""Mutual reactions and electrochemical windows out of ``results.json``, as the results that were written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ionscape.report.typography import converted
from ionscape.report.values import quantity
from ionscape.results import Failure
from ionscape.stability.contact import ContactMatrix, Ends, EnergyInterval, MutualReaction, ReactionPoint
from ionscape.stability.window import ElectrochemicalWindow, Plateau, VoltageLimit


def contact_matrix(node: Mapping[str, Any]) -> ContactMatrix:
    """Return the matrix that `ionscape.results.to_json` wrote as `node`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing, is no number, has another unit, or a reaction has no row or column.
    """
    cathodes, phases = tuple(map(str, node["cathodes"])), tuple(map(str, node["phases"]))
    reactions = tuple(map(_mutual_reaction, node["reactions"]))
    if [(r.cathode, r.phase) for r in reactions] != [(c, p) for c in cathodes for p in phases]:
        message = f"{len(reactions)} reactions are not those of {len(cathodes)} cathodes with {len(phases)} phases"
        raise ValueError(message)
    ends: Ends = node["ends"]
    if ends not in get_args(Ends):
        message = f"ends {ends!r}"
        raise ValueError(message)
    return ContactMatrix(
        cathodes=cathodes,
        phases=phases,
        reactions=reactions,
        level=str(node["level"]),
        ends=ends,
        mobile=str(node.get("mobile") or ""),
        voltage=_known(node.get("voltage"), "V"),
        heights={str(name): _number(height, "eV/atom") for name, height in (node.get("heights") or {}).items()},
        on_hull=tuple(map(str, node.get("on_hull") or ())),
        excluded={str(name): str(reason) for name, reason in (node.get("excluded") or {}).items()},
        conditions=str(node.get("conditions") or ""),
        no_intervals=str(node.get("no_intervals") or ""),
    )


def electrochemical_window(node: Mapping[str, Any]) -> ElectrochemicalWindow:
    """Return the window that `ionscape.results.to_json` wrote as `node`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing, is no number or has another unit.
    """
    height = node["decomposition_energy"]
    return ElectrochemicalWindow(
        formula=str(node["formula"]),
        mobile=str(node["mobile"]),
        reduction=_limit(node["reduction"]),
        oxidation=_limit(node["oxidation"]),
        decomposition_energy=_failure(height) or _number(height, "eV/atom"),
        profile=tuple(map(_plateau, node["profile"])),
        level=str(node["level"]),
    )


def _number(node: Any, unit: str) -> float:
    return converted(quantity(node, unit), unit)


def _known(node: Any, unit: str) -> float | None:
    return None if node is None else _number(node, unit)


def _failure(node: Any) -> Failure | None:
    if isinstance(node, Mapping) and "reason" in node:
        return Failure(str(node["reason"]), str(node.get("key") or ""))
    return None


def _mutual_reaction(node: Mapping[str, Any]) -> MutualReaction:
    interval = node.get("interval")
    return MutualReaction(
        cathode=str(node["cathode"]),
        phase=str(node["phase"]),
        strongest=_point(node["strongest"]),
        profile=tuple(map(_point, node["profile"])),
        interval=None
        if interval is None
        else EnergyInterval(_number(interval["low95"], "eV/atom"), _number(interval["high95"], "eV/atom")),
    )


def _point(node: Mapping[str, Any]) -> ReactionPoint:
    return ReactionPoint(
        x=_number(node["x"], "1"),
        energy=_number(node["energy"], "eV/atom"),
        reaction=str(node["reaction"]),
        products=_amounts(node["products"]),
    )


def _amounts(node: Mapping[str, Any]) -> dict[str, float]:
    return {str(formula): _number(amount, "1") for formula, amount in node.items()}


def _limit(node: Mapping[str, Any]) -> VoltageLimit | Failure:
    return _failure(node) or VoltageLimit(
        voltage=_number(node["voltage"], "V"),
        reaction=str(node["reaction"]),
        low95=_known(node.get("low95"), "V"),
        high95=_known(node.get("high95"), "V"),
    )


def _plateau(node: Mapping[str, Any]) -> Plateau:
    return Plateau(
        voltage=_number(node["voltage"], "V"),
        mobile_from=_number(node["mobile_from"], "1"),
        mobile_to=_number(node["mobile_to"], "1"),
        oxidised=_amounts(node["oxidised"]),
        reduced=_amounts(node["reduced"]),
        reaction=str(node["reaction"]),
    )
