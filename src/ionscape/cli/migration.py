"""The command about migration: neb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, laboratory, level_of, settings_from, whole_number, with_lab
from ionscape.cli.output import Answer, table
from ionscape.errors import CalculationError, InputError

if TYPE_CHECKING:
    from ionscape.migration.result import MigrationPath
    from ionscape.migration.settings import BandSettings


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    neb = command(
        commands, "neb", _neb, "barriers: between two structures, or of all hops in one; nudged elastic band"
    )
    neb.add_argument(
        "initial", type=Path, help="structure file of the initial end; with --hops, the one to search"
    )
    neb.add_argument(
        "final", type=Path, nargs="?", help="structure file of the final end: the same atoms, in the same order"
    )
    _with_hops(neb)
    _with_band(neb)
    neb.add_argument(
        "--out", type=Path, help="images of the path, extxyz (default: INITIAL-path.extxyz); with --hops a folder"
    )
    with_lab(neb)


def _with_band(neb: argparse.ArgumentParser) -> None:
    neb.add_argument("--images", type=int, help="exactly so many inner images (default: 3, more where needed)")
    neb.add_argument(
        "--climb", action=argparse.BooleanOptionalAction, default=True, help="the highest image climbs (default)"
    )
    neb.add_argument(
        "--method", choices=("surrogate", "plain"), default="surrogate",
        help="surrogate: a Gaussian process saves evaluations (default); plain: every image in every iteration",
    )  # fmt: skip
    neb.add_argument(
        "--path", choices=("idpp", "linear", "guided"), default="idpp",
        help="first images (default idpp); guided: around obstacles, through the least electron density",
    )  # fmt: skip
    neb.add_argument(
        "--map", choices=("index", "assignment"), default="index", dest="mapping",
        help="which atom is which: by order (default), or the nearest of its element",
    )  # fmt: skip
    neb.add_argument(
        "--relax-ends", action=argparse.BooleanOptionalAction, default=True, help="relax the ends first (default)"
    )
    neb.add_argument("--fmax-eV-per-A", type=float, default=0.03, help="force left on the saddle (default 0.03)")
    neb.add_argument(
        "--ends-fmax-eV-per-A", type=float, default=0.01, help="force left on the ends (default 0.01)"
    )
    neb.add_argument("--spring-eV-per-A2", type=float, default=1.0, help="springs between images (default 1)")
    neb.add_argument("--max-steps", type=int, default=300, help="iterations after which it is given up")
    neb.add_argument(
        "--modes",
        choices=("none", "moving", "all"),
        default="none",
        help="vibrations of the saddle, of which atoms",
    )


def _with_hops(neb: argparse.ArgumentParser) -> None:
    group = neb.add_argument_group("hops in one structure (--hops)")
    group.add_argument("--hops", action="store_true", help="find the distinct hops in INITIAL, and their barriers")
    group.add_argument("--mobile", default="Li", metavar="ELEMENT", help="element that hops (default Li)")
    group.add_argument(
        "--mechanism", action="append", choices=("vacancy", "divacancy", "interstitial", "interstitialcy"),
        help="how it hops (default vacancy); may be given more than once",
    )  # fmt: skip
    group.add_argument(
        "--from", dest="leaving", metavar="MARKS",
        help="hops across an interface: elements that only the slab has that the ion leaves (Co), or sites (0-47)",
    )  # fmt: skip
    group.add_argument("--to", dest="entering", metavar="MARKS", help="the same of the slab that it enters (Zr)")
    group.add_argument("--longest-A", type=float, help="longest hop, Å (default 4.5; across an interface 5)")
    group.add_argument("--per-site", type=int, help="hops from a site, the shortest (default 6; across 3)")
    group.add_argument("--width-A", type=float, default=8.0, help="the cell is repeated to this width (default 8)")
    group.add_argument("--most-atoms", type=int, default=160, help="atoms of a repeated cell (default 160)")
    group.add_argument("--only", action="append", default=[], metavar="NAME", help="path of this hop alone: V1")
    group.add_argument("--list", action="store_true", dest="listed", help="list the hops, find no paths")
    group.add_argument("--seed", type=whole_number, default=0, help="seed of the Monte Carlo (default 0)")


def _neb(options: argparse.Namespace) -> Answer:
    if options.hops:
        from ionscape.cli.hops import find_hops

        return find_hops(options, band_settings(options))
    if options.final is None:
        raise InputError(
            "one structure",
            where="command neb",
            expected="both ends of a hop, INITIAL FINAL",
            remedy="Give the final structure too, or --hops to find the hops in this one.",
        )
    return _between(options)


def _between(options: argparse.Namespace) -> Answer:
    from ionscape.migration.band import check_path
    from ionscape.migration.images import write_images
    from ionscape.migration.requests import BandRequest
    from ionscape.results import Failure
    from ionscape.structures.exchange import check_writable, read_structure

    settings = band_settings(options)
    ends = check_path(read_structure(options.initial), read_structure(options.final), settings)
    level = level_of(options)
    out = options.out or Path(f"{options.initial.stem}-path.extxyz")
    check_writable(out)
    with laboratory(options) as lab:
        found = lab.band([BandRequest(ends, level, settings)])[0]
    if isinstance(found, Failure):
        message = f"{options.initial} to {options.final}: {found.reason}"
        raise CalculationError(message)
    payload = {**path_payload(found.path), "path": str(write_images(found.path, out)), "key": found.key}
    rows = [(name, _shown(value)) for name, value in payload.items()]
    return Answer(payload, table(("quantity", "value"), rows), 0 if found.path.converged else 3)


def band_settings(options: argparse.Namespace) -> BandSettings:
    """Return how paths are found, as the options tell."""
    from ionscape.migration.settings import BandSettings

    given = {} if options.images is None else {"images": options.images, "adaptive": False}
    settings: BandSettings = settings_from(
        BandSettings,
        "option",
        climb=options.climb,
        method=options.method,
        path=options.path,
        mapping=options.mapping,
        relax_ends=options.relax_ends,
        fmax_eV_per_A=options.fmax_eV_per_A,
        ends_fmax_eV_per_A=options.ends_fmax_eV_per_A,
        spring_eV_per_A2=options.spring_eV_per_A2,
        max_steps=options.max_steps,
        modes=options.modes,
        **given,
    )
    return settings


def path_payload(path: MigrationPath) -> dict[str, Any]:
    """Return a path as it stands in the answer of the command."""
    payload: dict[str, Any] = {
        "forward_eV": path.forward,
        "backward_eV": path.backward,
        "site_difference_eV": path.site_difference,
        "saddle_error_eV": path.saddle_error,
        "energies_eV": path.profile.energies.tolist(),
        "coordinates_A": path.profile.coordinates.tolist(),
        "initial_energy_eV": path.initial_energy,
        "converged": path.converged,
        "resolved": path.resolved,
        "state": path.state,
        "saddle_force_eV_per_A": path.saddle_force,
        "path_force_eV_per_A": path.path_force,
        "n_force_calls": path.n_force_calls,
        "n_end_force_calls": path.n_end_calls,
    }
    if path.modes is not None:
        payload["n_imaginary_modes"] = path.modes.n_imaginary
        payload["frequencies_THz"] = path.modes.frequencies.tolist()
        payload["vibrating_atoms"] = path.modes.atoms.tolist()
    return payload


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "  ".join(_shown(one) for one in value) if isinstance(value, list) else str(value)
