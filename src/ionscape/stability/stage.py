"""The stage of bulk stability: decomposition energies of the study's crystals against one set of phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pymatgen.core import Composition

from ionscape.levels.calculation import Lab, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.competing import CompetingPhases, phase_energies
from ionscape.phases.formation import formation_energy
from ionscape.phases.references import ElementReference
from ionscape.stability.decomposition import Decomposition, decomposition_energy
from ionscape.stability.settings import StabilitySettings
from ionscape.units import EnergyPerAtom


@dataclass(frozen=True)
class StabilityTarget:
    """What is judged: its name in the study, its composition, and its energy at the level, eV/atom."""

    name: str
    composition: Composition
    energy_per_atom: EnergyPerAtom


@dataclass(frozen=True)
class JudgedTarget:
    """A target and its decomposition."""

    name: str
    decomposition: Decomposition


@dataclass(frozen=True)
class JudgedPhase:
    """A competing phase.

    Attributes
    ----------
    energy_per_atom
        Energy at the level, eV/atom.
    formation_energy
        Energy above the elements in their reference states, eV/atom.
    height
        Distance to the hull of all phases, eV/atom; 0 on the hull.
    """

    formula: str
    energy_per_atom: EnergyPerAtom
    formation_energy: EnergyPerAtom
    height: EnergyPerAtom


@dataclass(frozen=True)
class BulkStability:
    """Decomposition of every target, the phases it was judged against, and the gas references.

    Attributes
    ----------
    excluded
        Packaged phases that took no part, and why.
    """

    level: str
    targets: tuple[JudgedTarget, ...]
    phases: tuple[JudgedPhase, ...]
    references: Mapping[str, ElementReference]
    excluded: Mapping[str, str]


def judge_stability(
    targets: Sequence[StabilityTarget],
    settings: StabilitySettings,
    level: Level,
    relaxation: RelaxationSettings,
    lab: Lab,
) -> BulkStability:
    """Return the decomposition energies of `targets` against all packaged phases of their elements.

    Parameters
    ----------
    targets
        Compositions with their energies at `level`.
    settings
        Source of the phases, and whether missing energies are calculated.
    level, relaxation, lab
        Level of theory; how and where missing phases are relaxed.

    Raises
    ------
    MissingReferenceError
        If phases have no energy at `level` and may not be relaxed; it names them.
    """
    elements = {element.symbol for target in targets for element in target.composition.elements}
    phases = phase_energies(level, elements, lab=lab if settings.relax_missing else None, relaxation=relaxation)
    phases = without_excluded(phases, settings.exclude)
    judged = tuple(
        JudgedTarget(target.name, decomposition_energy(target.composition, phases, target.energy_per_atom))
        for target in targets
    )
    return BulkStability(level.name, judged, judged_phases(phases), phases.references, phases.excluded)


def without_excluded(phases: CompetingPhases, formulas: Sequence[str]) -> CompetingPhases:
    """Return `phases` without those that the user excludes, which are listed among the excluded.

    Raises
    ------
    MissingReferenceError
        If a formula is none of the phases.
    """
    for formula in formulas:
        phases.energy_of(formula)
        told = {**phases.excluded, formula: "excluded by the user"}
        phases = replace(phases.without(formula), excluded=MappingProxyType(told))
    return phases


def judged_phases(phases: CompetingPhases) -> tuple[JudgedPhase, ...]:
    """Return every one of `phases` with its formation energy and its height above their hull."""
    return tuple(_judged(phases, i) for i in range(len(phases.labels)))


def _judged(phases: CompetingPhases, i: int) -> JudgedPhase:
    formula, energy = phases.formulas[i], float(phases.energies[i])
    height = decomposition_energy(formula, phases, energy).decomposition_energy
    return JudgedPhase(phases.labels[i], energy, formation_energy(formula, phases), max(height, 0.0))
