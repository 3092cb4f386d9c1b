"""The command about the worth of a cheap level: calibrate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, level_of, level_settings, whole_number, with_level
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import told
from ionscape.errors import InputError

if TYPE_CHECKING:
    from ionscape.levels.comparison import LevelComparison


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    calibrate = command(
        commands, "calibrate", _calibrate, "how well a cheap level stands in for a dear one, on the same frames"
    )
    calibrate.add_argument("frames", type=Path, help="frames (extxyz, .traj, …); bands of images carry band=NAME")
    with_level(calibrate)
    calibrate.add_argument("--dear", metavar="LEVEL", help="the dear level; without it the labels of the frames")
    calibrate.add_argument(
        "--dear-setting", action="append", default=[], metavar="KEY=VALUE", help="setting of the dear level"
    )
    calibrate.add_argument(
        "--most", type=whole_number, default=0, help="so many frames, spread out (default: all)"
    )
    calibrate.add_argument("--out", type=Path, help="write the frames with the dear level's results here (extxyz)")


def _calibrate(options: argparse.Namespace) -> Answer:
    from ionscape.levels.comparison import compare_levels
    from ionscape.levels.evaluation import evaluate_frames, read_frames
    from ionscape.potential.gate import spread_out
    from ionscape.structures.exchange import check_writable
    from ionscape.study.engine import available_cores

    frames, level = read_frames(options.frames), level_of(options)
    if 0 < options.most < len(frames):
        frames = [frames[int(index)] for index in spread_out(len(frames), options.most)]
    if options.out:
        check_writable(options.out)
    dear = _labelled(frames, options)
    cheap, _ = evaluate_frames(frames, level.calculator(available_cores()))
    return _answer(compare_levels(cheap, dear), options)


def _labelled(frames: list[Any], options: argparse.Namespace) -> list[Any]:
    """Return the frames with the results of the dear level; those they carry if none is named."""
    from ionscape.levels.evaluation import evaluate_frames, write_frames
    from ionscape.levels.registry import Level
    from ionscape.study.engine import available_cores

    if not options.dear:
        _require_labels(frames, options.frames)
        return frames
    level = Level.of(options.dear, level_settings(options.dear_setting))
    for frame in frames:
        level.check(frame)
    dear, _ = evaluate_frames(frames, level.calculator(available_cores()))
    for atoms in dear:
        atoms.info.pop("told", None)
        atoms.info["level"] = level.name
    if options.out:
        write_frames(dear, options.out)
    return dear


def _require_labels(frames: list[Any], path: Path) -> None:
    for number, atoms in enumerate(frames):
        if atoms.calc is None or not {"energy", "forces"} <= set(atoms.calc.results):
            raise InputError(
                f"frame {number} (counted from 0) carries no energy or no forces",
                where=str(path),
                expected="labels of the dear level in every frame",
                remedy="Name the dear level with --dear, or label the frames (`ionscape evaluate --out`).",
            )


def _answer(found: LevelComparison, options: argparse.Namespace) -> Answer:
    from ionscape.units import GPA_PER_EV_PER_A3

    errors = {
        "n_frames": found.frames,
        "energy_mae_meV_per_atom": None if found.energy_mae is None else 1000 * found.energy_mae,
        "force_mae_eV_per_A": found.force_mae,
        "force_rmse_eV_per_A": found.force_rmse,
        "force_r2": found.force_r2,
        "force_correlation": told(found.force_correlation),
        "softening_slope": told(found.softening),
        "stress_mae_GPa": None if found.stress_mae is None else GPA_PER_EV_PER_A3 * found.stress_mae,
        "stress_shift_GPa": None if found.stress_shift is None else GPA_PER_EV_PER_A3 * found.stress_shift,
    }
    payload: dict[str, Any] = {name: value for name, value in errors.items() if value is not None}
    payload["offsets_eV_per_atom"] = dict(found.offsets)
    if found.orderings is not None:
        kept = found.orderings
        payload["orderings"] = {
            "pairs": kept.pairs,
            "kept": kept.kept,
            "same_lowest": kept.same_lowest,
            "compositions": kept.compositions,
            **({} if kept.worst is None else {"worst_meV_per_atom": 1000 * kept.worst}),
        }
    payload["barriers"] = [
        {"band": one.band, "cheap_eV": one.cheap, "dear_eV": one.dear} for one in found.barriers
    ]
    payload |= {"level": options.level, "dear": options.dear or "labels of the frames"}
    rows = [(name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in payload.items()]
    return Answer(payload, table(("quantity", "value"), [row for row in rows if row[1] not in ({}, [])]))
