"""A short campaign of kills, as ``make chaos`` does at length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_kills_lose_nothing_and_change_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from chaos import Campaign, campaign, sound

    results = campaign(Campaign(tmp_path / "chaos", kills=6, seed=2, keep=2, seconds=0.0, longest=1.0))
    sys.modules.pop("record", None)
    assert sound(results), results
    assert results["kills"] == 6
    assert results["finished_calculations"] > 3
