"""The questions that a study answers, with the statements that answer them or why there is no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ionscape.report.records import StudyRecord
from ionscape.report.statement import Statement


@dataclass(frozen=True)
class Question:
    """A question: its key, its words, and the stages of a study that answer it."""

    key: str
    words: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """A question with its statements; `missing` tells why there are none, or which stages could say more."""

    question: Question
    statements: tuple[Statement, ...]
    missing: tuple[str, ...]


#: In the order of the page; the last is shown only if it has an answer.
QUESTIONS = (
    Question("stable", "Is it stable?", ("stability",)),
    Question("reacts", "Does it react with the cathodes?", ("contact", "window")),
    Question("sticks", "Does it stick to the cathode?", ("interface",)),
    Question("conducts", "Does it conduct, and at which composition?", ("transport",)),
    Question("crosses", "Do ions pass the interface?", ("migration",)),
    Question("cell", "Does the level describe the crystal?", ()),
)


def answered(record: StudyRecord, statements: Sequence[Statement], names: Mapping[str, str]) -> list[Answered]:
    """Return every question with its answers; `names` are what the stages are called."""
    found = []
    for question in QUESTIONS:
        own = tuple(one for one in statements if one.question == question.key)
        missing = tuple(filter(None, (_missing(record, stage, names[stage], own) for stage in question.stages)))
        if own or missing:
            found.append(Answered(question, own, missing))
    return found


def _missing(record: StudyRecord, stage: str, name: str, own: Sequence[Statement]) -> str:
    """Return why a stage adds no answer to its question; empty if it does."""
    if stage in record.failed:
        return f"{name}: failed: {record.failed[stage]}"
    if stage in record.pending:
        return f"{name}: not computed yet"
    if any(one.section == stage for one in own):
        return ""
    if stage == "migration" and record.migration is not None:
        return f"{name}: found in crystals, not through an interface"
    if stage in record.computed:
        return f"{name}: run, without a number to judge by"
    return f"{name}: not run, the study has no table [{stage}]"
