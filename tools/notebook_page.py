"""A notebook as a page of Markdown, with the outputs it was stored with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def markdown_of(notebook: Path) -> str:
    """Return the cells of `notebook` as Markdown: prose, code, printed text and figures."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    title, *rest = parts
    return "\n\n".join([title, f"[Download this notebook]({notebook.name})", *rest]) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"]).strip()
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *(shown for output in cell["outputs"] if (shown := _output(output)))]


def _output(output: dict[str, Any]) -> str:
    """Return what a cell showed: the richest form that a page can hold."""
    if output["output_type"] == "stream":
        return _verbatim("".join(output["text"]))
    data = output.get("data", {})
    if "image/png" in data:
        return f"![](data:image/png;base64,{''.join(data['image/png']).strip()})"
    return _verbatim("".join(data["text/plain"])) if "text/plain" in data else ""


def _verbatim(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
