"""What a user asks of the doping stage: the routes by which dopants enter, and how configurations are searched."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ionscape.settings import Settings

#: Repeats of a cell along one axis.
Repeats = Annotated[int, Field(ge=1, le=20)]
#: How configurations are found; see `DopingSettings.search`.
Search = Literal["random", "anneal", "random+anneal"]


class DopingRoute(Settings):
    """One way for a dopant to enter the host: what it replaces and what is inserted or removed along with it."""

    name: str = Field(min_length=1, description="Name of the route in tables and figures, e.g. 'N on O'.")
    replace: dict[str, str] = Field(
        default_factory=dict, description="Host element = dopant that takes its place, e.g. { O = 'N' }."
    )
    insert: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="Element = number inserted into empty sites per dopant, e.g. { Li = 1 }; for a dopant that is "
        "itself an interstitial e.g. { N = 1, Li = 3 }.",
    )
    remove: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Host element = number of vacancies per dopant, e.g. { Li = 1 }."
    )
    counts: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, strict=False)] = Field(
        (1,), description="Numbers of dopants per supercell; each makes one content of the study."
    )

    @model_validator(mode="after")
    def _refuse_exchange(self) -> Self:
        for old, new in self.replace.items():
            if old == new:
                raise ValueError(f"`replace` puts {new} on {old}: this changes nothing; name another dopant")
            if new in self.replace:
                raise ValueError(
                    f"`replace` puts {new} on {old} while {new} is itself replaced by {self.replace[new]}; "
                    "make two routes of it"
                )
        return self


class DopingSettings(Settings):
    """How doped cells are built, searched and relaxed (M3)."""

    supercell: Annotated[tuple[Repeats, Repeats, Repeats], Field(strict=False)] = Field(
        (1, 2, 1), description="Repeats of the host cell along its three axes (the study: 1, 2, 1)."
    )
    samples: int = Field(
        500, ge=1, le=10_000_000, description="Random configurations drawn per content (the study: 500)."
    )
    keep: int = Field(
        5, ge=1, le=1000, description="Configurations of lowest Ewald energy relaxed per content (the study: 5)."
    )
    keep_dear: int = Field(
        0, ge=0, le=1000, description="Relaxed configurations of lowest energy relaxed again at the dear level."
    )
    spread: int = Field(
        0,
        ge=0,
        le=1000,
        description="Further configurations relaxed at evenly spaced quantiles of the sampled Ewald energies, to "
        "see whether the Ewald ranking can be trusted (Fig. S5).",
    )
    search: Search = Field(
        "random",
        description="'random': uniform draws (the study); 'anneal': simulated annealing of the Ewald energy; "
        "'random+anneal': the lowest of each in turn. Where few configurations exist, all are ranked instead.",
    )
    anneal_chains: int = Field(16, ge=1, le=10_000, description="Independent annealing runs per content.")
    anneal_steps: int = Field(20_000, ge=100, le=100_000_000, description="Trial moves in each annealing run.")
    min_distance_A: float = Field(
        1.5,
        ge=0.0,
        le=5.0,
        description="Shortest distance of an interstitial to any other atom before relaxation, Å.",
    )
    charges: dict[str, float] = Field(
        default_factory=dict,
        description="Element = formal charge, e, for those the oxidation-state guess gets wrong or leaves open.",
    )
