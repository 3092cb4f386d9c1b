"""Front of error against time of a force call: settings of the potential, trained on the same 144 frames.

    OMP_NUM_THREADS=1 python benchmarks/potential_front.py [--only NAME …] [--division every_fifth last_blocks]
    python benchmarks/potential_front.py --draw

Each setting is trained in a process of its own, half a minute to some minutes, and merged into the result file;
without --only those that are not in it yet (--again: all). Ranks are cut from one model. --draw only draws the
front of what is there. Times are of one thread, 124 atoms.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from entries import each_alone, merge, peak_memory_GB, results_of, rounded
from lzon_frames import DIVISIONS, divided
from matplotlib import ticker
from potential_accuracy import SKIN, call_times
from record import FOLDER

from ionscape.potential.errors_of_model import prediction_errors
from ionscape.potential.frames import Frame
from ionscape.potential.model import SparseModel
from ionscape.potential.settings import DescriptorSettings, TrainingSettings
from ionscape.potential.training import train
from ionscape.potential.uncollapsed import potential_of
from ionscape.report import style

#: Time (ms), force error (eV/Å), name and kernel.
Point = tuple[float, float, str, str]
NAME = "potential_front"
LINEAR, QUADRATIC, BOTH, CUBIC = (1.0,), (0.0, 1.0), (0.3, 1.0), (0.0, 0.0, 1.0)
#: Kernels by their highest power.
KINDS = ("linear", "quadratic", "cubic")
#: Ranks that quadratic models are cut to; 0 is the whole form.
RANKS = (24, 48, 64, 0)


def setting(n: int, l: int, cutoff: float, powers: tuple[float, ...], inducing: int) -> TrainingSettings:  # noqa: E741
    """Return the settings of a model; what is not named is the default."""
    descriptor = DescriptorSettings(n_max=n, l_max=l, cutoff_A=cutoff)
    return TrainingSettings(descriptor=descriptor, powers=powers, inducing=inducing, held_out=0.0)


SETTINGS = {
    "default": TrainingSettings(held_out=0.0),
    "n2 l2 4.5": setting(2, 2, 4.5, QUADRATIC, 800),
    "n2 l3 6.0": setting(2, 3, 6.0, QUADRATIC, 1600),
    "n3 l2 5.0": setting(3, 2, 5.0, QUADRATIC, 1200),
    "n3 l3 4.5": setting(3, 3, 4.5, QUADRATIC, 1600),
    "n3 l3 5.0": setting(3, 3, 5.0, QUADRATIC, 1600),
    "n3 l3 6.5": setting(3, 3, 6.5, QUADRATIC, 1600),
    "n3 l3 6.0, 400": setting(3, 3, 6.0, QUADRATIC, 400),
    "n3 l3 6.0, 800": setting(3, 3, 6.0, QUADRATIC, 800),
    "n3 l3 6.0, 2400": setting(3, 3, 6.0, QUADRATIC, 2400),
    "n3 l4 6.0": setting(3, 4, 6.0, QUADRATIC, 1600),
    "n4 l3 6.0": setting(4, 3, 6.0, QUADRATIC, 1600),
    "n4 l4 6.0": setting(4, 4, 6.0, QUADRATIC, 2000),
    "n5 l5 6.0": setting(5, 5, 6.0, QUADRATIC, 2400),
    "n3 l3 6.0 linear": setting(3, 3, 6.0, LINEAR, 1600),
    "n4 l3 6.0 linear": setting(4, 3, 6.0, LINEAR, 2400),
    "n6 l4 6.0 linear": setting(6, 4, 6.0, LINEAR, 2400),
    "n3 l3 6.0 linear + quadratic": setting(3, 3, 6.0, BOTH, 1600),
    "n3 l3 6.0 cubic": setting(3, 3, 6.0, CUBIC, 1600),
}


def main() -> None:
    """Measure the settings asked for, write the record, draw the front."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--division", nargs="*", choices=sorted(DIVISIONS), default=sorted(DIVISIONS))
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    known = {} if options.again or len(options.only) * len(options.division) == 1 else results_of(NAME)
    tasks = [(name, one) for one in options.division for name in options.only if f"{name}, {one}" not in known]
    if options.draw:
        tasks = []
    if len(tasks) > 1 or len(options.only) > 1:
        for name, division in tasks:
            each_alone(__file__, [name], "--division", division, "--repeats", str(options.repeats))
    elif tasks:
        ((name, division),) = tasks
        entry = measured(SETTINGS[name], division, options.repeats)
        print(name, json.dumps(entry, indent=1))
        merge(NAME, {f"{name}, {division}": entry})
    print(draw(results_of(NAME)))


