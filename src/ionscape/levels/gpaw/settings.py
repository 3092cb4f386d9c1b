"""What defines a calculation with GPAW: functional, basis, k-points, +U, spin, smearing, convergence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pymatgen.core import Element

from ionscape.levels.plane_waves import PlaneWaveSettings
from ionscape.settings import checked_settings

WHERE = "level 'gpaw'"
#: Settings with which the source study computed, as far as GPAW has them.
STUDY: dict[str, Any] = {
    "functional": "PBE",
    "cutoff_eV": 520.0,
    "kpoint_density": 1000.0,
    "kpoint_scheme": "auto",
    "hubbard_U_eV": {"Co": 3.32},
    "hubbard_projector": "truncated",
    "datasets": {"Li": "sv"},
}
PRESETS: dict[str, dict[str, Any]] = {"study": STUDY}

Tolerance = Annotated[float, Field(gt=0, le=0.01)]
Mixer = Literal["msr1", "pulay", "damped", "slow"]
Mixers = Annotated[tuple[Mixer, ...], Field(strict=False, min_length=1)]


class GPAWSettings(PlaneWaveSettings):
    """A calculation with GPAW; every default is the source study's, save that no U is applied unasked."""

    preset: Literal["study"] | None = Field(
        None, description="'study': PBE+U (3.32 eV on Co), 520 eV, 1000 k-points per reciprocal atom, Li 1s in "
        "the valence; settings given beside it win."
    )  # fmt: skip
    functional: Literal["PBE", "PBEsol", "RPBE", "revPBE", "LDA"] = Field(
        "PBE", description="Exchange and correlation."
    )
    hubbard_projector: Literal["truncated", "normalized"] = Field(
        "truncated", description="Occupations that U acts on: inside the augmentation sphere as they are "
        "(truncated), or scaled to one electron (normalized, GPAW's own default). Gaps depend on it by 0.3 eV."
    )  # fmt: skip
    spin: Literal["auto", "polarized", "none"] = Field(
        "auto", description="auto: polarised where an atom starts with a moment or the number of electrons is odd."
    )
    odd_electrons: Literal["refuse", "allow"] = Field(
        "refuse", description="Whether spin 'none' may have an odd number of electrons, as simple metals do."
    )
    datasets: dict[str, str] = Field(
        default_factory=lambda: {"Li": "sv"},
        description="Kind of data set by element; Li 'sv' (1s in the valence) is made on first use.",
    )
    charge_e: float = Field(0.0, ge=-10, le=10, description="Charge of the cell, e.")
    smearing: Literal["fermi-dirac", "marzari-vanderbilt"] = Field(
        "fermi-dirac", description="Occupation function."
    )
    smearing_width_eV: float = Field(0.05, ge=0.001, le=1, description="Its width, eV.")
    symmetry: Literal["auto", "off"] = Field(
        "auto", description="auto: the point group of the first structure while it holds; off: time reversal only."
    )
    energy_tolerance_eV_per_electron: Tolerance = Field(
        5e-4, description="Change of the energy over three iterations when converged, eV per valence electron."
    )
    density_tolerance: Tolerance = Field(
        1e-4, description="Change of the density at self-consistency, electrons per valence electron."
    )
    max_iterations: int = Field(120, ge=1, le=2000, description="Iterations that each mixer is given.")
    mixers: Mixers = Field(
        ("msr1", "pulay", "damped", "slow"),
        description="Density mixers, tried in this order until one converges; the result says which did.",
    )
    finite_basis_correction: bool = Field(
        default=True,
        description="Correct the stress for the change of the basis with the cell (Francis & Payne), by two more "
        "energies at the first structure of a calculation; without it cells relax wrongly below about 800 eV.",
    )
    restart_file: str | None = Field(
        None, description="File (.gpw) in which density and wave functions are kept, and from which they "
        "are taken when the same cell is computed again. No part of the level's identity."
    )  # fmt: skip
    log_file: str | None = Field(None, description="File for GPAW's own log. No part of the level's identity.")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") in PRESETS:
            return {**PRESETS[values["preset"]], **values}
        return values

    @field_validator("datasets", "magnetic_moments")
    @classmethod
    def _are_elements(cls, values: dict[str, Any]) -> dict[str, Any]:
        for symbol in values:
            if not Element.is_valid_symbol(symbol):
                message = f"elements by their symbols, not '{symbol}'"
                raise ValueError(message)
        return values


#: Settings that say how a calculation is done, not what comes out.
MEANS = {"restart_file", "log_file", "preset", "mixers", "max_iterations"}


def gpaw_settings(settings: Mapping[str, Any]) -> GPAWSettings:
    """Return the checked settings.

    Raises
    ------
    InputError
        If a name is unknown or a value out of range.
    """
    return checked_settings(GPAWSettings, settings, WHERE)
