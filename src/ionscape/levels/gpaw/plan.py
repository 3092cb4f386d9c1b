"""What GPAW is asked for one structure: cell, k-points, moments and data sets, checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.geometry import is_minkowski_reduced
from ase.geometry.minkowski_reduction import minkowski_reduce

from ionscape.errors import InputError
from ionscape.levels.gpaw.datasets import setups, valence_electrons
from ionscape.levels.gpaw.settings import WHERE, GPAWSettings
from ionscape.levels.kpoints import grid_of_density, wants_gamma
from ionscape.levels.moments import starting_moments
from ionscape.units import Array, Count, Indices

#: Angles between lattice vectors, °, beyond which a cell is reduced: GPAW's real-space grid wants them near 90.
_FLAT = 50.0


@dataclass(frozen=True)
class Plan:
    """What stays the same while one structure is moved: a relaxation, a run, a single point.

    Attributes
    ----------
    symbols
        Of the atoms.
    reduction
        Whole-number combinations of the lattice vectors that make a compact cell, (3, 3).
    parameters
        GPAW's own, less mixer and symmetry.
    """

    symbols: tuple[str, ...]
    reduction: Indices
    parameters: dict[str, Any]

    @classmethod
    def of(cls, atoms: Any, settings: GPAWSettings) -> Plan:
        """Return the plan for ASE `atoms`.

        Raises
        ------
        InputError
            If an element has no data set, the cell is not periodic, or the electrons are odd in number without
            spin.
        """
        symbols = tuple(atoms.get_chemical_symbols())
        _check_cell(atoms)
        reduction = _reduction(atoms.cell.array)
        datasets = setups(symbols, settings)
        moments = _moments(list(symbols), settings)
        cell = reduction @ atoms.cell.array
        grid = settings.kpoints or grid_of_density(cell, len(atoms), settings.kpoint_density)
        centred = settings.kpoint_scheme == "gamma" or (settings.kpoint_scheme == "auto" and wants_gamma(cell))
        parameters = {
            "mode": {"name": "pw", "ecut": settings.cutoff_eV},
            "xc": settings.functional,
            "kpts": {"size": list(grid), "gamma": centred},
            "setups": datasets,
            "spinpol": moments is not None,
            "magmoms": None if moments is None else moments.tolist(),
            "charge": settings.charge_e,
            "occupations": {"name": settings.smearing, "width": settings.smearing_width_eV},
            "convergence": {
                "energy": settings.energy_tolerance_eV_per_electron,
                "density": settings.density_tolerance,
            },
            "maxiter": settings.max_iterations,
        }
        return cls(symbols, reduction, parameters)

    def compact(self, atoms: Any) -> Any:
        """Return bare `atoms` in the compact cell: the same crystal at the same Cartesian positions."""
        from ase import Atoms

        bare = Atoms(atoms.numbers, atoms.positions, cell=self.reduction @ atoms.cell.array, pbc=True)
        bare.wrap(eps=1e-9)
        return bare

    def channels(self, atoms: Any) -> Count:
        """Return how many k-points and spins can be computed side by side at least, by the symmetry of `atoms`."""
        import spglib

        compact, grid = self.compact(atoms), self.parameters["kpts"]
        shift = [0 if grid["gamma"] or n % 2 else 1 for n in grid["size"]]
        crystal = (compact.cell.array, compact.get_scaled_positions(), compact.numbers)
        reduced = spglib.get_ir_reciprocal_mesh(grid["size"], crystal, is_shift=shift)
        return len(set(reduced[0].tolist())) * (2 if self.parameters["spinpol"] else 1)

    def corrected_cutoffs(self) -> tuple[float, float]:
        """Return the two cutoffs between which the energy's dependence on the basis is measured, eV."""
        cutoff = float(self.parameters["mode"]["ecut"])
        return 0.94 * cutoff, 1.06 * cutoff


def _check_cell(atoms: Any) -> None:
    if len(atoms) and all(atoms.pbc) and abs(np.linalg.det(atoms.cell.array)) > 1e-6:
        return
    raise InputError(
        "no atoms, or not periodic in three directions",
        where=WHERE,
        expected="atoms in a three-dimensional periodic cell",
        remedy="Give the structure a cell, with vacuum where it ends.",
    )


def _reduction(cell: Array) -> Indices:
    lengths = np.linalg.norm(cell, axis=1)
    cosines = np.abs(cell @ cell.T / np.outer(lengths, lengths))[np.triu_indices(3, 1)]
    if cosines.max() < np.cos(np.radians(_FLAT)) or is_minkowski_reduced(cell):
        return np.eye(3, dtype=np.int64)
    _, combination = minkowski_reduce(cell)
    if np.linalg.det(combination) < 0:
        combination = -combination
    return np.asarray(combination, dtype=np.int64)


def _moments(symbols: list[str], settings: GPAWSettings) -> Array | None:
    """Return the moments to start from, or None if the calculation is not spin-polarised."""
    electrons = _electrons(symbols, settings)
    odd = abs(electrons - 2 * round(electrons / 2)) > 1e-6
    if settings.spin == "none":
        if odd and settings.odd_electrons == "refuse":
            raise InputError(
                f"{electrons:g} valence electrons in the cell, an odd number, without spin",
                where=f"{WHERE}, spin",
                expected="an even number of electrons, or spin",
                remedy='Set spin = "auto", or odd_electrons = "allow" for a simple metal.',
            )
        return None
    moments = starting_moments(symbols, settings.magnetic_moments)
    if not moments.any() and odd:
        moments = np.full(len(symbols), 1.0 / len(symbols))
    return moments if moments.any() or settings.spin == "polarized" else None


def _electrons(symbols: list[str], settings: GPAWSettings) -> float:
    valence = valence_electrons(symbols, settings)
    return sum(valence[symbol] for symbol in symbols) - settings.charge_e
