"""The pipeline: the stages of a study in their order, where their inputs and results meet.

A stage is a pure function of earlier results, its settings and the laboratory. All expensive work is behind the
laboratory and so in the store; what is light is done again in every run, which is why a finished study takes
seconds.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from ionscape.doping.funnel import DopedCell, FailedCell, Workbench, dope_all
from ionscape.doping.proposal import DopingTask
from ionscape.dynamics.stage import StartingCell
from ionscape.errors import InputError, IonscapeError, nearest
from ionscape.levels.evaluation import require_stress
from ionscape.levels.registry import Level
from ionscape.stability.bench import PhaseBench
from ionscape.stability.contact_stage import ContactStability, judge_contacts
from ionscape.stability.settings import ContactSettings, WindowSettings
from ionscape.stability.stage import BulkStability, StabilityTarget, judge_stability
from ionscape.stability.system import Reactant
from ionscape.stability.window_stage import WindowTable, judge_windows
from ionscape.structures.voids import EmptySites, find_empty_sites
from ionscape.study import schema
from ionscape.study.checks import check_study
from ionscape.study.compositions import formula_units
from ionscape.study.crystals import Crystal, RelaxedCrystal, relax_crystals
from ionscape.study.electronic import study_electronic
from ionscape.study.inputs import crystal_of
from ionscape.study.interfaces import study_interfaces
from ionscape.study.lab import Laboratory
from ionscape.study.migrating import migrate
from ionscape.study.motion import (
    analyse_runs,
    cells_of_dynamics,
    learn_potential,
    motion_sizes,
    motion_work,
    run_dynamics,
)
from ionscape.study.progress import Progress
from ionscape.study.reactants import crystal_reactant, doped_reactants
from ionscape.study.surfaces import match_crystals, surfaces_of_crystals
from ionscape.units import Seconds, Unit

State = Literal["pending", "done", "cached", "failed", "skipped"]


@dataclass(frozen=True)
class StageRecord:
    """What became of a stage: its state, its duration, and if it failed why and with which exit code."""

    state: State
    seconds: Seconds = 0.0
    reason: str = ""
    exit_code: Annotated[int, Unit("1")] = 0


@dataclass
class Run:
    """A running study: its checked file, its laboratory, and what the stages have found so far.

    Attributes
    ----------
    levels
        Levels of theory by what they are for (the keys of the table [levels]).
    folder
        Folder of the study file, at which relative paths start.
    findings
        Results by stage; a stage that has not run is not in it.
    streams
        Seeds of the random streams that stages drew from, by stage.
    """

    study: schema.Study
    crystals: list[Crystal]
    levels: dict[str, Level]
    lab: Laboratory
    progress: Progress
    folder: Path = Path()
    findings: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, list[int]] = field(default_factory=dict)

    @property
    def doped_cells(self) -> list[DopedCell]:
        """The doped cells found so far; contents without one are left out."""
        return [cell for cell in self.findings.get("doping", []) if isinstance(cell, DopedCell)]

    @property
    def cheap(self) -> Level:
        """The level of every stage that asks for no other."""
        return self.levels["cheap"]

    @property
    def dear(self) -> tuple[Level, ...]:
        """The level at which funnels end, if there is one."""
        return tuple(level for role, level in self.levels.items() if role == "dear")

    @property
    def deciding(self) -> Level:
        """The level whose energies are reported: the dear one if the funnel ends there, else the cheap one."""
        doping = self.study.doping
        return self.dear[0] if self.dear and doping and doping.keep_dear else self.cheap

    @cached_property
    def bench(self) -> PhaseBench:
        """The competing phases of the study, at the deciding level."""
        return PhaseBench(self.study.stability, self.deciding, self.study.relaxation, self.lab, self.folder)

    @cached_property
    def starting_cells(self) -> list[StartingCell]:
        """The cells in which the molecular dynamics of all materials start."""
        return cells_of_dynamics(self)

    def rng(self, stage: str) -> np.random.Generator:
        """Return the random stream of `stage`: a child of the study's seed, the same whatever ran before."""
        self.streams[stage] = [self.study.study.seed, zlib.crc32(stage.encode())]
        return np.random.default_rng(self.streams[stage])


