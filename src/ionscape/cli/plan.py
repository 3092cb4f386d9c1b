"""``ionscape run --dry-run``: the plan of a study as a table, and as one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.output import Answer, table

if TYPE_CHECKING:
    from ionscape.study.plan import Batch, StudyPlan
    from ionscape.study.runner import RunOptions


def planned(study: Path, chosen: RunOptions) -> Answer:
    """Return the plan of the study file; nothing is calculated and nothing is written."""
    from ionscape.study.plan import plan_study

    plan = plan_study(study, chosen)
    return Answer(_payload(plan), _text(plan))


def _payload(plan: StudyPlan) -> dict[str, Any]:
    stages = {
        name: {"state": stage.state, "calculations": [vars(batch) for batch in stage.batches], "note": stage.note}
        for name, stage in plan.stages.items()
    }
    levels = {
        name: {
            "calculations": level.calculations,
            "seconds": level.seconds,
            "seconds_per_atom_step": level.cost.seconds,
            "cost_from": level.cost.source,
        }
        for name, level in plan.levels.items()
    }
    return {
        "stages": stages,
        "levels": levels,
        "finished": plan.finished,
        "workers": plan.workers,
        "seconds": plan.seconds,
        "disk_bytes": plan.disk,
    }


def _text(plan: StudyPlan) -> str:
    rows: list[tuple[Any, ...]] = []
    for name, stage in plan.stages.items():
        rows += [(name, *_row(batch)) for batch in stage.batches] or [(name, "", "", "", "", "", stage.state)]
    parts = [table(("stage", "calculations", "kind", "level", "atoms", "steps each", ""), rows)]
    notes = [f"{name}: {stage.note}" for name, stage in plan.stages.items() if stage.note]
    costs = [
        (name, level.calculations, _duration(level.seconds), level.cost.source)
        for name, level in plan.levels.items()
    ]
    parts += ["\n".join(notes)] * bool(notes)
    parts += [table(("level", "calculations", "time on one worker", "cost"), costs)] * bool(costs)
    known = sum(level.seconds or 0.0 for level in plan.levels.values()) / plan.workers
    told = f"at least {_duration(known)}" if plan.seconds is None else _duration(plan.seconds)
    parts.append(
        f"{plan.finished} calculations are finished; the others as far as told: {told} on "
        f"{plan.workers} worker{'s' * (plan.workers > 1)}, {plan.disk / 1e6:.3g} MB"
    )
    return "\n\n".join(parts)


def _row(batch: Batch) -> tuple[Any, ...]:
    return (
        batch.count, batch.kind, batch.level, f"{batch.atoms:.0f}", f"{batch.steps:.0f}", batch.knowledge
    )  # fmt: skip


def _duration(seconds: float | None) -> str:
    from ionscape.study.progress import clock

    return "not known" if seconds is None else f"{clock(seconds)} h" if seconds >= 3600 else f"{seconds:.3g} s"
