"""Slabs: every termination of a plane of a crystal, cut out with two equivalent faces where that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ionscape.errors import InputError
from ionscape.interfaces.cuts import Cut, Tasker, cuts, gaps_of, same_height
from ionscape.interfaces.orientation import Orientation, orientation
from ionscape.interfaces.settings import Miller, SlabSettings
from ionscape.interfaces.split_planes import repeated
from ionscape.structures.charges import formal_charges
from ionscape.units import Area, Array, CellArray, Count, FractionalArray, Length, Number, Unit

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

#: A slab with fewer atomic planes, or thinner (Å), has no inside.
FEWEST_PLANES, THINNEST = 3, 3.0
#: Height of the lowest atoms above the bottom of the cell, so that none of them leaves through it; Å.
CLEARANCE = 1.0


@dataclass(frozen=True)
class Slab:
    """A slab of a crystal.

    Attributes
    ----------
    structure
        Cell and atoms: the first two lattice vectors span the surface (reduced, the first along x), the third is
        its normal; the atoms lie in the lower part of the cell, ordered by height, vacuum above.
    formula
        Reduced formula of the crystal.
    miller
        Indices of the plane with respect to the cell of the crystal that was given.
    termination
        Number of the cut at which the slab ends above, by the position of the cut; see `cuts`.
    shift
        Position of that cut in units of the spacing of lattice planes, in [0, 1).
    n_layers
        Number of symmetry-equivalent layers, of a whole fraction of the spacing each, that the slab holds
        (rounded).
    thickness
        Distance of the lowest and the highest atoms.
    area
        Area of one face.
    symmetric
        Whether an operation of the crystal exchanges the two faces.
    polar
        Whether whole repeat units that end there have a dipole.
    tasker
        Type of the polarity; see `cuts`.
    dipole
        Dipole along the normal of this slab, with the formal charges.
    split
        Whether the cut goes through an atomic plane, half of whose atoms are at each face.
    stoichiometric
        Whether the composition is that of the crystal.
    excess
        Atoms of each element beyond the whole formula units: N_i − ν_i min_j(N_j / ν_j); empty if stoichiometric.
    formula_units
        min_j(N_j / ν_j), ν the reduced formula of the crystal.
    bottom
        Height of the lower cut, in units of the spacing, from the same zero as `shift`.
    spacing
        Distance of the lattice planes.
    frame
        Rows are the axes of the slab in those of the crystal that was given, (3, 3).
    charges
        Formal charges by element; empty if not known, and then everything counts as neutral.
    """

    structure: Structure = field(metadata={"internal": True})
    formula: str
    miller: Miller
    termination: Count
    shift: Number
    n_layers: Count
    thickness: Length
    area: Area
    symmetric: bool
    polar: bool
    tasker: Tasker
    dipole: Annotated[float, Unit("e Å")]
    split: bool
    stoichiometric: bool
    excess: Annotated[Mapping[str, float], Unit("1")]
    formula_units: Number
    bottom: Number
    spacing: Length
    frame: FractionalArray
    charges: Annotated[Mapping[str, float], Unit("e")]

    @property
    def vectors(self) -> CellArray:
        """The two lattice vectors of the surface, rows, (2, 2), Å."""
        return np.array(self.structure.lattice.matrix)[:2, :2]

    @property
    def depth(self) -> Length:
        """Distance of the two cuts, Å."""
        return (self.shift - self.bottom) * self.spacing

    @property
    def parent_fractions(self) -> Annotated[Mapping[str, float], Unit("1")]:
        """Atom fractions of the crystal."""
        from pymatgen.core import Composition

        return Composition(self.formula).fractional_composition.get_el_amt_dict()

    @property
    def heights(self) -> CellArray:
        """Heights of the atoms, (n,), Å."""
        return np.array(self.structure.cart_coords)[:, 2]


@dataclass(frozen=True)
class Plane:
    """A crystal, one of its planes, and all its terminations there.

    Attributes
    ----------
    crystal
        The crystal along the normal.
    cuts
        Its distinct terminations, by the height of the cut.
    charges
        Formal charges by element; empty if they are not known.
    settings
        How slabs are cut.
    """

    crystal: Orientation
    cuts: tuple[Cut, ...]
    charges: Annotated[Mapping[str, float], Unit("e")]
    settings: SlabSettings

    @classmethod
    def of(cls, bulk: Structure, miller: Miller, settings: SlabSettings | None = None) -> Plane:
        """Return the plane `miller` of the cell of `bulk`.

        Raises
        ------
        InputError
            If the crystal is not ordered, or `miller` are not three integers, not all zero.
        """
        settings = settings or SlabSettings()
        crystal = orientation(bulk, miller, settings.symmetry_precision_A)
        charges = {**formal_charges(bulk), **settings.charges}
        found = cuts(crystal, charges, settings.plane_tolerance_A, settings.split_cells)
        return cls(crystal, found, charges, settings)

    def slab(self, termination: int, min_thickness: Length | None = None) -> Slab:
        """Return the slab that ends at one of the cuts, of at least a thickness (default: of the settings).

        Raises
        ------
        InputError
            If there is no such termination, or the slab is too thin to have an inside.
        """
        if not 0 <= termination < len(self.cuts):
            formula = _formula(self.crystal).reduced_formula
            raise InputError(
                f"termination {termination} of {formula} ({','.join(map(str, self.crystal.miller))})",
                where="surface",
                expected=f"one of its {len(self.cuts)} terminations, 0 to {len(self.cuts) - 1}",
                remedy="`ionscape surfaces STRUCTURE --miller h,k,l --no-relax` lists them.",
            )
        least = self.settings.min_thickness_A if min_thickness is None else min_thickness
        settings = self.settings.model_copy(update={"min_thickness_A": least})
        return slab_at(self.crystal, self.cuts[termination], self.charges, settings)

    def series(self, termination: int, count: int) -> list[Slab]:
        """Return `count` slabs of one termination, each the next thicker one, from the least thickness on."""
        found = [self.slab(termination)]
        while len(found) < count:
            found.append(self.slab(termination, found[-1].depth + 0.1))
        return found


def slabs(bulk: Structure, miller: Miller, settings: SlabSettings | None = None) -> list[Slab]:
    """Return one slab for every distinct termination of the plane `miller`, by the position of the cut.

    Parameters
    ----------
    bulk
        An ordered crystal, in any cell; `miller` refer to this cell.
    miller
        Indices of the plane.
    settings
        Thickness, vacuum, and what is preferred where a symmetric slab is not stoichiometric.

    Raises
    ------
    InputError
        If the crystal is not ordered, `miller` are not three integers, not all zero, or the slabs are too thin.
    """
    plane = Plane.of(bulk, miller, settings)
    return [plane.slab(cut.index) for cut in plane.cuts]


def slab(bulk: Structure, miller: Miller, termination: int, settings: SlabSettings | None = None) -> Slab:
    """Return the slab with one termination of the plane `miller`; errors are those of `slabs` and `Plane.slab`."""
    return Plane.of(bulk, miller, settings).slab(termination)


def slab_at(crystal: Orientation, cut: Cut, charges: Mapping[str, float], settings: SlabSettings) -> Slab:
    """Return the slab that ends at `cut`, of at least the thickness asked for."""
    bottom, symmetric = _bottom(crystal, cut, settings)
    crystal, sides = _sides(crystal, cut)
    structure = _cut_out(crystal, sides, (bottom, cut.height), settings.vacuum_A)
    heights = structure.cart_coords[:, 2]
    _refuse_thin(heights, crystal, settings)
    formula = _formula(crystal)
    units, excess = _excess(structure.composition.get_el_amt_dict(), formula.get_el_amt_dict())
    q = np.array([charges.get(site.specie.symbol, 0.0) for site in structure])
    return Slab(
        structure=structure,
        formula=formula.reduced_formula,
        miller=crystal.miller,
        termination=cut.index,
        shift=cut.height,
        n_layers=max(1, round((cut.height - bottom) * len(crystal.preserving))),
        thickness=float(heights.max() - heights.min()),
        area=crystal.area,
        symmetric=symmetric,
        polar=cut.polar,
        tasker=cut.tasker,
        dipole=0.0 if symmetric else float(q @ heights),
        split=cut.split is not None,
        stoichiometric=not excess,
        excess=excess,
        formula_units=units,
        bottom=bottom,
        spacing=crystal.spacing,
        frame=crystal.frame,
        charges=dict(charges),
    )


def _formula(crystal: Orientation) -> Composition:
    from pymatgen.core import Composition

    counts = {symbol: crystal.symbols.count(symbol) for symbol in dict.fromkeys(crystal.symbols)}
    return Composition(counts).reduced_composition


def _excess(counts: Mapping[str, float], formula: Mapping[str, float]) -> tuple[Number, dict[str, float]]:
    """Return the whole formula units in `counts`, and the atoms of each element beyond them."""
    units = min(counts.get(element, 0.0) / number for element, number in formula.items())
    excess = {element: counts.get(element, 0.0) - units * number for element, number in formula.items()}
    return units, {element: number for element, number in excess.items() if number > 1e-6}


def _refuse_thin(heights: Array, crystal: Orientation, settings: SlabSettings) -> None:
    planes = len(gaps_of(np.sort(heights) / 1e6, settings.plane_tolerance_A / 1e6)[0])
    depth = float(heights.max() - heights.min()) if len(heights) else 0.0
    if planes < FEWEST_PLANES or depth < THINNEST:
        raise InputError(
            f"a slab of {depth:.1f} Å with {planes} atomic planes, cut at a least thickness of "
            f"{settings.min_thickness_A:g} Å along ({','.join(map(str, crystal.miller))})",
            where="surface",
            expected=f"at least {FEWEST_PLANES} atomic planes and {THINNEST:g} Å, so that there is an inside",
            remedy="Raise `min_thickness_A`; 10 to 15 Å are usual.",
        )


def _bottom(crystal: Orientation, cut: Cut, settings: SlabSettings) -> tuple[Number, bool]:
    """Return the height of the lower cut and whether the slab is symmetric."""
    least = settings.min_thickness_A / crystal.spacing
    whole = np.mod(cut.height - crystal.preserving, 1.0)
    both = [b for b in cut.bottoms if any(same_height(b, image, crystal.spacing) for image in whole)]
    if cut.split is not None:  # the same half of the plane is there a whole repeat unit below
        options, symmetric = np.array([cut.height]), True
    elif settings.kind == "stoichiometric" or not cut.bottoms:
        options, symmetric = np.array(both or whole), bool(both)
    else:
        options, symmetric = np.array(both or cut.bottoms), True
    depths = np.mod(cut.height - options, 1.0)
    depths[depths < 1e-9] = 1.0
    depths += np.ceil(np.maximum(least - depths, 0.0) - 1e-9)
    return cut.height - float(depths.min()), symmetric


def _sides(crystal: Orientation, cut: Cut) -> tuple[Orientation, Array]:
    """Return the crystal in the surface cell of `cut`, and heights that tell which atoms lie below it."""
    if cut.split is None:
        return crystal, crystal.heights
    large, _ = repeated(crystal, cut.split.matrix)
    heights = np.array(large.heights)
    for atoms, side in ((cut.split.below, -1e-6), (cut.split.above, 1e-6)):
        chosen = list(atoms)
        heights[chosen] = cut.height + np.rint(heights[chosen] - cut.height) + side
    return large, heights


def _cut_out(crystal: Orientation, sides: Array, ends: tuple[Number, Number], vacuum: Length) -> Structure:
    """Return the atoms between two cuts in a cell with vacuum, by height."""
    from pymatgen.core import Lattice
    from pymatgen.core import Structure as Crystal

    first, last = (np.ceil(end - sides).astype(int) for end in ends)
    index = np.repeat(np.arange(len(first)), last - first)
    plane = np.concatenate([np.arange(low, high) for low, high in zip(first, last, strict=True)])
    z = (crystal.heights[index] + plane) * crystal.spacing
    positions = np.column_stack([crystal.in_plane[index] + plane[:, None] * crystal.step, z])
    order = np.argsort(np.round(z, 6), kind="stable")
    depth = float(z.max() - z.min())
    positions[:, 2] += CLEARANCE - float(z.min())
    matrix = slab_cell(crystal.vectors, depth + max(vacuum, 2 * CLEARANCE))
    symbols = [crystal.symbols[int(i)] for i in index[order]]
    return Crystal(Lattice(matrix), symbols, positions[order], coords_are_cartesian=True, to_unit_cell=True)


def slab_cell(vectors: Array, height: Length) -> CellArray:
    """Return the cell of a slab: the lattice of its surface (rows, (2, 2), Å) and the normal, `height` Å long."""
    matrix = np.zeros((3, 3))
    matrix[:2, :2] = vectors
    matrix[2, 2] = height
    return matrix


def provenance(one: Slab) -> dict[str, Any]:
    """Return what a slab was cut from and how, in plain data."""
    return {
        "formula": one.formula,
        "miller": list(one.miller),
        "termination": one.termination,
        "top_cut": one.shift,
        "bottom_cut": one.bottom,
        "n_layers": one.n_layers,
    }


__all__ = ["CLEARANCE", "Plane", "Slab", "provenance", "slab", "slab_at", "slab_cell", "slabs"]
