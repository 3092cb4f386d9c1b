"""How a migration path is found and when it is converged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ionscape.settings import Settings


class BandSettings(Settings):
    """A climbing-image nudged elastic band between two end points."""

    images: int = Field(3, ge=1, le=50, description="Intermediate images (the study: 3).")
    adaptive: bool = Field(
        True,
        description="Add images beside the saddle, or where the path turns, as long as the barrier is poorly "
        "resolved.",
    )
    max_images: int = Field(11, ge=1, le=101, description="Most intermediate images of an adaptive band.")
    resolution_eV: float = Field(
        0.01, gt=0, le=1, description="Estimated error of the saddle energy beyond which images are added, eV."
    )
    climb: bool = Field(True, description="Whether the highest image climbs to the saddle.")
    method: Literal["plain", "surrogate"] = Field(
        "surrogate",
        description="plain: every image is evaluated at the level in every iteration; surrogate: a Gaussian "
        "process of the level's energies and forces is relaxed in between.",
    )
    path: Literal["idpp", "linear", "guided"] = Field(
        "idpp",
        description="First images: image-dependent pair potential; a straight line; or guided, around obstacles "
        "where the electron density of the other atoms is least.",
    )
    spring_eV_per_A2: float = Field(
        1.0, gt=0, le=100, description="Force constant between neighbouring images, eV/Å²."
    )
    fmax_eV_per_A: float = Field(
        0.03,
        gt=0,
        le=1,
        description="Largest force on an atom of the climbing image at convergence, eV/Å; without climbing: of "
        "the band's force on any image.",
    )
    path_fmax_eV_per_A: float = Field(
        0.15,
        gt=0,
        le=5,
        description="Largest force across the path on an atom of the images that do not climb, eV/Å.",
    )
    relax_ends: bool = Field(True, description="Whether the end points are relaxed first (positions, fixed cell).")
    ends_fmax_eV_per_A: float = Field(
        0.01, gt=0, le=1, description="Largest force on an atom of a relaxed end point, eV/Å."
    )
    max_steps: int = Field(
        300,
        ge=1,
        le=100_000,
        description="Iterations of the band (and steps of an end point's relaxation) after which it is given up.",
    )
    mapping: Literal["index", "assignment"] = Field(
        "index",
        description="Which atom of the final structure is which of the initial one: by order, or the nearest of "
        "its element (assignment of least squared displacement).",
    )
    modes: Literal["none", "moving", "all"] = Field(
        "none",
        description="Vibrational check of the saddle by finite differences: of the atoms that move along the "
        "path, or of all.",
    )
