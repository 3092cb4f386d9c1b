"""Runs of molecular dynamics as stages ask for them and get them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

from ionscape.dynamics.averages import RunAverages
from ionscape.dynamics.settings import DynamicsSettings
from ionscape.results import Failure
from ionscape.units import Count, Number, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level

DriftRate = Annotated[float, Unit("eV/atom/ps")]
Milliseconds = Annotated[float, Unit("ms")]


@dataclass(frozen=True)
class RunRequest:
    """A run of molecular dynamics that is asked for: start, level of theory, settings."""

    structure: Structure
    level: Level
    settings: DynamicsSettings


@dataclass(frozen=True)
class SimulatedRun:
    """A run of molecular dynamics that came to its end.

    Attributes
    ----------
    trajectory, equilibration
        Frames of the production, and those before it (`recording`).
    structure
        The last structure, atoms in their unwrapped places.
    steps
        Steps in all, equilibration included.
    averages
        Over the frames of the production.
    drift
        Slope of the conserved energy over the production; None with Langevin forces, which conserve none.
    ms_per_step
        Mean time a step took, ms.
    key
        Key in the store.
    """

    trajectory: Path
    equilibration: Path
    structure: Structure
    steps: Count
    averages: RunAverages
    drift: DriftRate | None
    ms_per_step: Milliseconds
    key: str = ""


@dataclass(frozen=True)
class StoppedRun(Failure):
    """A run that a guard stopped (`reason` tells which, where and by what numbers); its frames are whole.

    Attributes
    ----------
    trajectory, equilibration
        Frames until then.
    steps
        Steps until then, equilibration included.
    averages
        Over the frames of the production; None if there are fewer than two.
    ms_per_step
        Mean time a step took, ms.
    """

    trajectory: Path = field(kw_only=True)
    equilibration: Path = field(kw_only=True)
    steps: Count = field(kw_only=True)
    averages: RunAverages | None = field(kw_only=True)
    ms_per_step: Number = field(kw_only=True)


class DynamicsLab(Protocol):
    """Where runs are asked for; finished ones come from the store, the rest from the engine, in parallel."""

    def simulate(self, requests: Sequence[RunRequest], *, together: bool = False) -> list[SimulatedRun | Failure]:
        """Carry out every run; one that was stopped is a `StoppedRun` in its place, one that broke a `Broken`.

        Those of one level are a batch if they are to run `together` (`batch`); else they run side by side.
        """
        ...
