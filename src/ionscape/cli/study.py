"""Commands about whole studies: run, status, stop, verify, report, cite."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, whole_number, with_engine
from ionscape.cli.output import Answer, table

if TYPE_CHECKING:
    from ionscape.study.runner import RunOptions

#: Columns of the list of calculations, shortened for people.
LISTED = ("key", "kind", "level", "formula", "atoms", "outcome", "seconds", "damage")


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    run = command(commands, "run", _run, "run a study, or continue it after an interruption")
    run.add_argument("study", type=Path, metavar="STUDY.toml", help="study file")
    run.add_argument("--out", type=Path, help="folder of the study (default: runs/NAME)")
    run.add_argument("--stages", default="", help="comma-separated stages; with what they need (default: all)")
    run.add_argument("--store", type=Path, help="store of calculations (default: DIR/store)")
    with_engine(run, "", "what the study file says")
    run.add_argument("--level", default="", help="cheap level, in place of the study file's")
    run.add_argument("--seed", type=whole_number, help="seed, in place of the study file's")
    way = run.add_mutually_exclusive_group()
    way.add_argument(
        "--detach", action="store_true", help="go on in the background: see status, stop, DIR/run.log"
    )
    way.add_argument("--watch", action="store_true", help="serve a live view of the run on this machine")
    way.add_argument(
        "--dry-run", action="store_true", help="tell what would be calculated, how long, how much disk"
    )
    for name, perform, summary in (
        ("status", _status, "whether a study runs, what of it is done, and what is being calculated"),
        ("stop", _stop, "end the run of a study, its workers and jobs; the same run command continues"),
        ("verify", _verify, "re-hash and re-read every stored calculation"),
        ("report", _report, "build figures and report page again"),
    ):
        added = command(commands, name, perform, summary)
        added.add_argument("folder", type=Path, metavar="DIR", help="study folder")
        if name == "status":
            _with_listing(added)
    watch = command(commands, "watch", _watch, "live view, in a browser on this machine, of a study that runs")
    watch.add_argument("folder", type=Path, metavar="DIR", help="study folder")
    watch.add_argument("--port", type=whole_number, default=0, help="port on this machine (default: any free)")
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
    from ionscape.study.runner import chosen_study, folder_of, run_study

    chosen = _chosen(options)
    if options.dry_run:
        from ionscape.cli.plan import planned

        return planned(options.study, chosen)
    if options.detach:
        return _detached(options, chosen)
    progress = on_standard_error()
    try:
        with contextlib.ExitStack() as stack:
            if options.watch:
                from ionscape.report.live_server import live_view

                view = stack.enter_context(live_view(folder_of(chosen_study(options.study, chosen), chosen)))
                progress.message(f"live view: {view.address}")
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


def _chosen(options: argparse.Namespace) -> RunOptions:
    from ionscape.study.runner import RunOptions

    return RunOptions(
        out=options.out,
        store=options.store,
        engine=options.engine,
        level=options.level,
        seed=options.seed,
        stages=[name for name in options.stages.split(",") if name],
    )


def _detached(options: argparse.Namespace, chosen: RunOptions) -> Answer:
    from ionscape.study.detached import LOG, begin_detached
    from ionscape.study.runner import chosen_study, folder_of

    folder = folder_of(chosen_study(options.study, chosen), chosen)
    given = {
        "--out": folder,
        "--store": options.store,
        "--stages": options.stages,
        "--engine": options.engine,
        "--level": options.level,
        "--seed": options.seed,
    }
    words = [f"{name}={value}" for name, value in given.items() if value not in {None, ""}]
    begun = begin_detached(["run", str(options.study), *words], folder)
    payload = {"out": str(folder), "pid": begun and begun.occupant.pid, "log": str(folder / LOG)}
    if begun is None:
        return Answer(payload, f"done: {folder}")
    return Answer(
        payload,
        f"process {begun.occupant.pid} runs {folder}\nlog: {begun.log}\nsee: ionscape status {folder}\n"
        f"end: ionscape stop {folder}",
    )


def _stop(options: argparse.Namespace) -> Answer:
    from ionscape.study.detached import stop
    from ionscape.study.runner import store_of

    stopped = stop(options.folder, store_of(options.folder).root)
    pid = stopped.occupant.pid if stopped.occupant else None
    payload = {"pid": pid, "processes": stopped.orphans.processes, "jobs": list(stopped.orphans.jobs)}
    lines = [f"ended process {pid}: everything finished is stored, the same run command continues"] * (
        pid is not None
    )
    lines += [str(stopped.orphans)] * bool(str(stopped.orphans))
    return Answer(payload, "\n".join(lines) or "no run is at work here")


def _watch(options: argparse.Namespace) -> Answer:
    from ionscape.errors import InputError
    from ionscape.report.live_server import live_view
    from ionscape.study.told import read_told

    if read_told(options.folder) is None:
        raise InputError(
            "no run is going on",
            where=str(options.folder),
            expected="the folder of a study that runs now",
            remedy="Start it with `ionscape run STUDY.toml --out DIR`; a finished one has its report.",
        )
    with live_view(options.folder, options.port) as view:
        sys.stderr.write(f"live view: {view.address}\n")
        while read_told(options.folder) is not None:
            time.sleep(1.0)
        time.sleep(3.0)  # the page learns that the run has ended
    return Answer({"address": view.address}, "the run has ended")


def _status(options: argparse.Namespace) -> Answer:
    from ionscape.study.runner import study_status

    status = study_status(options.folder)
    at_it = status.occupant
    payload = {
        "is_running": at_it is not None,
        "process": None if at_it is None else vars(at_it),
        "calculations": [vars(one) for one in status.running],
        "stages": status.stages,
        "complete": status.complete,
        "corrupt": status.corrupt,
        "pending": [name for name, state in status.stages.items() if state not in {"done", "cached"}],
        "unfinished": status.unfinished,
    }
    told = f"running since {at_it.since}: process {at_it.pid} on {at_it.host}" if at_it else "not running"
    text = table(("stage", "state"), list(status.stages.items()))
    text += f"\n{status.complete} calculations finished, {len(status.unfinished)} begun and not finished\n{told}"
    rows = [(one.kind, one.content, one.level, one.steps, one.since, one.host) for one in status.running]
    if rows:
        text += "\n" + table(("calculating", "atoms", "level", "steps", "since", "on"), rows)
    if options.list:
        listed = _listed(options)
        payload["calculations"] = listed
        text += "\n" + table(LISTED, [[str(row[name])[:12] for name in LISTED] for row in listed])
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
