r"""Competing phases as a user wants them: without those excluded, gases at a temperature and pressure.

    μ_g(T, p) = μ_g + Δμ_g(T, p)

where μ_g is the energy of the gas among the phases, eV/atom, and Δμ_g comes from tabulated enthalpies and
entropies (`phases.gases`). Solids keep their energies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from pymatgen.core import Composition

from ionscape.errors import MissingReferenceError
from ionscape.phases.competing import CompetingPhases
from ionscape.phases.gases import gas_shift
from ionscape.phases.references import MOLECULES
from ionscape.phases.table import reduced_formula
from ionscape.results import frozen


def under_conditions(
    phases: CompetingPhases, temperature_K: float, pressures: Mapping[str, float]
) -> CompetingPhases:
    """Return `phases` with the energies of gases at a temperature and at their partial pressures.

    Parameters
    ----------
    phases
        Competing phases; gases that are not among them are passed over.
    temperature_K
        100 to 2000 K.
    pressures
        Partial pressure of the gas by element, bar: ``{"O": 0.21}``. Other gases keep their energies.

    Raises
    ------
    InputError
        If a gas has no table, or temperature or pressure lie outside their domain.
    """
    energies = np.array(phases.energies)
    for element, pressure in pressures.items():
        shift = gas_shift(element, temperature_K, pressure)
        for i in _rows_of_gas(phases, element):
            energies[i] += shift
    return replace(phases, energies=frozen(energies))


def conditions_in_words(phases: CompetingPhases, temperature_K: float, pressures: Mapping[str, float]) -> str:
    """Return the gases among `phases` with temperature (K) and pressures (bar): ``O2 at 0.21 bar, 298 K``."""
    present = [element for element in pressures if _rows_of_gas(phases, element)]
    gases = [f"{MOLECULES[element]} at {pressures[element]:g} bar" for element in present]
    return ", ".join([*gases, f"{temperature_K:g} K"]) if gases else ""


def _rows_of_gas(phases: CompetingPhases, element: str) -> list[int]:
    gas = reduced_formula(MOLECULES[element]) if element in MOLECULES else ""
    return [i for i, formula in enumerate(phases.formulas) if formula == gas]


def without_excluded(phases: CompetingPhases, formulas: Sequence[str]) -> CompetingPhases:
    """Return `phases` without those that the user excludes, which are listed among the excluded.

    A formula with elements that `phases` do not cover is none of them and changes nothing, nor does one that takes
    no part anyway.

    Raises
    ------
    MissingReferenceError
        If another formula is none of the phases.
    """
    for formula in formulas:
        if _elements(formula) <= set(phases.elements) and formula not in phases.excluded:
            phases.energy_of(formula)
            told = {**phases.excluded, formula: "excluded by the user"}
            phases = replace(phases.without(formula), excluded=MappingProxyType(told))
    return phases


def refuse_foreign(formulas: Sequence[str], systems: Iterable[Iterable[str]]) -> None:
    """Raise `MissingReferenceError` if a formula to exclude lies in none of the `systems` of elements."""
    known = [set(elements) for elements in systems]
    for formula in formulas:
        if not any(_elements(formula) <= elements for elements in known):
            elements = sorted(set().union(*known))
            raise MissingReferenceError(
                f"'{formula}' is no competing phase of {', '.join(elements)}",
                where="excluded phases",
                expected="formulas of competing phases",
                remedy="Leave it out, or correct the formula.",
            )


def _elements(formula: str) -> set[str]:
    return set(Composition(reduced_formula(formula)).chemical_system_set)
