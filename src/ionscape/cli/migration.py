"""The command about migration: neb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, laboratory, level_of, settings_from, with_lab
from ionscape.cli.output import Answer, table
from ionscape.errors import CalculationError

if TYPE_CHECKING:
    from ionscape.migration.result import MigrationPath
    from ionscape.migration.settings import BandSettings


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    neb = command(commands, "neb", _neb, "barrier between two structures: climbing-image nudged elastic band")
    neb.add_argument("initial", type=Path, help="structure file of the initial end")
    neb.add_argument("final", type=Path, help="structure file of the final end: the same atoms, in the same order")
    neb.add_argument("--images", type=int, help="exactly so many inner images (default: 3, more where needed)")
    neb.add_argument(
        "--climb", action=argparse.BooleanOptionalAction, default=True, help="the highest image climbs (default)"
    )
    neb.add_argument(
        "--method", choices=("surrogate", "plain"), default="surrogate",
        help="surrogate: a Gaussian process saves evaluations (default); plain: every image in every iteration",
    )  # fmt: skip
    neb.add_argument("--path", choices=("idpp", "linear"), default="idpp", help="first images (default idpp)")
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
    neb.add_argument("--out", type=Path, help="images of the path, extxyz (default: INITIAL-path.extxyz)")
    with_lab(neb)


def _neb(options: argparse.Namespace) -> Answer:
    from ionscape.migration.band import check_path
    from ionscape.migration.requests import BandRequest
    from ionscape.results import Failure
    from ionscape.structures.exchange import check_writable, read_structure

    settings = _settings(options)
    ends = check_path(read_structure(options.initial), read_structure(options.final), settings)
    level = level_of(options)
    out = options.out or Path(f"{options.initial.stem}-path.extxyz")
    check_writable(out)
    with laboratory(options) as lab:
        found = lab.band([BandRequest(ends, level, settings)])[0]
    if isinstance(found, Failure):
        message = f"{options.initial} to {options.final}: {found.reason}"
        raise CalculationError(message)
    payload = {**_payload(found.path), "path": str(_written(found.path, out)), "key": found.key}
    return Answer(payload, _text(payload), 0 if found.path.converged else 3)


def _settings(options: argparse.Namespace) -> BandSettings:
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


def _payload(path: MigrationPath) -> dict[str, Any]:
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


def _text(payload: dict[str, Any]) -> str:
    rows = [(name, _shown(value)) for name, value in payload.items()]
    return table(("quantity", "value"), rows)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "  ".join(_shown(one) for one in value) if isinstance(value, list) else str(value)


def _written(path: MigrationPath, out: Path) -> Path:
    from ase.io import write

    from ionscape.structures.exchange import replacing, to_atoms

    frames = [to_atoms(image) for image in path.images]
    for atoms, energy in zip(frames, path.profile.energies, strict=True):
        atoms.info["energy_above_initial_eV"] = float(energy)
    with replacing(out) as part:
        write(part, frames, format="extxyz")
    return out
