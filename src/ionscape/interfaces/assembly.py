r"""Interfaces: a film laid on a substrate in a common cell.

Both slabs are repeated to their superlattices and strained into the common cell, the film turned to it (and turned
over where the match says so) and put above the substrate at the gap at which facing atoms touch. With two
interfaces the film fills the space up to the next image of the substrate, again up to where they touch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.interfaces.bonds import contact_gap, contacts
from ionscape.interfaces.matching import Match, common_cell, shared
from ionscape.interfaces.settings import AssemblySettings
from ionscape.interfaces.slabs import CLEARANCE, Slab, provenance, slab_cell
from ionscape.results import frozen
from ionscape.structures.exchange import hold
from ionscape.structures.supercells import supercell_positions
from ionscape.units import Area, Array, CellArray, Count, Indices, Length, LengthArray, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Share of the misfit that the film takes up, by the setting's word.
FILM_SHARE = {"film": 1.0, "substrate": 0.0, "shared": 0.5}


@dataclass(frozen=True)
class Interface:
    """Two slabs joined.

    Attributes
    ----------
    structure
        Substrate sites first, then the film's, each by height; the third lattice vector along the normal; held
        sites marked by selective dynamics.
    substrate_sites, film_sites
        Indices of the sites of each slab in `structure`.
    area
        Area of one interface.
    n_interfaces
        1 (vacuum above the film) or 2.
    gap
        Distance between the highest atom of the substrate and the lowest of the film.
    film, substrate
        The slabs that were joined, as they were cut.
    match
        The coincidence, with the strains of both crystals.
    shift
        Rigid shift of the film from where it was joined: two lateral components and the normal one.
    provenance
        What was cut, repeated, strained, turned and shifted, in plain data.
    """

    structure: Structure = field(metadata={"internal": True})
    substrate_sites: Indices
    film_sites: Indices
    area: Area
    n_interfaces: Count
    gap: Length
    film: Slab
    substrate: Slab
    match: Match
    shift: LengthArray
    provenance: Annotated[Mapping[str, Any], Unit("as named")]

    @property
    def cell(self) -> CellArray:
        """The two lattice vectors of the interface, rows, (2, 2), Å."""
        return np.array(self.structure.lattice.matrix)[:2, :2]

    @property
    def film_slab(self) -> Structure:
        """The film alone, in the same cell at the same place, sites in the same order."""
        return _part(self.structure, self.film_sites)

    @property
    def substrate_slab(self) -> Structure:
        """The substrate alone, in the same cell at the same place, sites in the same order."""
        return _part(self.structure, self.substrate_sites)


@dataclass(frozen=True)
class _Layer:
    """A slab in the common cell: elements and positions by height, the lowest atom at height 0."""

    symbols: tuple[str, ...]
    positions: CellArray

    @property
    def depth(self) -> Length:
        """Distance of lowest and highest atoms."""
        return float(self.positions[:, 2].max())


@dataclass(frozen=True)
class _Stack:
    """Two layers in their cell, with the gap between them and the one above the upper."""

    lower: _Layer
    upper: _Layer
    cell: CellArray
    gap: Length
    above: Length

    @property
    def lattice(self) -> CellArray:
        """The lattice of the whole, rows, (3, 3), Å."""
        return slab_cell(self.cell, self.lower.depth + self.gap + self.upper.depth + self.above)


def join(film: Slab, substrate: Slab, match: Match, settings: AssemblySettings | None = None) -> Interface:
    """Return the film laid on the substrate.

    The upper face of the substrate, its termination, meets the film. The film shows it its lower face, or if
    `match.mirrored` its upper one, turned over; of a symmetric film both are the same termination.

    Parameters
    ----------
    film, substrate
        The slabs.
    match
        A coincidence of their surface lattices; its strains are shared anew unless the settings say "stiffness",
        which takes them as they are (`ionscape.interfaces.stiffness`).
    settings
        Gap, vacuum, number of interfaces, held atoms, sharing of strain.

    Raises
    ------
    InputError
        If the match does not belong to the slabs, or a slab is thinner than what is to be held in it.
    """
    settings = settings or AssemblySettings()
    _check_match(film, substrate, match)
    if settings.strain in FILM_SHARE:
        match = shared(match, FILM_SHARE[settings.strain])
    stack = _stack(film, substrate, match, settings)
    held = np.concatenate([_inner(stack.lower, settings, "substrate"), _inner(stack.upper, settings, "film")])
    structure = _structure(stack)
    count = len(stack.lower.symbols)
    return Interface(
        structure=hold(structure, held) if held.any() else structure,
        substrate_sites=np.arange(count),
        film_sites=np.arange(count, len(structure)),
        area=float(abs(np.linalg.det(stack.cell))),
        n_interfaces=settings.interfaces,
        gap=stack.gap,
        film=film,
        substrate=substrate,
        match=match,
        shift=frozen(np.zeros(3)),
        provenance={
            "film": provenance(film),
            "substrate": provenance(substrate),
            "film_matrix": match.film_matrix.tolist(),
            "substrate_matrix": match.substrate_matrix.tolist(),
            "film_strain": match.film_strain.tolist(),
            "substrate_strain": match.substrate_strain.tolist(),
            "film_turned_over": match.mirrored,
            "gap_A": stack.gap,
            "settings": settings.model_dump(),
        },
    )


def shifted(interface: Interface, lateral_A: tuple[float, float] = (0.0, 0.0), normal_A: float = 0.0) -> Interface:
    """Return `interface` with its film moved rigidly from where it is.

    With two interfaces both gaps change by `normal_A`, and the cell with them. Positions are not wrapped.

    Parameters
    ----------
    interface
        Any interface.
    lateral_A
        Cartesian components in the plane, Å.
    normal_A
        Component along the normal, away from the substrate, Å.
    """
    from pymatgen.core import Structure as Crystal

    move = np.array([*lateral_A, normal_A], dtype=float)
    old = interface.structure
    height = float(old.lattice.c) + 2 * (interface.n_interfaces - 1) * normal_A
    positions = np.array(old.cart_coords)
    positions[interface.film_sites] += move
    structure = Crystal(
        slab_cell(interface.cell, height),
        old.species,
        positions,
        coords_are_cartesian=True,
        site_properties=dict(old.site_properties),
    )
    total = interface.shift + move
    return replace(
        interface,
        structure=structure,
        gap=interface.gap + normal_A,
        shift=frozen(total),
        provenance={**interface.provenance, "shift_A": total.tolist()},
    )


def _part(structure: Structure, sites: Indices) -> Structure:
    return type(structure).from_sites([structure[int(k)] for k in sites])


def _check_match(film: Slab, substrate: Slab, match: Match) -> None:
    for name, one, matrix, vectors in (
        ("film", film, match.film_matrix, match.film_vectors),
        ("substrate", substrate, match.substrate_matrix, match.substrate_vectors),
    ):
        if not np.allclose(matrix @ one.vectors, vectors, atol=1e-6):
            raise InputError(
                f"the match was found for other surface vectors than those of the {name}",
                where="assembly",
                expected="slabs with the surface lattices that were matched",
                remedy="Match the lattices of these slabs: lattice_matches(film.vectors, substrate.vectors).",
            )


def _stack(film: Slab, substrate: Slab, match: Match, settings: AssemblySettings) -> _Stack:
    cell = _along_x(common_cell(match))
    lower = _layer(substrate, match.substrate_matrix, cell, turned=False)
    upper = _layer(film, match.film_matrix, cell, turned=match.mirrored)
    known = contacts([film.structure, substrate.structure])
    faces = (lower.symbols, lower.positions), (upper.symbols, upper.positions)
    gap = settings.gap_A or contact_gap(*faces, cell, known)
    if settings.interfaces == 1:
        return _Stack(lower, upper, cell, gap, max(settings.vacuum_A, 2 * CLEARANCE))
    return _Stack(lower, upper, cell, gap, settings.gap_A or contact_gap(*faces[::-1], cell, known))


def _along_x(cell: Array) -> CellArray:
    x = cell[0] / np.linalg.norm(cell[0])
    return np.asarray(cell @ np.array([x, [-x[1], x[0]]]).T)


def _layer(one: Slab, matrix: Indices, cell: Array, *, turned: bool) -> _Layer:
    """Return `one` repeated by `matrix` and strained into `cell`."""
    repeats = np.eye(3, dtype=int)
    repeats[:2, :2] = matrix
    fractional = supercell_positions(one.structure.frac_coords, repeats)
    copies = len(fractional) // len(one.structure)
    heights = np.repeat(one.heights, copies)
    heights = heights.max() - heights if turned else heights - heights.min()
    symbols = np.repeat([site.specie.symbol for site in one.structure], copies)
    order = np.argsort(np.round(heights, 6), kind="stable")
    positions = np.column_stack([fractional[:, :2] @ cell, heights])[order]
    return _Layer(tuple(str(symbol) for symbol in symbols[order]), frozen(positions))


def _structure(stack: _Stack) -> Structure:
    from pymatgen.core import Lattice
    from pymatgen.core import Structure as Crystal

    low = stack.lower.positions + np.array([0.0, 0.0, CLEARANCE])
    high = stack.upper.positions + np.array([0.0, 0.0, CLEARANCE + stack.lower.depth + stack.gap])
    return Crystal(
        Lattice(stack.lattice),
        [*stack.lower.symbols, *stack.upper.symbols],
        np.concatenate([low, high]),
        coords_are_cartesian=True,
    )


def _inner(layer: _Layer, settings: AssemblySettings, name: str) -> NDArray[np.bool_]:
    """Return which atoms are held: with one interface the outer end of each slab, with two its middle."""
    heights, thickness = layer.positions[:, 2], settings.fixed_thickness_A
    if thickness and thickness >= layer.depth:
        raise InputError(
            f"{thickness:g} Å are to be held in a {name} of {layer.depth:.2f} Å",
            where="assembly",
            expected="a slab thicker than what is held in it",
            remedy="Cut a thicker slab, or hold less.",
        )
    if not thickness:
        return np.zeros(len(heights), dtype=bool)
    if settings.interfaces == 2:
        return np.asarray(np.abs(heights - layer.depth / 2) <= thickness / 2)
    return np.asarray(heights <= thickness if name == "substrate" else heights >= layer.depth - thickness)
