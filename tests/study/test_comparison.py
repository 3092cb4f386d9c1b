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
