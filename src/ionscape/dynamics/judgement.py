"""Whether a learned potential may be believed about runs: dear frames of each, compared."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ionscape.dynamics.recording import read_header, record_blocks, start_positions
from ionscape.dynamics.runs import SimulatedRun
from ionscape.dynamics.stage import MaterialRun, MaterialRuns
from ionscape.potential.frames import Frame
from ionscape.potential.gate import GateResult, GateSettings, score, spread_out
from ionscape.potential.model import SparseModel
from ionscape.results import Failure

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.levels.registry import Level


class LabellingLab(Protocol):
    """Where labels are asked for; known ones come from the store, the rest from the engine, in parallel."""

    def label(self, structures: Sequence[Structure], level: Level) -> list[Frame | Failure]:
        """Label every structure; one that could not be labelled is a failure in its place."""
        ...


def judge_runs(
    runs: MaterialRuns, model: SparseModel, dear: Level, lab: LabellingLab, settings: GateSettings
) -> MaterialRuns:
    """Return `runs`, each that came to its end with the verdict on its potential.

    Parameters
    ----------
    runs
        Runs with the forces of `model`.
    model
        The potential.
    dear
        Level that taught it.
    lab
        Where labels are asked for, those of all runs in one call.
    settings
        Number of frames (all, of a run that has fewer) and limits.
    """
    whole = [run.outcome for run in runs.runs if isinstance(run.outcome, SimulatedRun)]
    frames = [_frames(outcome.trajectory, outcome.averages.frames, settings.frames) for outcome in whole]
    labels = iter(lab.label([frame for each in frames for frame in each], dear))
    verdicts = iter([_verdict(model, [next(labels) for _ in each], settings) for each in frames])
    return dataclasses.replace(runs, runs=tuple(_judged(run, verdicts) for run in runs.runs))


def unjudged(runs: MaterialRuns, reason: str) -> MaterialRuns:
    """Return `runs` with the reason why nothing judges their potential: their numbers are refused."""
    verdicts = itertools.repeat(Failure(reason))
    return dataclasses.replace(runs, runs=tuple(_judged(run, verdicts) for run in runs.runs))


def _judged(run: MaterialRun, verdicts: Iterator[GateResult | Failure]) -> MaterialRun:
    if not isinstance(run.outcome, SimulatedRun):
        return run
    return dataclasses.replace(run, gate=next(verdicts))


def _verdict(
    model: SparseModel, labels: Sequence[Frame | Failure], settings: GateSettings
) -> GateResult | Failure:
    failed = [label for label in labels if isinstance(label, Failure)]
    if failed:
        return Failure(f"{len(failed)} of {len(labels)} frames could not be labelled: {failed[0].reason}")
    return score(model, [label for label in labels if isinstance(label, Frame)], settings)


def refusal(run: MaterialRun) -> str:
    """Return why numbers of `run` are not to be believed; empty if nothing speaks against them."""
    if run.gate is None:
        return ""
    if isinstance(run.gate, Failure):
        return f"the learned potential could not be judged: {run.gate.reason}"
    if run.gate.passed:
        return ""
    frames = f"{run.gate.frames} frames of this run labelled by the dear level"
    return f"the learned potential does not pass its gate: {'; '.join(run.gate.failures)}; on {frames}"


def _frames(trajectory: Path, total: int, count: int) -> list[Structure]:
    """Return frames of a trajectory, spread over it."""
    from pymatgen.core import Structure

    header, start, first = read_header(trajectory), start_positions(trajectory), 0
    wanted, found = spread_out(total, min(count, total)), []
    for block in record_blocks(trajectory):
        for index in wanted[(wanted >= first) & (wanted < first + len(block))]:
            record = block[int(index) - first]
            positions = np.asarray(start + record["shift"], dtype=float)
            found.append(Structure(record["cell"], header.symbols, positions, coords_are_cartesian=True))
        first += len(block)
    return found
