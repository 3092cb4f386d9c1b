"""Projected states, densities and potentials of a saved calculation of GPAW (`restart_file` of its level)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.electronic.states import ProjectedStates
from ionscape.errors import InputError, unreadable
from ionscape.levels.gpaw.datasets import know_made_datasets, missing_installation
from ionscape.structures.density import DensityGrid
from ionscape.structures.exchange import to_structure
from ionscape.units import Energy

#: Grid of energies about the gap, eV, and width of the Gaussians that states are shown with, eV.
BELOW, ABOVE, STEP, WIDTH = 12.0, 8.0, 0.01, 0.05


def open_calculation(path: str | Path) -> Any:
    """Return GPAW's calculator of a saved calculation.

    Raises
    ------
    InputError
        If GPAW is not installed or the file is no such calculation.
    """
    missing = missing_installation()
    if missing is not None:
        raise InputError(
            "GPAW is not installed", where=str(path), expected="GPAW, to read its files", remedy=missing
        )
    from gpaw.new.ase_interface import GPAW

    know_made_datasets()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return GPAW(str(path), txt=None)
    except Exception as error:  # noqa: BLE001  the reader raises anything; one clear error leaves here
        raise unreadable(
            error,
            "a calculation of GPAW",
            where=str(path),
            expected="a .gpw file with wave functions",
            remedy="Let the level write it: --level-setting restart_file=NAME.gpw.",
        ) from None


def states_of(calculator: Any, source: str, width: Energy = WIDTH) -> ProjectedStates:
    """Return the projected states of a calculation, as Gaussians of `width` eV.

    Projections are on the bound partial waves of the data sets (doi:10.1088/0953-8984/22/25/253202);
    their sum is less than all states by what lies between the atoms.
    """
    atoms = calculator.atoms
    top, bottom = (float(one) for one in calculator.get_homo_lumo())
    energies = np.arange(top - BELOW, bottom + ABOVE, STEP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dos = calculator.dos(shift_fermi_level=False)
        spins = 2 if calculator.dft.density.ncomponents == 2 else 1
        values = np.array(
            [
                [
                    [_projected(dos, energies, (atom, momentum, spin), spins, width) for spin in range(spins)]
                    for momentum in range(4)
                ]
                for atom in range(len(atoms))
            ]
        )
    return ProjectedStates(energies, values, tuple(atoms.get_chemical_symbols()), top, bottom, source)


def _projected(dos: Any, energies: Any, place: tuple[int, int, int], spins: int, width: float) -> Any:
    atom, momentum, spin = place
    if momentum not in dos.setups[atom].l_j:
        return np.zeros(len(energies))
    values = dos.raw_pdos(energies, a=atom, l=momentum, spin=spin if spins == 2 else None, width=width)
    return np.asarray(values)


def density_of(calculator: Any, source: str) -> DensityGrid:
    """Return the all-electron density, e/Å³, on a grid twice as fine as the calculation's own (0.1 Å or less)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = np.asarray(calculator.get_all_electron_density(gridrefinement=2))
    return DensityGrid(values, to_structure(calculator.atoms), source)


def potential_of(calculator: Any) -> Any:
    """Return the electrostatic potential, eV, on the calculation's grid, (n1, n2, n3)."""
    return np.asarray(calculator.get_electrostatic_potential())
