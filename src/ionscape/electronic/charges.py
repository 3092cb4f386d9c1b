r"""Charges of atoms: what a density leaves to each of them, by Hirshfeld's weights or in Bader's basins.

    q_A = N_A − ∫ w_A ρ dr

with N_A the electrons of the neutral atom that are in ρ: Z of an all-electron density, the valence of its data set
of a valence density. Hirshfeld: w_A = ρ_A / Σ_B ρ_B of free atoms (doi:10.1007/BF00549096); charges are small.
Bader: w_A is 1 in the basin from which the steepest way up the density ends at the atom, else 0
(doi:10.1016/j.commatsci.2005.04.010), by the package baderkit; basins between atoms count with the nearest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from ionscape.errors import CalculationError, InputError
from ionscape.results import frozen
from ionscape.structures.density import DensityGrid, superposed_density
from ionscape.units import Array, Charge, Unit

#: A density whose electrons differ by no more than this part from those of neutral atoms is of these atoms.
SAME_ELECTRONS = 0.005
#: Density beyond which free atoms are cut off, e/Å³.
FREE_ACCURACY = 1e-7
#: Of the package: points on the border of basins are shared (doi:10.1063/1.3553716); it writes nothing on its way.
METHOD = "weight"
INSTALL = "Run `pip install --no-deps baderkit rich` (its pin on pymatgen is older than ours)."

ChargeArray = Annotated[Array, Unit("e")]


@dataclass(frozen=True)
class AtomicCharges:
    """Charges of the atoms of a cell.

    Attributes
    ----------
    charges
        Of each atom, positive where electrons are missing, (atoms,).
    electrons
        In the basin of each, (atoms,).
    total
        Sum of the charges: that of the cell, but for the grid and what lies in vacuum.
    by_element
        Mean over the atoms of each element.
    """

    charges: ChargeArray
    electrons: ChargeArray
    total: Charge
    by_element: Annotated[Mapping[str, float], Unit("e")]


def bader_charges(
    density: DensityGrid,
    valence: Mapping[str, float] | None = None,
    reference: DensityGrid | None = None,
) -> AtomicCharges:
    """Return the Bader charges of the atoms of `density`.

    Parameters
    ----------
    density
        All electrons, or those of the valence.
    valence
        Electrons of each neutral atom that are in `density`, by element; without it all, Z.
    reference
        Density whose basins are taken, such as AECCAR0 + AECCAR2 for the valence density of CHGCAR; without it
        `density` itself.

    Raises
    ------
    InputError
        If the package is missing, or the density has not the electrons of the atoms (to 0.5 %), or the grids
        differ.
    CalculationError
        If no basins are found.
    """
    neutral = _neutral(density, valence, "Bader charges")
    if reference is not None and reference.values.shape != density.values.shape:
        raise InputError(
            f"grids of {density.values.shape} and {reference.values.shape}",
            where="Bader charges",
            expected="density and reference on one grid",
            remedy="Take both from one calculation.",
        )
    return _charges(density, neutral, _in_basins(density, reference or density))


def hirshfeld_charges(density: DensityGrid, valence: Mapping[str, float] | None = None) -> AtomicCharges:
    """Return the Hirshfeld charges of the atoms of `density`.

    Parameters
    ----------
    density, valence
        As for `bader_charges`.

    Raises
    ------
    InputError
        If the density has not the electrons of the atoms (to 0.5 %), or the density of a free atom is not known.
    """
    neutral = _neutral(density, valence, "Hirshfeld charges")
    structure = density.structure
    free = [_free_atom(density, number) for number in range(len(structure))]
    together = np.maximum(np.sum(free, axis=0, dtype=np.float64), 1e-30)
    shares = density.values / together * (structure.volume / density.values.size)
    electrons = np.array([float(np.vdot(shares, one)) for one in free])
    return _charges(density, neutral, electrons)


def _free_atom(density: DensityGrid, number: int) -> Array:
    """Return the density of one free atom on the grid of `density`."""
    structure = density.structure
    alone = type(structure)(structure.lattice, [structure[number].specie], [structure[number].frac_coords])
    found = superposed_density(alone, None, shape=density.values.shape, accuracy=FREE_ACCURACY)
    return found.values.astype(np.float32)


def _charges(density: DensityGrid, neutral: Array, electrons: Array) -> AtomicCharges:
    charges = neutral - electrons
    symbols = np.array([site.specie.symbol for site in density.structure])
    means = {str(one): float(charges[symbols == one].mean()) for one in dict.fromkeys(symbols.tolist())}
    return AtomicCharges(frozen(charges), frozen(electrons), float(charges.sum()), means)


def _neutral(density: DensityGrid, valence: Mapping[str, float] | None, where: str) -> Array:
    sites = [site.specie for site in density.structure]
    missing = [one.symbol for one in sites if valence is not None and one.symbol not in valence]
    numbers = [float(one.Z if valence is None else valence.get(one.symbol, 0.0)) for one in sites]
    wanted, found = sum(numbers), density.electrons
    if missing or abs(found - wanted) > max(SAME_ELECTRONS * wanted, 1.0):
        raise InputError(
            f"{found:.2f} electrons in the density, {wanted:g} in the neutral atoms"
            + (f", {missing[0]} unknown" if missing else ""),
            where=f"{where} ({density.source})",
            expected="all electrons, or valence electrons with the number that each element has",
            remedy="Give the valence of each element, that of its data set (ZVAL of POTCAR): --valence O=6,Li=3.",
        )
    return np.array(numbers)


def _in_basins(density: DensityGrid, reference: DensityGrid) -> Array:
    """Return the electrons in the basins of each atom, (atoms,)."""
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        from baderkit import Bader, Grid
    except ImportError:
        raise InputError(
            "the package baderkit is not installed", where="Bader charges", expected="baderkit", remedy=INSTALL
        ) from None
    finally:  # the package takes over the log of the whole process
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)

    def grid(one: DensityGrid) -> Any:
        return Grid(structure=density.structure, data={"total": np.array(one.values) * one.structure.volume})

    try:
        found = Bader(method=METHOD, charge_grid=grid(density), reference_grid=grid(reference), vacuum_tol=False)
        electrons: Array = np.asarray(found.atom_charges, dtype=float)
    except Exception as error:
        message = f"no basins were found in {reference.source}: {' '.join(str(error).split())[:160]}"
        raise CalculationError(message) from error
    return electrons
