"""Charge that moves when two parts meet: ρ(AB) − ρ(A) − ρ(B) on one grid, its planar average, and as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from ionscape.errors import InputError
from ionscape.structures.density import BOHR, DensityGrid
from ionscape.structures.exchange import replacing, to_atoms
from ionscape.units import Array, Charge, Count, LengthArray, Unit

#: Isosurface at which the source study shows it, e/Å³.
ISOVALUE = 0.005
#: Atoms of the parts and the whole may differ by this, Å, and still be one frozen geometry.
_SAME_PLACE = 1e-3

DensityArray = Annotated[Array, Unit("e/Å³")]
LineArray = Annotated[Array, Unit("e/Å")]


@dataclass(frozen=True)
class DensityDifference:
    """What moved.

    Attributes
    ----------
    values
        ρ(AB) − ρ(A) − ρ(B), e/Å³, (n1, n2, n3).
    heights
        Of the planes of the grid along the normal, Å, (n,).
    planar
        Integral over each plane, e/Å, (n,).
    moved
        Half of the integral of the absolute value: electrons that moved.
    total
        Integral; 0 but for the accuracy of the grid.
    """

    values: DensityArray
    heights: LengthArray
    planar: LineArray
    moved: Charge
    total: Charge


def density_difference(
    whole: DensityGrid, parts: tuple[DensityGrid, DensityGrid], axis: Count = 2
) -> DensityDifference:
    """Return what moved when the two `parts` met in the `whole`.

    Planes of the grid along `axis` are parallel to the other two lattice vectors in any cell, so the integral
    over a plane is the mean of its points times its area.

    Raises
    ------
    InputError
        If cells or grids differ, or the atoms of the parts are not those of the whole in the same places.
    """
    _check(whole, parts)
    values = whole.values - parts[0].values - parts[1].values
    cell = whole.structure.lattice.matrix
    volume, area = abs(np.linalg.det(cell)), np.linalg.norm(np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3]))
    others = tuple(k for k in range(3) if k != axis)
    count = values.shape[axis]
    return DensityDifference(
        values=values,
        heights=np.arange(count) * (volume / area) / count,
        planar=values.mean(axis=others) * area,
        moved=float(np.abs(values).mean() * volume / 2),
        total=float(values.mean() * volume),
    )


def write_difference(difference: DensityDifference, whole: DensityGrid, path: Path) -> Path:
    """Write the difference as a cube file, e/bohr³ as such files have it, and return the path.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from ase.io.cube import write_cube

    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        write_cube(file, to_atoms(whole.structure), data=difference.values * BOHR**3)
    return path


def write_planar(difference: DensityDifference, path: Path) -> Path:
    """Write heights, Å, and integrals over the planes, e/Å, as JSON, and return the path."""
    with replacing(path) as part:
        part.write_text(
            json.dumps({"height_A": difference.heights.tolist(), "e_per_A": difference.planar.tolist()}),
            encoding="utf-8",
        )
    return path


def _check(whole: DensityGrid, parts: tuple[DensityGrid, DensityGrid]) -> None:
    for name, part in zip("AB", parts, strict=True):
        if part.values.shape != whole.values.shape:
            raise _refused(
                f"a grid of {part.values.shape} in {name}, {whole.values.shape} in AB", "one grid for all"
            )
        if not np.allclose(part.structure.lattice.matrix, whole.structure.lattice.matrix, atol=1e-6):
            raise _refused(f"another cell in {name} than in AB", "one cell for all")
    apart = [site for part in parts for site in part.structure]
    if len(apart) != len(whole.structure):
        raise _refused(f"{len(apart)} atoms in A and B, {len(whole.structure)} in AB", "the same atoms")
    for site in whole.structure:
        near = [one for one in apart if one.specie == site.specie and one.distance(site) < _SAME_PLACE]
        if len(near) != 1:
            raise _refused(
                f"no atom {site.specie} at {np.round(site.coords, 3).tolist()} Å in A or B", "frozen atoms"
            )


def _refused(found: str, expected: str) -> InputError:
    return InputError(
        found,
        where="density difference",
        expected=expected,
        remedy="Compute A and B with the atoms, cell and grid that they have in AB.",
    )
