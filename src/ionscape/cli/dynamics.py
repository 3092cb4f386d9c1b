"""The command about molecular dynamics: md."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import (
    command,
    laboratory,
    level_of,
    level_settings,
    settings_from,
    whole_number,
    with_lab,
)
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import told
from ionscape.errors import CalculationError, InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.dynamics.averages import RunAverages
    from ionscape.dynamics.learned import LearnedRun
    from ionscape.dynamics.runs import SimulatedRun, StoppedRun
    from ionscape.levels.registry import Level

ENSEMBLES = ("nve", "nvt", "nvt-langevin", "npt", "npt-isotropic")


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    md = command(commands, "md", _md, "molecular dynamics; the same command again continues, or answers at once")
    md.add_argument("structure", help="structure file, or phase:NAME")
    md.add_argument(
        "--ensemble", choices=ENSEMBLES, default="npt", help="npt: full cell (default); npt-isotropic: shape kept"
    )
    md.add_argument(
        "--temperature-K",
        type=temperatures,
        default=(300.0,),
        metavar="KELVIN[,KELVIN…]",
        help="temperature, K (default 300); several, as in 600,900,1200, are a run each, in a folder each",
    )
    md.add_argument(
        "--batch",
        action="store_true",
        help="all temperatures as one batch of TorchSim, on a GPU where there is one (levels with a model of it)",
    )
    md.add_argument("--pressure-GPa", type=float, default=0.0, help="external pressure (npt), GPa (default 0)")
    md.add_argument("--time-ps", type=float, default=100.0, help="time of the production, ps (default 100)")
    md.add_argument("--equilibration-ps", type=float, default=20.0, help="time before it, ps (default 20)")
    md.add_argument("--timestep-fs", type=float, default=1.0, help="time step, fs (default 1)")
    md.add_argument("--frame-interval-fs", type=float, default=10.0, help="time between frames, fs (default 10)")
    md.add_argument("--thermostat-time-fs", type=float, default=100.0, help="of the thermostat, fs (default 100)")
    md.add_argument("--barostat-time-fs", type=float, default=1000.0, help="of the barostat, fs (default 1000)")
    md.add_argument("--supercell", type=repeats, default=(1, 1, 1), help="repeats of the cell (default 1,1,1)")
    md.add_argument(
        "--mobile", action="append", default=[], metavar="ELEMENT", help="may diffuse; stops if the others melt"
    )
    md.add_argument("--seed", type=whole_number, default=0, help="seed of the first velocities (default 0)")
    md.add_argument("--out", type=Path, help="folder of the trajectories (default: NAME-md)")
    md.add_argument(
        "--format", choices=("ionscape", "extxyz"), default="ionscape", help="extxyz: also as extended XYZ"
    )
    _with_learning(md)
    with_lab(md)


def _with_learning(md: argparse.ArgumentParser) -> None:
    md.add_argument(
        "--learn-from", metavar="LEVEL", help="learn a potential from this level on the fly, and run on it"
    )
    md.add_argument(
        "--tolerance-eV-per-A", type=float,
        help="standard deviation of a force beyond which the level is asked, eV/Å (default 0.3)",
    )  # fmt: skip
    md.add_argument("--look-fs", type=float, help="longest time between looks at the uncertainty, fs (default 20)")
    md.add_argument("--inducing", type=int, help="most inducing environments of the potential (default 1000)")
    md.add_argument("--model-out", type=Path, metavar="FILE", help="file of the potential (default: in --out)")


def repeats(text: str) -> tuple[int, int, int]:
    """Return three whole numbers ≥ 1, as in ``2,2,1``; argparse refuses anything else."""
    a, b, c = (int(part) for part in text.split(","))
    if min(a, b, c) < 1:
        raise ValueError
    return a, b, c


def temperatures(text: str) -> tuple[float, ...]:
    """Return one or more temperatures, K, as in ``600,900``, each once; argparse refuses anything else."""
    found = tuple(float(part) for part in text.split(","))
    if len({f"{kelvin:g}" for kelvin in found}) < len(found):  # folders are named so
        raise ValueError
    return found


def _md(options: argparse.Namespace) -> Answer:
    from ionscape.dynamics.runs import RunRequest, SimulatedRun, StoppedRun

    if options.learn_from:
        return _learning(options)
    _refuse_learning_options(options)
    structure, level = _structure(options), level_of(options)
    settings = {_folder(options, kelvin): _settings(options, kelvin) for kelvin in options.temperature_K}
    _check(structure, level, settings, options)
    with laboratory(options) as lab:
        asked = [RunRequest(structure, level, one) for one in settings.values()]
        runs = lab.simulate(asked, together=options.batch)
    payloads, broken = [], []
    for run, folder in zip(runs, settings, strict=True):
        if isinstance(run, SimulatedRun | StoppedRun):
            payloads.append(_finished(run, folder, options.format))
        else:
            broken.append(f"{options.structure}: {run.reason}")
    if broken:
        raise CalculationError("; ".join(dict.fromkeys(broken)))
    return _answer(payloads[0]) if len(payloads) == 1 else _answers(options.temperature_K, payloads)


def _check(structure: Structure, level: Level, settings: dict[Path, Any], options: argparse.Namespace) -> None:
    """Refuse what can be known to fail before anything runs."""
    from ionscape.dynamics.simulate import PRODUCTION, check_run
    from ionscape.levels.evaluation import require_elements, require_stress
    from ionscape.structures.exchange import check_writable, to_atoms

    for folder, one in settings.items():
        check_writable(folder / PRODUCTION)
        check_run(structure, one)
    if options.batch:
        level.check_batched("option --batch")
    level.check(to_atoms(structure))
    if ":" in level.name:  # other levels give stress; building them here would only delay what is stored
        calculator = level.calculator(1)
        require_stress(calculator, f"level '{level.name}'")
        require_elements(calculator, {site.specie.symbol for site in structure}, options.structure)


def _finished(run: SimulatedRun | StoppedRun, folder: Path, form: str) -> dict[str, Any]:
    """Put the files of a run into its folder, and return what is told of it."""
    from ionscape.dynamics.runs import SimulatedRun
    from ionscape.structures.exchange import write_cif

    payload = _payload(run, _placed(run, folder, form))
    if isinstance(run, SimulatedRun):
        payload["structure"] = str(write_cif(run.structure, folder / "last.cif"))
    return payload


def _answer(payload: dict[str, Any]) -> Answer:
    rows = [(name, _shown(value)) for name, value in payload.items() if value != ""]
    return Answer(payload, table(("quantity", "value"), rows), 3 if payload["stopped"] else 0)


def _answers(kelvins: Sequence[float], payloads: list[dict[str, Any]]) -> Answer:
    """Return the answer of several runs: one line each."""
    names = (
        "temperature_K",
        "volume_A3",
        "energy_eV",
        "steps",
        "n_frames",
        "ms_per_step",
        "trajectory",
        "stopped",
    )
    lines = [[_shown(one.get(name, "")) for name in names] for one in payloads]
    rows = [(f"{kelvin:g}", *line) for kelvin, line in zip(kelvins, lines, strict=True)]
    told = [{"asked_temperature_K": kelvin, **one} for kelvin, one in zip(kelvins, payloads, strict=True)]
    stopped = any(one["stopped"] for one in payloads)
    return Answer({"runs": told}, table(("asked_K", *names), rows), 3 if stopped else 0)


def _folder(options: argparse.Namespace, kelvin: float | None = None) -> Path:
    """Return the folder of the run, or of the one at `kelvin` among several."""
    home: Path = options.out or Path(f"{Path(options.structure.removeprefix('phase:')).stem}-md")
    return home if kelvin is None or len(options.temperature_K) == 1 else home / f"{kelvin:g}K"


def _refuse_learning_options(options: argparse.Namespace) -> None:
    for name in ("tolerance_eV_per_A", "look_fs", "inducing", "model_out"):
        if getattr(options, name) is not None:
            raise InputError(
                "given without --learn-from",
                where=f"option --{name.replace('_', '-')}",
                expected="a level to learn from",
                remedy="Add --learn-from LEVEL, or leave the option out.",
            )


def _refuse_several(options: argparse.Namespace) -> None:
    if options.batch or len(options.temperature_K) > 1:
        raise InputError(
            "--batch" if options.batch else f"{len(options.temperature_K)} temperatures",
            where="option --learn-from",
            expected="one run, on which the potential is learned",
            remedy="Learn at the highest temperature, then run the others with --level sgpr:FILE.",
        )


def _learning(options: argparse.Namespace) -> Answer:
    """Carry out a run that learns; it stands in its folder, not in the store: it is a path, not a calculation."""
    from ionscape.dynamics.learned import simulate_learning
    from ionscape.dynamics.runs import RunRequest, SimulatedRun
    from ionscape.dynamics.simulate import PRODUCTION
    from ionscape.levels.registry import Level
    from ionscape.potential.model_file import write_model
    from ionscape.structures.exchange import check_writable, to_atoms, write_cif
    from ionscape.study.engine import available_cores
    from ionscape.study.runner import make_importable

    _refuse_several(options)
    make_importable(Path.cwd())
    folder, level = _folder(options), Level.of(options.learn_from, level_settings(options.level_setting))
    model_file = options.model_out or folder / "model.sgpr"
    for file in (folder / PRODUCTION, model_file):
        check_writable(file)
    request = RunRequest(_structure(options), level, _settings(options, *options.temperature_K))
    level.check(to_atoms(request.structure))
    learned = simulate_learning(request, _learning_settings(options), folder, available_cores())
    model = dataclasses.replace(
        learned.model, provenance=dataclasses.replace(learned.model.provenance, errors=learned.errors)
    )
    write_model(model, model_file)
    paths = {"trajectory": str(learned.run.trajectory), "equilibration": str(learned.run.equilibration)}
    if options.format == "extxyz":
        paths["extxyz"] = str(_exported(learned.run.trajectory, folder / "production.extxyz"))
    payload = _payload(learned.run, paths) | _learned(learned, model_file)
    if isinstance(learned.run, SimulatedRun):
        payload["structure"] = str(write_cif(learned.run.structure, folder / "last.cif"))
    return _answer(payload)


def _learning_settings(options: argparse.Namespace) -> Any:
    from ionscape.potential.active_settings import LearningSettings
    from ionscape.potential.settings import TrainingSettings

    given = {"tolerance_eV_per_A": options.tolerance_eV_per_A, "look_fs": options.look_fs}
    given = {name: value for name, value in given.items() if value is not None}
    if options.inducing is not None:
        training = settings_from(TrainingSettings, "option", inducing=options.inducing)
        return settings_from(LearningSettings, "option", training=training, **given)
    return settings_from(LearningSettings, "option", **given)


def _learned(run: LearnedRun, model_file: Path) -> dict[str, Any]:
    from ionscape.potential.errors_of_model import with_unknown
    from ionscape.results import Failure

    quality = run.calibration
    return {
        "n_dear_calls": len(run.dear_steps),
        "dear_steps": list(run.dear_steps),
        "n_inducing": run.model.n_inducing,
        "errors": {name: told(value) for name, value in with_unknown(run.errors).items()},
        "calibration": told(quality)
        if isinstance(quality, Failure)
        else {
            "rank_correlation": told(quality.rank_correlation),
            "coverage": {"one_sigma": quality.coverage_one, "two_sigma": quality.coverage_two},
        },
        "model": str(model_file),
        "frames": str(run.frames),
    }


def _structure(options: argparse.Namespace) -> Structure:
    from ionscape.study.inputs import structure_named

    return structure_named(options.structure).make_supercell(options.supercell)


def _settings(options: argparse.Namespace, kelvin: float) -> Any:
    from ionscape.dynamics.settings import DynamicsSettings

    return settings_from(
        DynamicsSettings,
        "option",
        ensemble=options.ensemble,
        temperature_K=kelvin,
        pressure_GPa=options.pressure_GPa,
        timestep_fs=options.timestep_fs,
        frame_interval_fs=options.frame_interval_fs,
        equilibration_ps=options.equilibration_ps,
        production_ps=options.time_ps,
        thermostat_time_fs=options.thermostat_time_fs,
        barostat_time_fs=options.barostat_time_fs,
        seed=options.seed,
        mobile=tuple(options.mobile),
    )


def _placed(run: SimulatedRun | StoppedRun, folder: Path, form: str) -> dict[str, str]:
    """Copy the trajectories out of the store into `folder`, and return their paths."""
    from ionscape.structures.exchange import replacing

    paths = {}
    for name, source in (("trajectory", run.trajectory), ("equilibration", run.equilibration)):
        target = folder / source.name
        with replacing(target) as part:
            shutil.copyfile(source, part)
        paths[name] = str(target)
    if form == "extxyz":
        paths["extxyz"] = str(_exported(run.trajectory, folder / "production.extxyz"))
    return paths


def _exported(source: Path, target: Path) -> Path:
    from ase.io import write

    from ionscape.structures.exchange import replacing

    with replacing(target) as part, part.open("w", encoding="utf-8") as file:
        for atoms in _frames(source):
            write(file, atoms, format="extxyz")
    return target


def _frames(source: Path) -> Iterator[Any]:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    from ionscape.dynamics.recording import read_header, record_blocks, start_positions

    header, start = read_header(source), start_positions(source)
    for block in record_blocks(source):
        for record in block:
            atoms = Atoms(header.symbols, positions=start + record["shift"], cell=record["cell"], pbc=True)
            atoms.info["time_fs"] = header.frame_interval * (int(record["frame"]) + 1)
            atoms.calc = SinglePointCalculator(atoms, energy=float(record["energy"]))
            yield atoms


def _payload(run: SimulatedRun | StoppedRun, paths: dict[str, str]) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "steps": run.steps,
        "ms_per_step": run.ms_per_step,
        **paths,
        "n_frames": run.averages.frames if run.averages else 0,
        **_means(run.averages),
        "stopped": getattr(run, "reason", ""),
        "key": run.key,
    }
    drift = getattr(run, "drift", None)
    return payload if drift is None else {**payload, "energy_drift_eV_per_atom_per_ps": drift}


def _means(averages: RunAverages | None) -> dict[str, dict[str, float]]:
    from ionscape.units import GPA_PER_EV_PER_A3

    if averages is None:
        return {}
    columns = (
        ("temperature_K", averages.temperature, averages.temperature_error, 1.0),
        ("pressure_GPa", averages.pressure, averages.pressure_error, GPA_PER_EV_PER_A3),
        ("volume_A3", averages.volume, averages.volume_error, 1.0),
        ("energy_eV", averages.energy, averages.energy_error, 1.0),
    )
    return {
        name: {"value": factor * value, "standard_error": factor * error} for name, value, error, factor in columns
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "value" not in value:
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(str(each) for each in value)
    if isinstance(value, dict):
        return f"{value['value']:.6g} ± {value['standard_error']:.2g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
