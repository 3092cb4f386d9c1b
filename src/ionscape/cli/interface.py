"""The command interface: join two crystals, search the registry, tell how strongly they hold."""

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
from ionscape.cli.surfaces import matching_of, miller_of, with_tolerances
from ionscape.cli.targets import told

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.adhesion import Adhesion, BulkEnergies
    from ionscape.interfaces.assembly import Interface
    from ionscape.interfaces.contact import ContactStrength
    from ionscape.interfaces.contact_bench import ContactBench
    from ionscape.interfaces.registry import RegistrySearch
    from ionscape.results import Failure

#: Keys of the works and energies per area: attribute of `Adhesion` and key.
PER_AREA = (
    "work_of_adhesion", "work_of_separation", "cleavage", "strain_corrected", "elastic_energy",
    "film_surface_energy", "substrate_surface_energy", "interface_energy", "interface_energy_strain_corrected",
)  # fmt: skip


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    added = command(commands, "interface", _interface, "join two crystals, search the registry, work of adhesion")
    added.add_argument("film", help="structure file, or phase:NAME; laid on the substrate, takes up the misfit")
    added.add_argument("substrate", help="structure file, or phase:NAME")
    _with_faces(added)
    _with_search(added)
    added.add_argument(
        "--relax-crystals",
        action="store_true",
        help="relax both crystals first, positions and cells, at the level",
    )
    added.add_argument("--out", type=Path, help="folder for the structures (default: FILM-SUBSTRATE)")
    with_lab(added)
    with_relaxation(added)
    added.set_defaults(fmax_eV_per_A=0.05, move="positions")


def _with_faces(added: argparse.ArgumentParser) -> None:
    added.add_argument("--film-miller", required=True, metavar="h,k,l", help="plane of the film, in its cell")
    added.add_argument("--substrate-miller", required=True, metavar="h,k,l", help="plane of the substrate")
    added.add_argument(
        "--film-termination",
        type=whole_number,
        help="number of the termination, as `ionscape surfaces` lists them (default: the first that is not polar, "
        "stoichiometric and symmetric)",
    )
    added.add_argument("--substrate-termination", type=whole_number, help="likewise")
    added.add_argument(
        "--thickness-A", type=float, default=12.0, help="least thickness of both slabs, Å (default 12)"
    )
    added.add_argument("--vacuum-A", type=float, default=15.0, help="vacuum, Å (default 15)")
    added.add_argument("--gap-A", type=float, help="distance of the facing planes, Å (default: bond lengths)")
    added.add_argument(
        "--interfaces", type=int, choices=(1, 2), default=1, help="contacts in the cell (default 1)"
    )
    added.add_argument(
        "--strain", choices=("film", "substrate", "shared"), default="film", help="who takes up the misfit"
    )
    added.add_argument("--fixed-thickness-A", type=float, default=0.0, help="held at the far end of each slab, Å")
    added.add_argument(
        "--match",
        type=whole_number,
        help="number of the match, as `ionscape match` lists them (default: the smallest)",
    )
    with_tolerances(added)


def _with_search(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--algorithm", choices=("bayesian", "study"), default="bayesian", help="search of the registry"
    )
    added.add_argument(
        "--evaluation", choices=("relax", "rigid"), default="relax", help="relax every shift, or keep slabs rigid"
    )
    added.add_argument("--no-scan", action="store_true", help="no scan of rigid energies before the search")
    added.add_argument(
        "--scan-points", type=int, default=240, help="most rigid energies in the scan (default 240)"
    )
    added.add_argument("--lateral-step-A", type=float, default=0.25, help="step of the grid, Å (default 0.25)")
    added.add_argument("--max-evaluations", type=int, default=30, help="evaluations at most (default 30)")
    added.add_argument("--batch", type=int, default=1, help="shifts evaluated together (default 1)")
    added.add_argument(
        "--no-variants",
        action="store_true",
        help="the work of adhesion alone, without its strain-corrected variants",
    )
    added.add_argument("--seed", type=whole_number, default=0, help="seed of the random choices (default 0)")


def _interface(options: argparse.Namespace) -> Answer:
    import numpy as np

    from ionscape.interfaces.contact import contact_strength, make_interface
    from ionscape.interfaces.contact_bench import ContactBench
    from ionscape.structures.exchange import check_writable
    from ionscape.study.inputs import structure_named

    faces, tables = _settings(options)
    level, relaxation = level_of(options), relaxation_of(options)
    film, substrate = (structure_named(text) for text in (options.film, options.substrate))
    folder = options.out or Path(f"{_name(film)}-{_name(substrate)}")
    check_writable(folder / "interface.cif")
    with laboratory(options) as lab:
        bench = ContactBench(lab, level, relaxation, level)
        if options.relax_crystals:
            film, substrate = _relaxed(options, [film, substrate], bench)
        interface = make_interface(film, substrate, faces, tables)
        bulk = None if options.no_variants else _bulk(film, substrate, bench)
        found = contact_strength(interface, tables, bench, np.random.default_rng(options.seed), bulk)
    return _answer(interface, found, folder)


def _settings(options: argparse.Namespace) -> tuple[Any, Any]:
    from ionscape.interfaces.contact_settings import FacePair

    faces = settings_from(
        FacePair,
        "option",
        film_miller=miller_of(options.film_miller, "--film-miller"),
        substrate_miller=miller_of(options.substrate_miller, "--substrate-miller"),
        film_termination=options.film_termination,
        substrate_termination=options.substrate_termination,
        match=options.match,
    )
    return faces, _tables(options)


