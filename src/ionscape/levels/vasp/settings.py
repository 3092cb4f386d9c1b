"""What defines a calculation with VASP, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ionscape.levels.checked_settings import checked_settings
from ionscape.levels.hubbard import shell_of
from ionscape.settings import Settings

WHERE = "level 'vasp'"
Grid = Annotated[tuple[int, int, int], Field(strict=False)]
HubbardU = Annotated[float, Field(gt=0, le=12)]
#: Keys of INCAR that the level decides by other settings, so that it does not mean two things.
OWN_KEYS = {
    "ENCUT",
    "ISPIN",
    "MAGMOM",
    "LDAU",
    "LDAUU",
    "LDAUL",
    "LDAUJ",
    "LDAUTYPE",
    "NSW",
    "IBRION",
    "ISIF",
    "GGA",
}


class VASPSettings(Settings):
    """A calculation with VASP; every default is the source study's."""

    preset: Literal["study", "materials-project"] = Field(
        "study", description="study: PBE+U as in the source study. materials-project: MPRelaxSet of pymatgen, "
        "with its U values and k-points."
    )  # fmt: skip
    cutoff_eV: float = Field(520.0, ge=150, le=3000, description="Energy cutoff (ENCUT), eV.")
    kpoint_density: float = Field(
        1000.0, gt=0, le=1e6, description="Least number of k-points times atoms (study); the grid is uniform."
    )
    kpoints: Grid | None = Field(None, description="Grid of k-points in place of a density.")
    kpoint_scheme: Literal["auto", "gamma", "monkhorst-pack"] = Field(
        "auto", description="Where the grid stands: Monkhorst–Pack, on Γ, or on Γ where the lattice has angles "
        "of 60° or 120° (auto)."
    )  # fmt: skip
    hubbard_U_eV: dict[str, HubbardU] = Field(
        default_factory=lambda: {"Co": 3.32},
        description="U − J on the d or f shell by element (Dudarev), eV (study); where there is O or F.",
    )
    magnetic_moments: dict[str, float] = Field(
        default_factory=dict, description="Moments to start from by element, μB; by oxidation state without."
    )
    potcars: dict[str, str] = Field(
        default_factory=dict, description="POTCAR by element, as Zr_sv; those of the Materials Project without."
    )
    incar: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Other keys of INCAR, which win."
    )
    command: str | None = Field(
        None, description="What runs VASP, as 'mpiexec -n 16 vasp_std'; ASE_VASP_COMMAND of the environment "
        "without it. No part of the level's identity."
    )  # fmt: skip
    potcar_folder: str | None = Field(
        None, description="Folder that holds TITLE/POTCAR; VASP_PP_PATH or PMG_VASP_PSP_DIR without it. No "
        "part of the level's identity."
    )  # fmt: skip
    error_handlers: bool = Field(
        default=False,
        description="Run through custodian, whose handlers mend common errors (`pip install custodian`).",
    )
    keep_folder: str | None = Field(
        None,
        description="Folder in which every calculation keeps its files, numbered; no part of the identity.",
    )

    @field_validator("hubbard_U_eV")
    @classmethod
    def _has_shell(cls, values: dict[str, float]) -> dict[str, float]:
        for symbol in values:
            shell_of(symbol)
        return values

    @field_validator("incar")
    @classmethod
    def _not_own(cls, values: dict[str, Any]) -> dict[str, Any]:
        own = sorted(OWN_KEYS & {key.upper() for key in values})
        if own:
            message = f"keys other than {', '.join(own)}, which the level sets itself"
            raise ValueError(message)
        return {key.upper(): value for key, value in values.items()}


#: Settings that say how a calculation is done, not what comes out.
MEANS = {"command", "potcar_folder", "error_handlers", "keep_folder"}


def vasp_settings(settings: Mapping[str, Any]) -> VASPSettings:
    """Return the checked settings.

    Raises
    ------
    InputError
        If a name is unknown or a value out of range.
    """
    return checked_settings(VASPSettings, settings, WHERE)
