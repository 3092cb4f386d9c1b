"""Formation energies at a level beside the measured enthalpies: the check of level and gas references."""

from __future__ import annotations

from dataclasses import dataclass

from pymatgen.core import Composition

from ionscape.phases.competing import CompetingPhases
from ionscape.phases.enthalpies import formation_enthalpies
from ionscape.phases.references import calibrating_compounds
from ionscape.units import EnergyPerAtom


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
        Standard enthalpy of formation at 298.15 K, eV/atom.
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
    calibrating = {row.formula for element in phases.references for row in calibrating_compounds(element)}
    return [
        FormationCheck(
            formula=label,
            calculated=formation_energy(formula, phases),
            measured=measured[formula].enthalpy,
            calibrates=formula in calibrating,
            source=measured[formula].source,
        )
        for label, formula in zip(phases.labels, phases.formulas, strict=True)
        if formula in measured
    ]
