"""What a reference study says in words (rises, is lowest, diffuses), judged by our numbers.

The study file lists such statements under ``[[claim]]``. Numbers with intervals decide only where the intervals
lie apart: two that overlap neither bear a statement out nor refute it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ionscape.errors import InputError
from ionscape.settings import Settings
from ionscape.study.quantities import QUANTITIES, FlagName, Found, Name, found_in

Kind = Literal["rises", "falls", "is lowest", "is highest", "is below", "is above", "holds", "does not hold"]
Outcome = Literal["agrees", "differs", "undecided", "unknown"]


class Claim(Settings):
    """A statement of another study that numbers can bear out or refute."""

    says: str = Field(description="The statement, as the study makes it.")
    source: str = Field(description="Where it is made, e.g. 'Fig. 4d'.")
    quantity: Literal[Name, FlagName] = Field(
        description="Of which quantity: those of [[reference]], and is_diffusive, host_is_flat of a run."
    )
    kind: Kind = Field(
        description="'rises' or 'falls' from target to target; the first target 'is lowest' or 'is highest' of "
        "all; all targets are 'is below' or 'is above' the limit; is_diffusive or host_is_flat 'holds' or 'does "
        "not hold' for all."
    )
    targets: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        min_length=1, description="Of what, named as under [[reference]]."
    )
    temperatures_K: Annotated[tuple[float, ...], Field(strict=False)] = Field(
        (), description="Temperatures of the runs, K, for quantities of one run; it must be so at all of them."
    )
    voltage_V: float | None = Field(None, description="Voltage of the cathode, V, for reactions at a voltage.")
    limit: float | None = Field(None, description="For 'is below' and 'is above', in the unit of the quantity.")
    note: str = Field("", description="Why it may be otherwise with us.")

    @model_validator(mode="after")
    def _whole(self) -> Claim:
        flag = not QUANTITIES[self.quantity].unit
        for wrong, found, remedy in (
            (
                flag != (self.kind in ("holds", "does not hold")),
                f"'{self.kind}' of {self.quantity}",
                "a kind of it",
            ),
            (
                (self.limit is not None) != (self.kind in ("is below", "is above")),
                f"'{self.kind}' {'without' if self.limit is None else 'with'} a limit",
                "a limit with 'is below' and 'is above' alone",
            ),
            (
                QUANTITIES[self.quantity].of_run != bool(self.temperatures_K),
                f"{self.quantity} {'with' if self.temperatures_K else 'without'} temperatures_K",
                "temperatures for quantities of one run, and for no others",
            ),
            (
                self.kind in ("rises", "falls", "is lowest", "is highest") and len(self.targets) < 2,
                f"'{self.kind}' of one target",
                "two targets at least",
            ),
        ):
            if wrong:
                raise ValueError(f"{found}; expected {remedy}")
        return self


@dataclass(frozen=True)
class JudgedClaim:
    """A statement with our numbers.

    Attributes
    ----------
    outcome
        Whether our numbers bear it out; "undecided" where their intervals overlap, "unknown" where one is missing.
    numbers
        Our numbers, in the order of the targets, with unit and interval, or why there is none.
    """

    says: str
    source: str
    outcome: Outcome
    numbers: tuple[Mapping[str, Any], ...]
    note: str


def judge(claims: Sequence[Claim], stages: Mapping[str, Any]) -> list[JudgedClaim]:
    """Return every claim whose stage is in `stages` (as in ``results.json``), with what they say of it."""
    return [_judged(claim, stages) for claim in claims if QUANTITIES[claim.quantity].path[0] in stages]


def _judged(claim: Claim, stages: Mapping[str, Any]) -> JudgedClaim:
    rows = [[_first(claim, stages, target, at) for target in claim.targets] for at in _conditions(claim)]
    outcomes = [_outcome(claim, row) for row in rows]
    order: tuple[Outcome, ...] = ("differs", "unknown", "undecided", "agrees")
    worst = next(outcome for outcome in order if outcome in outcomes)
    unit = QUANTITIES[claim.quantity].unit
    return JudgedClaim(
        claim.says, claim.source, worst, tuple(_number(one, unit) for row in rows for one in row), claim.note
    )


def _conditions(claim: Claim) -> tuple[float | None, ...]:
    return claim.temperatures_K or (claim.voltage_V,)


def _first(claim: Claim, stages: Mapping[str, Any], target: str, condition: float | None) -> Found:
    missing = Found(target, "not among the results")
    return next(found_in(stages, claim.quantity, target, condition), missing)


def _number(found: Found, unit: str) -> dict[str, Any]:
    told: dict[str, Any] = {"target": found.target}
    if found.temperature is not None:
        told["temperature"] = found.temperature
    if isinstance(found.value, str):
        return {**told, "unavailable": found.value}
    if isinstance(found.value, bool):
        return {**told, "flag": found.value}
    ends = {"interval": [{"value": end, "unit": unit} for end in found.interval]} if found.interval else {}
    return {**told, "value": found.value, "unit": unit, **ends}


def _outcome(claim: Claim, row: Sequence[Found]) -> Outcome:
    if any(isinstance(found.value, str) for found in row):
        return "unknown"
    if claim.kind in ("holds", "does not hold"):
        return "agrees" if all(found.value is (claim.kind == "holds") for found in row) else "differs"
    steps = COMPARED[claim.kind](row, claim.limit)
    if any(step < 0 for step in steps):
        return "differs"
    return "agrees" if all(step > 0 for step in steps) else "undecided"


def _ends(found: Found) -> tuple[float, float]:
    return found.interval or (float(found.value), float(found.value))


def _order(first: Found, second: Found) -> int:
    """Return 1 if the second is surely higher, -1 if surely lower, 0 if their intervals overlap."""
    (low, high), (other_low, other_high) = _ends(first), _ends(second)
    return operator.gt(other_low, high) - operator.lt(other_high, low)


def _limit(limit: float | None) -> Found:
    if limit is None:
        raise InputError("no limit", where="claim.limit", expected="a number", remedy="Give the limit.")
    return Found("limit", limit)


COMPARED: Mapping[str, Callable[[Sequence[Found], float | None], list[int]]] = {
    "rises": lambda row, _: [_order(one, other) for one, other in pairwise(row)],
    "falls": lambda row, _: [_order(other, one) for one, other in pairwise(row)],
    "is lowest": lambda row, _: [_order(row[0], other) for other in row[1:]],
    "is highest": lambda row, _: [_order(other, row[0]) for other in row[1:]],
    "is below": lambda row, limit: [_order(one, _limit(limit)) for one in row],
    "is above": lambda row, limit: [_order(_limit(limit), one) for one in row],
}
