"""What a user asks of a contact of two crystals: which faces meet, and what is computed of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ionscape.interfaces.registry_settings import AdhesionSettings, RegistrySettings
from ionscape.interfaces.settings import AssemblySettings, MatchSettings, SlabSettings
from ionscape.settings import Settings

Indices = Annotated[tuple[int, int, int], Field(strict=False)]
Termination = Annotated[int | None, Field(ge=0)]


class FacePair(Settings):
    """Which faces of film and substrate meet."""

    film_miller: Indices = Field((0, 0, 1), description="Miller indices of the film's face, in its own cell.")
    substrate_miller: Indices = Field((1, 0, 4), description="Miller indices of the substrate's face.")
    film_termination: Termination = Field(
        None,
        description="Number of the film's termination (`ionscape surfaces` lists them); without it the first that "
        "is symmetric, not polar and stoichiometric, as far as there is one.",
    )
    substrate_termination: Termination = Field(
        None, description="Number of the substrate's termination; likewise."
    )
    match: Annotated[int | None, Field(ge=0)] = Field(
        None,
        description="Number of the match, in the order of `ionscape match`; without it the one of smallest area, "
        "and of least strain among equals.",
    )


class ContactTables(Settings):
    """How slabs are cut, matched, joined, moved over one another and pulled apart."""

    slabs: SlabSettings = Field(default_factory=SlabSettings, description="How slabs are cut.")
    matching: MatchSettings = Field(default_factory=MatchSettings, description="Which superlattices match.")
    assembly: AssemblySettings = Field(default_factory=AssemblySettings, description="How slabs are joined.")
    registry: RegistrySettings = Field(
        default_factory=RegistrySettings, description="How the registry is searched."
    )
    adhesion: AdhesionSettings = Field(
        default_factory=AdhesionSettings, description="Variants of the work of adhesion."
    )
