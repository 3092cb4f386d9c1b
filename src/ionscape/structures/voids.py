"""Empty sites of a crystal: where an interstitial ion can sit.

Two ways: local minima of the electron density, after Shen, Horton and Persson (doi:10.1038/s41524-020-00422-3),
and the vertices of the Voronoi tessellation of the atoms. Both give symmetry-distinct sites with their copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.settings import Settings
from ionscape.structures.charges import formal_charges
from ionscape.structures.density import DensityGrid, density_of, superposed_density
from ionscape.structures.minima import LogDensity
from ionscape.structures.orbits import SpaceGroup, close_pairs, primitive_crystal, separated_orbit
from ionscape.structures.supercells import Surroundings, plane_spacings, supercell_positions
from ionscape.structures.voronoi import voronoi_vertices
from ionscape.units import Array, Charge, Density, FractionalArray, Length, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.io.vasp import Chgcar

#: The grid of a computed density may be written with rounded lattice vectors and positions; Å.
CELL_TOLERANCE = 0.02


class VoidSettings(Settings):
    """How empty sites are found and which are kept."""

    method: Literal["density", "geometric"] = Field(
        default="density",
        description="Local minima of the electron density (Shen, Horton and Persson 2020; the study's), or "
        "Voronoi vertices of the atoms.",
    )
    min_distance_A: float = Field(
        default=1.5,
        ge=0,
        le=10,
        description="Shortest distance of an empty site from any atom, Å; nearer ones are left out.",
    )
    tolerance_A: float = Field(
        default=0.5,
        gt=0,
        le=1.5,
        description="Candidates closer together than this are one site at their centre, Å.",
    )
    averaging_radius_A: float = Field(
        default=0.4,
        gt=0,
        le=2,
        description="Radius of the sphere in which the density at a minimum is averaged, Å.",
    )
    max_density_e_per_A3: float = Field(
        default=1.0, gt=0, description="Minima whose averaged density exceeds this are left out, e/Å³."
    )
    vacuum_density_e_per_A3: float = Field(
        default=1e-8,
        gt=0,
        description="Below this density space counts as vacuum, in which no minimum is looked for, e/Å³.",
    )
    grid_spacing_A: float = Field(
        default=0.15, ge=0.03, le=0.4, description="Grid spacing of the superposed atomic densities, Å."
    )
    shell_ratio: float = Field(
        default=1.25,
        ge=1,
        le=2,
        description="Atoms nearer than this times the nearest distance count as coordinating.",
    )
    symmetry_precision_A: float = Field(
        default=0.02, gt=0, le=0.5, description="Distance within which positions count as symmetry-equivalent, Å."
    )


@dataclass(frozen=True)
class EmptySite:
    """One symmetry-distinct empty site.

    Attributes
    ----------
    fractional
        Position of one of its copies, (3,).
    radius
        Distance to the nearest atom.
    multiplicity
        Number of copies in the cell of the structure given.
    neighbours
        Distance to the nearest atom of each element.
    coordination
        Number of atoms of each element within `VoidSettings.shell_ratio` times the radius.
    copies
        Positions of all copies, (multiplicity, 3).
    """

    fractional: FractionalArray
    radius: Length
    multiplicity: Annotated[int, Unit("1")]
    neighbours: Annotated[Mapping[str, float], Unit("Å")]
    coordination: Annotated[Mapping[str, int], Unit("1")]
    copies: FractionalArray

    def distance_to(self, elements: Iterable[str]) -> Length:
        """Return the distance in Å to the nearest atom of any of `elements` (infinite if there is none)."""
        return min((self.neighbours[symbol] for symbol in elements if symbol in self.neighbours), default=np.inf)


@dataclass(frozen=True)
class DensityMinimum(EmptySite):
    """An empty site found as a minimum of the electron density.

    Attributes
    ----------
    density
        Electron density averaged in a sphere of `VoidSettings.averaging_radius_A` about the site.
    """

    density: Density


@dataclass(frozen=True)
class EmptySites:
    """The empty sites of a crystal; none is an answer too.

    Attributes
    ----------
    sites
        Symmetry-distinct sites, the most likely first: by increasing density, or by decreasing radius.
    method
        ``density`` or ``geometric``.
    source
        The density used (a file, or the superposed atoms and ions), or ``Voronoi tessellation``.
    charges
        Formal charge of each element, empty if they are not known.
    space_group
        International symbol of the space group whose operations gave the copies.
    """

    sites: tuple[EmptySite, ...]
    method: str
    source: str
    charges: Annotated[Mapping[str, float], Unit("e")]
    space_group: str

    @property
    def all_fractional(self) -> Array:
        """All copies of all sites, (m, 3), in the order of `sites`."""
        return np.concatenate([np.empty((0, 3)), *(site.copies for site in self.sites)])

    def suitable_for(
        self,
        charge: Charge,
        min_distance: Length = 0.0,
        like_distance: Length | None = None,
        like_ratio: float = 0.88,
    ) -> EmptySites:
        """Return the sites at which an ion of formal `charge` can sit.

        Counter-ions must be what is nearest: d(like) ≥ `like_ratio` · d(counter), and ions of the same sign must
        not touch: d(like) ≥ `like_distance`. An empty tetrahedron of four cations and four anions then takes a
        cation; a vacant anion site, among cations only, takes an anion (and a cation with ``like_ratio=0``).

        Parameters
        ----------
        charge
            Formal charge of the ion to insert, e. Zero keeps every site that is far enough from all atoms.
        min_distance
            Shortest distance to any atom, Å.
        like_distance
            Shortest distance to an ion of the same sign, Å; None: 1.5 for cations and 2.2 for anions, below
            the shortest non-bonding distances in oxides and nitrides (edges of octahedra, 2.3–2.5 Å).
        like_ratio
            Smallest ratio of the distances to the nearest like ion and to the nearest counter-ion. The default
            lies just above √3/2, the ratio in a tetrahedron of like ions inside an octahedron of counter-ions.

        Raises
        ------
        InputError
            If the formal charges of the host are not known and `charge` is not zero.
        """
        if charge != 0 and not self.charges:
            raise InputError(
                "formal charges of the host are not known",
                where="empty sites",
                expected="the formal charge of every element",
                remedy="Give `charges`, e.g. {'Li': 1, 'O': -2}, when the empty sites are searched.",
            )
        if like_distance is None:
            like_distance = 1.5 if charge > 0 else 2.2
        like = [symbol for symbol, q in self.charges.items() if q * charge > 0]
        counter = [symbol for symbol, q in self.charges.items() if q * charge < 0]
        kept = []
        for site in self.sites:
            nearest_like = site.distance_to(like)
            needed = max(like_distance, like_ratio * site.distance_to(counter)) if counter else like_distance
            if site.radius >= min_distance and nearest_like >= needed:
                kept.append(site)
        return replace(self, sites=tuple(kept))


def find_empty_sites(
    structure: Structure,
    settings: VoidSettings | None = None,
    density: DensityGrid | Chgcar | None = None,
    charges: Mapping[str, float] | None = None,
) -> EmptySites:
    """Return the symmetry-distinct empty sites of a crystal with all their copies.

    By density: the local minima of ρ on the grid, each refined on a spline of log ρ, rated by its mean in a
    sphere. By geometry: Voronoi vertices, rated by the distance to the nearest atom. Then in both: candidates too
    near to atoms are left out, those closer together than the tolerance and all symmetry copies are grouped.

    Parameters
    ----------
    structure
        The host crystal; any cell, three-dimensionally periodic.
    settings
        Method and thresholds.
    density
        Computed electron density of the same cell, as an all-electron or valence density. Without it the densities
        of the free ions (or atoms) are superposed.
    charges
        Formal charge of each element, e. Without it oxidation states of the structure, else those pymatgen assigns
        to the composition; where there are none (metals, mixed valence) the charges stay unknown and neutral atoms
        are superposed.

    Raises
    ------
    InputError
        If the crystal is not periodic in three directions or not ordered, the density belongs to another, or
        is given with the geometric method.

    References
    ----------
    Shen, Horton, Persson, npj Comput. Mater. 6, 161 (2020), doi:10.1038/s41524-020-00422-3.
    """
    settings = settings or VoidSettings()
    _check_crystal(structure)
    if density is not None and settings.method == "geometric":
        raise InputError(
            "a charge density is given, which the geometric method does not use",
            where="empty sites",
            expected="no density, or method = 'density'",
            remedy="Set method = 'density', or leave the density out.",
        )
    charges = dict(charges) if charges is not None else formal_charges(structure)
    primitive, group = primitive_crystal(structure, settings.symmetry_precision_A)
    field, source = None, "Voronoi tessellation"
    if settings.method == "density":
        grid = (
            _density_grid(structure, density) if density is not None else _superposed(primitive, charges, settings)
        )
        field, source = LogDensity(grid, settings.vacuum_density_e_per_A3), grid.source
    candidates = _candidates(primitive, field, settings)
    sites = _described(_orbits(candidates, primitive, group, settings), structure, primitive, settings)
    if field is not None:
        sites = _rated(sites, structure, field, settings)
    sites = sorted(sites, key=lambda site: site.density if isinstance(site, DensityMinimum) else -site.radius)
    return EmptySites(tuple(sites), settings.method, source, charges, group.symbol)


def _check_crystal(structure: Structure) -> None:
    if not all(structure.lattice.pbc) or not structure.is_ordered or len(structure) == 0:
        raise InputError(
            f"{structure.composition.formula or 'no atoms'}, periodic along {sum(structure.lattice.pbc)} axes, "
            f"{'ordered' if structure.is_ordered else 'disordered'}",
            where="empty sites",
            expected="an ordered crystal, periodic in three directions",
            remedy="Order the structure first; for a slab give the cell with its vacuum.",
        )


def _superposed(primitive: Structure, charges: Mapping[str, float], settings: VoidSettings) -> DensityGrid:
    # a tenth of the density that counts as vacuum: the sum must not end before the space that is searched
    accuracy = settings.vacuum_density_e_per_A3 / 10
    return superposed_density(primitive, charges, settings.grid_spacing_A, accuracy)


def _density_grid(structure: Structure, density: DensityGrid | Chgcar) -> DensityGrid:
    """Return `density` as a grid, after checking that it belongs to `structure`."""
    grid = density if isinstance(density, DensityGrid) else density_of(density)
    cells = np.array(grid.structure.lattice.matrix), np.array(structure.lattice.matrix)
    same = np.allclose(*cells, atol=CELL_TOLERANCE) and len(grid.structure) == len(structure)
    if same:
        gap = grid.structure.lattice.get_all_distances(grid.structure.frac_coords, structure.frac_coords)
        numbers = [np.array([site.specie.Z for site in crystal]) for crystal in (grid.structure, structure)]
        same = bool(np.all(np.any((gap < 0.1) & (numbers[0][:, None] == numbers[1][None, :]), axis=0)))
    if not same:
        raise InputError(
            f"density of {grid.structure.formula} in a cell of {grid.structure.volume:.3f} Å3",
            where=f"charge density ({grid.source})",
            expected=f"the density of {structure.formula} in the structure's own cell of "
            f"{structure.volume:.3f} Å3, with the same lattice vectors and atoms",
            remedy="Read the structure from the same calculation as the density.",
        )
    return grid


def _candidates(primitive: Structure, field: LogDensity | None, settings: VoidSettings) -> Array:
    """Return the density minima, or else the Voronoi vertices, far enough from atoms: Cartesian, best first."""
    positions, radii = voronoi_vertices(primitive)
    rating = -radii
    if field is not None:
        positions = field.minima(positions)
        rating = field.at(positions)
    if not len(positions):
        return positions
    nearest = np.min(list(Surroundings(primitive).nearest(positions).values()), axis=0)
    keep = nearest >= settings.min_distance_A
    return positions[keep][np.argsort(rating[keep], kind="stable")]


def _orbits(
    positions: Array, primitive: Structure, group: SpaceGroup, settings: VoidSettings
) -> list[FractionalArray]:
    """Return the orbits of Cartesian `positions`, best first: copies (m, 3) each, in the primitive cell."""
    matrix = np.array(primitive.lattice.matrix)
    tolerance = min(settings.tolerance_A, 0.49 * float(plane_spacings(matrix).min()))
    waiting = positions @ np.linalg.inv(matrix)
    orbits = []
    while len(waiting):
        copies = separated_orbit(group, waiting[0], matrix, tolerance)
        taken = close_pairs(waiting, copies, matrix, tolerance)[:, 0]
        waiting = np.delete(waiting, np.append(taken, 0), axis=0)
        orbits.append(copies)
    return orbits


def _described(
    orbits: Sequence[FractionalArray], structure: Structure, primitive: Structure, settings: VoidSettings
) -> list[EmptySite]:
    """Return the merged sites that are still far from atoms, with all copies in the cell of `structure`."""
    if not orbits:
        return []
    repeats = np.rint(structure.lattice.matrix @ np.linalg.inv(primitive.lattice.matrix))
    first = np.array([copies[0] for copies in orbits]) @ primitive.lattice.matrix
    nearest = Surroundings(primitive).nearest(first)
    radii = np.min(list(nearest.values()), axis=0)
    shell = settings.shell_ratio * radii
    counts = Surroundings(primitive, float(shell.max()) + 0.1).count(first, shell)
    sites = []
    for k, orbit in enumerate(orbits):
        copies = np.mod(np.round(supercell_positions(orbit, repeats), 10), 1.0)
        # which copy the search met first hangs on rounding: the order must not
        copies = copies[np.lexsort(np.round(copies, 3).T[::-1])]
        sites.append(
            EmptySite(
                fractional=frozen(copies[0]),
                radius=float(radii[k]),
                multiplicity=len(copies),
                neighbours={symbol: float(distance[k]) for symbol, distance in nearest.items()},
                coordination={symbol: int(count[k]) for symbol, count in counts.items() if count[k]},
                copies=frozen(copies),
            )
        )
    return [site for site in sites if site.radius >= settings.min_distance_A]


def _rated(
    sites: Sequence[EmptySite], structure: Structure, field: LogDensity, settings: VoidSettings
) -> list[EmptySite]:
    """Return the sites with the density averaged in a sphere, without those too dense."""
    centres = np.array([site.fractional for site in sites]).reshape(-1, 3) @ structure.lattice.matrix
    average = field.sphere_average(centres, settings.averaging_radius_A)
    return [
        DensityMinimum(**vars(site), density=float(rho))
        for site, rho in zip(sites, average, strict=True)
        if rho <= settings.max_density_e_per_A3
    ]
