"""What is asked of the laboratory for a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ionscape.errors import InputError
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.interpolation import first_images
from ionscape.migration.settings import BandSettings
from ionscape.results import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from ionscape.levels.calculation import Relaxation, RelaxationSettings
    from ionscape.levels.registry import Level
    from ionscape.migration.result import MigrationPath


@dataclass(frozen=True)
class BandRequest:
    """A path between matched end points at a level."""

    ends: EndPoints
    level: Level
    settings: BandSettings


#: The request for the path of a hop, or why there cannot be one.
AskedHop = BandRequest | Failure


def asked_hop(ends: EndPoints, settings: BandSettings, level: Level) -> AskedHop:
    """Return the request for the path between `ends`, or a failure if its first images overlap."""
    try:
        first_images(ends, settings.images, settings.path)
    except InputError as error:
        return Failure(str(error))
    return BandRequest(ends, level, settings)


def answers_to(lab: BandLab, groups: Sequence[Sequence[AskedHop]]) -> list[list[FoundPath | Failure]]:
    """Return what became of every hop of every group; all paths are asked for at once, side by side."""
    asked = [one for group in groups for one in group if isinstance(one, BandRequest)]
    answers = iter(lab.band(asked) if asked else ())
    return [[one if isinstance(one, Failure) else next(answers) for one in group] for group in groups]


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
