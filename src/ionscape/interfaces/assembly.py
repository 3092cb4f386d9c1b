r"""Interfaces: a film laid on a substrate in a common cell, the two slabs kept as they are in it.

Both slabs are repeated to their superlattices, strained into the common cell, the film turned to it (and turned over
where the match says so), and put above the substrate at the gap that bond lengths ask for. With two interfaces the
film fills the space up to the next image of the substrate, at the same gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.interfaces.bonds import contact_gap
from ionscape.interfaces.matching import Match, common_cell, shared
from ionscape.interfaces.settings import AssemblySettings
from ionscape.interfaces.slabs import CLEARANCE, Slab, provenance, slab_cell
from ionscape.results import frozen
from ionscape.structures.exchange import hold
from ionscape.structures.supercells import supercell_positions
from ionscape.units import Area, Array, CellArray, Count, Indices, Length, LengthArray, Number, Unit

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
        Substrate sites first, then the film's, each in the order of its slab; the third lattice vector along the
        normal; held sites marked by selective dynamics.
    substrate_sites, film_sites
        Indices of the sites of each slab in `structure`.
    area
        Area of one interface.
    n_interfaces
        1 (vacuum above the film) or 2.
    gap
        Distance of the facing atomic planes.
    film_slab, substrate_slab
        Structures of both slabs alone, in the same cell, at the same places, sites in the same order.
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
    film_slab: Structure = field(metadata={"internal": True})
    substrate_slab: Structure = field(metadata={"internal": True})
    film: Slab
    substrate: Slab
    match: Match
    shift: LengthArray
    provenance: Annotated[Mapping[str, Any], Unit("as named")]

    @property
    def cell(self) -> CellArray:
        """The two lattice vectors of the interface, rows, (2, 2), Å."""
        return np.array(self.structure.lattice.matrix)[:2, :2]


@dataclass(frozen=True)
class _Layer:
    """A slab in the common cell: elements, Cartesian positions from its lowest atom up, original heights."""

    symbols: tuple[str, ...]
    positions: CellArray


def join(film: Slab, substrate: Slab, match: Match, settings: AssemblySettings | None = None) -> Interface:
    """Return the film laid on the substrate.

    The upper face of the substrate, its termination, meets the film. The film shows it its lower face, or if
    `match.mirrored` its upper one, turned over; of a symmetric film both are the same termination.

    Parameters
    ----------
    film, substrate
        The slabs.
    match
        A coincidence of their surface lattices; its strains are shared anew as the settings say.
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
    cell = common_cell(match)
    below = _layer(substrate, match.substrate_matrix, cell, turned=False)
    above = _layer(film, match.film_matrix, cell, turned=match.mirrored)
    gap = settings.gap_A or contact_gap(below.symbols, below.positions, above.symbols, above.positions)
    return _assembled(film, substrate, match, (below, above, cell, gap), settings)


def shifted(interface: Interface, lateral_A: tuple[float, float] = (0.0, 0.0), normal_A: float = 0.0) -> Interface:
    """Return `interface` with its film moved rigidly, from where it is, by a lateral vector and along the normal, Å.

    The cell stays as it is, with one interface; with two it grows by the normal shift at both of them. Positions
    are not wrapped into the cell.

    Parameters
    ----------
    interface
        Any interface.
    lateral_A
        Cartesian components in the plane, Å.
    normal_A
        Component along the normal, away from the substrate, Å.
    """
    move = np.array([*lateral_A, normal_A])
    grown = (interface.n_interfaces - 1) * normal_A * 2
    matrix = slab_cell(interface.cell, float(interface.structure.lattice.c) + grown)
    whole = _moved(interface.structure, interface.film_sites, move, matrix)
    film = _moved(interface.film_slab, np.arange(len(interface.film_slab)), move, matrix)
    alone = _moved(interface.substrate_slab, np.arange(0), move, matrix)
    return replace(
        interface,
        structure=whole,
        film_slab=film,
        substrate_slab=alone,
        gap=interface.gap + normal_A,
        shift=frozen(interface.shift + move),
    )


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


