r"""Energies of the elements that are molecules at 298 K, fitted to measured formation enthalpies.

A level that describes solids well may describe O2 and N2 badly: PBE overbinds O2, and potentials trained on
crystals have hardly seen molecules. So the reference energy μ of a gas element X is the one that gives the level's
own binary compounds of X their measured enthalpies of formation (Phys. Rev. B 73, 195107 (2006)):

    min over μ of Σ_i |r_i|,    r_i = e_i − Σ_M x_iM e_M − x_iX μ − ΔH_i

The minimum is the median of the estimates μ_i = d_i / x_iX, each counted with the weight x_iX. Absolute deviations
are taken, not squares, because levels trained on data go badly wrong on single compounds (by 0.25 eV/atom): one of
these must not shift the reference of all others.

======  ==========================================================================
e_i     energy of compound i at the level, eV/atom
x_iM    atom fraction of element M in compound i
e_M     energy of the solid element M at the level, eV/atom
ΔH_i    measured enthalpy of formation at 298.15 K, eV/atom
d_i     e_i − Σ_M x_iM e_M − ΔH_i, eV/atom
======  ==========================================================================

Compounds that calibrate: binary compounds of X with a metal or metalloid of the s or p block, of high confidence,
without a bond between two atoms of X (no peroxides, superoxides, azides); as in the reference above, no transition
metals, whose d electrons density functionals, and what is trained on them, describe unevenly in the element and in
its compounds. None is chosen by its residual, and transition-metal compounds remain as an independent check.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Composition, Element

from ionscape.errors import MissingReferenceError
from ionscape.phases.enthalpies import FormationEnthalpy, formation_enthalpies
from ionscape.units import Array, EnergyPerAtom

#: Molecular at 298 K and 1 bar (Br2 is liquid).
MOLECULES = {"H": "H2", "N": "N2", "O": "O2", "F": "F2", "Cl": "Cl2", "Br": "Br2"}
#: Fewer compounds than this leave no error estimate.
FEWEST_COMPOUNDS = 2
#: Standard deviation of a normal distribution over its median absolute deviation.
NORMAL_PER_MEDIAN = 1.4826


@dataclass(frozen=True)
class ElementReference:
    """Reference energy of a gas element at a level.

    Attributes
    ----------
    element
        Its symbol.
    energy
        Fitted reference energy μ, eV/atom.
    uncertainty
        Standard error of μ, eV/atom: √(π/2) σ/√n, σ = 1.4826 × the median of |μ_i − μ| (normal errors).
    leave_one_out
        Mean absolute error of the formation energies (eV/atom of compound) of compounds left out of the fit.
    residuals
        Formation energy minus measured enthalpy of every calibrating compound, eV/atom.
    """

    element: str
    energy: EnergyPerAtom
    uncertainty: EnergyPerAtom
    leave_one_out: EnergyPerAtom
    residuals: Mapping[str, EnergyPerAtom]


@functools.cache
def calibrating_compounds(element: str) -> tuple[FormationEnthalpy, ...]:
    """Return the packaged enthalpies that calibrate the gas `element`."""
    return tuple(row for row in formation_enthalpies().values() if _calibrates(row, element))


def _calibrates(row: FormationEnthalpy, element: str) -> bool:
    elements = set(Composition(row.formula).chemical_system_set)
    suitable = len(elements) == 2 and element in elements and row.confidence == "high"
    others = elements - {element}
    return suitable and not row.self_bonded and all(_is_solid_of_s_or_p_block(other) for other in others)


def _is_solid_of_s_or_p_block(element: str) -> bool:
    return element not in MOLECULES and Element(element).block in {"s", "p"}


def calibrating_formulas(elements: Iterable[str]) -> set[str]:
    """Return the formulas whose energies fit the gases among `elements`: compounds and their solid elements."""
    needed = set[str]()
    for element in set(elements) & set(MOLECULES):
        for row in calibrating_compounds(element):
            needed |= {row.formula} | (set(Composition(row.formula).chemical_system_set) - {element})
    return needed


def fitted_reference(element: str, energies: Mapping[str, float]) -> ElementReference:
    """Return the reference energy of the gas `element` at the level whose `energies` are given.

    Parameters
    ----------
    element
        One of `MOLECULES`.
    energies
        Lowest energy of every formula at the level, eV/atom, by reduced formula.

    Raises
    ------
    MissingReferenceError
        If fewer than two calibrating compounds have energies.
    """
    rows = [row for row in calibrating_compounds(element) if _is_covered(row, energies)]
    if len(rows) < FEWEST_COMPOUNDS:
        raise _not_fitted(element, len(rows))
    share = np.array([Composition(row.formula).get_atomic_fraction(element) for row in rows])
    excess = np.array([_excess(row, element, energies) for row in rows])
    estimates = excess / share
    energy = _weighted_median(estimates, share)
    n = len(rows)
    left_out = [_weighted_median(np.delete(estimates, i), np.delete(share, i)) for i in range(n)]
    scatter = NORMAL_PER_MEDIAN * float(np.median(np.abs(estimates - energy)))
    return ElementReference(
        element=element,
        energy=energy,
        uncertainty=math.sqrt(math.pi / 2 / n) * scatter,
        leave_one_out=float(np.mean(np.abs(excess - share * left_out))),
        residuals={row.phase: float(r) for row, r in zip(rows, excess - share * energy, strict=True)},
    )


def _not_fitted(element: str, found: int) -> MissingReferenceError:
    known = sorted(row.phase for row in calibrating_compounds(element))
    if not known:
        fitted = [gas for gas in MOLECULES if calibrating_compounds(gas)]
        return MissingReferenceError(
            f"the package has no measured enthalpies to fit the reference energy of {element} to",
            where="gas references",
            expected=f"no gas element but {', '.join(fitted)} where phases are relaxed at a level",
            remedy="Take phases that have energies of their own, that of the gas too: a file of entries, VASP "
            "runs, 'mp', or 'optimade:URL#energy=PROPERTY'.",
        )
    return MissingReferenceError(
        f"the reference energy of {element} cannot be fitted from {found} compounds with energies",
        where="gas references",
        expected=f"energies of at least {FEWEST_COMPOUNDS} of {', '.join(known)}",
        remedy="Relax the calibrating compounds and their elements at this level (`relax_missing`).",
    )


def _weighted_median(values: Array, weights: Array) -> float:
    """Return the middle of the values that minimise Σ w |v − m|."""
    order = np.argsort(values)
    values, cumulative = values[order], np.cumsum(weights[order])
    half = cumulative[-1] / 2
    lower = values[np.searchsorted(cumulative, half * (1 - 1e-12))]
    upper = values[min(np.searchsorted(cumulative, half * (1 + 1e-12)), len(values) - 1)]
    return float((lower + upper) / 2)


def _is_covered(row: FormationEnthalpy, energies: Mapping[str, float]) -> bool:
    solids = Composition(row.formula).chemical_system_set - set(MOLECULES)
    return row.formula in energies and solids <= set(energies)


def _excess(row: FormationEnthalpy, element: str, energies: Mapping[str, float]) -> float:
    """Return d = e − Σ_M x_M e_M − ΔH in eV/atom: what the gas has to account for."""
    composition = Composition(row.formula)
    solids = {str(e): composition.get_atomic_fraction(e) for e in composition if str(e) != element}
    return energies[row.formula] - sum(x * energies[e] for e, x in solids.items()) - row.enthalpy
