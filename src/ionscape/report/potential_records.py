"""What the report shows of a learned potential and of the gates of runs: records, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ionscape.report.quantity import Quantity
from ionscape.report.typography import converted
from ionscape.report.values import known, plain, quantity

#: Numbers of a gate: title, name, unit in which it is shown, factor to it.
_GATE = {
    "energy_mae": "meV/atom",
    "force_mae": "eV/Å",
    "stress_mae": "GPa",
    "force_r2": "1",
    "softening": "1",
    "energy_shift": "meV/atom",
}
_STORED = {"meV/atom": ("eV/atom", 1000.0), "GPa": ("eV/Å³", 160.2176634)}


@dataclass(frozen=True)
class Gate:
    """What dear frames of a run say of the potential that made it.

    Attributes
    ----------
    frames
        Frames that were compared; None if it could not be judged.
    numbers
        Those that are known of the errors, by name: energy_mae and energy_shift (meV/atom), force_mae (eV/Å),
        stress_mae (GPa), force_r2, softening.
    coverage, rank_correlation
        Of the predicted uncertainty: part of the errors within two standard deviations, and Spearman's.
    passed
        Whether all limits are kept.
    reason
        Which are not, or why there is no verdict; empty if it passed.
    unjudged
        What it passed without, since nothing could be compared, and why.
    """

    frames: int | None
    numbers: Mapping[str, float]
    coverage: float | None
    rank_correlation: float | None
    passed: bool
    reason: str
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stretch:
    """A run that taught: material, temperature (K), time (ps), dear calls until its end, why it ended early."""

    material: str
    temperature_K: float
    time: Quantity
    dear_calls: int
    stopped: str


@dataclass(frozen=True)
class PotentialRecord:
    """The potential that a study learned.

    Attributes
    ----------
    teacher
        Level that taught it.
    dear_calls, taught, held_out
        Labelled frames in all, those of the last fit, and those that test it.
    inducing
        Inducing environments of every element.
    errors
        Errors on the frames that were held out, by name.
    coverage, rank_correlation
        Of its uncertainty there; None where no frames were held out, or where there is none.
    stretches
        Runs that taught it, in their order.
    curve
        Time explored (ps) and dear calls until then.
    model_file, lessons_file, predictions_file, key
        Its files, and its key in the store.
    """

    teacher: str
    dear_calls: int
    taught: int
    held_out: int
    inducing: Mapping[str, int]
    errors: Mapping[str, Quantity]
    coverage: float | None
    rank_correlation: float | None
    stretches: tuple[Stretch, ...]
    curve: tuple[tuple[float, ...], tuple[float, ...]]
    model_file: str
    lessons_file: str
    predictions_file: str
    key: str


def potential_record(node: Mapping[str, Any]) -> PotentialRecord | None:
    """Return the stage of the learned potential; None if it was not run.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing or is no number.
    """
    if not node:
        return None
    quality = node.get("calibration") or {}
    return PotentialRecord(
        teacher=str(node["teacher"]),
        dear_calls=int(plain(node["dear_calls"])),
        taught=int(plain(node["taught"])),
        held_out=int(plain(node["held_out"])),
        inducing={str(name): int(plain(count)) for name, count in node["inducing"].items()},
        errors={str(name): quantity(value) for name, value in node["errors"].items() if _is_known(value)},
        coverage=_number(quality.get("coverage_two")),
        rank_correlation=_number(quality.get("rank_correlation")),
        stretches=tuple(map(_stretch, node["stretches"])),
        curve=(
            tuple(map(float, plain(node["curve"]["time"]))),
            tuple(map(float, plain(node["curve"]["dear_calls"]))),
        ),
        model_file=str(node.get("model_file") or ""),
        lessons_file=str(node.get("lessons_file") or ""),
        predictions_file=str(node.get("predictions_file") or ""),
        key=str(node.get("key") or ""),
    )


def _stretch(node: Mapping[str, Any]) -> Stretch:
    return Stretch(
        material=str(node["material"]),
        temperature_K=converted(quantity(node["temperature"], "K"), "K"),
        time=quantity(node["time"], "ps"),
        dear_calls=int(plain(node["dear_calls"])),
        stopped=str(node.get("stopped") or ""),
    )


def gate(node: Mapping[str, Any] | None) -> Gate | None:
    """Return the gate of a run; None if it was not judged."""
    if not node:
        return None
    if "unavailable" in node:
        return Gate(None, {}, None, None, passed=False, reason=f"not judged: {node['unavailable']}")
    quality = node.get("calibration") or {}
    return Gate(
        frames=int(plain(node["frames"])),
        numbers={
            name: _shown(node[name], unit)
            for name, unit in _GATE.items()
            if name in node and _is_known(node[name])
        },
        coverage=_number(quality.get("coverage_two")),
        rank_correlation=_number(quality.get("rank_correlation")),
        passed=bool(node["passed"]),
        reason="; ".join(map(str, node.get("failures") or ())),
        unjudged=tuple(map(str, node.get("unjudged") or ())),
    )


def _shown(node: Any, unit: str) -> float:
    stored, factor = _STORED.get(unit, (unit, 1.0))
    found = quantity(node, stored)
    if found.unit != stored:
        message = f"{found.unit} where {stored} is expected"
        raise ValueError(message)
    return factor * found.value


def _is_known(node: Any) -> bool:
    return not (isinstance(node, Mapping) and "unavailable" in node)


def _number(node: Any) -> float | None:
    found = known(node) if _is_known(node) else None
    return None if found is None else found.value
