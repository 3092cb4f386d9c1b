"""Settings of the transport stage: which analyses of a run, how far and how fine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ionscape.settings import Settings

Analysis = Literal["diffusion", "conductivity", "host", "van-hove", "density", "jumps", "channels"]
#: All analyses, in the order in which they are done.
ANALYSES: tuple[Analysis, ...] = (
    "diffusion", "conductivity", "host", "van-hove", "density", "jumps", "channels",
)  # fmt: skip


class TransportSettings(Settings):
    """What is read off a trajectory, and how finely."""

    mobile: str = Field("Li", min_length=1, description="Element of the mobile ions.")
    charge_e: float | None = Field(
        None, ge=-10, le=10, description="Charge of a mobile ion, e; without it the usual one of the element."
    )
    analyses: Annotated[tuple[Analysis, ...], Field(strict=False)] = Field(
        default=ANALYSES,
        min_length=1,
        description="Analyses to do: diffusion, conductivity (also collective), host (do the others stay?), "
        "van-hove (also τ1, τ2 and the correlation length), density (also percolation), jumps, channels.",
    )
    skip_ps: float = Field(0.0, ge=0, description="Equilibration at the beginning that is left out, ps.")
    longest_time_ps: float | None = Field(
        None, gt=0, description="Longest time of the van Hove functions, ps; without it half of the run."
    )
    r_max_A: float = Field(10.0, gt=0.5, le=50, description="Farthest distance of the van Hove functions, Å.")
    grid_A: float = Field(
        0.2, ge=0.05, le=1, description="Largest spacing of the grid of the trajectory density, Å."
    )
    smoothing_A: float = Field(
        0.25, ge=0, le=1, description="Width of the Gaussian under which sites are sought in the density, Å."
    )
    channel_frames: int = Field(200, ge=2, description="Frames of the host whose channels are measured.")
    radii_A: Annotated[dict[str, float], Field(strict=False)] = Field(
        default_factory=dict,
        description="Radii of host elements for the channels, Å; without them Shannon's ionic radii.",
    )
    resamples: int = Field(200, ge=20, le=10_000, description="Bootstrap resamples for τ1, τ2 and ξ.")
    threads: int = Field(2, ge=1, description="Threads, and processes of the channels.")
    memory_limit_GB: float = Field(
        1.0, gt=0, description="Memory that the positions of the mobile ions may take, GB; then they go to a file."
    )
