"""What is asked of the laboratory for a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ionscape.migration.endpoints import EndPoints
from ionscape.migration.settings import BandSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from ionscape.levels.calculation import Relaxation, RelaxationSettings
    from ionscape.levels.registry import Level
    from ionscape.migration.result import MigrationPath
    from ionscape.results import Failure


@dataclass(frozen=True)
class BandRequest:
    """A path between matched end points at a level."""

    ends: EndPoints
    level: Level
    settings: BandSettings


@dataclass(frozen=True)
class FoundPath:
    """A path that was found, and the key of its calculation."""

    path: MigrationPath
    key: str


class BandLab(Protocol):
    """Where stages ask for relaxations and paths."""

    def relax(
        self, structures: Sequence[Structure], level: Level, settings: RelaxationSettings
    ) -> list[Relaxation | Failure]:
        """Relax every structure."""
        ...

    def band(self, requests: Sequence[BandRequest]) -> list[FoundPath | Failure]:
        """Find every path, in order; one that broke is a failure in its place."""
        ...
