"""Competing phases of a chemical system at one level of theory: what stability is judged against.

Compounds and solid elements carry the level's own energies, the lowest over the packaged polymorphs of a formula.
Elements that are molecules at 298 K carry reference energies fitted to measured enthalpies (`references`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from pymatgen.core import Composition

from ionscape.errors import CalculationError, InputError, MissingReferenceError
from ionscape.levels.calculation import Broken, Lab, Relaxation, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.energies import (
    EnergyFile,
    known_energies,
    packaged_energies,
    relax_phases,
    relaxed_energies,
)
from ionscape.phases.references import MOLECULES, ElementReference, calibrating_formulas, fitted_reference
from ionscape.phases.table import Phase, checked_elements, phase_table, phases_within, reduced_formula
from ionscape.results import Failure, frozen
from ionscape.units import EnergyPerAtomArray, FractionalArray

#: So many names of missing phases are told in one message.
NAMES_TOLD = 12


@dataclass(frozen=True)
class CompetingPhases:
    """Phases with their compositions and energies, one a formula.

    Attributes
    ----------
    level
        Name of the level of theory.
    elements
        Columns of `fractions`, in alphabetical order.
    labels
        Usual formulas of the phases, unique.
    formulas
        Reduced formulas of the phases.
    fractions
        Atom fractions, (number of phases, number of elements).
    energies
        Energies per atom at the level, eV/atom; references of gas elements are fitted.
    references
        How the reference energies of the gas elements were fitted, by element.
    excluded
        Packaged phases that take no part, and why.
    """

    level: str
    elements: tuple[str, ...]
    labels: tuple[str, ...]
    formulas: tuple[str, ...]
    fractions: FractionalArray
    energies: EnergyPerAtomArray
    references: Mapping[str, ElementReference]
    excluded: Mapping[str, str]

    def without(self, formula: str) -> CompetingPhases:
        """Return the phases without `formula`: the hull it would compete with if it did not exist."""
        kept = [i for i, other in enumerate(self.formulas) if other != reduced_formula(formula)]
        return replace(
            self,
            labels=tuple(self.labels[i] for i in kept),
            formulas=tuple(self.formulas[i] for i in kept),
            fractions=frozen(self.fractions[kept]),
            energies=frozen(self.energies[kept]),
        )

    def energy_of(self, formula: str) -> float:
        """Return the energy of the phase `formula`, eV/atom.

        Raises
        ------
        MissingReferenceError
            If it is not among the phases.
        """
        reduced = reduced_formula(formula)
        if reduced not in self.formulas:
            raise MissingReferenceError(
                f"{formula} has no energy at level '{self.level}'",
                where="competing phases",
                expected=f"one of {', '.join(self.labels[:NAMES_TOLD])}, …",
                remedy="Give a structure file instead of a formula, or relax the phase at this level.",
            )
        return float(self.energies[self.formulas.index(reduced)])

    def label_of(self, formula: str) -> str:
        """Return how `formula` is usually written, itself if it is none of the phases."""
        reduced = reduced_formula(formula)
        return self.labels[self.formulas.index(reduced)] if reduced in self.formulas else formula

    def fractions_of(self, composition: str | Mapping[str, float]) -> np.ndarray:
        """Return the atom fractions of `composition` in the order of `elements`.

        Raises
        ------
        MissingReferenceError
            If it holds an element that no phase here covers.
        """
        amounts = Composition(composition).fractional_composition.get_el_amt_dict()
        foreign = sorted(set(amounts) - set(self.elements))
        if foreign:
            raise MissingReferenceError(
                f"no competing phases with {', '.join(foreign)}",
                where="competing phases",
                expected=f"a composition of {', '.join(self.elements)}",
                remedy=f"Ask for the phases of {'-'.join(sorted(set(amounts) | set(self.elements)))}.",
            )
        return np.array([amounts.get(element, 0.0) for element in self.elements])


def phase_energies(
    level: Level,
    elements: Iterable[str],
    *,
    lab: Lab | None = None,
    relaxation: RelaxationSettings | None = None,
) -> CompetingPhases:
    """Return the competing phases that consist of `elements`, with their energies at `level`.

    Parameters
    ----------
    level
        Level of theory; packaged energies are used where the package ships them for it.
    elements
        Element symbols of the chemical system.
    lab
        Where phases without packaged energies are relaxed; without it they are refused.
    relaxation
        How they are relaxed (default: positions and cell).

    Raises
    ------
    InputError
        If a symbol is no element.
    MissingReferenceError
        If energies are missing, with their names and how to make them, or if the table knows no phase with one of
        the elements.
    CalculationError
        If the machine ended a relaxation: without the phase the others would look more stable than they are.
    """
    system = checked_elements(elements)
    needed = _needed(system)
    file = packaged_energies(level)
    energies = known_energies(file, needed)
    absent = _failures(file, needed)
    missing = [phase for phase in needed if phase.name not in energies and phase.name not in absent]
    if missing and lab is None:
        raise _refusal(missing, level, system)
    if missing and lab is not None:
        outcomes = relax_phases(missing, level, lab, relaxation or RelaxationSettings())
        _refuse_broken(outcomes)
        energies |= relaxed_energies(outcomes)
        absent |= {name: end.reason for name, end in outcomes.items() if isinstance(end, Failure)}
    lowest = lowest_energies(energies)
    references = {element: fitted_reference(element, lowest) for element in system if element in MOLECULES}
    return _competing(level.name, system, lowest, references, absent)


def _refuse_broken(outcomes: Mapping[str, Relaxation | Failure]) -> None:
    broken = {name: end.reason for name, end in outcomes.items() if isinstance(end, Broken)}
    if broken:
        listed = "; ".join(f"{name} ({reason})" for name, reason in broken.items())
        message = f"{len(broken)} relaxations of competing phases broke: {listed}. Run again to repeat them."
        raise CalculationError(message)


def _needed(system: Sequence[str]) -> list[Phase]:
    """Every packaged phase of the system, and what calibrates its gas references."""
    chosen = {phase.name: phase for phase in phases_within(system) if not _is_molecule(phase)}
    calibrating = calibrating_formulas(system)
    chosen |= {p.name: p for p in phase_table().values() if p.formula in calibrating and p.role != "reference"}
    return list(chosen.values())


def _is_molecule(phase: Phase) -> bool:
    return len(phase.elements) == 1 and phase.elements <= set(MOLECULES)


def _failures(file: EnergyFile | None, phases: Iterable[Phase]) -> dict[str, str]:
    if file is None:
        return {}
    return {p.name: file.failures[p.name]["reason"] for p in phases if p.name in file.failures and file.holds(p)}


def _refusal(missing: Sequence[Phase], level: Level, system: Sequence[str]) -> InputError:
    names = ", ".join(phase.name for phase in missing[:NAMES_TOLD])
    more = f" and {len(missing) - NAMES_TOLD} more" if len(missing) > NAMES_TOLD else ""
    return MissingReferenceError(
        f"level '{level.name}' has no energies of {len(missing)} phases: {names}{more}",
        where=f"competing phases of {'-'.join(system)}",
        expected="energies of all competing phases at the level of the target",
        remedy=f"Relax them once: `ionscape phases --relax {'-'.join(system)} --level {level.name}`, or "
        "`relax_missing = true` under [stability] in the study file.",
    )


def lowest_energies(energies: Mapping[str, float]) -> dict[str, float]:
    """Return the lowest energy (eV/atom) over the polymorphs of every formula, from energies by phase name."""
    table, lowest = phase_table(), dict[str, float]()
    for name, energy in energies.items():
        formula = table[name].formula
        lowest[formula] = min(energy, lowest.get(formula, np.inf))
    return lowest


def _competing(
    level: str,
    system: tuple[str, ...],
    lowest: Mapping[str, float],
    references: Mapping[str, ElementReference],
    absent: Mapping[str, str],
) -> CompetingPhases:
    labels = {phase.formula: phase.label for phase in reversed(phases_within(system)) if phase.formula in lowest}
    entries = [(label, formula, lowest[formula]) for formula, label in labels.items() if formula in lowest]
    entries = [entry for entry in entries if entry[1] not in {reduced_formula(m) for m in MOLECULES.values()}]
    entries += [(MOLECULES[e], reduced_formula(MOLECULES[e]), ref.energy) for e, ref in references.items()]
    entries.sort()
    fractions = [[Composition(formula).get_atomic_fraction(e) for e in system] for _, formula, _ in entries]
    excluded = {name: reason for name, reason in absent.items() if phase_table()[name].elements <= set(system)}
    return CompetingPhases(
        level=level,
        elements=system,
        labels=tuple(label for label, _, _ in entries),
        formulas=tuple(formula for _, formula, _ in entries),
        fractions=frozen(np.array(fractions)),
        energies=frozen(np.array([energy for _, _, energy in entries])),
        references=MappingProxyType(dict(references)),
        excluded=MappingProxyType(excluded),
    )
