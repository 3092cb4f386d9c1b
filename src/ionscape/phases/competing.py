"""Competing phases of a chemical system at one level of theory: what stability is judged against.

Compounds and solid elements carry the level's own energies, the lowest over the packaged polymorphs of a formula.
Elements that are molecules at 298 K carry reference energies fitted to measured enthalpies (`references`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

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
from ionscape.phases.scheme import scheme_of_level
from ionscape.phases.table import Phase, checked_elements, phase_table, phases_within, reduced_formula
from ionscape.results import Failure, frozen
from ionscape.units import EnergyPerAtom, EnergyPerAtomArray, FractionalArray

#: So many names of missing phases are told in one message.
NAMES_TOLD = 12


class PhaseRow(NamedTuple):
    """One phase: its usual formula, its reduced formula, its energy in eV/atom."""

    label: str
    formula: str
    energy: EnergyPerAtom


def row_of(composition: Composition, energy: float) -> PhaseRow:
    """Return the row of a phase with `composition` and `energy` (eV/atom), labelled as in the phase table."""
    formula = composition.element_composition.reduced_formula
    return PhaseRow(_labels().get(formula, formula), formula, float(energy))


@functools.cache
def _labels() -> Mapping[str, str]:
    return {phase.formula: phase.label for phase in reversed(list(phase_table().values()))}


@dataclass(frozen=True)
class CompetingPhases:
    """Phases with their compositions and energies, one a formula.

    Attributes
    ----------
    level
        Name of the level of theory.
    scheme
        What the energies are, as text: the level (``chgnet``), or functional and corrections (``GGA, MP2020
        corrections``). Energies of another scheme must not be compared with these (`phases.scheme`).
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
        Phases of the source that take no part, and why.
    """

    level: str
    scheme: str
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
            reason = self.excluded.get(formula, "")
            raise MissingReferenceError(
                f"{formula} has no energy at level '{self.level}'" + (f" ({reason})" if reason else ""),
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
    energies, absent = _energies(_needed(system), level, system, lab, relaxation)
    lowest = lowest_energies(energies)
    references = {element: fitted_reference(element, lowest) for element in system if element in MOLECULES}
    return _competing(level, system, lowest, references, absent)


def gas_references(
    level: Level,
    elements: Iterable[str],
    *,
    lab: Lab | None = None,
    relaxation: RelaxationSettings | None = None,
) -> dict[str, ElementReference]:
    """Return the reference energies at `level` of the gases among `elements`, fitted to packaged compounds.

    Parameters and errors are those of `phase_energies`.
    """
    gases = sorted(set(elements) & set(MOLECULES))
    energies, _ = _energies(_calibrating(gases), level, gases, lab, relaxation)
    return {element: fitted_reference(element, lowest_energies(energies)) for element in gases}


def _energies(
    needed: Sequence[Phase],
    level: Level,
    system: Sequence[str],
    lab: Lab | None,
    relaxation: RelaxationSettings | None,
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the energies of packaged phases by name, eV/atom, and the reasons of those that have none."""
    file = packaged_energies(level)
    energies = known_energies(file, needed)
    absent = _failures(file, needed)
    missing = [phase for phase in needed if phase.name not in energies and phase.name not in absent]
    if missing and lab is None:
        raise _refusal(missing, level, system)
    if missing and lab is not None:
        outcomes = relax_phases(missing, level, lab, relaxation or RelaxationSettings())
        refuse_broken(outcomes)
        energies |= relaxed_energies(outcomes)
        absent |= {name: end.reason for name, end in outcomes.items() if isinstance(end, Failure)}
    return energies, absent


def refuse_broken(outcomes: Mapping[str, Relaxation | Failure]) -> None:
    """Raise `CalculationError` if the machine ended one of the relaxations, given by the name of their phase."""
    broken = {name: end.reason for name, end in outcomes.items() if isinstance(end, Broken)}
    if broken:
        listed = "; ".join(f"{name} ({reason})" for name, reason in broken.items())
        message = f"{len(broken)} relaxations of competing phases broke: {listed}. Run again to repeat them."
        raise CalculationError(message)


def _needed(system: Sequence[str]) -> list[Phase]:
    """Every packaged phase of the system, and what calibrates its gas references."""
    chosen = {phase.name: phase for phase in phases_within(system) if not _is_molecule(phase)}
    return list((chosen | {phase.name: phase for phase in _calibrating(system)}).values())


def _calibrating(elements: Iterable[str]) -> list[Phase]:
    formulas = calibrating_formulas(elements)
    return [p for p in phase_table().values() if p.formula in formulas and p.role != "reference"]


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
        remedy=f"Relax them once: `ionscape phases relax --elements {'-'.join(system)} --level {level.name}`, or "
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
    level: Level,
    system: tuple[str, ...],
    lowest: Mapping[str, float],
    references: Mapping[str, ElementReference],
    absent: Mapping[str, str],
) -> CompetingPhases:
    labels = {phase.formula: phase.label for phase in reversed(phases_within(system)) if phase.formula in lowest}
    molecules = {reduced_formula(molecule) for molecule in MOLECULES.values()}
    rows = [PhaseRow(label, f, lowest[f]) for f, label in labels.items() if f not in molecules]
    excluded = {name: reason for name, reason in absent.items() if phase_table()[name].elements <= set(system)}
    return phases_from_rows(
        rows + reference_rows(references),
        system,
        level=level.name,
        scheme=scheme_of_level(level),
        references=references,
        excluded=excluded,
    )


def reference_rows(references: Mapping[str, ElementReference]) -> list[PhaseRow]:
    """Return the gas elements as phases with their fitted energies."""
    return [PhaseRow(MOLECULES[e], reduced_formula(MOLECULES[e]), ref.energy) for e, ref in references.items()]


def phases_from_rows(
    rows: Iterable[PhaseRow],
    elements: Iterable[str],
    *,
    level: str,
    scheme: str,
    references: Mapping[str, ElementReference],
    excluded: Mapping[str, str],
) -> CompetingPhases:
    """Return the competing phases that `rows` tell, of several with one formula the lowest.

    Parameters
    ----------
    rows
        Phases that consist of `elements`.
    elements
        Element symbols of the chemical system.
    level, scheme, references, excluded
        Attributes of the result.
    """
    system = tuple(sorted(set(elements)))
    lowest = {row.formula: row for row in sorted(rows, key=lambda row: row.energy, reverse=True)}
    kept = sorted(lowest.values())
    fractions = [[Composition(row.formula).get_atomic_fraction(e) for e in system] for row in kept]
    return CompetingPhases(
        level=level,
        scheme=scheme,
        elements=system,
        labels=tuple(row.label for row in kept),
        formulas=tuple(row.formula for row in kept),
        fractions=frozen(np.array(fractions).reshape(len(kept), len(system))),
        energies=frozen(np.array([row.energy for row in kept])),
        references=MappingProxyType(dict(references)),
        excluded=MappingProxyType(dict(excluded)),
    )
