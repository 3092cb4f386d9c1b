"""How a potential for the materials of a study is taught: at which temperatures, for how long, by which rules."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ionscape.dynamics.settings import DynamicsPlan, DynamicsSettings, Kelvin
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.settings import TrainingSettings
from ionscape.settings import Settings
from ionscape.units import Count

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Part of a stretch that counts as its equilibration: its first half is moved by Langevin forces.
_EQUILIBRATION = 0.2
#: Frames of a stretch that are recorded, for whoever watches.
_FRAMES = 100


class LearningPlan(Settings):
    """One potential for all materials of [dynamics], learned on the fly from a dearer level."""

    temperatures_K: Annotated[tuple[Kelvin, ...] | None, Field(strict=False)] = Field(
        None, description="Temperatures at which every material is explored, K; those of [dynamics] without it."
    )
    exploration_ps: float = Field(
        5.0, gt=0, description="Time that every material is explored at each temperature, ps."
    )
    learning: LearningSettings = Field(
        default_factory=LearningSettings, description="When the dear level is asked, and how the potential grows."
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="The last fit, to all that was taught."
    )


@dataclass(frozen=True)
class Stretch:
    """A run that teaches.

    Attributes
    ----------
    cell
        Index of the material.
    settings
        Of the run.
    """

    cell: Count
    settings: DynamicsSettings


def stretches_of(
    cells: Sequence[Structure], plan: LearningPlan, dynamics: DynamicsPlan, seed: int
) -> tuple[Stretch, ...]:
    """Return the runs that teach: the hottest first, at each temperature the cells with most elements first.

    Ensemble, pressure, time step, time constants and guards are those of `dynamics`.
    """
    kelvins = sorted(plan.temperatures_K or dynamics.temperatures_K, reverse=True)
    richest = sorted(range(len(cells)), key=lambda index: -len(cells[index].composition.elements))
    return tuple(
        Stretch(cell, _settings(plan, dynamics, kelvin, zlib.crc32(f"{seed}/{cell}/{kelvin:g}".encode())))
        for kelvin in kelvins
        for cell in richest
    )


def _settings(plan: LearningPlan, dynamics: DynamicsPlan, temperature: float, seed: int) -> DynamicsSettings:
    whole, step = plan.exploration_ps, dynamics.timestep_fs
    interval = step * max(1, round(1000 * whole / _FRAMES / step))
    production = max((1 - _EQUILIBRATION) * whole, 0.002 * interval)
    changes = {
        "frame_interval_fs": interval,
        "equilibration_ps": _EQUILIBRATION * whole,
        "production_ps": production,
    }
    return DynamicsSettings(**{**dynamics.run_settings(temperature, seed).model_dump(), **changes})
