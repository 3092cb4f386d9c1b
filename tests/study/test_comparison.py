"""Numbers of a run stand beside the reference's of the temperature that was asked for."""

from __future__ import annotations

import pytest

from ionscape.study.comparison import ReferenceValue, compare


@pytest.mark.parametrize(("asked", "compared"), [(1000.0, 1), (1200.0, 0), (None, 0)])
def test_run_without_thermostat_is_found_by_the_temperature_asked_for(asked: float | None, compared: int) -> None:
    row = {
        "material": "host",
        "temperature": {"value": 987.3, "unit": "K"},  # the mean of its frames
        "xi": {"value": 1.9, "unit": "Å"},
    }
    if asked is not None:
        row["asked_temperature"] = {"value": asked, "unit": "K"}
    reference = ReferenceValue(quantity="xi", target="host", temperature_K=1000.0, value=2.0, source="Fig. 5")
    found = compare([reference], {"transport": {"runs": [row]}})
    assert len(found) == compared
    for one in found:
        assert one.temperature == {"value": 987.3, "unit": "K"}


@pytest.mark.parametrize(("mean", "known"), [(930.0, True), (512.0, False), (1300.0, False)])
def test_run_far_from_its_temperature_is_not_compared(mean: float, known: bool) -> None:
    row = {
        "material": "host",
        "temperature": {"value": mean, "unit": "K"},
        "asked_temperature": {"value": 1000.0, "unit": "K"},
        "xi": {"value": 1.9, "unit": "Å"},
    }
    reference = ReferenceValue(quantity="xi", target="host", temperature_K=1000.0, value=2.0, source="Fig. 5")
    (found,) = compare([reference], {"transport": {"runs": [row]}})
    if known:
        assert found.ours == {"value": 1.9, "unit": "Å"}
    else:
        reason = f"the run was at {mean:.0f} K, not at the 1000 K that it was asked for"
        assert (found.verdict, found.ours) == ("unknown", {"unavailable": reason})
