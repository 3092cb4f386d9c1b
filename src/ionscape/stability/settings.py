"""Settings of the stability stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ionscape.errors import InputError
from ionscape.phases.scheme import Mixing
from ionscape.settings import Settings

#: Cathodes of the source study's map of contacts, and delithiated ones.
CATHODES = (
    "LiCoO2", "Li0.5CoO2", "LiNiO2", "NCM333", "NCM811", "LiMn2O4", "LiFePO4", "FePO4", "Li3V2(PO4)3",
)  # fmt: skip
#: Coatings and electrolytes that a host is compared with there.
COATINGS = (
    "Li2O", "Li2ZrN2", "Li3PS4", "Li3YBr6", "Li7La3Zr2O12", "LiNbO3", "LiTaO3", "Li3PO4", "Li2PO2N",
)  # fmt: skip
#: Pressure of a gas whose temperature alone is given, bar.
STANDARD_PRESSURE = 1.0

Formulas = Annotated[tuple[str, ...], Field(strict=False)]
Pressure = Annotated[float | None, Field(gt=0, le=1e5)]
Samples = Annotated[int, Field(ge=0, le=100_000)]


class StabilitySettings(Settings):
    """Against which competing phases stability is judged, and at which conditions."""

    phases: str = Field(
        "packaged",
        description="Source of the competing phases: 'packaged' (the table that comes with ionscape), 'mp' "
        "(Materials Project), 'optimade:URL', a file of pymatgen's entries (.json, .json.gz), a folder of VASP "
        "runs or of structure files; several joined by '+'. Paths start at the study file.",
    )
    mixing: Mixing = Field(
        "none",
        description="What brings entries of several correction schemes on one scale: 'none' (they are refused) or "
        "'mp2020'.",
    )
    exclude: Formulas = Field(
        default=(),
        description="Formulas of phases that take no part, e.g. those known not to form; told in the report.",
    )
    relax_missing: bool = Field(
        False,
        description="Relax competing phases that have no packaged energy at the level of the study; without it "
        "the study refuses and names them.",
    )
    temperature_K: float | None = Field(
        None,
        ge=100,
        le=2000,
        description="Temperature of the gases O2 and N2, K; without it they are in their reference state.",
    )
    oxygen_pressure_bar: Pressure = Field(
        None, description="Partial pressure of O2 at that temperature, bar; 1 if only the temperature is given."
    )
    nitrogen_pressure_bar: Pressure = Field(
        None, description="Partial pressure of N2 at that temperature, bar; 1 if only the temperature is given."
    )

    @model_validator(mode="after")
    def _refuse_pressure_alone(self) -> Self:
        given = {self.oxygen_pressure_bar, self.nitrogen_pressure_bar} - {None}
        if given and self.temperature_K is None:
            raise InputError(
                "a pressure without a temperature",
                where="gases of the competing phases",
                expected="temperature_K beside oxygen_pressure_bar or nitrogen_pressure_bar",
                remedy="Give the temperature too, or leave the pressure out.",
            )
        return self

    @property
    def pressures_bar(self) -> Mapping[str, float]:
        """Partial pressures of the gases by element, bar; none without a temperature."""
        if self.temperature_K is None:
            return {}
        given = {"O": self.oxygen_pressure_bar, "N": self.nitrogen_pressure_bar}
        return {element: STANDARD_PRESSURE if p is None else p for element, p in given.items()}


class ContactSettings(Settings):
    """Which cathodes touch which phases, and how their mutual reactions are counted (M5)."""

    cathodes: Formulas = Field(
        CATHODES,
        description="Cathodes: formulas, or names of the phase table such as NCM811.",
    )
    phases: Formulas = Field(COATINGS, description="What they touch: formulas, or names of the phase table.")
    include_cathode: bool = Field(True, description="Put the cathode of the study first among the cathodes.")
    include_host: bool = Field(True, description="Put the host of the study first among the phases.")
    include_doped: bool = Field(True, description="Put the doped cells after the host, with their own energies.")
    closed: bool = Field(True, description="Judge the contacts without exchange of the mobile ion.")
    voltages_V: Annotated[tuple[Annotated[float, Field(ge=0, le=10)], ...], Field(strict=False)] = Field(
        (),
        description="Voltages against the metal of the mobile ion, V; at each they are judged as well.",
    )
    mobile: str = Field("Li", description="Element of the ion that is exchanged at a voltage.")
    ends: Literal["hull", "own"] = Field(
        "hull",
        description="Energies from which the reaction counts: of the hull at the compositions of the two phases "
        "(the study), or the phases' own.",
    )
    samples: Samples = Field(
        200, description="Draws of the errors of the energies, for the 95 % intervals; 0 gives none."
    )


class WindowSettings(Settings):
    """Of which phases electrochemical windows are found (M6)."""

    phases: Formulas = Field(COATINGS, description="Phases: formulas, or names of the phase table.")
    include_host: bool = Field(True, description="Put the host of the study first.")
    include_doped: bool = Field(True, description="Put the doped cells after the host, with their own energies.")
    mobile: str = Field("Li", description="Element of the mobile ion; voltages count against its metal.")
    samples: Samples = Field(
        200, description="Draws of the errors of the energies, for the 95 % intervals; 0 gives none."
    )
