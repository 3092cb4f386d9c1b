"""Energies of packaged phases at a level of theory: the files that hold them, and how to make more.

One JSON file a level. It tells the identity of the level (model, hash of the weights), the relaxation, the code
versions and the date, and for every phase the energy, what was left of force and stress, and the hash of the
structure facts it belongs to: an energy whose facts have changed since counts as missing.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from ionscape.levels.calculation import Lab, Relaxation, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.table import Phase
from ionscape.results import Failure
from ionscape.structures.exchange import replacing

#: Keys of a level's identity that do not change its energies.
INCIDENTAL = ("package", "reference")
UNITS = {
    "energy": "eV/atom",
    "volume": "Å³/atom",
    "cell": "Å, Å, Å, degree, degree, degree (the relaxed cell, conventional as in the table)",
    "fmax": "eV/Å (largest force on an atom)",
    "smax": "eV/Å³ (largest component of the stress)",
}
CODES = ("ionscape", "ase", "pymatgen", "numpy", "torch")


@dataclass(frozen=True)
class EnergyFile:
    """Content of one energies file.

    Attributes
    ----------
    level
        Identity of the level of theory.
    relaxation
        Settings of the relaxations.
    codes
        Versions of the codes that made it.
    date
        Day of the last entry, ISO 8601.
    entries
        By phase name: ``energy`` (eV/atom), ``volume`` (Å³/atom), ``cell`` (a, b, c in Å, α, β, γ in degrees),
        ``fmax``, ``smax``, ``steps``, ``facts`` (hash).
    failures
        By phase name: ``reason`` and ``facts`` of relaxations that gave no usable energy.
    """

    level: Mapping[str, Any]
    relaxation: Mapping[str, Any]
    codes: Mapping[str, str]
    date: str
    entries: Mapping[str, Mapping[str, Any]]
    failures: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path | Traversable, level: Level, settings: RelaxationSettings) -> EnergyFile:
        """Return the content of `path`; an empty one for `level` and `settings` if there is no such file."""
        if path.is_file():
            data = json.loads(path.read_text(encoding="utf-8"))
            data.pop("units")
            return cls(**data)
        return cls(level.identity(), settings.model_dump(), _codes(), "", {}, {})

    def write(self, path: Path) -> None:
        """Write the file whole and rename it into place."""
        data = {"units": UNITS, **self.__dict__}
        with replacing(path) as part:
            part.write_text(_one_line_per_entry(data), encoding="utf-8")

    def holds(self, phase: Phase) -> bool:
        """Return whether `phase`, with the facts it has now, was done (with or without success)."""
        done = self.entries.get(phase.name) or self.failures.get(phase.name)
        return done is not None and done["facts"] == phase.digest

    def energy(self, phase: Phase) -> float | None:
        """Return the energy of `phase` in eV/atom, None if there is none for its present facts."""
        entry = self.entries.get(phase.name)
        return float(entry["energy"]) if entry and entry["facts"] == phase.digest else None

    def adding(self, phase: Phase, outcome: Relaxation | Failure) -> EnergyFile:
        """Return a file with the `outcome` of relaxing `phase` added."""
        date = datetime.now(tz=UTC).date().isoformat()
        if isinstance(outcome, Failure):
            failure = {"reason": outcome.reason, "facts": phase.digest}
            return replace(self, date=date, failures={**self.failures, phase.name: failure})
        entry = {
            "energy": round(outcome.energy_per_atom, 6),
            "volume": round(outcome.structure.volume / len(outcome.structure), 5),
            "cell": _conventional_cell(phase, outcome.structure),
            "fmax": round(outcome.fmax, 5),
            "smax": round(outcome.smax, 6),
            "steps": outcome.steps,
            "facts": phase.digest,
        }
        failures = {name: told for name, told in self.failures.items() if name != phase.name}
        return replace(self, date=date, entries={**self.entries, phase.name: entry}, failures=failures)


def _conventional_cell(phase: Phase, relaxed: Structure) -> list[float]:
    """Return a, b, c (Å) and α, β, γ (degrees) of the conventional cell after its primitive cell was relaxed."""
    axes = phase.structure().lattice.matrix
    before = phase.structure(primitive=True).lattice.matrix
    in_primitive = np.round(axes @ np.linalg.inv(before))
    return [round(x, 4) for x in Lattice(in_primitive @ relaxed.lattice.matrix).parameters]


def _codes() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in CODES}


def _one_line_per_entry(data: Mapping[str, Any]) -> str:
    """JSON with one line per entry of the outer tables: changes read well in version control."""
    tables = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            lines = [f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
            tables.append(f" {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n }")
        else:
            tables.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(tables) + "\n}\n"


def packaged_energies(level: Level) -> EnergyFile | None:
    """Return the packaged energies of `level`, None if the package ships none."""
    wanted = _defining(level.identity())
    return next((file for file in _packaged() if _defining(file.level) == wanted), None)


@functools.cache
def _packaged() -> tuple[EnergyFile, ...]:
    folder = files("ionscape.phases") / "data" / "energies"
    found = sorted((path for path in folder.iterdir() if path.name.endswith(".json")), key=lambda path: path.name)
    unused = Level("packaged"), RelaxationSettings()
    return tuple(EnergyFile.read(path, *unused) for path in found)


def _defining(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity.items() if key not in INCIDENTAL}


def relax_phases(
    phases: Sequence[Phase], level: Level, lab: Lab, settings: RelaxationSettings
) -> dict[str, Relaxation | Failure]:
    """Return the relaxations of `phases` (from their tabulated, primitive cells) at `level`, by phase name.

    A relaxation that did not converge or broke is a `Failure` in its place.
    """
    outcomes = lab.relax([phase.structure(primitive=True) for phase in phases], level, settings)
    return {phase.name: outcome for phase, outcome in zip(phases, outcomes, strict=True)}


def relaxed_energies(outcomes: Mapping[str, Relaxation | Failure]) -> dict[str, float]:
    """Return the energies in eV/atom of the relaxations that succeeded, by phase name."""
    return {name: end.energy_per_atom for name, end in outcomes.items() if not isinstance(end, Failure)}


def known_energies(file: EnergyFile | None, phases: Iterable[Phase]) -> dict[str, float]:
    """Return the energies in eV/atom that `file` holds for `phases`, by phase name."""
    energies = {phase.name: file.energy(phase) for phase in phases} if file is not None else {}
    return {name: energy for name, energy in energies.items() if energy is not None}
