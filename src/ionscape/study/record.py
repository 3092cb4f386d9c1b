"""The record of a study: ``results.json`` and the structure files, from what the stages found.

Nothing in it depends on when or how fast the study ran, so that an interrupted and resumed study writes the same
bytes as an uninterrupted one. Durations are told by the command line and in the store.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ionscape.doping.funnel import Candidate, DopedCell, FailedCell
from ionscape.dynamics.stage import MaterialRuns
from ionscape.migration.stage import Migration
from ionscape.results import Failure, to_json
from ionscape.stability.contact_stage import ContactStability
from ionscape.stability.stage import BulkStability, JudgedTarget
from ionscape.stability.window_stage import WindowTable
from ionscape.structures.exchange import replacing, write_cif
from ionscape.study.claims import judge
from ionscape.study.comparison import compare
from ionscape.study.compositions import formula_units
from ionscape.study.crystals import RelaxedCrystal
from ionscape.study.electronic import electronic_record
from ionscape.study.interface_record import interface_record
from ionscape.study.interfaces import FailedContact, StudiedContact
from ionscape.study.learned import LearnedPotential
from ionscape.study.migrating import migration_record, warnings_of_migration
from ionscape.study.pipeline import STAGES, Run, StageRecord
from ionscape.study.potential_record import potential_record
from ionscape.study.references import references_of
from ionscape.study.run_records import dynamics_record, transport_stage_record
from ionscape.study.schema import Study, StudyFile
from ionscape.study.store import request_key
from ionscape.study.surface_record import match_record, surfaces_record, warnings_of_surfaces
from ionscape.study.tasks import structure_to_json
from ionscape.study.warnings_of_runs import warnings_of_runs
from ionscape.transport.stage import MaterialTransport

FORMAT = 1
#: Packages whose versions can change a number.
CODES = ("ionscape", "ase", "chgnet", "numpy", "pymatgen", "scipy", "spglib", "torch")


def write_record(run: Run, study_file: StudyFile, stages: Mapping[str, StageRecord], folder: Path) -> Path:
    """Write ``results.json`` and ``structures/*.cif`` into `folder`; return the first.

    Stages that this run left out are kept from an earlier record of the same study, levels, seed and code.
    """
    path = folder / "results.json"
    head = head_of(run, study_file)
    found = {name: WRITERS[name](run, finding, folder) for name, finding in run.findings.items()}
    failed = {name: {"failed": record.reason} for name, record in stages.items() if name not in run.findings}
    earlier = _earlier(path, head)
    merged = {**earlier.get("stages", {}), **found, **failed}
    kept = earlier.get("warnings", []) if set(merged) - set(stages) else []
    study = study_file.content
    return write_json(
        path,
        {
            **head,
            "stages": {name: merged[name] for name in STAGES if name in merged},
            "seeds": _seeds(run, earlier.get("seeds", {})),
            "comparison": [_told(to_json(row)) for row in compare(study.reference, merged)],
            "claims": [to_json(claim) for claim in judge(study.claim, merged)],
            "warnings": list(dict.fromkeys([*kept, *warnings_of(run)])),
            "references": [vars(reference) for reference in references_of_study(study, merged)],
        },
    )


def _seeds(run: Run, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return all seeds: of the study, of the random streams of stages, and of calculations by their keys."""
    return {
        "study": run.study.study.seed,
        "stages": {**earlier.get("stages", {}), **run.streams},
        "calculations": dict(sorted({**earlier.get("calculations", {}), **run.lab.seeds}.items())),
    }


def _earlier(path: Path, head: Mapping[str, Any]) -> dict[str, Any]:
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = isinstance(earlier, dict) and all(earlier.get(name) == value for name, value in head.items())
    return earlier if same else {}


def head_of(run: Run, study_file: StudyFile) -> dict[str, Any]:
    """Return what identifies the record: format, study and its inputs, code versions, levels, relaxation."""
    study = study_file.content
    return {
        "format": FORMAT,
        "study": {
            "name": study.study.name,
            "title": study.study.title or study.study.name,
            "seed": study.study.seed,
            "input_sha256": study_file.sha256,
            "structures_sha256": {
                crystal.name: request_key(structure_to_json(crystal.structure, digits=10))
                for crystal in run.crystals
            },
        },
        "code": {name: importlib.metadata.version(name) for name in CODES},
        "levels": {
            "cheap": run.cheap.identity(),
            **({"dear": run.deciding.identity()} if run.deciding != run.cheap else {}),
            **({"fast": run.levels["fast"].identity()} if "fast" in run.levels else {}),
        },
        "relaxation": study.relaxation.model_dump(),
    }


def references_of_study(study: Study, stages: Sequence[str] | Mapping[str, Any]) -> list[Any]:
    """Return the references of the methods that `study` uses in `stages`."""
    return references_of(
        levels=tuple(study.levels.tables().values()),
        optimizer=study.relaxation.optimizer,
        stages=frozenset(stages),
        search=study.doping.search if study.doping else "",
        voids=study.voids.method,
        conditions=_conditions(study),
    )


def _conditions(study: Study) -> frozenset[str]:
    found = {
        "gases": study.stability.temperature_K is not None,
        "voltage": study.contact is not None and bool(study.contact.voltages_V),
        "surrogate": study.migration is not None and study.migration.band.method == "surrogate",
    }
    ensemble = {study.dynamics.ensemble.partition("-")[0]} if study.dynamics else set()
    analyses = set(study.transport.analyses) if study.transport else set()
    return frozenset(name for name, given in found.items() if given) | ensemble | analyses


def _host(run: Run, crystals: Any, folder: Path) -> dict[str, Any]:
    del run
    roles = ("host", "cathode")
    return {
        role: {**to_json(crystal), "structure_file": _cif(crystal.structure, folder, role)}
        for role, crystal in zip(roles, crystals, strict=False)
    }


def _voids(run: Run, sites: Any, folder: Path) -> dict[str, Any]:
    del run, folder
    data: dict[str, Any] = to_json(sites)
    for site in data["sites"]:
        del site["copies"]
    return data


def _doping(run: Run, cells: Sequence[DopedCell | FailedCell], folder: Path) -> dict[str, Any]:
    table, host = run.study.doping, run.crystals[0].structure
    assert table is not None  # noqa: S101  there is no such finding without the table
    units = formula_units(host, table.supercell)
    return {
        "supercell": list(table.supercell),
        "search": table.search,
        "cells": [
            _doped_cell(cell, units, folder) if isinstance(cell, DopedCell) else _failed_cell(cell, units)
            for cell in cells
        ],
    }


def _failed_cell(cell: FailedCell, units: int) -> dict[str, Any]:
    return {
        "route": cell.route,
        "count": to_json(cell.count, "1"),
        "formula": cell.formula,
        "x_per_formula_unit": to_json(cell.count / units, "1"),
        "failure": cell.reason,
    }


def _doped_cell(cell: DopedCell, units: int, folder: Path) -> dict[str, Any]:
    name = f"{re.sub(r'[^A-Za-z0-9]+', '-', cell.route).strip('-')}-{cell.count}"
    data: dict[str, Any] = to_json(cell)
    data["x_per_formula_unit"] = to_json(cell.count / units, "1")
    data["lowest_ewald"] = to_json(float(cell.sampled_ewald[0]), "eV")
    for step in ("candidates", "refined"):
        data[step] = [
            _candidate(candidate, f"{name}-{step}-{rank}", rank, folder)
            for rank, candidate in enumerate(getattr(cell, step), start=1)
        ]
    data["structure_file"] = _cif(cell.structure, folder, f"{name}-best")
    if isinstance(cell.correlation, Failure):
        data["correlation"] = {"unavailable": cell.correlation.reason}
    return data


def _candidate(candidate: Candidate, name: str, rank: int, folder: Path) -> dict[str, Any]:
    data = {
        "rank": rank,
        "ewald": to_json(candidate.proposed.ewald, "eV"),
        "origin": candidate.proposed.origin,
        "multiplicity": candidate.proposed.multiplicity,
        "unrelaxed_structure": _cif(candidate.proposed.structure, folder, f"{name}-unrelaxed"),
        "key": candidate.outcome.key,
    }
    if isinstance(candidate.outcome, Failure):
        return data | {"failure": candidate.outcome.reason}
    return data | {
        "energy_per_atom": to_json(candidate.outcome.energy_per_atom, "eV/atom"),
        "structure_file": _cif(candidate.outcome.structure, folder, name),
    }


def _stability(run: Run, judged: BulkStability, folder: Path) -> dict[str, Any]:
    del folder
    table = run.study.doping
    units = formula_units(run.crystals[0].structure, table.supercell) if table else 1
    cells = {f"{cell.route}, {cell.count}": cell for cell in run.doped_cells}
    host = run.findings["host"][0]
    data: dict[str, Any] = to_json(judged)
    data["targets"] = [_judged(target, cells.get(target.name), units, host) for target in judged.targets]
    return data


def _judged(target: JudgedTarget, cell: DopedCell | None, units: int, host: RelaxedCrystal) -> dict[str, Any]:
    decomposition = target.decomposition
    return {
        "name": target.name,
        "formula": decomposition.formula,
        "route": cell.route if cell else "host",
        "x_per_formula_unit": to_json(cell.count / units if cell else 0.0, "1"),
        "energy_per_atom": to_json(decomposition.energy, "eV/atom"),
        "e_d": to_json(decomposition.decomposition_energy, "eV/atom"),
        "products": to_json(decomposition.products, "1"),
        "reaction": decomposition.reaction,
        "key": cell.lowest.key if cell else host.key,
    }


def _contact(run: Run, judged: ContactStability, folder: Path) -> dict[str, Any]:
    del run, folder
    data: dict[str, Any] = _told(to_json(judged))
    return data


def _window(run: Run, judged: WindowTable, folder: Path) -> dict[str, Any]:
    del run, folder
    data: dict[str, Any] = _told(to_json(judged))
    return data


def _interface(run: Run, found: Sequence[StudiedContact | FailedContact], folder: Path) -> dict[str, Any]:
    del run
    return interface_record(found, folder)


def _potential(run: Run, found: LearnedPotential, folder: Path) -> dict[str, Any]:
    del run
    return potential_record(found, folder)


def _dynamics(run: Run, found: MaterialRuns, folder: Path) -> dict[str, Any]:
    assert run.study.dynamics is not None  # noqa: S101  there is no such finding without the table
    return {"ensemble": run.study.dynamics.ensemble, **dynamics_record(found, folder)}


def _transport(run: Run, found: MaterialTransport, folder: Path) -> dict[str, Any]:
    del run
    return transport_stage_record(found, folder)


def _migration(run: Run, found: Migration, folder: Path) -> dict[str, Any]:
    del run
    return migration_record(found, folder)


def _told(node: Any) -> Any:
    """Return `node` without the keys under which there is nothing: an interval that is not known, a voltage."""
    if isinstance(node, dict):
        return {key: _told(value) for key, value in node.items() if value is not None}
    return [_told(value) for value in node] if isinstance(node, list) else node


WRITERS: dict[str, Callable[[Run, Any, Path], dict[str, Any]]] = {
    "host": _host,
    "voids": _voids,
    "doping": _doping,
    "stability": _stability,
    "contact": _contact,
    "window": _window,
    "surfaces": lambda _run, found, folder: surfaces_record(found, folder),
    "match": lambda _run, found, folder: match_record(found, folder),
    "interface": _interface,
    "potential": _potential,
    "dynamics": _dynamics,
    "transport": _transport,
    "migration": _migration,
    "electronic": lambda _run, found, folder: electronic_record(found, folder),
}


def warnings_of(run: Run) -> list[str]:
    """Return what a reader must know before using the numbers."""
    texts = [
        f"{cell.formula} ({cell.route}): no candidate gave an energy: {cell.reason}"
        for cell in run.findings.get("doping", [])
        if isinstance(cell, FailedCell)
    ]
    for cell in run.doped_cells:
        failed = [c.outcome for c in (*cell.candidates, *cell.refined) if isinstance(c.outcome, Failure)]
        texts += [f"{cell.formula} ({cell.route}): a candidate gave no energy: {f.reason}" for f in failed]
    for crystal in run.findings.get("host", []):
        if not crystal.charges:
            texts.append(f"{crystal.name}: no formal charges could be assigned.")
    runs = warnings_of_runs(run.findings.get("dynamics"), run.findings.get("transport"))
    surfaces = warnings_of_surfaces(run.findings.get("surfaces"))
    hops = warnings_of_migration(run.findings.get("migration"))
    return list(dict.fromkeys([*texts, *_warnings_of_phases(run), *surfaces, *runs, *hops]))


def _warnings_of_phases(run: Run) -> list[str]:
    contact, window = run.findings.get("contact"), run.findings.get("window")
    matrices = contact.matrices if contact else ()
    judged = [*filter(None, [run.findings.get("stability")]), *matrices, *filter(None, [window])]
    texts = [
        f"{name} takes no part among the competing phases: {reason}"
        for finding in judged
        for name, reason in finding.excluded.items()
    ]
    return texts + _warnings_of_intervals(run)


def _warnings_of_intervals(run: Run) -> list[str]:
    """Return why there are no intervals where they were asked for."""
    contact, window, study = run.findings.get("contact"), run.findings.get("window"), run.study
    told = []
    if contact and study.contact and study.contact.samples:
        told += [f"The contacts carry no intervals: {m.no_intervals}" for m in contact.matrices if m.no_intervals]
    if window and study.window and study.window.samples and window.no_intervals:
        told.append(f"The windows carry no intervals: {window.no_intervals}")
    return told


def _cif(structure: Any, folder: Path, name: str) -> str:
    return str(write_cif(structure, folder / "structures" / f"{name}.cif").relative_to(folder))


def write_json(path: Path, data: Any) -> Path:
    """Write `data` as JSON whole and rename it into place; return the path."""
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
