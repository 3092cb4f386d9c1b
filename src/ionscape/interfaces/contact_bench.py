"""Where contacts are computed: the laboratory, the levels, and how slabs are relaxed in a fixed cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ionscape.levels.calculation import Relaxation, RelaxationSettings
from ionscape.results import Failure

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.calculation import Lab
    from ionscape.levels.registry import Level


@dataclass(frozen=True)
class ContactBench:
    """Where and at which levels contacts are computed.

    Attributes
    ----------
    lab
        Where calculations are asked for.
    level
        Level of relaxations and of all energies that are reported.
    relaxation
        Optimiser and tolerances; what moves are always the positions.
    cheap
        Level of scans of rigid energies.
    """

    lab: Lab
    level: Level
    relaxation: RelaxationSettings
    cheap: Level

    def relax(self, structures: Sequence[Structure]) -> list[Relaxation | Failure]:
        """Relax the positions of every structure in its cell; held coordinates stay."""
        fixed_cell = self.relaxation.model_copy(update={"move": "positions"})
        return self.lab.relax(structures, self.level, fixed_cell) if structures else []
