"""The stage of molecular dynamics: runs of several materials at several temperatures, asked for together."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ionscape.dynamics.runs import DynamicsLab, RunRequest, SimulatedRun
from ionscape.dynamics.settings import DynamicsPlan
from ionscape.dynamics.simulate import check_run
from ionscape.potential.gate import GateResult
from ionscape.results import Failure
from ionscape.units import Count, Number, Temperature

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level


@dataclass(frozen=True)
class StartingCell:
    """A material with the cell in which its dynamics start.

    Attributes
    ----------
    name
        Its name in the study.
    formula
        Formula of the cell.
    x_per_formula_unit
        Dopants per formula unit of the host.
    structure
        The cell, or why there is none.
    """

    name: str
    formula: str
    x_per_formula_unit: Number
    structure: Structure | Failure = field(metadata={"internal": True})


@dataclass(frozen=True)
class MaterialRun:
    """A run of one material at one temperature.

    Attributes
    ----------
    cell
        What was run.
    temperature
        Of the thermostat.
    replica
        Its number among the runs that differ in their seeds only, from 1 on.
    outcome
        The run; a `StoppedRun` if a guard ended it, another failure if there is none.
    gate
        What dear frames of the run say of the learned potential it was made with, a failure if they could not be
        had; None if there is nothing to judge.
    """

    cell: StartingCell
    temperature: Temperature
    replica: Count
    outcome: SimulatedRun | Failure
    gate: GateResult | Failure | None = None


@dataclass(frozen=True)
class MaterialRuns:
    """All runs, by material, temperature and replica in this order; `level` is the name of the level."""

    runs: tuple[MaterialRun, ...]
    level: str


def simulate_materials(
    cells: Sequence[StartingCell], plan: DynamicsPlan, level: Level, lab: DynamicsLab, seed: int
) -> MaterialRuns:
    """Return the runs of all `cells` at all temperatures of `plan`, asked for in one call.

    Parameters
    ----------
    cells
        Materials; one without a structure stands with its reason in the place of its runs.
    plan
        Temperatures, replicas, and how atoms are moved.
    level
        Level of theory of the forces.
    lab
        Where runs are asked for.
    seed
        Seed of the study. That of a run follows from it and from the material, temperature and replica, so that
        adding runs changes no other.

    Raises
    ------
    InputError
        If a cell has fewer than two atoms, or does not hold a mobile element.
    """
    wanted = list(itertools.product(cells, plan.temperatures_K, range(1, plan.replicas + 1)))
    requests = [
        RunRequest(cell.structure, level, plan.run_settings(kelvin, run_seed(seed, cell.name, kelvin, replica)))
        for cell, kelvin, replica in wanted
        if not isinstance(cell.structure, Failure)
    ]
    for request in requests:
        check_run(request.structure, request.settings)
    answers = iter(lab.simulate(requests, together=plan.batch))
    runs = (MaterialRun(cell, kelvin, replica, _outcome(cell, answers)) for cell, kelvin, replica in wanted)
    return MaterialRuns(tuple(runs), level.name)


def _outcome(cell: StartingCell, answers: Iterator[SimulatedRun | Failure]) -> SimulatedRun | Failure:
    return cell.structure if isinstance(cell.structure, Failure) else next(answers)


def run_seed(seed: int, name: str, temperature: float, replica: int) -> int:
    """Return the seed of a run, from that of the study and what tells the run from the others."""
    return zlib.crc32(f"{seed}/{name}/{temperature:g}/{replica}".encode())
