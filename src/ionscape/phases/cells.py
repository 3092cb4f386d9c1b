"""Relaxed cells beside measured ones: the check of the phase table and of the level's structures."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Any

from ionscape.phases.energies import EnergyFile
from ionscape.phases.table import Lengths, Phase, phase_table
from ionscape.units import Number, Unit

#: Relative deviation of a lattice parameter above which a reason must be told.
TOLERANCE = 0.04
#: Why a relaxed cell may deviate, and what each word stands for.
KINDS = MappingProxyType(
    {
        "layered": "layers or chains held together by dispersion, which neither PBE nor the level has",
        "molecular": "a crystal of molecules held together by dispersion, which neither PBE nor the level has",
        "magnetic": "the size of the magnetic moment decides the volume, and the level gives another one",
        "average": "the measured cell is the average over disorder, defects or orientations of distortions",
        "framework": "an open framework of stiff polyhedra whose rotations cost little energy",
        "level": "an error of the level without a simpler reason",
    }
)


@dataclass(frozen=True)
class CellCheck:
    """Lattice parameters of a phase after relaxation, against measured or tabulated ones.

    Attributes
    ----------
    phase
        Name in the phase table.
    measured
        Whether `expected` was measured; else it is the tabulated (DFT) cell.
    expected
        a, b, c that the relaxed cell is compared with, Å.
    relaxed
        a, b, c after relaxation at the level, Å.
    deviations
        Relative deviations of a, b, c.
    kind
        One of `KINDS` where a reason is known, else empty.
    reason
        Why it deviates, for this phase.
    """

    phase: str
    measured: bool
    expected: Lengths
    relaxed: Lengths
    deviations: Annotated[tuple[float, float, float], Unit("1")]
    kind: str
    reason: str

    @property
    def largest(self) -> Number:
        """The deviation of largest size, with its sign."""
        return max(self.deviations, key=abs)

    @property
    def explained(self) -> bool:
        """Whether the deviation is small or has a reason."""
        return abs(self.largest) <= TOLERANCE or bool(self.kind)


@functools.cache
def measured_lengths() -> Mapping[str, Lengths]:
    """Return the measured a, b, c in Å by phase name, where they are known; recalled values, see the data file."""
    found = {name: tuple(lengths) for name, lengths in _data("measured_lengths.toml").items()}
    started = {phase.name: phase.measured_lengths for phase in phase_table().values() if phase.measured_lengths}
    return MappingProxyType(found | started)


def cell_checks(file: EnergyFile) -> list[CellCheck]:
    """Return the check of every crystalline phase whose relaxed cell `file` holds, in the order of the table."""
    crystals = [phase for phase in phase_table().values() if phase.role != "reference"]
    return [_check(phase, file.entries[phase.name]["cell"]) for phase in crystals if _has_cell(phase, file)]


def _has_cell(phase: Phase, file: EnergyFile) -> bool:
    return file.energy(phase) is not None and "cell" in file.entries[phase.name]


def _check(phase: Phase, cell: list[float]) -> CellCheck:
    expected = measured_lengths().get(phase.name, phase.lengths)
    relaxed = (cell[0], cell[1], cell[2])
    told = _data("deviations.toml").get(phase.name, {"kind": "", "reason": ""})
    a, b, c = (x / y - 1 for x, y in zip(relaxed, expected, strict=True))
    measured = phase.name in measured_lengths()
    return CellCheck(phase.name, measured, expected, relaxed, (a, b, c), told["kind"], told["reason"])


def explained_deviations() -> Mapping[str, Mapping[str, str]]:
    """Return the kind and reason of deviations by phase name."""
    return MappingProxyType(_data("deviations.toml"))


def magnetic_orders() -> Mapping[str, Mapping[str, str]]:
    """Return the known magnetic ground states by phase name: ``order`` and ``source``."""
    return MappingProxyType(_data("magnetism.toml"))


@functools.cache
def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((files("ionscape.phases") / "data" / name).read_text(encoding="utf-8"))
