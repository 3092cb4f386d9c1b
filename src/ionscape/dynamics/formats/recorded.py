"""Trajectories that ionscape's own molecular dynamics wrote (`recording`)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from ionscape.dynamics.formats.source import Frame, Header, Types
from ionscape.dynamics.recording import is_torn, read_header, record_blocks, start_positions
from ionscape.dynamics.trajectory import TrajectoryWarning
from ionscape.errors import InputError


class Recording:
    """A trajectory of ionscape: unwrapped, with energies and temperatures."""

    fractional = False
    wrapped = False

    def __init__(self, path: Path, types: Types = None) -> None:  # noqa: ARG002  every format takes types
        self.path = path
        run = read_header(path)
        self.header = Header(run.symbols, run.frame_interval, run.temperature)

    def frames(self) -> Iterator[Frame]:
        """Yield the complete frames in order."""
        start, end = start_positions(self.path), 0
        for block in record_blocks(self.path):
            for record in block:
                yield Frame(
                    start + record["shift"], record["cell"], float(record["energy"]), float(record["temperature"])
                )
            end += len(block)
        if not end:
            raise InputError(
                "no complete frame", where=str(self.path), expected="at least two frames", remedy="Run longer."
            )
        if is_torn(self.path, end):
            warnings.warn(
                f"{self.path}: ends within frame {end}, which is left out (killed run, or still running)",
                TrajectoryWarning,
                stacklevel=2,
            )
