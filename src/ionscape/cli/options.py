"""Options that mean the same in every command, and what they stand for."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.errors import InputError

if TYPE_CHECKING:
    from ionscape.levels.registry import Level
    from ionscape.settings import Kind
    from ionscape.stability.bench import PhaseBench
    from ionscape.study.lab import Laboratory

DEFAULT_STORE = Path(".ionscape")


def command(commands: Any, name: str, perform: Callable[..., Any], summary: str) -> argparse.ArgumentParser:
    """Add the command `name`, carried out by `perform`, and return its parser."""
    added: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    added.set_defaults(perform=perform)
    added.add_argument("--json", action="store_true", help="print exactly one JSON object")
    return added


def with_lab(added: argparse.ArgumentParser) -> None:
    """Add the options of commands that calculate: level, store, engine, relaxation tolerance."""
    with_level(added)
    added.add_argument("--store", type=Path, default=DEFAULT_STORE, help="store of finished calculations")
    with_engine(added, "process", "process")


def with_engine(added: argparse.ArgumentParser, default: str, told: str) -> None:
    """Add the option that tells where calculations run; `told` is the default in words."""
    added.add_argument(
        "--engine",
        default=default,
        metavar="WHERE",
        help="process: in this process; threads: so, on all cores; processes or local: Parsl workers; "
        f"FILE.toml: its table [engine], as for a cluster (default: {told})",
    )


def with_level(added: argparse.ArgumentParser) -> None:
    """Add the options that tell the level of theory and its settings."""
    added.add_argument("--level", default="chgnet", help="level of theory (see `ionscape levels`; default chgnet)")
    added.add_argument(
        "--level-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the level, VALUE as in TOML: cutoff_eV=400.0, preset=study, 'hubbard_U_eV={Co=3.32}'",
    )


def with_phases(added: argparse.ArgumentParser) -> None:
    """Add the options that tell the competing phases: their source, what is left out, the gases."""
    added.add_argument(
        "--phases",
        default="packaged",
        metavar="SOURCE",
        help="competing phases: packaged (default), mp, optimade:URL, a file of entries (.json), a folder; several"
        " joined by +",
    )
    added.add_argument(
        "--mixing",
        choices=("none", "mp2020"),
        default="none",
        help="corrections that bring entries of several schemes on one scale (default: none, they are refused)",
    )
    added.add_argument("--relax-missing", action="store_true", help="relax phases without energies at the level")
    added.add_argument(
        "--exclude", action="append", default=[], metavar="FORMULA", help="phase that takes no part"
    )
    added.add_argument(
        "--temperature-K", type=float, help="temperature of O2 and N2, K (default: reference state)"
    )
    added.add_argument("--oxygen-pressure-bar", type=float, help="partial pressure of O2, bar (default 1)")
    added.add_argument("--nitrogen-pressure-bar", type=float, help="partial pressure of N2, bar (default 1)")


def with_relaxation(added: argparse.ArgumentParser) -> None:
    """Add the options of a relaxation."""
    added.add_argument(
        "--move", choices=("positions", "cell", "positions+cell"), default="positions+cell", help="what is relaxed"
    )
    added.add_argument("--optimizer", choices=("LBFGS", "FIRE"), default="LBFGS", help="optimiser of ASE")
    added.add_argument("--fmax-eV-per-A", type=float, default=0.01, help="largest force at convergence, eV/Å")
    added.add_argument("--smax-eV-per-A3", type=float, default=0.0006, help="largest stress at convergence, eV/Å³")
    added.add_argument("--max-steps", type=int, default=500, help="steps after which it is given up")


def whole_number(text: str) -> int:
    """Return `text` as a whole number ≥ 0; argparse refuses anything else."""
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def settings_from(kind: type[Kind], where: str, **values: Any) -> Kind:
    """Return the settings type `kind` made of option values; a refused value is an `InputError`."""
    from ionscape.settings import checked_settings

    return checked_settings(kind, values, where)


def relaxation_of(options: argparse.Namespace) -> Any:
    """Return the relaxation settings that the options describe."""
    from ionscape.levels.calculation import RelaxationSettings

    return settings_from(
        RelaxationSettings,
        "option",
        move=options.move,
        optimizer=options.optimizer,
        fmax_eV_per_A=options.fmax_eV_per_A,
        smax_eV_per_A3=options.smax_eV_per_A3,
        max_steps=options.max_steps,
    )


def bench_of(options: argparse.Namespace, level: Level, lab: Laboratory | None = None) -> PhaseBench:
    """Return the competing phases that the options of `with_phases` describe, at `level`."""
    from ionscape.stability.bench import PhaseBench
    from ionscape.stability.settings import StabilitySettings

    settings = settings_from(
        StabilitySettings,
        "option",
        phases=options.phases,
        mixing=options.mixing,
        exclude=tuple(options.exclude),
        relax_missing=options.relax_missing,
        temperature_K=options.temperature_K,
        oxygen_pressure_bar=options.oxygen_pressure_bar,
        nitrogen_pressure_bar=options.nitrogen_pressure_bar,
    )
    return PhaseBench(settings, level, relaxation_of(options), lab)


def level_of(options: argparse.Namespace) -> Level:
    """Return the level that ``--level`` names."""
    from ionscape.levels.registry import Level
    from ionscape.study.runner import make_importable

    make_importable(Path.cwd())
    return Level.of(options.level, level_settings(options.level_setting))


def level_settings(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the settings that ``--level-setting KEY=VALUE`` options give; a VALUE that is no TOML is text.

    Raises
    ------
    InputError
        If one is no assignment.
    """
    import tomllib

    settings: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InputError(
                f"'{text}'",
                where="option --level-setting",
                expected="KEY=VALUE, such as cutoff_eV=400.0",
                remedy="Write the name of the setting, =, and its value.",
            )
        try:
            settings[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key.strip()] = value.strip()
    return settings


@contextlib.contextmanager
def laboratory(options: argparse.Namespace) -> Iterator[Laboratory]:
    """Provide the laboratory that the options describe, and end its workers afterwards."""
    from ionscape.study.engine import EngineSettings, engine_of
    from ionscape.study.lab import Laboratory
    from ionscape.study.progress import on_standard_error
    from ionscape.study.store import Store

    progress = on_standard_error()
    progress.stage = options.command
    # a single command has the whole machine
    choice = {"process": "threads"}.get(options.engine, options.engine)
    engine = engine_of(choice, EngineSettings(), tell=progress.message)
    lab = Laboratory(Store(options.store), engine, progress)
    try:
        yield lab
    finally:
        progress.end()
        lab.close()
