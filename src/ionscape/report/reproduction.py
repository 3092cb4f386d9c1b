"""The comparison with another study as one Markdown page: every number and statement of it beside ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ionscape.errors import InputError
from ionscape.report.typography import significant
from ionscape.structures.exchange import replacing

VERDICTS = {"within": "agrees", "differs": "differs", "unknown": "not comparable"}
#: What records of earlier versions give, which carry no verdict.
UNJUDGED = "not judged"
OUTCOMES = {"agrees": "agrees", "differs": "differs", "undecided": "undecided", "unknown": "not comparable"}


def write_reproduction(folder: Path) -> Path | None:
    """Write ``report/comparison.md`` from ``results.json`` in `folder`; nothing if it names no other study.

    Raises
    ------
    InputError
        If what stands there of the other study cannot be understood.
    """
    path = folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    if not results.get("comparison") and not results.get("claims"):
        return None
    try:
        page = reproduction_page(results)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'comparison' or 'claims' cannot be understood ({type(error).__name__}: {error})",
            where=str(path),
            expected="results that `ionscape run` wrote",
            remedy="Run the study again: what is finished is not calculated again.",
        ) from None
    target = folder / "report" / "comparison.md"
    with replacing(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


def reproduction_page(results: Mapping[str, Any]) -> str:
    """Return the page made from the content of ``results.json``; nothing in it is written by hand.

    A reported number *agrees* if it lies within the 95 % interval of ours, or differs by less than the tolerance
    given with it. A statement agrees if our numbers order as it says with intervals apart.
    """
    study, levels = results["study"], results["levels"]
    numbers, claims = results.get("comparison", []), results.get("claims", [])
    named = ", ".join(f"{role}: {identity.get('name', '')}" for role, identity in levels.items())
    made = (
        f"Made from `results.json` of the study `{study['name']}` (input {study['input_sha256'][:12]}, seed "
        f"{study['seed']}); levels of theory: {named}; ionscape {results['code']['ionscape']}. Intervals are of "
        "95 %. A number agrees if the reported one lies within the interval of ours, or where we have none if the "
        "two are the same to the digits reported or to the tolerance stated in the study file. A statement agrees "
        "if our numbers are so with their intervals apart."
    )
    return "\n".join(
        [
            f"# {study['title']}: beside the source study",
            "",
            made,
            "",
            _tally("Numbers", map(verdict_of, numbers)),
            _tally("Statements", (OUTCOMES[row["outcome"]] for row in claims)),
            "",
            "## Numbers",
            "",
            "| | quantity | of | reported | here | difference | | where | why |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_number_row(index, row) for index, row in enumerate(numbers, start=1)),
            "",
            "## Statements",
            "",
            "| | statement | our numbers | | where | why |",
            "|---|---|---|---|---|---|",
            *(_claim_row(index, row) for index, row in enumerate(claims, start=len(numbers) + 1)),
            "",
        ]
    )


def _tally(what: str, outcomes: Iterable[str]) -> str:
    counted: dict[str, int] = {}
    for outcome in outcomes:
        counted[outcome] = counted.get(outcome, 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counted.items())) or "none"
    return f"{what}: {told}."


def verdict_of(row: Mapping[str, Any]) -> str:
    """Return in words whether our number is that of the other study."""
    return VERDICTS.get(row.get("verdict", ""), UNJUDGED)


def _number_row(index: int, row: Mapping[str, Any]) -> str:
    study, ours = row["study"], row["ours"]
    known = "value" in ours
    at = f", {significant(row['temperature']['value'], 4)} K" if row.get("temperature") else ""
    cells = [
        str(index),
        row["quantity"].replace("_", " "),
        row["target"] + at,
        _with_unit(study["value"], study["unit"]),
        _with_unit(ours["value"], ours["unit"], row.get("interval")) if known else ours["unavailable"],
        significant(ours["value"] - study["value"], 3) if known else "",
        verdict_of(row),
        row["source"],
        row["note"],
    ]
    return _row(cells)


def _claim_row(index: int, row: Mapping[str, Any]) -> str:
    numbers = "; ".join(map(told, row["numbers"]))
    return _row([str(index), row["says"], numbers, OUTCOMES[row["outcome"]], row["source"], row["note"]])


def told(one: Mapping[str, Any]) -> str:
    """Return one of our numbers behind a statement, in words."""
    at = f" at {significant(one['temperature']['value'], 4)} K" if one.get("temperature") else ""
    if "unavailable" in one:
        return f"{one['target']}{at}: none ({one['unavailable']})"
    if "flag" in one:
        return f"{one['target']}{at}: {'yes' if one['flag'] else 'no'}"
    return f"{one['target']}{at}: {_with_unit(one['value'], one['unit'], one.get('interval'))}"


def _with_unit(value: float, unit: str, interval: Iterable[Mapping[str, Any]] | None = None) -> str:
    ends = [significant(end["value"], 3) for end in interval or ()]
    told = f" ({' to '.join(ends)})" if ends else ""
    return f"{significant(value, 4)}{told}{'' if unit == '1' else f' {unit}'}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
