"""What stages ask for and what they get back: the settings and results of single points and relaxations.

A stage talks to a `Lab`; it never knows the store, the engine or the worker behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import Field

from ionscape.results import Failure
from ionscape.settings import Settings
from ionscape.units import Energy, EnergyPerAtom, Force, Stress, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level


class RelaxationSettings(Settings):
    """How structures are relaxed: what moves, with which optimiser, and when it counts as converged."""

    move: Literal["positions", "cell", "positions+cell"] = Field(
        "positions+cell", description="What is relaxed: atomic positions, the cell, or both."
    )
    optimizer: Literal["FIRE", "LBFGS"] = Field(
        "LBFGS", description="Optimiser of ASE: LBFGS (fewer steps) or FIRE (more robust from a bad start)."
    )
    fmax_eV_per_A: float = Field(
        0.01, gt=0, le=1, description="Largest force on an atom at convergence, eV/Å (the study: 0.01)."
    )
    smax_eV_per_A3: float = Field(
        0.0006,
        gt=0,
        le=0.1,
        description="Largest component of the stress at convergence, eV/Å³ (0.0006 ≈ 0.1 GPa); used when the "
        "cell moves.",
    )
    max_steps: int = Field(500, ge=1, le=100_000, description="Steps after which the relaxation is given up.")


@dataclass(frozen=True)
class SinglePoint:
    """Energy, largest force and largest stress component of one structure at one level."""

    structure: Structure
    energy: Energy
    energy_per_atom: EnergyPerAtom
    fmax: Force
    smax: Stress
    key: str


@dataclass(frozen=True)
class Relaxation:
    """A relaxed structure; `converged` tells whether both tolerances were met within the allowed steps."""

    structure: Structure
    energy: Energy
    energy_per_atom: EnergyPerAtom
    initial_energy: Energy
    fmax: Force
    smax: Stress
    steps: Annotated[int, Unit("1")]
    converged: bool
    key: str


@dataclass(frozen=True)
class Unconverged(Failure):
    """A relaxation given up before it met its tolerances; where it stood is kept.

    Attributes
    ----------
    relaxation
        The last structure and energy, with `converged` false.
    """

    relaxation: Relaxation = field(kw_only=True)


@dataclass(frozen=True)
class Broken(Failure):
    """A calculation that the machine, not the physics, ended: another try may succeed."""


class Lab(Protocol):
    """Where calculations are asked for; finished ones come from the store, the rest from the engine."""

    def relax(
        self, structures: Sequence[Structure], level: Level, settings: RelaxationSettings
    ) -> list[Relaxation | Failure]:
        """Relax every structure at `level`; results stand in the order of `structures`.

        A relaxation that broke is a `Broken` in its place, one that did not converge an `Unconverged`.
        """
        ...

    def evaluate(self, structures: Sequence[Structure], level: Level) -> list[SinglePoint | Failure]:
        """Return energy and largest force and stress of every structure at `level`, in order."""
        ...


__all__ = [
    "Broken",
    "Lab",
    "Relaxation",
    "RelaxationSettings",
    "SinglePoint",
    "Unconverged",
]
