"""The commands that hand things to other programs and read results back: export, import."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command
from ionscape.cli.output import Answer, table
from ionscape.errors import InputError

if TYPE_CHECKING:
    from ionscape.levels.handover import TaskResult


#: Programs that take a potential, and the ending of the file for each.
ENDINGS = {"metatomic": ".pt", "lammps": ".py"}
#: The workflows that take structures.
WORKFLOWS = "atomate2"


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    export = command(commands, "export", _export, "a potential, or structures, for other programs")
    export.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="model file of `ionscape train`; with --to atomate2 structures"
    )
    export.add_argument(
        "--to",
        choices=(*ENDINGS, WORKFLOWS),
        default="metatomic",
        help="metatomic: for programs that read metatomic models (default); lammps: a script that runs any LAMMPS "
        "with its Python module; atomate2: structures (files, or phase:NAME) as JSON and POSCAR for its workflows",
    )
    export.add_argument(
        "--out", type=Path, help="file to write (default: MODEL.pt or MODEL.py); with atomate2 a folder (handover)"
    )
    back = command(commands, "import", _import, "results of atomate2 or emmet task documents, as labelled frames")
    back.add_argument("tasks", nargs="+", type=Path, help="task documents: JSON, .jsonl, gzipped or not")
    back.add_argument(
        "--handed", type=Path, help="structures.json of `ionscape export`, to tell which task is whose"
    )
    back.add_argument(
        "--out", type=Path, default=Path("imported"), help="folder for frames and structures (default: imported)"
    )


def _export(options: argparse.Namespace) -> Answer:
    if options.to == WORKFLOWS:
        return _hand_over(options)
    if len(options.inputs) != 1:
        raise InputError(
            f"{len(options.inputs)} inputs",
            where="command export",
            expected="one model file",
            remedy="Export one model at a time; several structures go to --to atomate2.",
        )
    from ionscape.potential.export import export

    model = Path(options.inputs[0])
    path = options.out or Path(model.with_suffix(ENDINGS[options.to]).name)
    found = export(model, options.to, path)
    payload = {"file": str(path), "to": options.to, **dataclasses.asdict(found)}
    rows = [
        ("file", str(path)),
        ("structures compared", str(found.n_structures)),
        ("largest difference of the energy", f"{found.energy:.2g} eV/atom"),
        ("largest difference of a force", f"{found.force:.2g} eV/Å"),
        ("largest difference of a stress", f"{found.stress:.2g} eV/Å³"),
    ]
    return Answer(payload, table(("quantity", "value"), rows))


def _hand_over(options: argparse.Namespace) -> Answer:
    from ionscape.levels.handover import identifier_of, write_structures
    from ionscape.study.inputs import structure_named

    structures = {}
    for text in options.inputs:
        structure = structure_named(text)
        structures[identifier_of(structure, Path(text).stem)] = structure
    folder = options.out or Path("handover")
    files = [str(one) for one in write_structures(structures, folder)]
    rows = [(name, one.composition.reduced_formula, len(one)) for name, one in structures.items()]
    payload = {
        "to": WORKFLOWS,
        "file": files[0],
        "structures": [
            {"id": name, "formula": formula, "n_atoms": n_atoms, "file": file}
            for (name, formula, n_atoms), file in zip(rows, files[1:], strict=True)
        ],
    }
    return Answer(payload, table(("id", "formula", "atoms"), rows) + f"\n{files[0]}")


def _import(options: argparse.Namespace) -> Answer:
    from ionscape.levels.handover import read_structures, read_tasks
    from ionscape.results import Failure

    handed = read_structures(options.handed) if options.handed else {}
    found = [one for path in options.tasks for one in read_tasks(path, handed)]
    done = [one for one in found if not isinstance(one, Failure)]
    failed = [one for one in found if isinstance(one, Failure)]
    rows = [_row(one, number, options.out) for number, one in enumerate(done, start=1)]
    payload: dict[str, Any] = {
        "n_tasks": len(found),
        "n_imported": len(done),
        "results": rows,
        "failures": [one.reason for one in failed],
        "missing": sorted(set(handed) - {one.identifier for one in done}),
        "frames": _frames(done, options.out / "frames.extxyz"),
    }
    shown = [(row["id"] or row["task"], row["formula"], f"{row['energy_eV']:.4f}") for row in rows]
    text = "\n".join([table(("task", "formula", "energy eV"), shown), *payload["failures"]])
    return Answer(payload, text, 0 if done else 3)


def _row(one: TaskResult, number: int, folder: Path) -> dict[str, Any]:
    from ionscape.structures.exchange import write_cif

    file = write_cif(one.structure, folder / f"{one.identifier or f'task-{number}'}.cif")
    return {
        "id": one.identifier,
        "task": one.name,
        "formula": one.structure.composition.reduced_formula,
        "energy_eV": one.energy,
        "energy_eV_per_atom": one.energy / len(one.structure),
        "level": one.level,
        "structure": str(file),
    }


def _frames(done: list[TaskResult], file: Path) -> str | None:
    """Write the results with forces as labelled frames, which `evaluate` and `train` read; return the file."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    from ionscape.structures.exchange import replacing, to_atoms

    frames = []
    for one in done:
        if one.forces is None:
            continue
        atoms = to_atoms(one.structure)
        atoms.set_constraint()
        given = {"energy": one.energy, "forces": one.forces} | (
            {} if one.stress is None else {"stress": one.stress}
        )
        atoms.calc = SinglePointCalculator(atoms, **given)
        atoms.info["id"] = one.identifier or one.name
        frames.append(atoms)
    if not frames:
        return None
    with replacing(file) as part:
        write(part, frames, format="extxyz")
    return str(file)
