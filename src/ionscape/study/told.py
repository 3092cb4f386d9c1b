"""What a running study tells other processes: a small file that is there as long as the run goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ionscape.structures.exchange import replacing

#: Name of the file in the folder of the study.
TOLD = "progress.json"


def write_told(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` whole.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as part:
        part.write_text(json.dumps(state), encoding="utf-8")


def read_told(folder: Path) -> dict[str, Any] | None:
    """Return what the run in `folder` tells; None if there is none, or its process has died."""
    try:
        state: dict[str, Any] = json.loads((folder / TOLD).read_text(encoding="utf-8"))
        os.kill(int(state["pid"]), 0)
    except PermissionError:  # it lives, under another user
        return state
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state
