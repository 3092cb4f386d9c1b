"""Commands about single structures: relax, evaluate, voids."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import (
    command,
    laboratory,
    level_of,
    relaxation_of,
    settings_from,
    with_lab,
    with_level,
    with_relaxation,
)
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import told
from ionscape.errors import CalculationError

if TYPE_CHECKING:
    from ionscape.levels.registry import Level


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    relax = command(commands, "relax", _relax, "relax a structure at a level of theory")
    relax.add_argument("structure", help="structure file, or phase:NAME")
    relax.add_argument("--out", type=Path, help="relaxed structure (default: NAME-relaxed.cif)")
    with_lab(relax)
    with_relaxation(relax)

    evaluate = command(
        commands, "evaluate", _evaluate, "energies, forces and stresses of frames, and their errors"
    )
    evaluate.add_argument(
        "frames", type=Path, help="frames (extxyz, .traj, vasprun.xml, …), with labels or without"
    )
    evaluate.add_argument("--out", type=Path, help="write the frames with the level's results here (extxyz)")
    with_level(evaluate)

    voids = command(commands, "voids", _voids, "empty sites for interstitials")
    voids.add_argument("structure", help="structure file, or phase:NAME")
    voids.add_argument("--method", choices=("density", "geometric"), default="density", help="how they are found")
    voids.add_argument(
        "--density", type=Path, help="charge density (CHGCAR, cube, .gpw) in place of superposed ions"
    )


def _relax(options: argparse.Namespace) -> Answer:
    from ionscape.levels.calculation import Unconverged
    from ionscape.results import Failure
    from ionscape.structures.exchange import check_writable, to_atoms, write_cif
    from ionscape.study.inputs import structure_named

    structure, settings, level = structure_named(options.structure), relaxation_of(options), level_of(options)
    path = options.out or Path(f"{_name_of(options.structure)}-relaxed.cif")
    check_writable(path)
    _check_factory(level, {site.specie.symbol for site in structure}, options.structure)
    level.check(to_atoms(structure))
    with laboratory(options) as lab:
        outcome = lab.relax([structure], level, settings)[0]
    answer = outcome.relaxation if isinstance(outcome, Unconverged) else outcome
    if isinstance(answer, Failure):
        message = f"{options.structure}: {answer.reason}"
        raise CalculationError(message)
    write_cif(answer.structure, path)
    payload = {
        "energy_eV": answer.energy,
        "energy_eV_per_atom": answer.energy_per_atom,
        "fmax_eV_per_A": answer.fmax,
        "smax_eV_per_A3": answer.smax,
        "steps": answer.steps,
        "converged": answer.converged,
        "structure": str(path),
        "key": answer.key,
    }
    rows = [(name, f"{value:.6f}" if isinstance(value, float) else value) for name, value in payload.items()]
    return Answer(payload, table(("quantity", "value"), rows), 0 if answer.converged else 3)


def _name_of(structure: str) -> str:
    """Return a name for files: the stem of a path; of a phase its name, without what a path or a shell reads."""
    if structure.startswith("phase:"):
        return re.sub("[^A-Za-z0-9]+", "-", structure.removeprefix("phase:")).strip("-")
    return Path(structure).stem


def _check_factory(level: Level, symbols: set[str], structure: str) -> None:
    """Raise `InputError` unless a level with an argument can be made, gives stress and knows the elements."""
    from ionscape.levels.evaluation import require_elements, require_stress
    from ionscape.study.engine import available_cores

    if ":" in level.name:  # other levels give stress; building them here would only delay what is stored
        calculator = level.calculator(available_cores())
        require_stress(calculator, f"level '{level.name}'")
        require_elements(calculator, symbols, structure)


def _evaluate(options: argparse.Namespace) -> Answer:
    from ionscape.levels.evaluation import evaluate_frames, largest_deviations, read_frames, write_frames
    from ionscape.potential.errors_of_model import with_unknown
    from ionscape.results import Failure
    from ionscape.structures.exchange import check_writable
    from ionscape.study.engine import available_cores

    frames, level = read_frames(options.frames), level_of(options)
    for frame in frames:
        level.check(frame)
    if options.out:
        check_writable(options.out)
    calculator = level.calculator(available_cores())
    predicted, errors = evaluate_frames(frames, calculator)
    name = level.identity()["name"]
    for atoms in predicted:
        atoms.info["level"] = name  # potentials are not taught frames of several levels at once
    found = with_unknown(errors)
    payload: dict[str, Any] = {name: told(value) for name, value in found.items()}
    payload["frames"] = [_frame(atoms) for atoms in predicted]
    rows = [
        (name, value.reason if isinstance(value, Failure) else f"{value:.4g}") for name, value in found.items()
    ]
    deviations = largest_deviations(frames, calculator)
    if deviations:
        payload["largest_force_deviation_eV_per_A"] = max(deviations)
        payload["warnings"] = _extrapolations(deviations, calculator.settings.largest_deviation_eV_per_A)
        rows.append(("largest_force_deviation_eV_per_A", f"{max(deviations):.4g}"))
        rows += [("warning", text) for text in payload["warnings"]]
    if options.out:
        write_frames(predicted, options.out)
        payload["out"] = str(options.out)
        rows.append(("out", str(options.out)))
    return Answer(payload, table(("quantity", "value"), rows))


def _extrapolations(deviations: list[float], limit: float) -> list[str]:
    far = [number for number, deviation in enumerate(deviations) if deviation > limit]
    if not far:
        return []
    worst = max(far, key=lambda number: deviations[number])
    where = f"in {len(far)} of {len(deviations)} frames, most in frame {worst} (counted from 0)"
    found = f"a force has a standard deviation of {deviations[worst]:.2f} eV/Å, the limit is {limit:g} eV/Å"
    return [f"the potential extrapolates {where}: {found}. Teach it frames like these."]


def _frame(atoms: Any) -> dict[str, Any]:
    frame = {
        "formula": atoms.get_chemical_formula(),
        "energy_eV": atoms.get_potential_energy(),
        "fmax_eV_per_A": float((atoms.get_forces() ** 2).sum(axis=1).max() ** 0.5),
    }
    return {**frame, "told": atoms.info.pop("told")} if "told" in atoms.info else frame


def _density(path: Path) -> Any:
    if path.suffix != ".gpw":
        from ionscape.structures.density import read_density

        return read_density(path)
    from ionscape.electronic.from_gpaw import density_of, open_calculation

    return density_of(open_calculation(path), str(path))


def _voids(options: argparse.Namespace) -> Answer:
    from ionscape.structures.voids import VoidSettings, find_empty_sites
    from ionscape.study.inputs import structure_named

    structure = structure_named(options.structure)
    density = _density(options.density) if options.density else None
    found = find_empty_sites(structure, settings_from(VoidSettings, "option", method=options.method), density)
    sites = [
        {
            "fractional": site.fractional.tolist(),
            "radius_A": site.radius,
            "multiplicity": site.multiplicity,
            "nearest_A": dict(site.neighbours),
        }
        for site in found.sites
    ]
    rows = [
        (
            "  ".join(f"{x:7.4f}" for x in site.fractional),
            f"{site.radius:.3f}",
            site.multiplicity,
            "  ".join(f"{element} {distance:.2f}" for element, distance in site.neighbours.items()),
        )
        for site in found.sites
    ]
    text = table(("fractional", "radius/Å", "multiplicity", "nearest/Å"), rows)
    return Answer({"sites": sites, "method": found.method, "source": found.source}, f"{text}\n{found.source}")
