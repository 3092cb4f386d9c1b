"""What calculations with plane waves have in common, whatever program carries them out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ionscape.levels.hubbard import shell_of
from ionscape.settings import Settings

HubbardU = Annotated[float, Field(gt=0, le=12)]
Grid = Annotated[tuple[int, int, int], Field(strict=False)]


class PlaneWaveSettings(Settings):
    """Basis, k-points, U and starting moments; every default is the source study's."""

    cutoff_eV: float = Field(520.0, ge=150, le=3000, description="Energy cutoff of the plane waves, eV.")
    kpoint_density: float = Field(
        1000.0, gt=0, le=1e6, description="Least number of k-points times atoms; the grid is uniform."
    )
    kpoints: Grid | None = Field(None, description="Grid of k-points in place of a density.")
    kpoint_scheme: Literal["auto", "gamma", "monkhorst-pack"] = Field(
        "auto", description="Where the grid stands: on Γ, Monkhorst–Pack, or Monkhorst–Pack but on Γ where the "
        "lattice has angles of 60° or 120° (auto)."
    )  # fmt: skip
    hubbard_U_eV: dict[str, HubbardU] = Field(
        default_factory=dict, description="U − J by element, eV, on its d or f shell (Dudarev); at most 12."
    )
    magnetic_moments: dict[str, float] = Field(
        default_factory=dict, description="Moments to start from by element, μB; by oxidation state without."
    )

    @field_validator("hubbard_U_eV")
    @classmethod
    def _has_shell(cls, values: dict[str, float]) -> dict[str, float]:
        for symbol in values:
            shell_of(symbol)
        return values