def _layer(one: Slab, matrix: Indices, cell: Array, *, turned: bool) -> _Layer:
    """Return `one` repeated by `matrix` and strained into `cell`, its lowest atom at height 0."""
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


def _assembled(
    film: Slab,
    substrate: Slab,
    match: Match,
    parts: tuple[_Layer, _Layer, CellArray, Length],
    settings: AssemblySettings,
) -> Interface:
    from pymatgen.core import Lattice
    from pymatgen.core import Structure as Crystal

    below, above, cell, gap = parts
    top = float(below.positions[:, 2].max())
    depth = top + gap + float(above.positions[:, 2].max())
    height = depth + (gap if settings.interfaces == 2 else settings.vacuum_A)
    lattice = Lattice(slab_cell(_right_handed(cell), height))
    low = below.positions + np.array([0.0, 0.0, CLEARANCE])
    high = above.positions + np.array([0.0, 0.0, CLEARANCE + top + gap])
    alone = [
        Crystal(lattice, list(layer.symbols), positions, coords_are_cartesian=True)
        for layer, positions in ((below, low), (above, high))
    ]
    whole = Crystal(
        lattice, [*below.symbols, *above.symbols], np.concatenate([low, high]), coords_are_cartesian=True
    )
    held = np.concatenate(
        [_inner(layer, settings, name) for layer, name in ((below, "substrate"), (above, "film"))]
    )
    if held.any():
        whole = hold(whole, held)
        alone = [hold(alone[0], held[: len(low)]), hold(alone[1], held[len(low) :])]
    return Interface(
        structure=whole,
        substrate_sites=np.arange(len(low)),
        film_sites=np.arange(len(low), len(low) + len(high)),
        area=float(abs(np.linalg.det(cell))),
        n_interfaces=settings.interfaces,
        gap=gap,
        film_slab=alone[1],
        substrate_slab=alone[0],
        film=film,
        substrate=substrate,
        match=match,
        shift=frozen(np.zeros(3)),
        provenance=_history(film, substrate, match, gap, settings),
    )


def _right_handed(cell: Array) -> Array:
    return cell if np.linalg.det(cell) > 0 else cell[::-1]


def _inner(layer: _Layer, settings: AssemblySettings, name: str) -> NDArray[np.bool_]:
    """Return which atoms are held: with one interface the outer end of each slab, with two its middle."""
    heights, thickness = layer.positions[:, 2], settings.fixed_thickness_A
    depth = float(heights.max())
    if thickness and thickness >= depth:
        raise InputError(
            f"{thickness:g} Å are to be held in a {name} of {depth:.2f} Å",
            where="assembly",
            expected="a slab thicker than what is held in it",
            remedy="Cut a thicker slab, or hold less.",
        )
    if not thickness:
        return np.zeros(len(heights), dtype=bool)
    if settings.interfaces == 2:
        return np.asarray(np.abs(heights - depth / 2) <= thickness / 2)
    return np.asarray(heights <= thickness if name == "substrate" else heights >= depth - thickness)


def _moved(structure: Structure, sites: Indices, move: Array, matrix: CellArray) -> Structure:
    from pymatgen.core import Structure as Crystal

    positions = np.array(structure.cart_coords)
    positions[sites] += move
    return Crystal(
        matrix,
        structure.species,
        positions,
        coords_are_cartesian=True,
        site_properties=dict(structure.site_properties),
    )


def _history(film: Slab, substrate: Slab, match: Match, gap: Number, settings: AssemblySettings) -> dict[str, Any]:
    return {
        "film": provenance(film),
        "substrate": provenance(substrate),
        "film_matrix": match.film_matrix.tolist(),
        "substrate_matrix": match.substrate_matrix.tolist(),
        "film_strain": match.film_strain.tolist(),
        "substrate_strain": match.substrate_strain.tolist(),
        "film_turned_over": match.mirrored,
        "gap_A": float(gap),
        "settings": settings.model_dump(),
    }