@dataclass(frozen=True)
class Stage:
    """A stage.

    Attributes
    ----------
    needs
        Stages without whose results it cannot run.
    perform
        What it does.
    sizes
        Numbers of atoms of the calculations it will ask for.
    uses
        Stages whose results it takes in where the study has them; if they fail it goes on without.
    work
        Atoms × steps of its calculations whose steps are known beforehand, if they are at the cheap level.
    """

    needs: tuple[str, ...]
    perform: Callable[[Run], Any]
    sizes: Callable[[schema.Study, list[Crystal]], list[int]]
    uses: tuple[str, ...] = ()
    work: Callable[[schema.Study, list[Crystal]], int] = lambda _study, _crystals: 0


def begin(study_file: schema.StudyFile, lab: Laboratory, progress: Progress, stages: Iterable[str]) -> Run:
    """Return a run of the study after checking, before any calculation, that `stages` have what they need.

    Raises
    ------
    InputError
        If a structure cannot be read, a level cannot be used, or `check_study` finds something.
    """
    study = study_file.content
    named = [("host", study.host)] + ([("cathode", study.cathode)] if study.cathode else [])
    crystals = [crystal_of(table, study_file.folder, f"{name}.structure") for name, table in named]
    levels = {role: Level.of(table.name, table.settings) for role, table in study.levels.tables().items()}
    for level in levels.values():
        if ":" in level.name:  # a registered provider promises stresses, a factory does not
            require_stress(level.calculator(1), where=f"level '{level.name}'")
    run = Run(study, crystals, levels, lab, progress, study_file.folder)
    check_study(study, crystals, run.bench, stages)
    return run


def run_stages(
    run: Run, names: Iterable[str], note: Callable[[dict[str, StageRecord]], object]
) -> dict[str, StageRecord]:
    """Run the stages `names` in the order of the study and return what became of each.

    A stage whose calculations fail is recorded as failed, those that need it as skipped; the others go on. After
    every change of state `note` is given the records of all stages.
    """
    records = dict.fromkeys(names, StageRecord("pending"))
    run.progress.planned = {name: STAGES[name].sizes(run.study, run.crystals) for name in records}
    run.progress.planned_work = {name: STAGES[name].work(run.study, run.crystals) for name in records}
    for name in records:
        note(records)
        broken = [need for need in STAGES[name].needs if need not in run.findings]
        if broken:
            records[name] = StageRecord("skipped", reason=f"needs {', '.join(broken)}", exit_code=3)
            continue
        records[name] = _run_stage(run, name)
    note(records)
    return records


def _run_stage(run: Run, name: str) -> StageRecord:
    run.progress.enter(name)
    started, computed, reused = time.monotonic(), run.lab.computed, run.lab.reused
    try:
        run.findings[name] = STAGES[name].perform(run)
    except IonscapeError as error:
        run.progress.message(f"{name}: failed: {error}")
        return StageRecord("failed", time.monotonic() - started, str(error), error.exit_code)
    only_reused = run.lab.reused > reused and run.lab.computed == computed
    state: State = "cached" if only_reused else "done"
    return StageRecord(state, time.monotonic() - started)


def stages_of(study: schema.Study, wanted: Iterable[str] = ()) -> list[str]:
    """Return the stages of the study in order; with `wanted`, these and all whose results enter theirs.

    What a stage finds so does not depend on which stages were asked for.

    Raises
    ------
    InputError
        If a wanted stage does not exist, or the study has no table for it.
    """
    present = [name for name in STAGES if name not in OPTIONAL or getattr(study, name) is not None]
    wanted = list(wanted)
    for name in wanted:
        if name not in present:
            raise InputError(
                f"no stage '{name}' in this study",
                where="--stages",
                expected=f"stages of the study: {', '.join(present)}",
                remedy=nearest(name, present),
            )
    needed = set(wanted or present)
    for name in reversed(present):
        if name in needed:
            needed |= {*STAGES[name].needs, *STAGES[name].uses} & set(present)
    return [name for name in present if name in needed]


def _host(run: Run) -> list[RelaxedCrystal]:
    return relax_crystals(run.crystals, run.deciding, run.study.relaxation, run.lab)


