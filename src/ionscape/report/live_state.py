"""What the live view shows of a study that runs: its stages, its calculations, their energies as they come."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ionscape.dynamics.recording import read_header, recorded_scalars
from ionscape.errors import IonscapeError
from ionscape.study.told import read_told

#: Most points of a curve.
_POINTS = 240
#: A line of the log of a relaxation.
_STEP = re.compile(r"^step +(\d+) +E +(\S+) eV +fmax +(\S+) eV/A")


def live_state(folder: Path) -> dict[str, Any]:
    """Return stages, progress and curves of the study in `folder` as plain data.

    Whatever cannot be read at this moment, because a calculation has just ended or begun, is left out.
    """
    told = read_told(folder)
    run = _run_file(folder)
    stages = [
        {"name": name, "state": _state(name, record, told), "seconds": record.get("seconds", 0.0),
         "reason": record.get("reason", "")}
        for name, record in run.get("stages", {}).items()
    ]  # fmt: skip
    working = folder / str(run.get("store", "store")) / "working"
    found = (told or {}).get("running", {})
    running = [_calculation(working / key, one) for key, one in found.items() if (working / key).is_dir()]
    names = ("stage", "seconds", "seconds_left", "finished", "count")
    return {
        "runs": told is not None,
        "stages": stages,
        "running": running,
        "waiting": len(found) - len(running),
    } | {name: (told or {}).get(name) for name in names}


def _run_file(folder: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data


def _state(name: str, record: Mapping[str, Any], told: Mapping[str, Any] | None) -> str:
    state = str(record.get("state", ""))
    return "running" if state == "pending" and told and told.get("stage") == name else state


def _calculation(folder: Path, one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "curves": _relaxation(folder / "relaxation.log") or _dynamics(folder)}


def _relaxation(log: Path) -> list[dict[str, Any]]:
    """Return energy and largest force of a relaxation by step; nothing if there is no log."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    steps = [tuple(map(float, match.groups())) for match in map(_STEP.match, lines) if match]
    if not steps:
        return []
    number, energy, force = (list(column) for column in zip(*steps[-_POINTS:], strict=True))
    return [_curve("energy", "eV", "step", number, energy), _curve("largest force", "eV/Å", "step", number, force)]


def _dynamics(folder: Path) -> list[dict[str, Any]]:
    """Return energy and temperature of the trajectory that grows; nothing if there is none."""
    try:
        path = max(folder.rglob("*.trajectory"), key=lambda one: one.stat().st_mtime, default=None)
        if path is None:
            return []
        header, frames = read_header(path), recorded_scalars(path, _POINTS)
    except (IonscapeError, OSError):
        return []
    time = ((frames["frame"] + 1) * header.frame_interval / 1000).tolist()
    energy = (frames["energy"] / len(header.symbols)).tolist()
    label = f"{path.stem}, time (ps)"
    return [
        _curve("potential energy", "eV/atom", label, time, energy),
        _curve("temperature", "K", label, time, frames["temperature"].tolist()),
    ]


def _curve(name: str, unit: str, label: str, x: list[float], y: list[float]) -> dict[str, Any]:
    kept = [value if math.isfinite(value) else None for value in y]  # JSON has no infinities
    return {"name": name, "unit": unit, "label": label, "x": x, "y": kept}
