"""The command dope: the configuration funnel for one content."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import (
    command,
    laboratory,
    level_of,
    relaxation_of,
    settings_from,
    whole_number,
    with_lab,
    with_relaxation,
)
from ionscape.cli.output import Answer, table
from ionscape.errors import InputError

if TYPE_CHECKING:
    from ionscape.doping.funnel import DopedCell


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    dope = command(commands, "dope", _dope, "doped cells of lowest energy from many configurations")
    dope.add_argument("host", help="structure file, or phase:NAME")
    dope.add_argument("--supercell", default="1,2,1", help="repeats of the cell (default 1,2,1)")
    dope.add_argument("--replace", action="append", default=[], metavar="O=N", help="host element = dopant")
    dope.add_argument("--insert", action="append", default=[], metavar="Li=1", help="element = number per dopant")
    dope.add_argument(
        "--remove", action="append", default=[], metavar="Li=1", help="element = vacancies per dopant"
    )
    dope.add_argument("--charge", action="append", default=[], metavar="N=-3", help="element = formal charge, e")
    dope.add_argument("--count", type=int, default=1, help="dopants in the supercell (default 1)")
    dope.add_argument("--samples", type=int, default=500, help="random configurations (default 500)")
    dope.add_argument("--keep", type=int, default=5, help="configurations relaxed (default 5)")
    dope.add_argument("--search", choices=("random", "anneal", "random+anneal"), default="random", help="search")
    dope.add_argument("--spread", type=int, default=0, help="further ones over the range of Ewald energies")
    dope.add_argument(
        "--voids", choices=("density", "geometric"), default="density", help="how empty sites are found"
    )
    dope.add_argument("--min-distance-A", type=float, default=1.5, help="empty sites: distance to any atom, Å")
    dope.add_argument("--seed", type=whole_number, default=0, help="seed of the random choices (default 0)")
    dope.add_argument("--out", type=Path, help="folder for the structures (default: FORMULA-doped)")
    with_lab(dope)
    with_relaxation(dope)


def _dope(options: argparse.Namespace) -> Answer:
    import numpy as np

    from ionscape.doping.funnel import Workbench, dope
    from ionscape.doping.proposal import DopingTask
    from ionscape.doping.settings import DopingRoute, DopingSettings
    from ionscape.structures.voids import VoidSettings, find_empty_sites
    from ionscape.study.inputs import structure_named

    host = structure_named(options.host)
    route = settings_from(
        DopingRoute,
        "option",
        name="command line",
        replace=_pairs(options.replace, "--replace", str),
        insert=_pairs(options.insert, "--insert", float),
        remove=_pairs(options.remove, "--remove", float),
        counts=(options.count,),
    )
    settings = settings_from(
        DopingSettings,
        "option",
        supercell=_integers(options.supercell),
        samples=options.samples,
        keep=options.keep,
        spread=options.spread,
        search=options.search,
        charges=_pairs(options.charge, "--charge", float),
    )
    voids = settings_from(VoidSettings, "option", method=options.voids, min_distance_A=options.min_distance_A)
    sites = find_empty_sites(host, voids).all_fractional if route.insert else np.empty((0, 3))
    task = DopingTask(host, sites, route, options.count)
    level, relaxation = level_of(options), relaxation_of(options)
    with laboratory(options) as lab:
        cell = dope(task, settings, Workbench(lab, level, relaxation), np.random.default_rng(options.seed))
    return _answer(cell, options.out or Path(f"{cell.formula}-doped"))


def _answer(cell: DopedCell, folder: Path) -> Answer:
    from ionscape.results import Failure
    from ionscape.structures.exchange import write_cif

    candidates: list[dict[str, Any]] = []
    for rank, candidate in enumerate(cell.candidates, start=1):
        entry: dict[str, Any] = {
            "ewald_eV": candidate.proposed.ewald,
            "unrelaxed_structure": str(write_cif(candidate.proposed.structure, folder / f"{rank}-unrelaxed.cif")),
        }
        if isinstance(candidate.outcome, Failure):
            entry["failure"] = candidate.outcome.reason
        else:
            entry["energy_eV_per_atom"] = candidate.outcome.energy_per_atom
            entry["structure"] = str(write_cif(candidate.outcome.structure, folder / f"{rank}.cif"))
        candidates.append(entry)
    payload = {
        "formula": cell.formula,
        "n_sampled": cell.n_sampled,
        "n_unique": cell.n_unique,
        "candidates": candidates,
        "best": candidates[cell.best]["structure"],
    }
    rows = [
        (f"{c['ewald_eV']:.4f}", f"{c['energy_eV_per_atom']:.5f}" if "energy_eV_per_atom" in c else c["failure"])
        for c in candidates
    ]
    head = f"{cell.formula}: {cell.n_sampled} configurations, {cell.n_unique} distinct"
    text = table(("Ewald/eV", "relaxed/(eV/atom)"), rows)
    return Answer(payload, f"{head}\n{text}\nbest: {payload['best']}")


def _pairs(texts: list[str], option: str, kind: Any) -> dict[str, Any]:
    pairs = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            pairs[name.strip()] = kind(value.strip())
        except ValueError:
            value = ""
        if not name.strip() or not value.strip():
            raise InputError(
                f"'{text}'",
                where=f"option {option}",
                expected="ELEMENT=VALUE, e.g. O=N or Li=1",
                remedy="Give the option once for each pair.",
            )
    return pairs


def _integers(text: str) -> tuple[int, ...]:
    try:
        a, b, c = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"'{text}'",
            where="option --supercell",
            expected="three whole numbers, e.g. 1,2,1",
            remedy="Correct it.",
        ) from None
    return a, b, c
