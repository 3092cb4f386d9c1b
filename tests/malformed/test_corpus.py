"""A part of the corpus of malformed inputs in every run of the tests; all of it by ``make fuzz``."""

from __future__ import annotations

import itertools

import pytest
from corpus import MAKERS, families
from running import judged

#: One case in so many is tried here.
EVERY = 16


@pytest.mark.slow
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_malformed_inputs_end_in_one_clear_message(maker) -> None:
    wrong = [
        f"{verdict.case.family} | {verdict.case.name} | {' '.join(verdict.case.arguments)}: "
        f"{verdict.complaint} ({verdict.message})"
        for number, family in enumerate(maker())
        for verdict in judged(family, EVERY, number % EVERY)
        if verdict.complaint
    ]
    assert not wrong, "\n".join(wrong)


def test_the_corpus_is_large_and_meets_every_command() -> None:
    cases = list(itertools.chain.from_iterable(family.cases() for family in families()))
    assert len({(case.family, case.name) for case in cases}) >= 300
    met = {case.arguments[0] for case in cases}
    assert met >= {
        "evaluate", "relax", "voids", "dope", "hull", "contact", "window", "surfaces", "match", "interface", "md",
        "train", "export", "transport", "arrhenius", "neb", "electronic", "calibrate", "status", "verify",
        "report", "run", "cite",
    }  # fmt: skip
