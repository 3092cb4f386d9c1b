r"""Decomposition energy: how far a phase lies above the convex hull of its competing phases.

    E_d = e − E(c),    E(c) the lowest energy per atom of any mixture of competing phases of composition c

E_d ≥ 0 above the hull and on it; E_d < 0 if the target lies below every mixture of the others: it is stable by
that much. Zero kelvin, no pressure-volume work, no entropy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pymatgen.core import Composition

from ionscape.phases.competing import CompetingPhases
from ionscape.phases.table import unabbreviated
from ionscape.stability.equilibrium import SOLVER_TOLERANCE, Equilibrium, NoMixtureError, equilibrium
from ionscape.units import EnergyPerAtom, Number

#: Coefficients of reactions are written as fractions if one with at most this denominator hits them.
LARGEST_DENOMINATOR = 48
#: How closely a fraction has to hit a coefficient.
CLOSE = 1e-6


@dataclass(frozen=True)
class Decomposition:
    """Decomposition of a target into competing phases.

    Attributes
    ----------
    formula
        Formula of the target, as the phase table writes it or reduced.
    energy
        Energy of the target, eV/atom.
    decomposition_energy
        E_d, eV/atom; ≥ 0 above the hull, negative below every mixture of the competing phases.
    products
        Atom fraction of every product, by formula; sums to 1. A target on the hull is its own product.
    potentials
        Chemical potentials of the target's elements in the products, eV/atom, on the level's scale of energies.
    reaction
        The balanced reaction of one formula unit of the target.
    """

    formula: str
    energy: EnergyPerAtom
    decomposition_energy: EnergyPerAtom
    products: Mapping[str, Number]
    potentials: Mapping[str, EnergyPerAtom]
    reaction: str


def decomposition_energy(
    target: str | Composition | Mapping[str, float], phases: CompetingPhases, energy: float | None = None
) -> Decomposition:
    """Return the decomposition of `target` into the lowest-energy mixture of `phases`.

    Parameters
    ----------
    target
        Composition, in any notation.
    phases
        Competing phases at the level of `energy`. If the target's composition is among them, it competes too.
    energy
        Energy of the target at the level of `phases`, eV/atom; without it, that of the phase `target` among them.

    Raises
    ------
    MissingReferenceError
        If no mixture of the phases has the composition, or `energy` is not given and `target` is none of them.
    """
    composition = Composition(unabbreviated(target) if isinstance(target, str) else target)
    formula = phases.label_of(composition.reduced_formula)
    known = phases.energy_of(formula) if energy is None else energy
    mixture = _mixture(composition, phases)
    products = {phases.labels[i]: float(x) for i, x in zip(mixture.phases, mixture.shares, strict=True)}
    potentials = {
        phases.elements[i]: float(mu) for i, mu in zip(mixture.elements, mixture.potentials, strict=True)
    }
    return Decomposition(
        formula=formula,
        energy=known,
        decomposition_energy=_above(known, mixture.energy),
        products=products,
        potentials=potentials,
        reaction=f"{formula} → {_right_hand_side(composition, products)}",
    )


def _mixture(composition: Composition, phases: CompetingPhases) -> Equilibrium:
    try:
        return equilibrium(phases.fractions_of(composition), phases.fractions, phases.energies)
    except NoMixtureError as error:
        names = ", ".join(phases.elements[i] for i in error.columns)
        raise NoMixtureError(error.columns, names) from None


def _above(energy: float, hull: float) -> float:
    """Return the height above the hull, exactly 0 where only rounding tells the two apart."""
    height = energy - hull
    return 0.0 if abs(height) < SOLVER_TOLERANCE else height


def _right_hand_side(composition: Composition, products: Mapping[str, float]) -> str:
    """Return ``n B + m C`` per formula unit of the target."""
    atoms = composition.reduced_composition.num_atoms
    return " + ".join(_term(atoms * x / _atoms(label), label) for label, x in products.items())


def _atoms(label: str) -> float:
    return float(Composition(unabbreviated(label)).num_atoms)


def _term(coefficient: float, label: str) -> str:
    fraction = Fraction(coefficient).limit_denominator(LARGEST_DENOMINATOR)
    if abs(float(fraction) - coefficient) > CLOSE * max(1.0, coefficient):
        return f"{coefficient:.4g} {label}"
    return label if fraction == 1 else f"{fraction} {label}"
