"""The stage of bulk stability: decomposition energies of the study's crystals against one set of phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymatgen.core import Composition

from ionscape.phases.competing import CompetingPhases
from ionscape.phases.formation import formation_energy
from ionscape.phases.references import ElementReference
from ionscape.stability.bench import PhaseBench
from ionscape.stability.decomposition import Decomposition, decomposition_energy
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
    level
        Name of the level of theory of the targets.
    scheme
        What the energies of the phases are (`CompetingPhases.scheme`).
    excluded
        Phases of the source that took no part, and why.
    conditions
        Temperature and pressures of the gases, in words; "" in their reference state.
    """

    level: str
    scheme: str
    targets: tuple[JudgedTarget, ...]
    phases: tuple[JudgedPhase, ...]
    references: Mapping[str, ElementReference]
    excluded: Mapping[str, str]
    conditions: str = ""


def judge_stability(targets: Sequence[StabilityTarget], bench: PhaseBench) -> BulkStability:
    """Return the decomposition energies of `targets` against all competing phases of their elements.

    Parameters
    ----------
    targets
        Compositions with their energies at the level of `bench`.
    bench
        Where the phases come from, and at which conditions.

    Raises
    ------
    MissingReferenceError
        If phases have no energy at the level and may not be relaxed; it names them.
    InputError
        If the source cannot be used, or its energies are not those of the level.
    """
    elements = {element.symbol for target in targets for element in target.composition.elements}
    phases = bench.phases(elements)
    bench.require_same_scheme(phases)
    conditioned = bench.at_conditions(phases)
    return BulkStability(
        level=bench.level.name,
        scheme=phases.scheme,
        targets=tuple(
            JudgedTarget(
                target.name, decomposition_energy(target.composition, conditioned, target.energy_per_atom)
            )
            for target in targets
        ),
        phases=judged_phases(phases, conditioned),
        references=phases.references,
        excluded=phases.excluded,
        conditions=bench.conditions(phases),
    )


def judged_phases(phases: CompetingPhases, conditioned: CompetingPhases | None = None) -> tuple[JudgedPhase, ...]:
    """Return every one of `phases` with its formation energy and its height above the hull.

    Formation energies count from the elements in their reference states. The hull is that of the phases
    `conditioned`, the same with gases at a temperature and pressure, if these are given.
    """
    judged = conditioned or phases
    return tuple(_judged(phases, judged, i) for i in range(len(phases.labels)))


def _judged(phases: CompetingPhases, conditioned: CompetingPhases, i: int) -> JudgedPhase:
    formula, energy = phases.formulas[i], float(conditioned.energies[i])
    height = decomposition_energy(formula, conditioned, energy).decomposition_energy
    return JudgedPhase(phases.labels[i], energy, formation_energy(formula, phases), max(height, 0.0))
