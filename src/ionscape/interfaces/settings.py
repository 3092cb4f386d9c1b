"""What a user asks of surfaces, of the matching of their lattices, and of the interfaces made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ionscape.settings import Settings

#: Miller indices of a plane.
Miller = tuple[int, int, int]


class SlabSettings(Settings):
    """How slabs are cut from a crystal."""

    min_thickness_A: float = Field(
        12.0, gt=0, le=500, description="Least thickness of a slab, from its lowest to its highest cut, Å."
    )
    vacuum_A: float = Field(15.0, ge=0, le=500, description="Vacuum between a slab and its image, Å.")
    plane_tolerance_A: float = Field(
        0.1,
        gt=0,
        le=2,
        description="Atoms whose heights differ by less are one plane, between which no cut goes, Å.",
    )
    kind: Literal["symmetric", "stoichiometric"] = Field(
        "symmetric",
        description="'symmetric': both faces equivalent where the crystal has an operation that exchanges them, "
        "else stoichiometric; 'stoichiometric': always whole formula units.",
    )
    split_cells: int = Field(
        2,
        ge=0,
        le=4,
        description="Where all cuts between atomic planes are polar: largest surface cell, in primitive ones, in "
        "which half of a plane is put at each face; 0: never.",
    )
    symmetry_precision_A: float = Field(
        0.05, gt=0, le=0.5, description="Distance within which positions count as symmetry-equivalent, Å."
    )
    charges: dict[str, float] = Field(
        default_factory=dict, description="Element = formal charge, e, where the guess would be wrong."
    )


class MatchSettings(Settings):
    """Which coincident superlattices of two surfaces count as a match.

    Relative tolerances, where given, take the place of the absolute ones.
    """

    max_area_A2: float = Field(
        300.0,
        gt=0,
        le=100_000,
        description="Largest area of a superlattice, of either crystal, Å² (the study: 300).",
    )
    length_tolerance_A: float = Field(
        0.1, ge=0, le=10, description="Largest difference of the lengths of matching vectors, Å (the study: 0.1)."
    )
    angle_tolerance_deg: float = Field(
        0.1, ge=0, le=30, description="Largest difference of the angles between them, ° (the study: 0.1)."
    )
    length_tolerance: float | None = Field(
        None, ge=0, lt=1, description="Largest relative difference of lengths (substrate over film, less one)."
    )
    angle_tolerance: float | None = Field(
        None, ge=0, lt=1, description="Largest relative difference of angles (substrate over film, less one)."
    )


class AssemblySettings(Settings):
    """How two slabs are joined."""

    gap_A: float | None = Field(
        None, gt=0, le=20, description="Distance of the facing atomic planes, Å; without it from bond lengths."
    )
    vacuum_A: float = Field(
        15.0, ge=0, le=500, description="Vacuum above the film, Å, of a cell with one interface."
    )
    interfaces: Literal[1, 2] = Field(
        1,
        description="Interfaces in the cell: 1, with vacuum; 2, the film between images of the substrate.",
    )
    fixed_thickness_A: float = Field(
        0.0, ge=0, le=100, description="Thickness of the innermost part of each slab whose atoms are held, Å."
    )
    strain: Literal["film", "substrate", "shared", "stiffness"] = Field(
        "film",
        description="Which crystal takes up the misfit: one, both by half, or both so that the elastic energy is "
        "least (needs elastic constants).",
    )


class SurfaceSettings(SlabSettings):
    """Which surfaces are looked at, and how their energies are found."""

    max_index: int = Field(
        1, ge=1, le=9, description="All symmetry-distinct planes with Miller indices up to this are looked at."
    )
    millers: Annotated[tuple[Annotated[Miller, Field(strict=False)], ...], Field(strict=False)] = Field(
        (), description="Planes to look at in place of all; indices refer to the cell of the structure."
    )
    terminations: Literal["non-polar", "all"] = Field(
        "all",
        description="'non-polar': of a plane that has any, only terminations without dipole; 'all': every one.",
    )
    keep: int = Field(
        2, ge=1, le=100, description="Terminations of each plane, of lowest unrelaxed energy, that are relaxed."
    )
    thicknesses: int = Field(
        3, ge=1, le=10, description="Slabs of so many thicknesses are calculated of each of these, for the line."
    )
    max_thicknesses: int = Field(
        5, ge=1, le=20, description="Thicker ones are added up to so many while the energy still changes."
    )
    gamma_tolerance_J_per_m2: float = Field(
        0.02,
        gt=0,
        le=1,
        description="Change of the energy between the two thickest at which it is converged, J/m².",
    )
    relax: bool = Field(True, description="Whether slabs are relaxed, or stay as they are cut.")


class SurfacesPlan(Settings):
    """The stage of surfaces: which crystals of the study, and how."""

    host: SurfaceSettings | None = Field(None, description="Surfaces of the host; without it none.")
    cathode: SurfaceSettings | None = Field(None, description="Surfaces of the cathode; without it none.")


class MatchPlan(MatchSettings):
    """The stage of matching: a film on a substrate, which of their surfaces, and which coincidence is taken."""

    film: Literal["host", "cathode"] = Field("host", description="Which crystal is the film.")
    substrate: Literal["host", "cathode"] = Field("cathode", description="Which crystal it lies on.")
    film_miller: Annotated[Miller, Field(strict=False)] = Field(description="Plane of the film, in its cell.")
    substrate_miller: Annotated[Miller, Field(strict=False)] = Field(description="Plane of the substrate.")
    film_termination: int | None = Field(
        None,
        ge=0,
        description="Termination of the film; without it that of lowest energy in [surfaces], or the first "
        "that is symmetric and non-polar.",
    )
    substrate_termination: int | None = Field(None, ge=0, description="Likewise for the substrate.")
    slab_thickness_A: float = Field(12.0, gt=0, le=500, description="Least thickness of both slabs, Å.")
    max_mean_strain_percent: float | None = Field(
        None,
        ge=0,
        description="Where given, the smallest coincidence with at most this mean strain is taken, %; without "
        "it that of least strain.",
    )
    elastic: bool = Field(
        False,
        description="Whether elastic constants are calculated, for the elastic energy of the misfit; with "
        "strain = 'stiffness' they always are.",
    )
    assembly: AssemblySettings = Field(default_factory=AssemblySettings, description="How the slabs are joined.")
