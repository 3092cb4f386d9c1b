"""Measured standard enthalpies of formation, packaged for calibrating and checking levels of theory.

The compilations count compounds of phosphorus from the white form; here they are counted from the packaged phase
of the element, black phosphorus (`data/allotropes.toml`): ΔH = ΔH_tabulated − n_P ΔH(white → black).

They meet calculated energies only as ΔH(298 K) ≈ ΔE: heat capacities and zero-point energies are left out, which
costs up to some ten meV/atom for compounds of light elements (Phys. Rev. B 85, 155208 (2012)).
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from pymatgen.core import Composition

from ionscape.phases.table import phase_table
from ionscape.units import KJ_PER_MOL_PER_EV, EnergyPerAtom


@dataclass(frozen=True)
class FormationEnthalpy:
    """Standard enthalpy of formation of one phase at 298.15 K.

    Attributes
    ----------
    phase
        Name in the phase table.
    formula
        Reduced formula.
    enthalpy
        ΔH per atom, eV/atom, from the elements in their packaged phases; negative for exothermic.
    tabulated
        ΔH per atom, eV/atom, as the source has it; differs from `enthalpy` for compounds of phosphorus.
    confidence
        ``high`` (two compilations agree) or ``medium`` (one source).
    source
        Compilation or paper.
    self_bonded
        Whether atoms of a gas element are bonded to each other, as in peroxides and azides.
    """

    phase: str
    formula: str
    enthalpy: EnergyPerAtom
    tabulated: EnergyPerAtom
    confidence: str
    source: str
    self_bonded: bool = False


@functools.cache
def formation_enthalpies() -> Mapping[str, FormationEnthalpy]:
    """Return the packaged enthalpies by reduced formula."""
    found = {}
    for phase, row in _data("enthalpies.toml").items():
        composition = Composition(phase_table()[phase].formula)
        per_mole = row["enthalpy_kJ_per_mol"]
        forms = _data("allotropes.toml").items()
        to_packaged = sum(composition[element] * form["enthalpy_kJ_per_mol"] for element, form in forms)
        unit = KJ_PER_MOL_PER_EV * composition.num_atoms
        found[phase_table()[phase].formula] = FormationEnthalpy(
            phase=phase,
            formula=phase_table()[phase].formula,
            enthalpy=(per_mole - to_packaged) / unit,
            tabulated=per_mole / unit,
            confidence=row["confidence"],
            source=row["source"],
            self_bonded=row.get("self_bonded", False),
        )
    return MappingProxyType(found)


@functools.cache
def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((files("ionscape.phases") / "data" / name).read_text(encoding="utf-8"))
