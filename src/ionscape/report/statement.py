"""A sentence of the verdict of a study."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Statement:
    """One sentence of the verdict.

    Attributes
    ----------
    figure
        The number it rests on, with unit.
    claim
        What it says, in a few words.
    grounds
        How that was found.
    level
        Level of theory of the number.
    section
        Anchor of the section with the evidence.
    question
        Key of the question that it answers (`questions.QUESTIONS`).
    interval
        Its interval with unit, or why there is none; empty where the grounds tell it.
    """

    figure: str
    claim: Markup
    grounds: Markup
    level: str
    section: str
    question: str
    interval: str = ""
