"""What a sparse-GP potential is asked to be: its descriptor, its kernel, its size."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from ionscape.settings import Settings


class DescriptorSettings(Settings):
    """The local environment of an atom and the metric in which environments are compared.

    The defaults lie near the front of error against time (`benchmarks/potential_front.py`).
    """

    cutoff_A: float = Field(6.0, gt=1.5, le=12, description="Neighbours within this distance are seen, Å.")
    n_max: int = Field(3, ge=1, le=12, description="Radial functions.")
    l_max: int = Field(3, ge=0, le=6, description="Highest degree of the spherical harmonics.")
    element_channels: int | None = Field(
        None,
        ge=1,
        description="Mixtures of elements that stand for the elements of neighbours, so that the number of "
        "features grows with their square, not with that of the elements; without it every element has a channel.",
    )
    radial_scale_A: float = Field(2.0, gt=0, description="Distance beyond which neighbours count less, Å.")
    radial_power: float = Field(3.0, ge=0, le=12, description="Power of the distance with which they count less.")
    radial_damping: float = Field(
        0.3, ge=0, le=5, description="Weight exp(−γ n²) of the n-th radial function: how smooth energies are."
    )
    angular_damping: float = Field(
        0.3, ge=0, le=5, description="Weight exp(−γ l (l + 1) / 2) of degree l in the power spectrum."
    )


class TrainingSettings(Settings):
    """A sparse-GP potential and how it is fitted."""

    descriptor: DescriptorSettings = Field(default_factory=DescriptorSettings, description="The descriptor.")
    powers: Annotated[tuple[float, ...], Field(strict=False)] = Field(
        (0.0, 1.0),
        min_length=1,
        max_length=4,
        description="Amplitudes a_ζ of the kernel Σ a_ζ (p·q)^ζ, ζ = 1, 2, …. Powers 1 and 2 collapse to a "
        "quadratic form, whose cost does not depend on the number of inducing environments.",
    )
    inducing: int = Field(
        1600, ge=1, le=20000, description="Most inducing environments, of all elements together."
    )
    rank: int = Field(
        64, ge=0, description="Eigenvectors kept of each element's quadratic form at run time; 0 keeps it whole."
    )
    energy_noise_meV_per_atom: float | None = Field(
        None,
        gt=0,
        description="Scatter of the energies about the model, meV/atom; by marginal likelihood if absent.",
    )
    force_noise_eV_per_A: float | None = Field(
        None, gt=0, description="Scatter of the force components, eV/Å; by marginal likelihood if absent."
    )
    stress_noise_GPa: float | None = Field(
        None, gt=0, description="Scatter of the stress components, GPa; by marginal likelihood if absent."
    )
    held_out: float = Field(
        0.1, ge=0, lt=1, description="Part of the frames that is kept for the test of the model."
    )
    seed: int = Field(0, ge=0, description="Seed of the choice of held-out frames and of candidate environments.")

    @field_validator("powers")
    @classmethod
    def _a_kernel(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) < 0 or not 0 < sum(value) < math.inf:
            raise PydanticCustomError(
                "powers", "amplitudes of (p·q), (p·q)², …, none negative, one of them positive"
            )
        return value
