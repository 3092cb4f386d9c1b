"""The learned potential in ``results.json``: how it was taught, its errors, and what its gates say of runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.potential.errors_of_model import with_unknown
from ionscape.results import Failure, to_json
from ionscape.structures.exchange import replacing

if TYPE_CHECKING:
    from ionscape.potential.gate import GateResult
    from ionscape.study.learned import LearnedPotential

#: Ends of the names of errors, and the units they stand for.
_ERRORS = {"_meV_per_atom": "meV/atom", "_eV_per_A": "eV/Å", "_GPa": "GPa"}


def potential_record(found: LearnedPotential, folder: Path) -> dict[str, Any]:
    """Return the potential as it stands in ``results.json``; its files go to ``potential``."""
    record, identity = found.record, found.level.identity()
    return {
        "level": {name: identity[name] for name in ("model", "content_sha256", "name")},
        "teacher": found.teacher,
        "key": found.level.key,
        "dear_calls": to_json(record["dear_calls"], "1"),
        "taught": to_json(record["taught"], "1"),
        "held_out": to_json(record["held_out"], "1"),
        "inducing": {name: to_json(count, "1") for name, count in record["inducing"].items()},
        "errors": _with_units(with_unknown(record["errors"])),
        "noise": _with_units(record["noise"]),
        **({"calibration": _told(to_json(record["calibration"], "1"))} if "calibration" in record else {}),
        "stretches": [_stretch(one, found.materials) for one in record["stretches"]],
        "curve": {
            "time": to_json(np.array(record["curve"]["time_ps"]), "ps"),
            "dear_calls": to_json(np.array(record["curve"]["dear_calls"]), "1"),
        },
        **{
            name: str(linked(source, folder / "potential" / source.name).relative_to(folder))
            for name, source in (
                ("model_file", found.level.file),
                ("lessons_file", found.lessons_file),
                ("predictions_file", found.predictions_file),
            )
        },
    }


def _stretch(row: dict[str, Any], materials: tuple[str, ...]) -> dict[str, Any]:
    return {
        "material": materials[row["cell"]],
        "temperature": to_json(row["temperature_K"], "K"),
        "time": to_json(row["time_ps"], "ps"),
        "dear_calls": to_json(row["lessons"], "1"),
        **({"stopped": row["stopped"]} if row["stopped"] else {}),
    }


def _with_units(named: Mapping[str, float | Failure]) -> dict[str, Any]:
    found = {}
    for name, value in named.items():
        end = next((end for end in _ERRORS if name.endswith(end)), "")
        found[name.removesuffix(end)] = _told(to_json(value, _ERRORS.get(end, "1")))
    return found


def gate_record(gate: GateResult | Failure) -> dict[str, Any]:
    """Return what dear frames of a run say of the potential, or why it could not be judged."""
    if isinstance(gate, Failure):
        return {"unavailable": gate.reason}
    return {**_told(to_json(gate)), "passed": gate.passed}


def _told(node: Any) -> Any:
    """Return plain JSON in which every failure is ``{"unavailable": reason}``."""
    if not isinstance(node, dict):
        return node
    if node.keys() == {"reason", "key"}:
        return {"unavailable": node["reason"]}
    return {name: _told(value) for name, value in node.items()}


def linked(source: Path, target: Path) -> Path:
    """Let `target` be the file `source`, without a second copy where the file system allows it; return it."""
    if target.exists() and target.samefile(source):
        return target
    with replacing(target) as part:
        try:
            part.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, part)
    return target
