"""A made calculation of six layers, three of cobalt oxide below three of zirconia, as VASP would leave it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.outputs import Chgcar, Locpot
from vasprun_text import ORBITALS, vasprun

ENERGIES = np.arange(-6.0, 6.0, 0.02)
LATTICE = Lattice([[4.0, 0.5, 0.0], [-0.4, 4.5, 0.0], [3.0, 1.0, 16.0]])
HEIGHTS = (2.0, 4.0, 6.0, 8.5, 10.5, 12.5)


def structure() -> Structure:
    """Return the six layers, a metal and an oxygen each."""
    places, symbols = [], []
    for number, height in enumerate(HEIGHTS):
        symbols += ["Co" if number < 3 else "Zr", "O"]
        places += [[0.5, 0.5, height], [2.5, 2.5, height + 0.1]]
    return Structure(LATTICE, symbols, places, coords_are_cartesian=True)


def band(low: float, high: float, states: float) -> np.ndarray:
    return np.where((low <= ENERGIES) & (high >= ENERGIES), states / (high - low), 0.0)


def states(tops: tuple[float, ...], bottoms: tuple[float, ...]) -> np.ndarray:
    """Return (atoms, spins, nine orbitals, n): every layer ends at its top and begins again at its bottom."""
    values = np.zeros((12, 2, len(ORBITALS), len(ENERGIES)))
    for number, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        values[2 * number, :, 4] = band(bottom, bottom + 2, 3.0)
        values[2 * number + 1, :, 1] = band(top - 4, top, 3.0)
    return values


TOPS = (0.05, 0.0, -0.05, -1.5, -1.5, -1.5)
BOTTOMS = (2.0, 2.0, 2.0, 2.5, 2.5, 2.5)


def eigenvalues() -> np.ndarray:
    return np.array([[-4.0, -1.5, -0.05, 0.05, 2.0, 2.5]] * 2)


def write_vasprun(path: Path) -> None:
    path.write_text(vasprun(structure(), ENERGIES, states(TOPS, BOTTOMS), eigenvalues(), 0.5))


def write_vaspout(path: Path) -> None:
    """Write what VASP 6 writes of states: spin, atom, orbital, energy; names padded with blanks."""
    crystal = structure().get_sorted_structure(key=lambda site: site.specie.symbol)
    order = sorted(range(12), key=lambda k: (structure()[k].specie.symbol, k))
    counts = [sum(site.specie.symbol == one for site in crystal) for one in ("Co", "O", "Zr")]
    names = ["s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2"]
    with h5py.File(path, "w") as file:
        group = file.create_group("results")
        group["positions/scale"] = 1.0
        group["positions/lattice_vectors"] = crystal.lattice.matrix
        group["positions/position_ions"] = np.array([structure()[k].frac_coords for k in order])
        group["positions/ion_types"] = [b"Co ", b"O  ", b"Zr_sv"]
        group["positions/number_ion_types"] = counts
        group["positions/direct_coordinates"] = 1
        group["projectors/lchar"] = [f"{name:6s}".encode() for name in names]
        group["electron_dos/energies"] = ENERGIES
        group["electron_dos/dospar"] = states(TOPS, BOTTOMS)[order].swapaxes(0, 1)
        group["electron_eigenvalues/eigenvalues"] = eigenvalues()[:, None, :]
        group["electron_eigenvalues/fermiweights"] = (eigenvalues() < 0.5).astype(float)[:, None, :]


def write_locpot(path: Path) -> np.ndarray:
    """Write a potential that is −3 V over the lower half of the cell and −5 V over the upper; return it."""
    values = np.full((8, 8, 64), -3.0)
    values[..., 29:] = -5.0
    Locpot(Chgcar(structure(), {"total": values}).poscar, {"total": values}).write_file(str(path))
    return values


def write_outcar(path: Path) -> None:
    """Write the part of an OUTCAR that lists eigenvalues, of an earlier step and of the last."""

    def block(shift: float) -> str:
        lines = [" E-fermi :   0.5000     XC(G=0): -10.0     alpha+bet :-9.0", ""]
        for spin, one in enumerate(eigenvalues(), start=1):
            lines += [f" spin component {spin}", "", " k-point     1 :       0.0000    0.0000    0.0000"]
            lines.append("  band No.  band energies     occupation ")
            lines += [f"{k:7d} {e + shift:12.4f}      {float(e < 0.5):.5f}" for k, e in enumerate(one, start=1)]
            lines.append("")
        return "\n".join(lines) + "-" * 80 + "\n"

    path.write_text(block(0.7) + block(0.0) + " General timing and accounting informations for this job:\n")
