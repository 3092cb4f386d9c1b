"""Measured standard enthalpies of formation, packaged for calibrating and checking levels of theory.

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
        ΔH per atom, eV/atom, from the elements in their reference states; negative for exothermic.
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
    confidence: str
    source: str
    self_bonded: bool = False


@functools.cache
def formation_enthalpies() -> Mapping[str, FormationEnthalpy]:
    """Return the packaged enthalpies by reduced formula."""
    data = tomllib.loads((files("ionscape.phases") / "data" / "enthalpies.toml").read_text(encoding="utf-8"))
    found = {}
    for phase, row in data.items():
        formula = phase_table()[phase].formula
        per_mole = row["enthalpy_kJ_per_mol"]
        per_atom = per_mole / KJ_PER_MOL_PER_EV / Composition(formula).num_atoms
        bonded = row.get("self_bonded", False)
        found[formula] = FormationEnthalpy(phase, formula, per_atom, row["confidence"], row["source"], bonded)
    return MappingProxyType(found)
