"""What a study asks of the migration stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ionscape.migration.crossing import CrossingSettings
from ionscape.migration.hops import HopSettings, Mechanism
from ionscape.migration.settings import BandSettings
from ionscape.settings import Settings


class MigrationPlan(Settings):
    """Hops of the mobile ion in the relaxed crystals, their barriers, and what follows from all of them."""

    mobile: str = Field("Li", description="Element that migrates.")
    mechanisms: Annotated[tuple[Mechanism, ...], Field(min_length=1, strict=False)] = Field(
        ("vacancy",),
        description="How it migrates: 'vacancy', 'divacancy', 'interstitial' (between empty sites), "
        "'interstitialcy' (an interstitial pushes an ion on).",
    )
    include_cathode: bool = Field(True, description="Whether the cathode's hops are found too.")
    contacts: Literal["none", "first", "all"] = Field(
        "first",
        description="Of which contacts of [interface] the hops across are found: that of the study, or all.",
    )
    crossing: CrossingSettings = Field(
        default_factory=CrossingSettings, description="Which hops across a contact are looked for."
    )
    hops: HopSettings = Field(default_factory=HopSettings, description="Which hops are looked for.")
    only: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="Names of the hops whose paths are found, such as 'V1', 'I1-2'; without it all."
    )
    band: BandSettings = Field(default_factory=BandSettings, description="How their paths are found.")
    width_A: float = Field(
        8.0, gt=0, le=50, description="Cells are repeated until lattice planes are this far apart, Å."
    )
    most_atoms: int = Field(160, ge=2, le=5000, description="Atoms beyond which a cell is not repeated further.")
    attempt_THz: float = Field(
        10.0, gt=0, le=1000, description="Attempt frequency of every hop, THz: a usual value, not computed."
    )
    at_K: Annotated[tuple[float, ...], Field(min_length=1, strict=False)] = Field(
        (300.0, 600.0, 1000.0), description="Temperatures of the diffusivity of one carrier, K."
    )
    walkers: int = Field(1000, ge=2, le=10**6, description="Independent walkers of the kinetic Monte Carlo.")

    def wants(self, name: str) -> bool:
        """Tell whether the path of the hop `name` is to be found."""
        return not self.only or name in self.only
