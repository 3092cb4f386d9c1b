"""Notebooks of the documentation, run from top to bottom.

    python tools/notebooks.py            run them and store what they show
    python tools/notebooks.py --check    run them and compare what they print with what is stored

Printed numbers may differ by one part in a hundred (`examples`), in a cell with the tag ``sampled`` by anything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from examples import DOCS, alike

SECONDS = 600


def notebooks() -> list[Path]:
    """Return the notebooks of the documentation."""
    return sorted((DOCS / "notebooks").glob("*.ipynb"))


def executed(path: Path) -> Any:
    """Return the notebook at `path` after running it in its folder; a cell that fails is an error."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(path.parent)}})
    notebook = client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day would change every time
        if "outputs" in cell:  # what goes to standard error is of this machine: fonts, threads, paths
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


def differences(path: Path) -> Iterator[str]:
    """Yield, for every cell that prints something else than is stored, what it prints."""
    import nbformat

    stored = nbformat.read(path, as_version=4)
    for before, after in zip(stored.cells, executed(path).cells, strict=True):
        sampled = "sampled" in before.metadata.get("tags", [])
        if not alike(printed(before), printed(after), sampled=sampled):
            yield f"{path.name}: {printed(after)!r} in place of {printed(before)!r}, below\n{before.source}"


def printed(cell: Any) -> str:
    """Return what a cell prints on standard output."""
    outputs = cell.get("outputs", [])
    return "".join(one["text"] for one in outputs if one["output_type"] == "stream" and one["name"] == "stdout")


def main() -> int:
    """Run all notebooks; store them or compare."""
    import nbformat

    if "--check" in sys.argv:
        found = [difference for path in notebooks() for difference in differences(path)]
        print("\n".join(found) or "notebooks say what is stored")
        return 1 if found else 0
    for path in notebooks():
        nbformat.write(executed(path), path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
