"""The command that hands a potential to other programs: export."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from ionscape.cli.options import command
from ionscape.cli.output import Answer, table

#: Programs, and the ending of the file for each.
ENDINGS = {"metatomic": ".pt", "lammps": ".py"}


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    export = command(commands, "export", _export, "a potential for other programs, checked against its model")
    export.add_argument("model", type=Path, help="model file of `ionscape train`")
    export.add_argument(
        "--to",
        choices=tuple(ENDINGS),
        default="metatomic",
        help="metatomic: for programs that read metatomic models (default); lammps: a script that runs any LAMMPS "
        "with its Python module",
    )
    export.add_argument("--out", type=Path, help="file to write (default: MODEL.pt or MODEL.py)")


def _export(options: argparse.Namespace) -> Answer:
    from ionscape.potential.export import export

    path = options.out or Path(options.model.with_suffix(ENDINGS[options.to]).name)
    found = export(options.model, options.to, path)
    payload = {"file": str(path), "to": options.to, **dataclasses.asdict(found)}
    rows = [
        ("file", str(path)),
        ("structures compared", str(found.n_structures)),
        ("largest difference of the energy", f"{found.energy:.2g} eV/atom"),
        ("largest difference of a force", f"{found.force:.2g} eV/Å"),
        ("largest difference of a stress", f"{found.stress:.2g} eV/Å³"),
    ]
    return Answer(payload, table(("quantity", "value"), rows))
