"""The stages in which atoms move: a potential is learned, runs are made with it and judged, and analysed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ionscape.doping.funnel import DopedCell, FailedCell, Workbench, dope_all
from ionscape.doping.proposal import DopingTask
from ionscape.dynamics.judgement import judge_runs, refusal, unjudged
from ionscape.dynamics.learning_plan import stretches_of
from ionscape.dynamics.runs import SimulatedRun
from ionscape.dynamics.stage import MaterialRun, MaterialRuns, StartingCell, simulate_materials
from ionscape.errors import CalculationError
from ionscape.results import Failure
from ionscape.study.compositions import Content, contents_of, dynamics_cell, formula_units, starting_cells
from ionscape.study.learned import LearnedPotential, LearningRequest, model_of
from ionscape.transport.stage import MaterialTransport, RunToAnalyse, judge_transport
from ionscape.units import Count

if TYPE_CHECKING:
    from ionscape.levels.registry import Level
    from ionscape.study.crystals import Crystal
    from ionscape.study.pipeline import Run
    from ionscape.study.schema import DynamicsTable, Study


def cells_of_dynamics(run: Run) -> list[StartingCell]:
    """Return the cells in which the molecular dynamics of all materials start."""
    doped, cell = run.findings.get("doping", []), dynamics_cell(run.study)
    units = formula_units(run.crystals[0].structure, cell)
    host = run.findings["host"][0]
    return starting_cells(run.study, host, doped, units, lambda contents: _search(run, contents))


def learn_potential(run: Run) -> LearnedPotential:
    """Learn one potential for all materials of [dynamics]."""
    plan, dynamics = run.study.potential, run.study.dynamics
    assert plan is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    assert dynamics is not None  # noqa: S101  `check_study` refuses one without the other
    known = [cell for cell in run.starting_cells if not isinstance(cell.structure, Failure)]
    cells = tuple(cell.structure for cell in known if not isinstance(cell.structure, Failure))
    if not cells:
        message = "no material has a cell to learn from"
        raise CalculationError(message)
    stretches = stretches_of(cells, plan, dynamics, run.study.study.seed)
    request = LearningRequest(cells, run.levels[plan.level], stretches, plan.learning, plan.training)
    found = run.lab.learn(request, [cell.name for cell in known])
    if isinstance(found, Failure):
        raise CalculationError(found.reason)
    return found


def run_dynamics(run: Run) -> MaterialRuns:
    """Run all materials at all temperatures; where the level is a learned potential, judge it on every run."""
    table = run.study.dynamics
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    level = _level_of_dynamics(run, table)
    found = simulate_materials(run.starting_cells, table, level, run.lab, run.study.study.seed)
    model, teacher = model_of(level), _teacher(run, level)
    if model is None:
        return found
    if teacher is None:
        reason = "no level of the study taught it; name that level in [levels.dear] or [levels.cheap]"
        return unjudged(found, reason)
    return judge_runs(found, model, teacher, run.lab, table.gate)


def _level_of_dynamics(run: Run, table: DynamicsTable) -> Level:
    if table.level != "learned":
        return run.levels[table.level]
    if "potential" not in run.findings:
        message = "there is no potential: the stage that learns it failed"
        raise CalculationError(message)
    learned: LearnedPotential = run.findings["potential"]
    return learned.level


def _teacher(run: Run, level: Level) -> Level | None:
    """Return the level of the study that labels frames of runs at a learned one: the one that taught it.

    A learned level is no teacher: it would judge itself, and find no error.
    """
    if run.study.dynamics and run.study.dynamics.level == "learned" and run.study.potential:
        return run.levels[run.study.potential.level]
    model, labelling = model_of(level), [one for one in (*run.dear, run.cheap) if model_of(one) is None]
    named = model.provenance.level if model else ""
    return next((one for one in labelling if named in ("", one.name)), None)


def _search(run: Run, contents: Sequence[Content]) -> list[DopedCell | FailedCell]:
    """Search doped cells in the cell of the dynamics, where that of [doping] does not fit into it."""
    doping, dynamics, host = run.study.doping, run.study.dynamics, run.findings["host"][0]
    assert doping is not None  # noqa: S101  there are no contents without the tables
    assert dynamics is not None  # noqa: S101
    if "voids" not in run.findings:
        message = "empty sites are not known: the stage that finds them failed"
        raise CalculationError(message)
    routes = {route.name: route for route in doping.routes}
    sites = run.findings["voids"].all_fractional
    tasks = [DopingTask(host.structure, sites, routes[one.route], one.count) for one in contents]
    settings = doping.model_copy(
        update={
            "charges": {**host.charges, **doping.charges},
            "supercell": dynamics_cell(run.study),
            "keep": dynamics.keep,
            "spread": 0,
        }
    )
    bench = Workbench(run.lab, run.cheap, run.study.relaxation, run.dear)
    return dope_all(tasks, settings, bench, run.rng("dynamics"))


def analyse_runs(run: Run) -> MaterialTransport:
    """Analyse the ion transport in every run whose forces are to be believed."""
    table, found = run.study.transport, run.findings["dynamics"]
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    return judge_transport([_to_analyse(one) for one in found.runs], table, run.lab, run.study.study.seed)


def _to_analyse(run: MaterialRun) -> RunToAnalyse:
    """Return a run for its analysis; refused where its potential is not to be believed."""
    refused, cell = refusal(run), run.cell
    outcome: SimulatedRun | Failure = Failure(refused, run.outcome.key) if refused else run.outcome
    return RunToAnalyse(cell.name, cell.formula, cell.x_per_formula_unit, run.temperature, run.replica, outcome)


def motion_sizes(study: Study, crystals: list[Crystal]) -> list[int]:
    """Return the numbers of atoms of the relaxations that [dynamics] asks for."""
    if study.dynamics is None:
        return []
    atoms = len(crystals[0].structure) * math.prod(dynamics_cell(study))
    searched = sum(content.searched for content in contents_of(study)) * study.dynamics.keep
    return [atoms] * searched


@dataclass(frozen=True)
class PlannedRuns:
    """The runs that [dynamics] asks for: how many, and the atoms, mean steps and mean frames of each."""

    count: Count
    atoms: Count
    steps: Count
    frames: Count


def planned_runs(study: Study, crystals: list[Crystal]) -> PlannedRuns | None:
    """Return the runs of [dynamics], all in cells of as many atoms as the host's; None without the table."""
    table = study.dynamics
    if table is None:
        return None
    each = [table.run_settings(kelvin, 0) for kelvin in table.temperatures_K]
    return PlannedRuns(
        count=len(table.compositions) * len(each) * table.replicas,
        atoms=len(crystals[0].structure) * math.prod(dynamics_cell(study)),
        steps=sum(one.steps for one in each) // len(each),
        frames=sum(one.steps // one.steps_per_frame for one in each) // len(each),
    )


def motion_work(study: Study, crystals: list[Crystal]) -> int:
    """Return the atoms × steps of the runs of [dynamics], if they are at the cheap level."""
    runs = planned_runs(study, crystals)
    if runs is None or study.dynamics is None or study.dynamics.level != "cheap":
        return 0
    return runs.count * runs.atoms * runs.steps
