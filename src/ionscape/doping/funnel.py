"""The doping funnel: candidates are proposed, relaxed, perhaps relaxed again at a dearer level, the lowest kept.

`relax_proposals` relaxes the candidates of many contents in one call, so that workers stay busy; a study may also
relax them itself and `collect` the outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from numpy.random import Generator
from pymatgen.core import Structure

from ionscape.doping.correlation import RankCorrelation, rank_correlation
from ionscape.doping.proposal import DopingTask, Proposal, Proposed, propose
from ionscape.doping.settings import DopingSettings
from ionscape.errors import CalculationError
from ionscape.levels.calculation import Lab, Relaxation, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.results import Failure
from ionscape.units import Count, EnergyArray, EnergyPerAtom


@dataclass(frozen=True)
class Candidate:
    """A candidate and what became of it: a relaxation, or the failure of it."""

    proposed: Proposed
    outcome: Relaxation | Failure


@dataclass(frozen=True)
class DopedCell:
    """The result of the funnel for one content.

    Attributes
    ----------
    route, count
        The route by its name, and the dopants in the supercell.
    formula
        Formula of the supercell.
    n_sampled, n_unique, exhaustive
        As in `Proposal`.
    candidates
        All candidates in order of Ewald energy, failed ones included.
    refined
        Candidates relaxed again at the dear level, in the order of their energy at the cheap one; empty unless
        that was asked for.
    best
        Index of the lowest relaxed candidate, in `refined` if that has successes, else in `candidates`.
    correlation
        Ewald against relaxed energies of `candidates`; a failure says why there is none.
    sampled_ewald
        Ewald energies of all distinct configurations sampled, ascending, eV.
    """

    route: str
    count: Count
    formula: str
    n_sampled: Count
    n_unique: Count
    exhaustive: bool
    candidates: tuple[Candidate, ...]
    refined: tuple[Candidate, ...]
    best: int
    correlation: RankCorrelation | Failure
    sampled_ewald: EnergyArray = field(metadata={"internal": True})

    @property
    def lowest(self) -> Relaxation:
        """Return the relaxation of lowest energy, of the dear level if that was asked for."""
        outcome = (self.refined or self.candidates)[self.best].outcome
        assert isinstance(outcome, Relaxation)  # noqa: S101  `collect` chose it among the successes
        return outcome

    @property
    def structure(self) -> Structure:
        """Return the relaxed structure of lowest energy."""
        return self.lowest.structure

    @property
    def energy_per_atom(self) -> EnergyPerAtom:
        """Return the energy of the lowest candidate, eV/atom."""
        return self.lowest.energy_per_atom


@dataclass(frozen=True)
class FailedCell:
    """A content none of whose candidates could be relaxed; it stands where its `DopedCell` would stand.

    Attributes
    ----------
    route, count
        The route by its name, and the dopants in the supercell.
    formula
        Formula of the supercell.
    reason
        What went wrong with its candidates.
    """

    route: str
    count: Count
    formula: str
    reason: str


@dataclass(frozen=True)
class Workbench:
    """Where and at which levels candidates are relaxed.

    Attributes
    ----------
    lab
        Where relaxations are asked for.
    level
        Level of theory at which all candidates are relaxed.
    relaxation
        Settings of the relaxations.
    dear_levels
        The level at which the best `keep_dear` candidates are relaxed again, or none.
    """

    lab: Lab
    level: Level
    relaxation: RelaxationSettings
    dear_levels: tuple[Level, ...] = ()


def dope(task: DopingTask, settings: DopingSettings, bench: Workbench, rng: Generator) -> DopedCell:
    """Return the doped cell of lowest energy for one content; see `dope_all`."""
    cell = dope_all([task], settings, bench, rng)[0]
    assert isinstance(cell, DopedCell)  # noqa: S101  the failure of the only content was raised
    return cell


def dope_all(
    tasks: Sequence[DopingTask], settings: DopingSettings, bench: Workbench, rng: Generator
) -> list[DopedCell | FailedCell]:
    """Return the doped cells of lowest energy, one for each task, relaxed together.

    A content none of whose candidates could be relaxed is a `FailedCell` in its place.

    Raises
    ------
    InputError
        If a cell would be charged, or a task cannot be carried out; before anything is relaxed.
    CalculationError
        If all contents fail.
    """
    streams = rng.spawn(len(tasks))
    proposals = [propose(task, settings, stream) for task, stream in zip(tasks, streams, strict=True)]
    return relax_proposals(proposals, settings, bench)


def relax_proposals(
    proposals: Sequence[Proposal], settings: DopingSettings, bench: Workbench
) -> list[DopedCell | FailedCell]:
    """Relax the candidates of all proposals together, then the best of each at the dear level if there is one.

    A content none of whose candidates could be relaxed is a `FailedCell` in its place.

    Raises
    ------
    CalculationError
        If all contents fail.
    """
    structures = [candidate.structure for proposal in proposals for candidate in proposal.candidates]
    outcomes = iter(bench.lab.relax(structures, bench.level, bench.relaxation))
    relaxed = [[next(outcomes) for _ in proposal.candidates] for proposal in proposals]
    candidates = [_candidates(*pair) for pair in zip(proposals, relaxed, strict=True)]
    refined = _refine(candidates, settings.keep_dear, bench)
    cells = [_collected(*parts) for parts in zip(proposals, relaxed, refined, strict=True)]
    failed = [cell for cell in cells if isinstance(cell, FailedCell)]
    if failed and len(failed) == len(cells):
        raise CalculationError("\n".join(cell.reason for cell in failed))
    return cells


def _refine(relaxed: Sequence[Sequence[Candidate]], keep: int, bench: Workbench) -> list[list[Candidate]]:
    best = [_by_energy(candidates)[:keep] for candidates in relaxed]
    if not (bench.dear_levels and any(best)):
        return [[] for _ in relaxed]
    structures = [relaxation.structure for group in best for _, relaxation in group]
    outcomes = iter(bench.lab.relax(structures, bench.dear_levels[-1], bench.relaxation))
    return [[Candidate(candidate.proposed, next(outcomes)) for candidate, _ in group] for group in best]


def _by_energy(candidates: Sequence[Candidate]) -> list[tuple[Candidate, Relaxation]]:
    done = [(c, c.outcome) for c in candidates if isinstance(c.outcome, Relaxation) and c.outcome.converged]
    return sorted(done, key=lambda pair: pair[1].energy_per_atom)


def collect(
    proposal: Proposal, outcomes: Sequence[Relaxation | Failure], refined: Sequence[Candidate] = ()
) -> DopedCell:
    """Return the result of the funnel for one content, from the outcomes of its relaxations.

    Parameters
    ----------
    proposal
        What was proposed.
    outcomes
        What became of each of its candidates, in their order.
    refined
        The best of these with their outcomes at the dear level, if they were relaxed there.

    Raises
    ------
    CalculationError
        If all relaxations failed, at the level that decides.
    """
    candidates = _candidates(proposal, outcomes)
    deciding = refined or candidates
    _refuse_total_failure(proposal, deciding)
    best, _ = _by_energy(deciding)[0]
    done = _by_energy(candidates)
    return DopedCell(
        route=proposal.task.route.name,
        count=proposal.task.count,
        formula=proposal.formula,
        n_sampled=proposal.n_sampled,
        n_unique=proposal.n_unique,
        exhaustive=proposal.exhaustive,
        candidates=candidates,
        refined=tuple(refined),
        best=next(i for i, candidate in enumerate(deciding) if candidate is best),
        correlation=rank_correlation([c.proposed.ewald for c, _ in done], [r.energy_per_atom for _, r in done]),
        sampled_ewald=proposal.sampled_ewald,
    )


def _collected(
    proposal: Proposal, outcomes: Sequence[Relaxation | Failure], refined: Sequence[Candidate]
) -> DopedCell | FailedCell:
    try:
        return collect(proposal, outcomes, refined)
    except CalculationError as error:
        return FailedCell(proposal.task.route.name, proposal.task.count, proposal.formula, str(error))


def _candidates(proposal: Proposal, outcomes: Sequence[Relaxation | Failure]) -> tuple[Candidate, ...]:
    return tuple(Candidate(p, outcome) for p, outcome in zip(proposal.candidates, outcomes, strict=True))


def _refuse_total_failure(proposal: Proposal, candidates: Sequence[Candidate]) -> None:
    if _by_energy(candidates):
        return
    reasons = dict.fromkeys(
        c.outcome.reason if isinstance(c.outcome, Failure) else "not converged" for c in candidates
    )
    message = (
        f"{proposal.formula} ({proposal.task.route.name}): none of {len(candidates)} candidates could be relaxed "
        f"({'; '.join(reasons)}). Raise max_steps, keep more candidates, or look at the logs in the store."
    )
    raise CalculationError(message)
