"""Commands about whole studies: run, status, verify, report, cite."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ionscape.cli.options import command, whole_number
from ionscape.cli.output import Answer, table

#: Columns of the list of calculations, shortened for people.
LISTED = ("key", "kind", "level", "formula", "atoms", "outcome", "seconds", "damage")


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    run = command(commands, "run", _run, "run a study, or continue it after an interruption")
    run.add_argument("study", type=Path, metavar="STUDY.toml", help="study file")
    run.add_argument("--out", type=Path, help="folder of the study (default: runs/NAME)")
    run.add_argument("--stages", default="", help="comma-separated stages; with what they need (default: all)")
    run.add_argument("--store", type=Path, help="store of calculations (default: DIR/store)")
    run.add_argument("--engine", choices=("local", "process"), default="local", help="local: Parsl workers")
    run.add_argument("--level", default="", help="cheap level, in place of the study file's")
    run.add_argument("--seed", type=whole_number, help="seed, in place of the study file's")
    for name, perform, summary in (
        ("status", _status, "what of a study is done and what is pending"),
        ("verify", _verify, "re-hash and re-read every stored calculation"),
        ("report", _report, "build figures and report page again"),
    ):
        added = command(commands, name, perform, summary)
        added.add_argument("folder", type=Path, metavar="DIR", help="study folder")
        if name == "status":
            _with_listing(added)
    cite = command(commands, "cite", _cite, "references of the methods a study uses")
    cite.add_argument("study", type=Path, metavar="STUDY.toml", help="study file")


def _with_listing(status: argparse.ArgumentParser) -> None:
    status.add_argument("--list", action="store_true", help="list the finished calculations too")
    for name, what in (
        ("kind", "of this kind"),
        ("level", "at this level"),
        ("formula", "of this reduced formula"),
    ):
        status.add_argument(f"--{name}", default="", help=f"with --list: only calculations {what}")


def _run(options: argparse.Namespace) -> Answer:
    from ionscape.study.progress import on_standard_error
    from ionscape.study.runner import RunOptions, run_study

    progress = on_standard_error()
    chosen = RunOptions(
        out=options.out,
        store=options.store,
        engine=options.engine,
        level=options.level,
        seed=options.seed,
        stages=[name for name in options.stages.split(",") if name],
    )
    try:
        done = run_study(options.study, chosen, progress)
    finally:
        progress.end()
    from ionscape.report.page import build_page

    progress.enter("report")
    page = build_page(done.folder)
    progress.message(f"report: {page}")
    stages = {
        name: {"state": record.state, "seconds": round(record.seconds, 2)} for name, record in done.stages.items()
    }
    rows = [(name, record.state, f"{record.seconds:.1f}", record.reason) for name, record in done.stages.items()]
    text = table(("stage", "state", "seconds", "reason"), rows) + f"\nresults: {done.folder / 'results.json'}"
    code = max((record.exit_code for record in done.stages.values() if record.state == "failed"), default=0)
    return Answer({"out": str(done.folder), "stages": stages}, f"{text}\nreport:  {page}", code)


def _status(options: argparse.Namespace) -> Answer:
    from ionscape.study.runner import study_status

    status = study_status(options.folder)
    payload = {
        "stages": status.stages,
        "complete": status.complete,
        "corrupt": status.corrupt,
        "pending": [name for name, state in status.stages.items() if state not in {"done", "cached"}],
        "unfinished": status.unfinished,
    }
    text = table(("stage", "state"), list(status.stages.items()))
    text += f"\n{status.complete} calculations finished, {len(status.unfinished)} begun and not finished"
    if options.list:
        rows = _listed(options)
        payload["calculations"] = rows
        text += "\n" + table(LISTED, [[str(row[name])[:12] for name in LISTED] for row in rows])
    return Answer(payload, text)


def _listed(options: argparse.Namespace) -> list[dict[str, Any]]:
    from ionscape.study.catalogue import Catalogue
    from ionscape.study.runner import store_of

    catalogue = Catalogue(store_of(options.folder))
    frame = catalogue.frame(kind=options.kind, level=options.level, formula=options.formula)
    rows: list[dict[str, Any]] = frame.reset_index().to_dict("records")
    return rows


def _verify(options: argparse.Namespace) -> Answer:
    from ionscape.study.runner import store_of

    store = store_of(options.folder)
    keys = list(store.finished())
    damaged = {key: damage for key in keys if (damage := store.damage(key)) is not None}
    complete = len(keys) - len(damaged)
    corrupt = [{"folder": str(store.folder(key)), "damage": damage} for key, damage in damaged.items()]
    lines = [f"{complete} calculations are as they were stored"]
    lines += [f"corrupt: {entry['folder']}: {entry['damage']}" for entry in corrupt]
    if corrupt:
        lines.append("Delete these folders; the next run calculates them again.")
    return Answer({"complete": complete, "corrupt": corrupt}, "\n".join(lines), 2 if corrupt else 0)


def _report(options: argparse.Namespace) -> Answer:
    from ionscape.report.page import build_page

    page = build_page(options.folder)
    return Answer({"page": str(page)}, f"report: {page}")


def _cite(options: argparse.Namespace) -> Answer:
    from ionscape.study.pipeline import stages_of
    from ionscape.study.record import references_of_study
    from ionscape.study.schema import read_study

    study = read_study(options.study).content
    references = references_of_study(study, stages_of(study))
    lines = [f"{r.method}: {r.citation}" + (f", doi:{r.doi}" if r.doi else "") for r in references]
    return Answer({"references": [vars(r) for r in references]}, "\n".join(lines))
