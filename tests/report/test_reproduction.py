"""The page beside another study: every row of the results, nothing else, and no text that breaks the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ionscape.report.reproduction import reproduction_page, write_reproduction

RESULTS: dict[str, Any] = {
    "study": {"name": "s", "title": "A study", "seed": 1, "input_sha256": "0" * 64},
    "levels": {"cheap": {"name": "chgnet"}},
    "code": {"ionscape": "0.1.0"},
    "comparison": [
        {
            "quantity": "tau1", "target": "A|B", "temperature": {"value": 1000.0, "unit": "K"},
            "ours": {"value": 4.0, "unit": "ps"}, "study": {"value": 5.1, "unit": "ps"}, "verdict": "within",
            "interval": [{"value": 3.0, "unit": "ps"}, {"value": 6.0, "unit": "ps"}], "source": "Fig. 5",
            "note": "",
        },
        {
            "quantity": "xi", "target": "A", "ours": {"unavailable": "no peaks"},
            "study": {"value": 6.09, "unit": "Å"}, "verdict": "unknown", "source": "text", "note": "because",
        },
    ],
    "claims": [
        {"says": "it rises", "source": "Fig. 4", "outcome": "undecided", "note": "",
         "numbers": [{"target": "A", "flag": True}, {"target": "B", "unavailable": "gate"}]},
    ],
}  # fmt: skip


def rows(page: str) -> list[list[str]]:
    lines = [line.replace("\\|", "¦") for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_number_and_statement_has_its_row() -> None:
    page = reproduction_page(RESULTS)
    heads_and_rows = rows(page)
    assert [row[0] for row in heads_and_rows] == ["", "1", "2", "", "3"]
    _, first, second, _, third = heads_and_rows
    assert first == ["1", "tau1", "A¦B, 1000 K", "5.1 ps", "4 (3 to 6) ps", "−1.1", "agrees", "Fig. 5", ""]
    assert second[4] == "no peaks"
    assert second[6] == "not comparable"
    assert third[2] == "A: yes; B: none (gate)"
    assert "Numbers: 1 agrees, 1 not comparable." in page


def test_written_beside_the_page_where_there_is_something_to_compare(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    written = write_reproduction(tmp_path)
    assert written is not None
    assert written.read_text() == reproduction_page(RESULTS)
    (tmp_path / "results.json").write_text(json.dumps({**RESULTS, "comparison": [], "claims": []}))
    assert write_reproduction(tmp_path) is None
