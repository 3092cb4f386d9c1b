"""The command about learned potentials: train."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ionscape.cli.options import command, settings_from, whole_number
from ionscape.cli.output import Answer, table
from ionscape.cli.targets import told
from ionscape.errors import InputError

if TYPE_CHECKING:
    from ionscape.potential.calibration import Calibration
    from ionscape.potential.errors_of_model import Predictions
    from ionscape.potential.frames import Frame
    from ionscape.potential.model import SparseModel

#: Frames from which energies can be learned: their differences.
FEWEST = 2
#: Part of the frames that is held out unless told otherwise.
PART = 0.1
#: Options of the descriptor, the same as fields of its settings.
_DESCRIPTOR = (
    ("cutoff_A", float), ("n_max", int), ("l_max", int), ("radial_damping", float), ("element_channels", int)
)  # fmt: skip
_SIZES = (("inducing", int), ("rank", int))
OPTIMISTIC = (
    "Frames held out at random lie beside taught ones on their trajectories: "
    "the errors are those of an interpolation."
)
UNTESTED = "No frames were held out: the errors of this model are unknown and its uncertainty is not calibrated."


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    train = command(commands, "train", _train, "fit a sparse-GP potential to labelled frames")
    train.add_argument(
        "frames", type=Path, nargs="+", help="frames with energies and forces (extxyz, .traj, vasprun.xml, …)"
    )
    train.add_argument("--out", type=Path, required=True, metavar="MODEL", help="file of the model")
    train.add_argument(
        "--held-out", default=str(PART), metavar="PART|FILE",
        help=f"part of the frames to test the model on, or a file of frames (default {PART})",
    )  # fmt: skip
    train.add_argument(
        "--split", choices=("last", "random"), default="last",
        help="last: the last part of every trajectory is held out (default); random: frames drawn from all",
    )  # fmt: skip
    train.add_argument(
        "--most-frames",
        type=whole_number,
        metavar="N",
        help="teach only the N frames whose environments tell most; the others are left out",
    )
    train.add_argument("--powers", metavar="A1,A2,…", help="amplitudes of the kernel Σ aₖ (p·q)ᵏ")
    for name, kind in (*_SIZES, *_DESCRIPTOR):
        train.add_argument(f"--{name.replace('_', '-')}", type=kind, help=_described(name))
    train.add_argument("--seed", type=whole_number, default=0, help="seed of all choices (default 0)")
    train.add_argument("--figure", type=Path, metavar="STEM", help="parity and calibration plots (.svg, .png)")


def _described(name: str) -> str:
    return {
        "inducing": "most inducing environments",
        "rank": "eigenvectors kept of each quadratic form; 0 keeps all",
        "cutoff_A": "neighbours within this distance are seen, Å",
        "n_max": "radial functions",
        "l_max": "highest degree of the spherical harmonics",
        "radial_damping": "weight exp(−γ n²) of the n-th radial function",
        "element_channels": "mixtures that stand for the elements of neighbours (default: none)",
    }[name]


@dataclass(frozen=True)
class _Divided:
    """Frames to be taught, frames held out, and what is to be said of the division."""

    taught: list[Frame]
    held_out: list[Frame]
    notes: tuple[str, ...] = ()


def _train(options: argparse.Namespace) -> Answer:
    from ionscape.potential.held_out import tested
    from ionscape.potential.model_file import write_model
    from ionscape.potential.training import train
    from ionscape.structures.exchange import check_writable

    started = time.perf_counter()
    settings = _settings(options)
    check_writable(options.out)
    frames = _divided(options)
    progress = _Progress(sys.stderr)
    frames = _most_telling(frames, options.most_frames, settings, progress)
    model = train(frames.taught, settings, progress.tell)
    found, quality = None, None
    if frames.held_out:
        progress.tell("held-out frames", 0, len(frames.held_out))
        model, found, quality = tested(model, frames.held_out)
    progress.end()
    identity = write_model(model, options.out)
    payload = {
        **_payload(model, frames, quality),
        "seconds": time.perf_counter() - started,
        "out": str(options.out),
        "content_sha256": identity,
        "figures": _figures(options.figure, model, found),
        "notes": list(frames.notes),
    }
    return Answer(payload, _text(payload))


def _settings(options: argparse.Namespace) -> Any:
    from ionscape.potential.settings import DescriptorSettings, TrainingSettings

    given = {name: getattr(options, name) for name, _ in _DESCRIPTOR}
    sizes = {name: getattr(options, name) for name, _ in _SIZES}
    if options.powers is not None:
        sizes["powers"] = _powers(options.powers)
    return settings_from(
        TrainingSettings,
        "option",
        descriptor=settings_from(DescriptorSettings, "option", **_told(given)),
        held_out=0.0,  # divided here, by trajectories
        seed=options.seed,
        **_told(sizes),
    )


def _told(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _powers(text: str) -> tuple[float, ...]:
    try:
        amplitudes = tuple(float(part) for part in text.split(","))
        if min(amplitudes) < 0 or not 0 < sum(amplitudes) < float("inf"):
            raise ValueError
    except ValueError:
        raise InputError(
            f"'{text}'",
            where="option --powers",
            expected="amplitudes of (p·q), (p·q)², … with commas between, none negative and one positive",
            remedy="Write for example --powers 0,1 for (p·q)².",
        ) from None
    return amplitudes


def _divided(options: argparse.Namespace) -> _Divided:
    """Return the frames in the files, divided as the options say."""
    import numpy as np

    from ionscape.levels.evaluation import read_frames
    from ionscape.potential.frames import labelled_frames, of_one_level
    from ionscape.potential.held_out import divided, last_parts, trajectories
    from ionscape.potential.training import split

    frames: list[Frame] = []
    stretches: list[list[int]] = []
    for path in options.frames:
        atoms = read_frames(path)
        stretches += [[index + len(frames) for index in one] for one in trajectories(atoms)]
        frames += labelled_frames(atoms, str(path))
    of_one_level(frames, "training frames")
    part = _part(options.held_out)
    if part is None:
        held_out = labelled_frames(read_frames(Path(options.held_out)), options.held_out)
        of_one_level([*frames, *held_out], "training and held-out frames")
        return _Divided(_enough(frames), held_out)
    if part == 0:
        return _Divided(_enough(frames), [], (UNTESTED,))
    _enough(frames)
    rng = np.random.default_rng(options.seed)
    if options.split == "last":
        taught, held_out = divided(frames, last_parts(stretches, part, rng))
        return _Divided(_enough(taught), held_out)
    taught, held_out = split(frames, max(part, 1 / len(frames)), rng)
    return _Divided(_enough(taught), held_out, (OPTIMISTIC,) if max(map(len, stretches)) > 1 else ())


def _most_telling(frames: _Divided, most: int | None, settings: Any, progress: _Progress) -> _Divided:
    from ionscape.potential.frame_choice import telling_frames

    if most is None or most >= len(frames.taught):
        return frames
    if most < FEWEST:
        raise InputError(
            str(most),
            where="option --most-frames",
            expected=f"at least {FEWEST} frames to be taught",
            remedy="Give a larger number, or leave the option out.",
        )
    chosen = telling_frames(frames.taught, most, settings, progress.tell)
    note = f"{len(frames.taught) - most} frames were left out: {most} that tell most were taught."
    return _Divided([frames.taught[index] for index in sorted(chosen)], frames.held_out, (*frames.notes, note))


def _part(text: str) -> float | None:
    """Return the part of the frames that is held out; None if `text` is the name of a file."""
    try:
        part = float(text)
    except ValueError:
        return None
    if not 0 <= part < 1:
        raise InputError(
            text, where="option --held-out", expected="a part from 0 to below 1, or a file", remedy="Use 0.1."
        )
    return part


def _enough(frames: list[Frame]) -> list[Frame]:
    if len(frames) >= FEWEST:
        return frames
    raise InputError(
        f"{len(frames)} frame to be taught",
        where="training frames",
        expected="at least two, beside those held out: energies are learned from their differences",
        remedy="Label more frames, for example of a short run of molecular dynamics.",
    )


def _payload(model: SparseModel, frames: _Divided, quality: Calibration | None) -> dict[str, Any]:
    from ionscape.potential.errors_of_model import with_unknown
    from ionscape.units import GPA_PER_EV_PER_A3

    noise, has_stress = model.noise, any(frame.stress is not None for frame in frames.taught)
    calibration = None if quality is None else {
        "rank_correlation": told(quality.rank_correlation),
        "coverage_one_sigma": quality.coverage_one,
        "coverage_two_sigma": quality.coverage_two,
    }  # fmt: skip
    return {
        "n_frames": len(frames.taught) + len(frames.held_out),
        "n_taught": len(frames.taught),
        "n_held_out": len(frames.held_out),
        **{name: told(value) for name, value in with_unknown(model.provenance.errors).items()},
        "n_inducing": model.n_inducing,
        "inducing": dict(zip(model.descriptor.species, map(len, model.inducing), strict=True)),
        "noise": {
            "energy_meV_per_atom": 1000 * noise.energy,
            "force_eV_per_A": noise.force,
            **({"stress_GPa": GPA_PER_EV_PER_A3 * noise.stress} if has_stress else {}),
        },
        **({} if calibration is None else {"calibration": calibration}),
        "level": model.provenance.level,
    }


def _figures(stem: Path | None, model: SparseModel, found: Predictions | None) -> list[str]:
    if stem is None or found is None:
        return []
    import numpy as np

    from ionscape.report.potential_figures import calibration_figure, parity_figure
    from ionscape.report.style import save

    deviations = np.array(model.spread)[found.species] * np.sqrt(found.losses)
    drawn = {
        "parity": parity_figure(found, note=f"{found.energies.shape[1]} frames held out"),
        "calibration": calibration_figure(deviations, found.force_errors),
    }
    return [
        str(path) for name, figure in drawn.items() for path in save(figure, stem.with_name(f"{stem.name}-{name}"))
    ]


def _text(payload: dict[str, Any]) -> str:
    rows = []
    for name, value in payload.items():
        if name in {"notes", "content_sha256"} or value in ("", []):
            continue
        parts = value.items() if isinstance(value, dict) else [("", value)]
        shown = "  ".join(f"{key} {_shown(one)}".strip() for key, one in parts)
        rows.append((name, "  ".join(value) if isinstance(value, list) else shown))
    return "\n".join([table(("quantity", "value"), rows), *payload["notes"]])


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"unknown ({value['unavailable']})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class _Progress:
    """Shows how far a training is: a live line on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._what, self._last = stream, "", 0.0
        self._started = self._began = time.monotonic()

    def tell(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` frames are through a part of the training."""
        from ionscape.study.progress import QUIET_SECONDS, clock

        now, terminal = time.monotonic(), self._stream.isatty()
        if what != self._what:
            self._what, self._began = what, now
        elif now - self._last < (0.2 if terminal else QUIET_SECONDS):
            return
        self._last = now
        left = f" | time left {clock((now - self._began) * (total - done) / done)}" if done else ""
        text = f"[{clock(now - self._started)}] train, {what}: {done} of {total} frames{left}"
        self._stream.write(f"\r{text}\x1b[K" if terminal else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the live line."""
        if self._stream.isatty():
            self._stream.write("\n")
            self._stream.flush()
