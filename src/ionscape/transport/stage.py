"""The stage of ion transport: every run analysed, and an Arrhenius law for every material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ionscape.dynamics.runs import SimulatedRun
from ionscape.errors import InputError
from ionscape.results import Failure
from ionscape.transport.arrhenius import Arrhenius, arrhenius
from ionscape.transport.plan import TransportPlan
from ionscape.transport.records import StoredRun, read_runs
from ionscape.transport.settings import TransportSettings
from ionscape.units import Count, Number, Temperature


@dataclass(frozen=True)
class TransportRequest:
    """An analysis that is asked for: the run, what is read off it, and the seed of the bootstrap."""

    run: SimulatedRun
    settings: TransportSettings
    seed: int


@dataclass(frozen=True)
class AnalysedRun:
    """The analysis of a run.

    Attributes
    ----------
    record
        Its numbers, units in the keys (`records.transport_record`).
    record_file, curves_file
        The same as a file, and the arrays that figures show (`curves`).
    key
        Key of the analysis in the store.
    """

    record: Mapping[str, Any] = field(repr=False)
    record_file: Path
    curves_file: Path
    key: str


class TransportLab(Protocol):
    """Where analyses are asked for; finished ones come from the store, the rest from the engine, in parallel."""

    def analyse(self, requests: Sequence[TransportRequest]) -> list[AnalysedRun | Failure]:
        """Carry out every analysis; one that could not be done is a failure in its place."""
        ...


@dataclass(frozen=True)
class RunToAnalyse:
    """A run of a material.

    Attributes
    ----------
    material, formula
        Name of the material in the study, and formula of the cell.
    x_per_formula_unit
        Dopants per formula unit of the host.
    temperature, replica
        Of the run.
    run
        The run; a failure if it did not come to its end: it is not analysed.
    """

    material: str
    formula: str
    x_per_formula_unit: Number
    temperature: Temperature
    replica: Count
    run: SimulatedRun | Failure


@dataclass(frozen=True)
class TransportRun:
    """A run and its analysis, or why there is none."""

    of: RunToAnalyse
    outcome: AnalysedRun | Failure


@dataclass(frozen=True)
class MaterialLaw:
    """Arrhenius law of one material.

    Attributes
    ----------
    material, formula, x_per_formula_unit
        As in `RunToAnalyse`.
    law
        The law, or why there is none.
    runs
        The diffusion coefficients and bounds it comes from.
    """

    material: str
    formula: str
    x_per_formula_unit: Number
    law: Arrhenius | Failure
    runs: tuple[StoredRun, ...]


@dataclass(frozen=True)
class MaterialTransport:
    """What the transport stage finds: every run, and a law for every material, in the order of the runs."""

    runs: tuple[TransportRun, ...]
    laws: tuple[MaterialLaw, ...]
    mobile: str
    at: Temperature


def judge_transport(
    runs: Sequence[RunToAnalyse], plan: TransportPlan, lab: TransportLab, seed: int
) -> MaterialTransport:
    """Return the analyses of all `runs`, asked for in one call, and the Arrhenius law of every material.

    Parameters
    ----------
    runs
        What was simulated.
    plan
        What is read off, and where laws are extrapolated to.
    lab
        Where analyses are asked for.
    seed
        Seed of the bootstrap.

    Notes
    -----
    A run that a guard stopped is not analysed: it left the domain in which it means anything.
    """
    settings = plan.analysis
    requests = [TransportRequest(one.run, settings, seed) for one in runs if isinstance(one.run, SimulatedRun)]
    answers = iter(lab.analyse(requests))
    found = [TransportRun(one, one.run if isinstance(one.run, Failure) else next(answers)) for one in runs]
    warm = [one for one in found if one.of.temperature >= plan.law_from_K]
    materials = dict.fromkeys(one.of.material for one in warm)
    laws = tuple(_law([one for one in warm if one.of.material == name]) for name in materials)
    return MaterialTransport(tuple(found), laws, plan.mobile, plan.at_K)


def _law(runs: Sequence[TransportRun]) -> MaterialLaw:
    first = runs[0].of
    files = [one.outcome.record_file for one in runs if isinstance(one.outcome, AnalysedRun)]
    stored, left_out = read_runs(files)
    return MaterialLaw(
        first.material, first.formula, first.x_per_formula_unit, _fitted(runs, stored, left_out), tuple(stored)
    )


def _fitted(
    runs: Sequence[TransportRun], stored: Sequence[StoredRun], left_out: Mapping[str, str]
) -> Arrhenius | Failure:
    failed = [*(one.outcome.reason for one in runs if isinstance(one.outcome, Failure)), *left_out.values()]
    if not stored:
        return Failure(f"none of {len(runs)} runs could be analysed: {failed[0]}")
    try:
        return arrhenius([(run.temperature, run.outcome) for run in stored])
    except InputError as error:
        missing = f", {len(failed)} without either" if failed else ""
        return Failure(f"{error.found}{missing}; two temperatures with a diffusion coefficient are needed")
