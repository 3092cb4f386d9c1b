"""What a user asks of the search for the registry of two slabs, and of the work of adhesion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ionscape.settings import Settings

Shifts = Annotated[tuple[Annotated[float, Field(ge=-5, le=10)], ...], Field(min_length=1, strict=False)]


class RegistrySettings(Settings):
    """How the registry of film and substrate is searched (M9)."""

    algorithm: Literal["bayesian", "study"] = Field(
        "bayesian",
        description="'bayesian': over the displacements that are not the same, from a scan of rigid energies; "
        "'study': the source study's, a grid of 676 shifts, three random starts, Expected Improvement.",
    )
    evaluation: Literal["relax", "rigid"] = Field(
        "relax", description="What an evaluation of a shift is: a relaxation, or the energy of the rigid slabs."
    )
    lateral_step_A: float = Field(0.25, gt=0.01, le=2, description="Longest step of the lateral grid, Å.")
    normal_shifts_A: Shifts = Field(
        (0.0, 0.25, 0.5, 0.75),
        description="Normal shifts, Å, where the distance does not relax or no rigid energies are scanned.",
    )
    scan: bool = Field(
        True,
        description="Scan energies of rigid slabs first; the distances at which relaxations start come from it.",
    )
    scan_points: int = Field(
        240, ge=8, le=100_000, description="Most rigid energies in the scan; its lateral step follows from it."
    )
    scan_normal_shifts_A: Shifts = Field(
        (-0.25, 0.25, 0.75, 1.25), description="Normal shifts at which rigid energies are scanned, Å."
    )
    held_share: float = Field(
        0.25,
        ge=0,
        le=0.9,
        description="Outer share of each slab's thickness that keeps the registry while a shift is relaxed: the "
        "substrate's atoms stay, the film's move along the normal only.",
    )
    tolerance_meV_per_A2: float = Field(
        0.5, gt=0, le=100, description="Expected improvement at which the search ends, meV/Å² of interface."
    )
    min_evaluations: int = Field(5, ge=1, le=10_000, description="Evaluations before the search may end.")
    max_evaluations: int = Field(30, ge=1, le=10_000, description="Evaluations at which the search ends.")
    batch: int = Field(1, ge=1, le=1000, description="Shifts evaluated together, for parallel engines.")
    loss: Literal["mse", "evidence"] = Field(
        "mse",
        description="What Adam minimises in the study's algorithm: 'mse' (its text) or 'evidence' (the negative "
        "marginal likelihood).",
    )


class AdhesionSettings(Settings):
    """Which variants of the work of adhesion are computed beside the study's (M10)."""

    own_lattices: bool = Field(
        True, description="Relax both slabs in their own lattices too, for the strain-corrected variant."
    )
    bulk: bool = Field(
        True, description="Relax both crystals, for surface and interface energies of stoichiometric slabs."
    )
