"""Formation energies at a level beside the measured enthalpies: the check of level and gas references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Composition

from ionscape.phases.competing import CompetingPhases, lowest_energies
from ionscape.phases.energies import EnergyFile, known_energies
from ionscape.phases.enthalpies import FormationEnthalpy, formation_enthalpies
from ionscape.phases.references import (
    FEWEST_COMPOUNDS,
    MOLECULES,
    ElementReference,
    calibrating_compounds,
    fitted_reference,
)
from ionscape.phases.table import phase_table
from ionscape.units import EnergyPerAtom

OXIDISED_NITROGEN = "nitrates and azides"
#: Classes of compounds, first that fits: name and elements of which all must be there.
CLASSES = (
    (OXIDISED_NITROGEN, "NO"),
    ("phosphates and sulfates", "PO"),
    ("phosphates and sulfates", "SO"),
    ("oxides", "O"),
    ("sulfides", "S"),
    ("nitrides", "N"),
    ("phosphides", "P"),
)


@dataclass(frozen=True)
class FormationCheck:
    """Formation energy of one compound against experiment.

    Attributes
    ----------
    formula
        Usual formula of the compound.
    calculated
        Formation energy at the level, gas references fitted, 0 K, eV/atom.
    measured
        Standard enthalpy of formation at 298.15 K from the packaged phases of the elements, eV/atom.
    calibrates
        Whether the compound took part in the fit of a gas reference.
    source
        Source of the measured value.
    """

    formula: str
    calculated: EnergyPerAtom
    measured: EnergyPerAtom
    calibrates: bool
    source: str

    @property
    def error(self) -> float:
        """Calculated minus measured, eV/atom: negative where the level binds too strongly."""
        return self.calculated - self.measured


def compound_class(formula: str) -> str:
    """Return the class of a compound: nitrates and azides, phosphates and sulfates, oxides, bromides and so on.

    Peroxides count as oxides, oxides of phosphorus and sulfur as phosphates and sulfates.
    """
    composition = Composition(formula)
    elements = composition.chemical_system_set
    row = formation_enthalpies().get(composition.reduced_formula)
    if row is not None and row.self_bonded and "N" in elements:
        return OXIDISED_NITROGEN
    if "Br" in elements:
        return "bromides"
    return next((name for name, anions in CLASSES if set(anions) <= elements), "intermetallics")


def formation_energy(formula: str, phases: CompetingPhases) -> float:
    """Return the formation energy of the phase `formula` from its elements, eV/atom.

        E_f = e − Σ_X x_X e_X

    with e the energy of the phase and e_X those of the elements at the level (gases: fitted references), eV/atom.

    Raises
    ------
    MissingReferenceError
        If the phase or one of its elements is not among `phases`.
    """
    composition = Composition(formula)
    elements = sum(
        composition.get_atomic_fraction(element) * phases.energy_of(element.symbol) for element in composition
    )
    return phases.energy_of(formula) - float(elements)


def formation_checks(phases: CompetingPhases) -> list[FormationCheck]:
    """Return every compound among `phases` that has a measured enthalpy, in the order of `phases.labels`."""
    measured = formation_enthalpies()
    calibrating = _calibrating(phases.references)
    return [
        _check(label, formation_energy(formula, phases), measured[formula], calibrating)
        for label, formula in zip(phases.labels, phases.formulas, strict=True)
        if formula in measured
    ]


def level_references(file: EnergyFile) -> tuple[dict[str, float], dict[str, ElementReference]]:
    """Return the energies that a level's file has, and the gas references that can be fitted to them.

    Returns
    -------
    tuple
        Lowest energy of every formula that is not a molecule, eV/atom, by reduced formula, elements included; and
        the references by element.
    """
    crystals = [phase for phase in phase_table().values() if phase.role != "reference"]
    lowest = lowest_energies(known_energies(file, crystals))
    references = {}
    for element in MOLECULES:
        covered = [r for r in calibrating_compounds(element) if _solids(r.formula) | {r.formula} <= set(lowest)]
        if len(covered) >= FEWEST_COMPOUNDS:
            references[element] = fitted_reference(element, lowest)
    return lowest, references


def _solids(formula: str) -> set[str]:
    return set(Composition(formula).chemical_system_set) - set(MOLECULES)


def packaged_checks(file: EnergyFile) -> list[FormationCheck]:
    """Return every compound with a measured enthalpy whose energy, and those of its elements, `file` holds.

    All chemical systems together, compounds that only calibrate included, in the order of the enthalpies.
    """
    lowest, references = level_references(file)
    elements = lowest | {element: reference.energy for element, reference in references.items()}
    lacking = set(MOLECULES) - set(references)
    calibrating = _calibrating(references)
    checks = []
    for row in formation_enthalpies().values():
        composition = Composition(row.formula)
        parts = {e.symbol: composition.get_atomic_fraction(e) for e in composition}
        if row.formula in lowest and not set(parts) & lacking and set(parts) <= set(elements):
            energy = lowest[row.formula] - sum(x * elements[e] for e, x in parts.items())
            checks.append(_check(phase_table()[row.phase].label, energy, row, calibrating))
    return checks


def _calibrating(references: Mapping[str, ElementReference]) -> set[str]:
    return {row.formula for element in references for row in calibrating_compounds(element)}


def _check(label: str, energy: float, row: FormationEnthalpy, calibrating: set[str]) -> FormationCheck:
    return FormationCheck(label, energy, row.enthalpy, row.formula in calibrating, row.source)


def mean_absolute_error(checks: list[FormationCheck]) -> float:
    """Return the mean of |calculated − measured| over `checks`, eV/atom."""
    return float(np.mean([abs(check.error) for check in checks]))