def _tables(options: argparse.Namespace) -> Any:
    from ionscape.interfaces.contact_settings import ContactTables
    from ionscape.interfaces.registry_settings import AdhesionSettings, RegistrySettings
    from ionscape.interfaces.settings import AssemblySettings, SlabSettings

    return ContactTables(
        slabs=settings_from(
            SlabSettings, "option", min_thickness_A=options.thickness_A, vacuum_A=options.vacuum_A
        ),
        matching=matching_of(options),
        assembly=settings_from(
            AssemblySettings,
            "option",
            gap_A=options.gap_A,
            vacuum_A=options.vacuum_A,
            interfaces=options.interfaces,
            fixed_thickness_A=options.fixed_thickness_A,
            strain=options.strain,
        ),
        registry=settings_from(
            RegistrySettings,
            "option",
            algorithm=options.algorithm,
            evaluation=options.evaluation,
            lateral_step_A=options.lateral_step_A,
            scan=not options.no_scan,
            scan_points=options.scan_points,
            max_evaluations=options.max_evaluations,
            min_evaluations=max(1, min(5, options.max_evaluations)),
            batch=options.batch,
        ),
        adhesion=AdhesionSettings(own_lattices=not options.no_variants, bulk=not options.no_variants),
    )


def _name(structure: Structure) -> str:
    return str(structure.composition.reduced_formula)


def _relaxed(options: argparse.Namespace, crystals: list[Structure], bench: ContactBench) -> list[Structure]:
    from ionscape.errors import CalculationError
    from ionscape.results import Failure

    whole = bench.relaxation.model_copy(update={"move": "positions+cell"})
    found = []
    for text, answer in zip(
        (options.film, options.substrate), bench.lab.relax(crystals, bench.level, whole), strict=True
    ):
        if isinstance(answer, Failure):
            message = f"{text}: {answer.reason}"
            raise CalculationError(message)
        found.append(answer.structure)
    return found


def _bulk(film: Structure, substrate: Structure, bench: ContactBench) -> BulkEnergies:
    from ionscape.interfaces.adhesion import BulkEnergies
    from ionscape.results import Failure

    answers = bench.lab.evaluate([film, substrate], bench.level)
    above, below = (one if isinstance(one, Failure) else one.energy_per_atom for one in answers)
    return BulkEnergies(above, below)


def _answer(interface: Interface, found: ContactStrength, folder: Path) -> Answer:
    from ionscape.results import Failure
    from ionscape.units import J_PER_M2_PER_EV_PER_A2

    search, adhesion = found.search, found.adhesion
    payload: dict[str, Any] = {
        "n_atoms": len(interface.structure),
        "area_A2": interface.area,
        "n_interfaces": interface.n_interfaces,
        "mean_strain_percent": 100 * interface.match.mean_strain,
        "film_termination": interface.film.termination,
        "substrate_termination": interface.substrate.termination,
        "gap_A": search.interface.gap,
        **_searched(search),
        **{
            f"{name}_J_per_m2": told(
                adhesion if isinstance(adhesion, Failure) else getattr(adhesion, name), J_PER_M2_PER_EV_PER_A2
            )
            for name in PER_AREA
        },
        "files": _files(interface, search, adhesion, folder),
    }
    code = 3 if isinstance(adhesion, Failure) else 0
    return Answer(payload, _text(payload), code)


def _searched(search: RegistrySearch) -> dict[str, Any]:
    from ionscape.results import Failure

    history: list[dict[str, Any]] = []
    for one in search.trace.evaluations:
        failed = isinstance(one.outcome, Failure)
        outcome = {"failure": one.outcome.reason} if failed else {"energy_eV": float(one.outcome)}  # type: ignore[union-attr, arg-type]
        history.append({"shift_A": [float(x) for x in one.shift], **outcome, "reason": one.reason})
    return {
        "algorithm": search.algorithm,
        "evaluation": search.evaluation,
        "best_shift_A": [float(x) for x in search.best_shift],
        "n_evaluations": len(history),
        "n_failed": sum("failure" in one for one in history),
        "n_rigid_energies": len(search.scan.energies) if search.scan else 0,
        "n_candidates": search.trace.n_candidates,
        "n_excluded": search.trace.n_excluded,
        "stopped": search.trace.stopped,
        "displacement_cell_A": [[float(x) for x in row] for row in search.displacement_cell],
        "energy_eV": search.energy,
        "history": history,
    }


def _files(
    interface: Interface, search: RegistrySearch, adhesion: Adhesion | Failure, folder: Path
) -> dict[str, str]:
    from ionscape.results import Failure
    from ionscape.structures.exchange import write_cif

    structures = {"joined": interface.structure, "interface": search.structure}
    if not isinstance(adhesion, Failure):
        structures |= {"film": adhesion.film, "substrate": adhesion.substrate}
    return {name: str(write_cif(one, folder / f"{name}.cif")) for name, one in structures.items()}


def _text(payload: dict[str, Any]) -> str:
    shift = "  ".join(f"{x:.2f}" for x in payload["best_shift_A"])
    rows = [
        ("atoms", payload["n_atoms"]),
        ("area", f"{payload['area_A2']:.1f} Å²"),
        ("mean strain", f"{payload['mean_strain_percent']:.2f} %"),
        ("shift", f"{shift} Å"),
        (
            "evaluations",
            f"{payload['n_evaluations']}, {payload['n_failed']} of them failed ({payload['stopped']})",
        ),
        ("energy", f"{payload['energy_eV']:.4f} eV"),
    ]
    for name in PER_AREA:
        value = payload[f"{name}_J_per_m2"]
        told_value = f"{value:.3f} J/m²" if isinstance(value, float) else value["unavailable"]
        rows.append((name.replace("_", " "), told_value))
    rows += [(name, path) for name, path in payload["files"].items()]
    return table(("quantity", "value"), rows) + "\nwork of adhesion: negative for a bound contact"
