"""Electron density of a crystal on a grid: read from a calculation, or superposed from atomic densities.

The atomic densities are the exact Fourier transforms of the X-ray form factors of Waasmaier and Kirfel
(doi:10.1107/S0108767394013292), tabulated for neutral atoms and common ions in `periodictable`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numba
import numpy as np
from periodictable import cromermann
from scipy import constants
from scipy.optimize import brentq
from scipy.special import erfc

from ionscape.errors import InputError, unreadable
from ionscape.files import Wanted, check_file, text_of
from ionscape.results import frozen
from ionscape.structures.file_checks import check_cube, check_grid, check_poscar
from ionscape.structures.supercells import plane_spacings
from ionscape.units import Array, Density, Length, Number, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.io.vasp import Chgcar

DENSITY = Wanted(
    "a charge density",
    "a charge density: a CHGCAR, AECCAR or cube file of a periodic calculation",
    "Check the path and that the file is complete; cube files must end in .cube.",
    largest_MB=4096,
)
#: Gaussians of the form factor narrower than this (σ < 0.016 Å), and its constant, are the point-like core; Å².
NARROWEST_WIDTH = 0.02
#: Bohr radius in Å.
BOHR = constants.physical_constants["Bohr radius"][0] * 1e10


@dataclass(frozen=True)
class AtomicDensity:
    """Spherical electron density of a free atom or ion as a sum of Gaussians.

    The form factor f(s) = Σ aᵢ exp(−bᵢ s²) + c, s = sin θ/λ, transforms to
    ρ(r) = Σ aᵢ (4π/bᵢ)^{3/2} exp(−4π² r²/bᵢ) + (core) δ(r).

    Attributes
    ----------
    label
        Entry of the table, e.g. ``O2-`` or ``N``.
    amplitudes, widths
        aᵢ in e and bᵢ in Å², (n,) each.
    core
        Electrons in the point-like core: the constant c and Gaussians with b < 0.02 Å² (or negative b, which
        some fits use for a slowly varying constant). They lie within 0.1 Å of the nucleus and are left out of
        the density in space.
    """

    label: str
    amplitudes: Annotated[Array, Unit("e")]
    widths: Annotated[Array, Unit("Å²")]
    core: Number

    @property
    def electrons(self) -> float:
        """Number of electrons, core included."""
        return float(self.amplitudes.sum() + self.core)

    def at(self, distance: Array) -> Array:
        """Return the density in e/Å³ at `distance` Å from the nucleus, without the point-like core."""
        r2 = np.asarray(distance, dtype=float)[..., None] ** 2
        peak = self.amplitudes * (4 * np.pi / self.widths) ** 1.5
        return np.sum(peak * np.exp(-4 * np.pi**2 * r2 / self.widths), axis=-1)

    def electrons_beyond(self, distance: float) -> float:
        """Return an upper bound on the electrons farther than `distance` Å from the nucleus."""
        x = 2 * np.pi * distance / np.sqrt(self.widths)
        outside = erfc(x) + 2 * x / np.sqrt(np.pi) * np.exp(-(x**2))
        return float(np.sum(np.abs(self.amplitudes) * outside))

    def reach(self, electrons: float) -> float:
        """Return the distance in Å beyond which fewer than `electrons` electrons lie."""
        longest = 4.0
        while self.electrons_beyond(longest) > electrons:
            longest *= 1.5
        return float(brentq(lambda r: self.electrons_beyond(r) - electrons, 0.0, longest, xtol=1e-3)) + 1e-3


def atomic_density(symbol: str, charge: float = 0) -> AtomicDensity:
    """Return the density of the ion `symbol` of formal `charge` if tabulated, else that of the neutral atom.

    The label tells which. N3−, for example, is not stable in free space and is not in the table.

    Raises
    ------
    InputError
        If the element is not in the table (beyond Cf).
    """
    label = symbol if charge == 0 else f"{symbol}{abs(charge):.0f}{'+' if charge > 0 else '-'}"
    for name in (label, symbol) if float(charge).is_integer() else (symbol,):
        try:
            form = cromermann.getCMformula(name)
        except KeyError:
            continue
        wide = form.b >= NARROWEST_WIDTH
        core = float(form.c + form.a[~wide].sum())
        return AtomicDensity(name, frozen(form.a[wide]), frozen(form.b[wide]), core)
    raise InputError(
        f"no atomic density of {symbol}",
        where="superposition of atomic densities",
        expected="elements H to Cf (form factors of Waasmaier and Kirfel 1995)",
        remedy="Give a computed charge density, or use the geometric method.",
    )


@dataclass(frozen=True)
class DensityGrid:
    """Electron density on a regular grid of one cell.

    Attributes
    ----------
    values
        ρ in e/Å³ at the fractional positions (i/n₁, j/n₂, k/n₃); (n₁, n₂, n₃).
    structure
        The crystal it belongs to.
    source
        Where it comes from: a file, or the atomic densities that were superposed.
    """

    values: Annotated[Array, Unit("e/Å³")] = field(repr=False)
    structure: Structure
    source: str

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or min(self.values.shape, default=0) < 4 or not np.isfinite(self.values).all():
            raise InputError(
                f"grid of shape {self.values.shape} with {np.sum(~np.isfinite(self.values))} values not finite",
                where=f"charge density ({self.source})",
                expected="a three-dimensional grid of finite densities, at least 4 points along each axis",
                remedy="Write the density again, on its full grid.",
            )

    @property
    def electrons(self) -> float:
        """Number of electrons in the cell, as the sum over the grid."""
        return float(self.values.mean() * self.structure.volume)

    @property
    def spacing(self) -> Length:
        """Largest distance in Å between neighbouring points along a cell edge."""
        return float(max(np.array(self.structure.lattice.abc) / self.values.shape))


def superposed_density(
    structure: Structure,
    charges: Mapping[str, float] | None = None,
    spacing: Length = 0.15,
    accuracy: Density = 1e-9,
    shape: tuple[int, int, int] | None = None,
) -> DensityGrid:
    """Return the superposition of the densities of the free atoms or ions of a crystal, ρ(r) = Σ ρ_at(|r − R|).

    Parameters
    ----------
    structure
        The crystal, in any cell.
    charges
        Formal charge of each element in e; elements left out, and ions not in the table, are neutral atoms.
    spacing
        Upper bound on the distance between grid points along each edge, Å.
    accuracy
        Atoms are summed to the distance beyond which, averaged over the cell, less than this density is left
        out, e/Å³.
    shape
        Points of the grid along each edge, in place of `spacing`.

    Notes
    -----
    Meant for the space between atoms. The point-like core of each form factor is left out, and real densities
    fall off exponentially where Gaussians vanish faster: farther than about 4 Å from every atom the values say
    "empty" and no more. Form factors: doi:10.1107/S0108767394013292.
    """
    if shape is None:
        first, second, third = (int(n) for n in np.maximum(np.ceil(np.array(structure.lattice.abc) / spacing), 4))
        shape = first, second, third
    values = np.zeros(shape)
    symbols = [site.specie.symbol for site in structure]
    labels = []
    for symbol in dict.fromkeys(symbols):
        atom = atomic_density(symbol, (charges or {}).get(symbol, 0))
        labels.append(atom.label)
        reach = atom.reach(accuracy * structure.volume / len(structure))
        chosen = [k for k, name in enumerate(symbols) if name == symbol]
        peaks = atom.amplitudes * (4 * np.pi / atom.widths) ** 1.5
        _add_gaussians(
            values,
            np.ascontiguousarray(structure.lattice.matrix),
            np.ascontiguousarray(structure.frac_coords[chosen]),
            np.stack([peaks, 4 * np.pi**2 / atom.widths]),
            reach,
            reach / plane_spacings(np.array(structure.lattice.matrix)),
        )
    values.setflags(write=False)
    return DensityGrid(values, structure, f"superposition of {', '.join(labels)}")


@numba.njit(cache=True)
def _add_gaussians(
    values: Array, matrix: Array, fractional: Array, gaussians: Array, reach: float, margin: Array
) -> None:
    """Add Σᵢ peakᵢ exp(−decayᵢ r²), r < `reach`, of atoms at `fractional` and all their images to the grid.

    Along the last axis the squared distance is a parabola, so that only points inside the sphere are visited,
    in whatever cell.
    """
    n1, n2, n3 = values.shape
    step1, step2, step3 = matrix[0] / n1, matrix[1] / n2, matrix[2] / n3
    length2 = step3 @ step3
    for atom in range(len(fractional)):
        x, y, z = fractional[atom, 0] * n1, fractional[atom, 1] * n2, fractional[atom, 2] * n3
        for i in range(int(np.ceil(x - margin[0] * n1)), int(np.floor(x + margin[0] * n1)) + 1):
            for j in range(int(np.ceil(y - margin[1] * n2)), int(np.floor(y + margin[1] * n2)) + 1):
                base = (i - x) * step1 + (j - y) * step2
                middle = z - (base @ step3) / length2
                rest = reach * reach - (base @ base - (base @ step3) ** 2 / length2)
                if rest < 0:
                    continue
                half = np.sqrt(rest / length2)
                for k in range(int(np.ceil(middle - half)), int(np.floor(middle + half)) + 1):
                    offset = base + (k - z) * step3
                    r2 = offset @ offset
                    total = 0.0
                    for g in range(gaussians.shape[1]):
                        total += gaussians[0, g] * np.exp(-gaussians[1, g] * r2)
                    values[i % n1, j % n2, k % n3] += total


def density_of(chgcar: Chgcar) -> DensityGrid:
    """Return the density of a pymatgen `Chgcar`, whose values are ρ V in e."""
    values = frozen(chgcar.data["total"] / chgcar.structure.volume)
    return DensityGrid(values, chgcar.structure, "CHGCAR")


def read_density(path: str | Path) -> DensityGrid:
    """Return the density in a CHGCAR or AECCAR file (ρ V, e) or in a cube file (ρ, e/bohr³).

    Raises
    ------
    InputError
        If the file is missing, is none of these, or its grid does not span one whole cell.
    """
    from ionscape.structures.exchange import check_structure

    file = Path(path)
    check_file(file, DENSITY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            grid = _read_cube(file) if ".cub" in file.name.lower() else _read_chgcar(file)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  parsers raise anything; one clear error leaves here
        raise unreadable(
            error,
            DENSITY.name,
            where=str(path),
            expected=DENSITY.expected,
            remedy=DENSITY.remedy,
        ) from None
    check_structure(grid.structure, where=str(path))
    if not np.isfinite(grid.values).all():
        raise InputError(
            "a density that is not a finite number",
            where=str(path),
            expected="finite numbers",
            remedy=DENSITY.remedy,
        )
    return grid


def _read_chgcar(file: Path) -> DensityGrid:
    from pymatgen.io.vasp import Chgcar

    text = text_of(file, DENSITY)
    check_poscar(text)
    check_grid(text)
    grid = density_of(Chgcar.from_file(str(file)))
    return DensityGrid(grid.values, grid.structure, str(file))


def _read_cube(file: Path) -> DensityGrid:
    from ase.io.cube import read_cube

    from ionscape.structures.exchange import to_structure

    text = text_of(file, DENSITY)
    check_cube(text)
    cube = read_cube(io.StringIO(text))
    atoms = cube["atoms"]
    atoms.pbc = True
    atoms.positions -= cube["origin"]
    return DensityGrid(frozen(cube["data"] / BOHR**3), to_structure(atoms), str(file))