def _voids(run: Run) -> EmptySites:
    host = run.findings["host"][0]
    return find_empty_sites(host.structure, run.study.voids, charges=host.charges or None)


def _doping(run: Run) -> list[DopedCell | FailedCell]:
    table, host = run.study.doping, run.findings["host"][0]
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    tasks = [
        DopingTask(host.structure, run.findings["voids"].all_fractional, route, count)
        for route in table.routes
        for count in route.counts
    ]
    settings = table.model_copy(update={"charges": {**host.charges, **table.charges}})
    bench = Workbench(run.lab, run.cheap, run.study.relaxation, run.dear)
    return dope_all(tasks, settings, bench, run.rng("doping"))


def _stability(run: Run) -> BulkStability:
    host, *_ = run.findings["host"]
    targets = [StabilityTarget(host.name, host.structure.composition, host.energy_per_atom)]
    targets += [
        StabilityTarget(f"{cell.route}, {cell.count}", cell.structure.composition, cell.energy_per_atom)
        for cell in run.doped_cells
    ]
    return judge_stability(targets, run.bench)


def _contact(run: Run) -> ContactStability:
    table = run.study.contact
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    _, *cathodes = run.findings["host"]
    own = [crystal_reactant(cathode) for cathode in cathodes if table.include_cathode]
    rows: list[str | Reactant] = [*own, *table.cathodes]
    columns: list[str | Reactant] = [*_coatings(run, table), *table.phases]
    return judge_contacts(rows, columns, table, run.bench, run.rng("contact"))


def _window(run: Run) -> WindowTable:
    table = run.study.window
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    return judge_windows([*_coatings(run, table), *table.phases], table, run.bench, run.rng("window"))


def _coatings(run: Run, table: ContactSettings | WindowSettings) -> list[Reactant]:
    """Return the host and the doped cells, as far as the table wants them."""
    host = run.findings["host"][0]
    coatings = [crystal_reactant(host)] if table.include_host else []
    if table.include_doped and run.study.doping is not None:
        units = formula_units(run.crystals[0].structure, run.study.doping.supercell)
        coatings += doped_reactants(run.doped_cells, host.structure, units)
    return coatings


def _crystal_sizes(study: schema.Study, crystals: list[Crystal]) -> list[int]:
    del study
    return [len(crystal.structure) for crystal in crystals]


def _doping_sizes(study: schema.Study, crystals: list[Crystal]) -> list[int]:
    table, host = study.doping, crystals[0].structure
    if table is None:
        return []
    atoms = len(host) * math.prod(table.supercell)
    return [atoms] * ((table.keep + table.spread) * sum(len(route.counts) for route in table.routes))


def _none(study: schema.Study, crystals: list[Crystal]) -> list[int]:
    del study, crystals
    return []


#: All stages in the order in which they run.
STAGES = {
    "host": Stage((), _host, _crystal_sizes),
    "voids": Stage(("host",), _voids, _none),
    "doping": Stage(("host", "voids"), _doping, _doping_sizes),
    "stability": Stage(("host",), _stability, _none, uses=("doping",)),
    "contact": Stage(("host",), _contact, _none, uses=("doping",)),
    "window": Stage(("host",), _window, _none, uses=("doping",)),
    "surfaces": Stage(("host",), surfaces_of_crystals, _none),
    "match": Stage(("host",), match_crystals, _none, uses=("surfaces",)),
    "interface": Stage(("host",), study_interfaces, _none, uses=("match",)),
    "potential": Stage(("host",), learn_potential, motion_sizes, uses=("voids", "doping")),
    "dynamics": Stage(
        ("host",), run_dynamics, motion_sizes, uses=("voids", "doping", "potential"), work=motion_work
    ),
    "transport": Stage(("dynamics",), analyse_runs, _none),
    "migration": Stage(("host",), migrate, _none, uses=("voids", "interface")),
    "electronic": Stage((), study_electronic, _none),
}
#: Stages that a study has only if it has their table.
OPTIONAL = (
    "doping", "contact", "window", "surfaces", "match", "interface", "potential", "dynamics", "transport",
    "migration", "electronic",
)  # fmt: skip
