r"""Surface energies of slabs: by thickness, and with chemical potentials where a slab is not stoichiometric.

    γ = (E − Σᵢ Nᵢ μᵢ) / 2A

=====  ==================================================================
E, Nᵢ  energy of the slab and its atoms of each element
μᵢ     chemical potentials; in equilibrium with the crystal Σᵢ νᵢ μᵢ = g
A      area of one face
g      energy of a formula unit of the crystal, ν its atoms
=====  ==================================================================

For a stoichiometric slab the sum is n g, and γ is the (E_slab − E_bulk)/2A of the source study. With symmetric
slabs it is the energy of either face; else the mean of two different faces, half the energy of cleavage. A slab
with an excess of atoms has a γ that depends on the chemical potentials. They are bounded by the competing phases,
Σᵢ ν′ᵢ μᵢ ≤ g′ for every phase (K. Reuter, M. Scheffler, Phys. Rev. B 65, 035406 (2001),
doi:10.1103/PhysRevB.65.035406); γ is linear in them, so that its bounds are those of a linear programme.

Against the number n of layers E(n) = 2Aγ + n e, so that the straight line through slabs of several thicknesses
gives γ without the energy of the crystal, whose error would grow with n (V. Fiorentini, M. Methfessel, J.
Phys.: Condens. Matter 8, 6525 (1996), doi:10.1088/0953-8984/8/36/005).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from ionscape.interfaces.slabs import Slab
from ionscape.phases.competing import CompetingPhases
from ionscape.results import Failure, frozen
from ionscape.units import Energy, EnergyPerArea, EnergyPerAreaArray, EnergyPerAtom


@dataclass(frozen=True)
class ThicknessFit:
    """The straight line through energies of slabs of one termination.

    Attributes
    ----------
    gamma
        Surface energy from its intercept.
    energy_per_layer
        Its slope e, eV.
    gammas
        γ of every slab with the energy of the crystal, by thickness, (k,).
    largest_deviation
        Of a slab from the line, over 2A.
    """

    gamma: EnergyPerArea
    energy_per_layer: Energy
    gammas: EnergyPerAreaArray
    largest_deviation: EnergyPerArea


@dataclass(frozen=True)
class GammaRange:
    """γ of a slab with an excess of atoms, over all chemical potentials at which the crystal is stable.

    Attributes
    ----------
    low, high
        Its bounds.
    middle
        Its value halfway.
    low_potentials, high_potentials
        Chemical potentials at the bounds, by element.
    below_hull
        Energy by which the crystal had to be lowered to be stable at all, eV/atom.
    """

    low: EnergyPerArea
    high: EnergyPerArea
    middle: EnergyPerArea
    low_potentials: Mapping[str, EnergyPerAtom]
    high_potentials: Mapping[str, EnergyPerAtom]
    below_hull: EnergyPerAtom


def gamma_of(slab: Slab, energy: Energy, bulk_per_atom: EnergyPerAtom) -> EnergyPerArea:
    """Return γ of a stoichiometric slab of `energy` (eV), in eV/Å², with the energy of the crystal, eV/atom."""
    return (energy - len(slab.structure) * bulk_per_atom) / (2 * slab.area)


def thickness_fit(slabs: Sequence[Slab], energies: Sequence[Energy], bulk_per_atom: EnergyPerAtom) -> ThicknessFit:
    """Return the straight line through slabs of one termination, at least two; stoichiometric ones.

    Parameters
    ----------
    slabs, energies
        Slabs of different thickness and their energies, eV.
    bulk_per_atom
        Energy of the crystal, eV/atom.
    """
    atoms = np.array([len(slab.structure) for slab in slabs], dtype=float)
    layers, area = atoms / atoms[0], slabs[0].area
    slope, intercept = np.polyfit(layers, np.asarray(energies), 1)
    deviation = np.abs(np.asarray(energies) - slope * layers - intercept) / (2 * area)
    gammas = [gamma_of(slab, energy, bulk_per_atom) for slab, energy in zip(slabs, energies, strict=True)]
    return ThicknessFit(
        gamma=float(intercept) / (2 * area),
        energy_per_layer=float(slope) * len(slabs[0].structure) / atoms[0],
        gammas=frozen(np.array(gammas)),
        largest_deviation=float(deviation.max()),
    )


def gamma_range(
    slab: Slab, energy: Energy, bulk_per_atom: EnergyPerAtom, phases: CompetingPhases
) -> GammaRange | Failure:
    """Return the bounds of γ of a slab over the chemical potentials that `phases` and its own crystal allow.

    The linear programme: γ least and largest over μ with ν·μ = g and x_k·μ ≤ e_k for every phase k, all per atom.
    A crystal above the hull is lowered onto it.
    """
    elements = list(phases.elements)
    counts = slab.structure.composition.get_el_amt_dict()
    crystal = np.array([slab.parent_fractions.get(element, 0.0) for element in elements])
    atoms = np.array([counts.get(element, 0.0) for element in elements])
    # the highest energy at which the crystal would be stable: that of the hull
    top = linprog(-crystal, A_ub=phases.fractions, b_ub=phases.energies, bounds=(None, None), method="highs")
    if top.status != 0:
        return Failure(f"no chemical potentials: {top.message}")
    own = min(bulk_per_atom, float(-top.fun))
    slack = 1e-9 * (1 + abs(own))
    bounds = []
    for sign in (-1.0, 1.0):
        found = linprog(
            sign * atoms,
            A_ub=phases.fractions,
            b_ub=phases.energies + slack,
            A_eq=crystal[None],
            b_eq=[own],
            bounds=(None, None),
            method="highs",
        )
        if found.status != 0:
            return Failure(f"no chemical potentials at which the crystal is stable: {found.message}")
        bounds.append(found.x)
    low, high = ((energy - float(atoms @ mu)) / (2 * slab.area) for mu in bounds)
    named = [dict(zip(elements, map(float, mu), strict=True)) for mu in bounds]
    return GammaRange(low, high, (low + high) / 2, named[0], named[1], max(bulk_per_atom - own, 0.0))
