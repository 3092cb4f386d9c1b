"""Checkpoints: the whole state of a run in one file, written whole and renamed into place."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionscape.structures.exchange import replacing

#: Revision of what a checkpoint holds; one of another revision is not continued.
FORMAT = 1
_VALUES = "values"


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after a step.

    Attributes
    ----------
    arrays
        Arrays by name, kept to the last bit; each in the unit of the variable it was taken from.
    values
        Plain JSON: step, frames, state of the random numbers, …
    """

    arrays: Mapping[str, NDArray[Any]]
    values: Mapping[str, Any] = field(default_factory=dict)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint` to `path`: whoever opens it, after a kill or a failure of power, finds it whole.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    content = io.BytesIO()
    text = json.dumps({**checkpoint.values, "format": FORMAT}, sort_keys=True)
    arrays: dict[str, Any] = {f"a_{name}": array for name, array in checkpoint.arrays.items()}
    arrays[_VALUES] = np.array(text)
    np.savez(content, **arrays)
    with replacing(path) as part, part.open("wb") as file:
        file.write(content.getvalue())
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint at `path`; None if there is none that can be continued (missing, damaged, too old)."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            values = json.loads(str(content[_VALUES]))
            arrays = {name[2:]: content[name] for name in content.files if name != _VALUES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return Checkpoint(arrays, values) if values.get("format") == FORMAT else None
