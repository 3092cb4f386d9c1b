"""Settings of the stability stages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ionscape.settings import Settings


class StabilitySettings(Settings):
    """Against which competing phases stability is judged."""

    phases: Literal["packaged"] = Field(
        "packaged", description="Source of the competing phases: the table that comes with ionscape."
    )
    exclude: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Formulas of phases that take no part, e.g. those known not to form; told in the report.",
    )
    relax_missing: bool = Field(
        False,
        description="Relax competing phases that have no packaged energy at the level of the study; without it "
        "the study refuses and names them.",
    )
