"""Commands about surfaces: surfaces, match."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import (
    bench_of,
    command,
    laboratory,
    level_of,
    relaxation_of,
    settings_from,
    with_lab,
    with_phases,
    with_relaxation,
)
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import told
from ionscape.errors import CalculationError, InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.interfaces.matching import Match, Matches
    from ionscape.interfaces.orientation import Orientation
    from ionscape.interfaces.surface_energy import GammaRange
    from ionscape.interfaces.surfaces import Surface, SurfaceTable
    from ionscape.phases.competing import CompetingPhases
    from ionscape.results import Failure

#: So many matches are shown to people; programs get them all.
SHOWN = 12


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    _add_surfaces(commands)
    match = command(commands, "match", _match, "coincident superlattices of two surfaces")
    match.add_argument("film", help="structure file, or phase:NAME")
    match.add_argument("substrate", help="structure file, or phase:NAME")
    match.add_argument("--film-miller", required=True, metavar="h,k,l", help="plane of the film, in its cell")
    match.add_argument("--substrate-miller", required=True, metavar="h,k,l", help="plane of the substrate")
    with_tolerances(match)
    match.add_argument(
        "--elastic",
        action="store_true",
        help="elastic constants of both crystals at --level: least elastic energy and strains of every match",
    )
    match.add_argument(
        "--thickness-A", type=float, default=12.0, help="thickness of both slabs for --elastic, Å (default 12)"
    )
    with_lab(match)


def _add_surfaces(commands: Any) -> None:
    surfaces = command(commands, "surfaces", _surfaces, "slabs of every termination and their surface energies")
    surfaces.add_argument("structure", help="structure file, or phase:NAME; Miller indices refer to its cell")
    surfaces.add_argument("--max-index", type=int, default=1, help="largest Miller index (default 1)")
    surfaces.add_argument(
        "--miller", action="append", default=[], metavar="h,k,l", help="only this plane; may be repeated"
    )
    surfaces.add_argument(
        "--terminations", choices=("all", "non-polar"), default="all", help="which are looked at (default all)"
    )
    surfaces.add_argument(
        "--thickness-A", type=float, default=12.0, help="least thickness of slabs, Å (default 12)"
    )
    surfaces.add_argument("--vacuum-A", type=float, default=15.0, help="vacuum, Å (default 15)")
    surfaces.add_argument(
        "--keep", type=int, default=2, help="terminations of each plane that are relaxed (default 2)"
    )
    surfaces.add_argument(
        "--thicknesses", type=int, default=3, help="slabs of so many thicknesses of each of these (default 3)"
    )
    surfaces.add_argument("--no-relax", action="store_true", help="crystal and slabs as they are given and cut")
    surfaces.add_argument("--out", type=Path, help="folder for the slabs (CIF)")
    with_lab(surfaces)
    with_relaxation(surfaces)
    with_phases(surfaces)
    surfaces.set_defaults(fmax_eV_per_A=0.03)


def with_tolerances(added: argparse.ArgumentParser) -> None:
    """Add the options of matching: largest area and tolerances."""
    added.add_argument("--max-area-A2", type=float, default=300.0, help="largest area, Å² (default 300)")
    added.add_argument("--length-tolerance", type=float, metavar="R", help="of lengths, relative")
    added.add_argument("--angle-tolerance", type=float, metavar="R", help="of angles, relative")
    added.add_argument("--length-tolerance-A", type=float, help="of lengths, Å (default 0.1)")
    added.add_argument("--angle-tolerance-deg", type=float, help="of angles, ° (default 0.1)")


def matching_of(options: argparse.Namespace) -> Any:
    """Return the settings of matching that the options describe.

    Raises
    ------
    InputError
        If a tolerance is given both relative and absolute, or out of range.
    """
    from ionscape.interfaces.settings import MatchSettings

    given = {
        name: getattr(options, name)
        for name in ("length_tolerance", "angle_tolerance", "length_tolerance_A", "angle_tolerance_deg")
        if getattr(options, name) is not None
    }
    for relative, absolute in (
        ("length_tolerance", "length_tolerance_A"),
        ("angle_tolerance", "angle_tolerance_deg"),
    ):
        if relative in given and absolute in given:
            raise InputError(
                f"both --{relative.replace('_', '-')} and --{absolute.replace('_', '-')}",
                where="options",
                expected="a relative or an absolute tolerance",
                remedy="Leave one out.",
            )
    return settings_from(MatchSettings, "option", max_area_A2=options.max_area_A2, **given)


def miller_of(text: str, option: str) -> tuple[int, int, int]:
    """Return the Miller indices written as ``1,0,4`` (or ``1 0 4``).

    Raises
    ------
    InputError
        If they are not three integers, not all zero.
    """
    parts = [part for part in re.split(r"[,\s]+", text.strip().strip("()")) if part]
    try:
        indices = [int(part) for part in parts]
    except ValueError:
        indices = []
    if len(indices) != 3 or not any(indices):
        raise InputError(
            f"'{text}'",
            where=option,
            expected="three integers, not all zero, e.g. 1,0,4",
            remedy="Miller indices refer to the cell of the structure; three, also for hexagonal cells.",
        )
    return indices[0], indices[1], indices[2]


def _surfaces(options: argparse.Namespace) -> Answer:
    from ionscape.interfaces.settings import SurfaceSettings
    from ionscape.interfaces.surfaces import SurfaceBench, find_surfaces
    from ionscape.study.inputs import structure_named

    settings = settings_from(
        SurfaceSettings,
        "option",
        max_index=options.max_index,
        millers=tuple(miller_of(text, "--miller") for text in options.miller),
        terminations=options.terminations,
        min_thickness_A=options.thickness_A,
        vacuum_A=options.vacuum_A,
        keep=options.keep,
        thicknesses=options.thicknesses,
        max_thicknesses=max(options.thicknesses + 2, 1) if options.thicknesses > 1 else 1,
        relax=not options.no_relax,
    )
    bulk, level = structure_named(options.structure), level_of(options)
    relaxation = relaxation_of(options)
    with laboratory(options) as lab:
        if options.no_relax:
            answer: Any = lab.evaluate([bulk], level)[0]
        else:
            answer = lab.relax([bulk], level, relaxation)[0]
        if hasattr(answer, "reason"):
            message = f"{options.structure}: {answer.reason}"
            raise CalculationError(message)
        bench = SurfaceBench(lab, level, relaxation, _phases(options, bulk, level, lab))
        found = find_surfaces(answer.structure, answer.energy_per_atom, settings, bench)
    files = _written(found, options.out) if options.out else {}
    return Answer(_surface_payload(found, files), _surface_text(found, files))


def _phases(options: argparse.Namespace, bulk: Structure, level: Any, lab: Any) -> CompetingPhases | Failure:
    from ionscape.results import Failure

    try:
        bench = bench_of(options, level, lab)
        phases = bench.phases(element.symbol for element in bulk.composition.elements)
        bench.require_same_scheme(phases)
        return bench.at_conditions(phases)
    except (InputError, CalculationError) as error:
        return Failure(f"no competing phases ({getattr(error, 'found', error)})")


def _written(found: SurfaceTable, folder: Path) -> dict[int, str]:
    from ionscape.structures.exchange import write_cif

    files = {}
    for k, one in enumerate(found.surfaces):
        miller = "".join(str(index) for index in one.slab.miller)
        path = folder / f"{found.formula}-{miller}-{one.slab.termination}.cif"
        files[k] = str(write_cif(one.structure, path))
    return files


def _surface_payload(found: SurfaceTable, files: dict[int, str]) -> dict[str, Any]:
    from ionscape.results import Failure
    from ionscape.units import J_PER_M2_PER_EV_PER_A2

    wulff = found.wulff
    shape: dict[str, Any] = (
        told(wulff)
        if isinstance(wulff, Failure)
        else {
            "facets": [
                {"miller": list(miller), "area_fraction": float(share)}
                for miller, share in zip(wulff.millers, wulff.area_fractions, strict=True)
            ],
            "mean_gamma_J_per_m2": wulff.mean_gamma * J_PER_M2_PER_EV_PER_A2,
        }
    )
    return {
        "formula": found.formula,
        "level": found.level,
        "relaxed": found.relaxed,
        "bulk_energy_eV_per_atom": found.bulk_energy,
        "surfaces": [_surface_entry(one, files.get(k, "")) for k, one in enumerate(found.surfaces)],
        "planes": [_plane_entry(found, miller) for miller in _planes(found)],
        "wulff": shape,
    }


def _surface_entry(one: Surface, file: str) -> dict[str, Any]:
    from ionscape.units import J_PER_M2_PER_EV_PER_A2

    slab, fit = one.slab, one.fit
    return {
        "miller": list(slab.miller),
        "termination": slab.termination,
        "gamma_J_per_m2": told(one.gamma, J_PER_M2_PER_EV_PER_A2),
        "symmetric": slab.symmetric,
        "polar": slab.polar,
        "tasker": slab.tasker,
        "stoichiometric": slab.stoichiometric,
        "excess": dict(slab.excess),
        "split_plane": slab.split,
        "cut": slab.shift,
        "area_A2": slab.area,
        "n_atoms": len(slab.structure),
        "relaxed": one.relaxed,
        "unrelaxed_gamma_J_per_m2": told(one.unrelaxed, J_PER_M2_PER_EV_PER_A2),
        "thicknesses_A": [float(x) for x in one.thicknesses],
        "converged": one.converged,
        **({"gamma_range_J_per_m2": _range(one.range)} if one.range else {}),
        **(
            {"gamma_by_thickness_J_per_m2": [x * J_PER_M2_PER_EV_PER_A2 for x in fit.gammas.tolist()]}
            if fit
            else {}
        ),
        "notes": list(one.notes),
        **({"structure": file} if file else {}),
        "key": one.key,
    }


def _range(bounds: GammaRange) -> dict[str, Any]:
    from ionscape.units import J_PER_M2_PER_EV_PER_A2

    return {
        "low": bounds.low * J_PER_M2_PER_EV_PER_A2,
        "high": bounds.high * J_PER_M2_PER_EV_PER_A2,
        "mu_at_low_eV": dict(bounds.low_potentials),
        "mu_at_high_eV": dict(bounds.high_potentials),
    }


def _planes(found: SurfaceTable) -> list[tuple[int, int, int]]:
    return list(dict.fromkeys(one.slab.miller for one in found.surfaces))


def _plane_entry(found: SurfaceTable, miller: tuple[int, int, int]) -> dict[str, Any]:
    own = [one.slab for one in found.surfaces if one.slab.miller == miller]
    return {
        "miller": list(miller),
        "terminations": len(own),
        "symmetric_non_polar": sum(s.symmetric and not s.polar for s in own),
        "symmetric_non_polar_stoichiometric": sum(s.symmetric and not s.polar and s.stoichiometric for s in own),
    }


def _surface_text(found: SurfaceTable, files: dict[int, str]) -> str:
    rows = [_surface_row(one) for one in found.surfaces]
    heads = ("plane", "termination", "γ/(J/m²)", "unrelaxed", "symmetric", "Tasker", "atoms", "notes")
    lines = [table(heads, rows), "", f"level {found.level}, {'relaxed' if found.relaxed else 'as cut'}"]
    lines += [
        f"({' '.join(map(str, miller))}) has no termination that is symmetric and non-polar"
        for miller in _planes(found)
        if not _plane_entry(found, miller)["symmetric_non_polar"]
    ]
    payload = _surface_payload(found, files)["wulff"]
    if "facets" in payload:
        shares = ", ".join(
            f"({' '.join(map(str, f['miller']))}) {100 * f['area_fraction']:.0f} %"
            for f in payload["facets"]
            if f["area_fraction"] > 0
        )
        lines.append(f"Wulff shape: {shares}; mean γ {payload['mean_gamma_J_per_m2']:.3f} J/m²")
    else:
        lines.append(f"Wulff shape: {payload['unavailable']}")
    return "\n".join([*lines, *(f"written: {file}" for file in files.values())])


def _surface_row(one: Surface) -> tuple[Any, ...]:
    from ionscape.results import Failure
    from ionscape.units import J_PER_M2_PER_EV_PER_A2

    values = [
        "none" if isinstance(g, Failure) else f"{g * J_PER_M2_PER_EV_PER_A2:.3f}"
        for g in (one.gamma, one.unrelaxed)
    ]
    if one.range:
        ends = (one.range.low * J_PER_M2_PER_EV_PER_A2, one.range.high * J_PER_M2_PER_EV_PER_A2)
        values[0] = f"{ends[0]:.2f} to {ends[1]:.2f}"
    kind = f"{one.slab.tasker}{', polar' if one.slab.polar else ''}"
    plane = f"({' '.join(str(index) for index in one.slab.miller)})"
    marks = values[0] if one.relaxed or values[0] == "none" else f"{values[0]} (as cut)"
    symmetric = "yes" if one.slab.symmetric else "no"
    return (
        plane, one.slab.termination, marks, values[1], symmetric, kind, len(one.slab.structure),
        "; ".join(one.notes),
    )  # fmt: skip


def _match(options: argparse.Namespace) -> Answer:
    from ionscape.interfaces.matching import required_matches
    from ionscape.interfaces.orientation import orientation
    from ionscape.study.inputs import structure_named

    settings = matching_of(options)
    millers = [miller_of(getattr(options, f"{n}_miller"), f"--{n}-miller") for n in ("film", "substrate")]
    crystals = [structure_named(options.film), structure_named(options.substrate)]
    views = [orientation(c, m) for c, m in zip(crystals, millers, strict=True)]
    film, substrate = (view.vectors for view in views)
    found = required_matches(film, substrate, settings)
    matches = _with_elastic_energies(found, crystals, views, options) if options.elastic else found
    payload = {
        "matches": [_match_entry(match) for match in matches],
        "n_matches": len(found),
        "film_vectors_A": film.tolist(),
        "substrate_vectors_A": substrate.tolist(),
        "film_miller": list(millers[0]),
        "substrate_miller": list(millers[1]),
        "settings": settings.model_dump(),
    }
    return Answer(payload, _match_text(matches))


def _with_elastic_energies(
    found: Matches, crystals: Sequence[Structure], views: Sequence[Orientation], options: argparse.Namespace
) -> list[Match]:
    from ionscape.interfaces.stiffness import Stiffness, elastic_constants, least_energy, plane_constants

    level = level_of(options)
    with laboratory(options) as lab:
        sides = [
            Stiffness(plane_constants(elastic_constants(bulk, view.frame, level, lab)), options.thickness_A)
            for bulk, view in zip(crystals, views, strict=True)
        ]
    return [least_energy(match, sides[0], sides[1]) for match in found]


def _match_entry(match: Match) -> dict[str, Any]:
    return {
        "area_A2": match.area,
        "mean_strain_percent": 100 * match.mean_strain,
        "film_matrix": match.film_matrix.tolist(),
        "substrate_matrix": match.substrate_matrix.tolist(),
        "film_strain": match.film_strain.tolist(),
        "substrate_strain": match.substrate_strain.tolist(),
        **({} if match.elastic_energy is None else {"elastic_energy_eV_per_A2": match.elastic_energy}),
        "mirrored": match.mirrored,
    }


def _match_text(found: Sequence[Match]) -> str:
    rows = [
        (f"{m.area:.2f}", f"{100 * m.mean_strain:.3f}", _matrix(m.film_matrix), _matrix(m.substrate_matrix),
         "turned over" if m.mirrored else "")
        for m in found[:SHOWN]
    ]  # fmt: skip
    more = [f"and {len(found) - SHOWN} more (--json lists them all)"] if len(found) > SHOWN else []
    heads = ("area/Å²", "mean strain/%", "film", "substrate", "film")
    return "\n".join([table(heads, rows), *more])


def _matrix(matrix: Sequence[Sequence[int]] | Any) -> str:
    return " / ".join(" ".join(f"{int(x):d}" for x in row) for row in matrix)
