"""What defines a calculation with VASP, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from ionscape.levels.plane_waves import HubbardU, PlaneWaveSettings
from ionscape.settings import checked_settings

WHERE = "level 'vasp'"
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


class VASPSettings(PlaneWaveSettings):
    """A calculation with VASP; every default is the source study's."""

    preset: Literal["study", "materials-project"] = Field(
        "study", description="study: PBE+U as in the source study. materials-project: MPRelaxSet of pymatgen, "
        "with its U values and k-points."
    )  # fmt: skip
    hubbard_U_eV: dict[str, HubbardU] = Field(
        default_factory=lambda: {"Co": 3.32},
        description="U − J on the d or f shell by element (Dudarev), eV (study); where there is O or F.",
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
