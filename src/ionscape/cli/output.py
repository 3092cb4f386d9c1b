"""What commands hand back, and how it is printed: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The outcome of a command: the JSON object, the text for people, and the exit code."""

    payload: dict[str, Any]
    text: str
    exit_code: int = field(default=0)


def show(answer: Answer, *, as_json: bool) -> None:
    """Write `answer` to standard output, as JSON or as text."""
    sys.stdout.write(json.dumps(answer.payload, allow_nan=False) if as_json else answer.text)
    sys.stdout.write("\n")


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return `rows` under `headers` in aligned columns."""
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)