def measured(settings: TrainingSettings, division: str, repeats: int) -> dict[str, Any]:
    """Return training cost, and error and time of a call at every rank."""
    taught, tests = divided(division)
    began, busy = time.perf_counter(), time.process_time()
    model = train(taught, settings)
    entry: dict[str, Any] = {
        "settings": settings.model_dump(mode="json", include={"descriptor", "powers", "inducing"}),
        "training_s": round(time.perf_counter() - began, 1),
        "training_processor_s": round(time.process_time() - busy, 1),
        "training_peak_GB": peak_memory_GB(),
        "inducing": model.n_inducing,
        "features": model.inducing[0].shape[1],
    }
    quadratic = model.collapses and len(model.kernel.amplitudes) > 1
    ranks = [rank for rank in RANKS if rank < entry["features"]] if quadratic else [0]
    cut = [dataclasses.replace(model, rank=rank) for rank in ranks]
    return entry | {"points": [point(one, tests, repeats, collapsing=quadratic) for one in cut]}


def point(model: SparseModel, tests: list[Frame], repeats: int, *, collapsing: bool) -> dict[str, Any]:
    """Return errors, and the time of a call in single precision."""
    potential = potential_of(model, "single", 1, SKIN)
    kinds = model.descriptor.indices(list(tests[0].symbols), "benchmark")
    return {
        **({"rank": model.rank} if collapsing else {}),
        **rounded(prediction_errors(model, tests)),
        **call_times(potential, tests[0], kinds, repeats),
    }


def draw(results: dict[str, Any]) -> Path:
    """Draw force error against time of a call, with the front; return the file written."""
    with style.journal_style():
        figure = style.new_figure(style.TWO_COLUMNS, 2.9)
        axes = figure.subplots(1, len(DIVISIONS), sharey=True)
        for panel, division in zip(axes, sorted(DIVISIONS), strict=True):
            draw_division(panel, points_of(results, division))
            panel.set(xscale="log", title=division.replace("_", " "), xlabel="Force call, 124 atoms / ms")
            panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            panel.xaxis.set_minor_formatter(ticker.NullFormatter())
        axes[0].set_ylabel("Test MAE of forces / eV Å⁻¹")
        axes[0].legend()
    svg, png = style.save(figure, FOLDER / NAME)
    png.unlink()
    return svg


def draw_division(panel: Any, points: list[Point]) -> None:
    """Draw the points of a division by kernel, and the front."""
    for index, kind in enumerate(KINDS):
        mine = [one[:2] for one in points if one[3] == kind]
        look = style.look(index)
        if mine:
            panel.plot(*zip(*mine, strict=True), look.marker, color=look.colour, label=kind)
    best = [one[:2] for one in front(points)]
    if best:
        panel.step(*zip(*best, strict=True), color=style.MUTED, lw=0.8, where="post", zorder=0)


def points_of(results: dict[str, Any], division: str) -> list[Point]:
    """Return every point of a division, the fastest first."""
    found = []
    for key, entry in results.items():
        name, _, one = key.rpartition(", ")
        if one != division:
            continue
        powers = entry["settings"]["powers"]
        kind = KINDS[len(powers) - 1]
        found += [
            (p["ms_least"], p["force_mae_eV_per_A"], f"{name} {p.get('rank', '')}", kind) for p in entry["points"]
        ]
    return sorted(found)


def front(points: list[Point]) -> list[Point]:
    """Return the points than which none is both faster and better."""
    best: list[Point] = []
    for one in points:
        if not best or one[1] < best[-1][1]:
            best.append(one)
    return best


if __name__ == "__main__":
    main()
