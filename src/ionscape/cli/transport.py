"""Commands about ion transport: everything a trajectory tells, and the Arrhenius law of several."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command, settings_from, whole_number
from ionscape.cli.output import Answer, table
from ionscape.errors import InputError, nearest

if TYPE_CHECKING:
    from ionscape.transport.arrhenius import Arrhenius
    from ionscape.transport.records import StoredRun
    from ionscape.transport.settings import TransportSettings

#: What people see of a record: its key, a name, the format of its number.
ROWS = (
    ("D_cm2_per_s", "D/(cm²/s)", ".3g"),
    ("D_upper_bound_cm2_per_s", "D below/(cm²/s)", ".3g"),
    ("sigma_S_per_cm", "σ (Nernst–Einstein)/(S/cm)", ".3g"),
    ("sigma_upper_bound_S_per_cm", "σ below/(S/cm)", ".3g"),
    ("sigma_collective_S_per_cm", "σ (collective)/(S/cm)", ".3g"),
    ("haven_ratio", "Haven ratio", ".3g"),
    ("tau1_ps", "τ1, first jump/ps", ".3g"),
    ("tau2_ps", "τ2, concerted motion/ps", ".3g"),
    ("xi_A", "ξ, correlation length/Å", ".3g"),
    ("residence_time_ps", "residence time/ps", ".3g"),
    ("D_hop_cm2_per_s", "D of the hops/(cm²/s)", ".3g"),
    ("correlation_factor", "correlation factor", ".3g"),
    ("d1_A", "d1, free sphere/Å", ".3f"),
    ("d2_A", "d2, included sphere/Å", ".3f"),
    ("edge_A", "edge of the bottlenecks/Å", ".3f"),
)
#: Reasons longer than this are cut in the table; the JSON has them whole.
REASON = 90


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    transport = command(commands, "transport", _transport, "diffusion, conductivity, hopping from a trajectory")
    transport.add_argument(
        "trajectory", nargs="+", metavar="TRAJECTORY", help="file, or files that continue one another"
    )
    transport.add_argument("--mobile", default="Li", metavar="Li", help="element of the mobile ions (default Li)")
    transport.add_argument("--temperature-K", type=float, help="temperature, K (default: as the files tell)")
    transport.add_argument(
        "--frame-interval-fs", type=float, help="time between frames of the files, fs (default: as they tell)"
    )
    transport.add_argument("--charge", type=float, metavar="E", help="charge of a mobile ion, e (default: usual)")
    transport.add_argument(
        "--types",
        metavar="Li,O",
        help="elements of the atom types where the files do not tell, in order or 1=Li,2=O",
    )
    transport.add_argument("--every", type=int, default=1, metavar="N", help="take one frame in N (default 1)")
    transport.add_argument("--skip-ps", type=float, default=0.0, help="equilibration that is left out, ps")
    transport.add_argument(
        "--analyses",
        metavar="A,B",
        help="only these of diffusion, conductivity, host, van-hove, density, jumps, channels (default: all)",
    )
    transport.add_argument("--longest-time-ps", type=float, help="longest time of the van Hove functions, ps")
    transport.add_argument("--radii", metavar="O=1.40", help="radii of host elements for the channels, Å")
    transport.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    transport.add_argument("--seed", type=whole_number, default=0, help="seed of the resamples (default 0)")
    transport.add_argument("--out", type=Path, metavar="DIR", help="write figures, tables and transport.json here")
    arrhenius = command(commands, "arrhenius", _arrhenius, "activation energy and extrapolation of several runs")
    arrhenius.add_argument(
        "result", nargs="+", metavar="RESULT", help="what `ionscape transport` wrote: file or folder"
    )
    arrhenius.add_argument(
        "--at-K", type=float, default=300.0, help="temperature of the extrapolation, K (default 300)"
    )
    arrhenius.add_argument("--out", type=Path, metavar="DIR", help="write the figure and arrhenius.json here")


def _transport(options: argparse.Namespace) -> Answer:
    settings = _settings(options)
    if options.out:
        from ionscape.structures.exchange import check_writable

        check_writable(options.out / "transport.json")
    import numpy as np

    from ionscape.cli.reading import Reading
    from ionscape.dynamics.readers import open_trajectory
    from ionscape.transport.analysis import analyse_transport
    from ionscape.transport.records import transport_record

    (trajectory, said) = _heard(
        lambda: open_trajectory(
            options.trajectory,
            frame_interval_fs=options.frame_interval_fs,
            temperature_K=options.temperature_K,
            mobile=options.mobile,
            types=_types(options.types),
            every=options.every,
        )
    )
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)  # also for positions that memory cannot hold
    reading = Reading(options.trajectory, sys.stderr)
    with reading.watching():
        rng = np.random.default_rng(options.seed)
        result = analyse_transport(reading.of(trajectory), settings, rng, scratch=options.out)
    payload = transport_record(result)
    payload["warnings"] = list(dict.fromkeys([*said, *payload["warnings"]]))
    payload["source"] = [str(path) for path in options.trajectory]
    files: list[Path] = []
    if options.out:
        from ionscape.report.transport_files import write_transport

        files = write_transport(result, payload, options.out)
    payload["files"] = [str(file) for file in files]
    return Answer(payload, _text(payload))


def _heard(opening: Any) -> tuple[Any, list[str]]:
    """Return what `opening` returns and what it warned of."""
    import warnings

    from ionscape.dynamics.trajectory import TrajectoryWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrajectoryWarning)
        found = opening()
    return found, [str(one.message) for one in caught if issubclass(one.category, TrajectoryWarning)]


def _settings(options: argparse.Namespace) -> TransportSettings:
    from ionscape.transport.settings import ANALYSES, TransportSettings

    names = ANALYSES if options.analyses is None else tuple(filter(None, options.analyses.split(",")))
    unknown = [name for name in names if name not in ANALYSES]
    if unknown or not names:
        raise InputError(
            f"{unknown[0]!r}" if unknown else "nothing",
            where="--analyses",
            expected=f"some of {', '.join(ANALYSES)}, separated by commas",
            remedy=nearest(unknown[0] if unknown else "", ANALYSES),
        )
    found: TransportSettings = settings_from(
        TransportSettings,
        "option",
        mobile=options.mobile,
        charge_e=options.charge,
        analyses=names,
        skip_ps=options.skip_ps,
        longest_time_ps=options.longest_time_ps,
        radii_A=_radii(options.radii),
        threads=options.threads,
    )
    return found


def _types(text: str | None) -> Any:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    named = [part.partition("=") for part in parts]
    return {name: symbol for name, _, symbol in named} if all("=" in part for part in parts) else parts


def _radii(text: str | None) -> dict[str, float]:
    try:
        return {name.strip(): float(value) for name, value in (p.split("=") for p in (text or "").split(",") if p)}
    except ValueError:
        raise InputError(
            f"{text!r}",
            where="--radii",
            expected="radii in Å, such as O=1.40",
            remedy="Correct the option.",
        ) from None


def _text(record: dict[str, Any]) -> str:
    rows = [(name, *_row(record[key], record, key, form)) for key, name, form in ROWS if _asked(record.get(key))]
    kelvin = record["temperature_K"]
    temperature = f"{kelvin:g} K" if isinstance(kelvin, float) else "temperature not known"
    size = f"{record['n_frames']} frames, {record['run_time_ps']:.4g} ps, {record['n_ions']} {record['mobile']}"
    notes = [f"note: {line}" for line in record["warnings"]]
    notes += [f"{name}: one frame in {stride}" for name, stride in record["strides"].items()]
    written = [f"written: {file}" for file in record["files"]]
    heads = ("", "value", "95 % interval")
    return "\n".join([f"{size}, {temperature}", table(heads, rows), _host_line(record), *notes, *written])


def _asked(found: Any) -> bool:
    return found is not None and found != {"unavailable": "not asked for"}


def _row(found: Any, record: dict[str, Any], key: str, form: str) -> tuple[str, str]:
    if isinstance(found, dict) and "unavailable" in found:
        reason = found["unavailable"]
        return "none", reason if len(reason) <= REASON else f"{reason[: REASON - 1]}…"
    if isinstance(found, dict):
        return f"{found['value']:{form}}", f"{found['low95']:{form}} to {found['high95']:{form}}"
    stem = key.removesuffix("_ps").removesuffix("_A")
    ends = [record.get(f"{stem}_{end}{key.removeprefix(stem)}") for end in ("low95", "high95")]
    return f"{found:{form}}", f"{ends[0]:{form}} to {ends[1]:{form}}" if None not in ends else ""


def _host_line(record: dict[str, Any]) -> str:
    host = record["host"]
    if "unavailable" in host:
        return f"host: {host['unavailable']}"
    words = {True: "flat", False: "MOVES"}
    return "host: " + ", ".join(
        f"{name} {words.get(one.get('is_flat'), 'not known')}" for name, one in host.items()
    )


def _arrhenius(options: argparse.Namespace) -> Answer:
    from ionscape.transport.arrhenius import arrhenius
    from ionscape.transport.law_records import law_record
    from ionscape.transport.records import read_runs

    if not 0 < options.at_K < 1e5:
        raise InputError(
            f"{options.at_K}", where="--at-K", expected="a temperature in K, above 0", remedy="Correct the option."
        )
    runs, left_out = read_runs(options.result)
    law = arrhenius([(run.temperature, run.outcome) for run in runs])
    payload = law_record(law, runs, options.at_K) | {"left_out": left_out | _bounds(runs)}
    files = _law_files(law, runs, payload, options) if options.out else []
    payload["files"] = [str(file) for file in files]
    return Answer(payload, _law_text(payload, options.at_K))


def _bounds(runs: Sequence[StoredRun]) -> dict[str, str]:
    from ionscape.transport.diffusion import NotDiffusive

    return {
        run.source: f"{run.temperature:g} K, not diffusive ({run.outcome.reason}): entered as an upper bound"
        for run in runs
        if isinstance(run.outcome, NotDiffusive)
    }


def _law_files(
    law: Arrhenius, runs: Sequence[StoredRun], payload: dict[str, Any], options: argparse.Namespace
) -> list[Path]:
    from ionscape.report.transport_files import write_arrhenius

    pairs = [(run.temperature, run.outcome) for run in runs]
    return write_arrhenius(law, pairs, payload, options.out)


def _law_text(record: dict[str, Any], at: float) -> str:
    rows = []
    for key, name in (
        ("Ea_eV", "E_a/eV"),
        (f"D_{at:g}K_cm2_per_s", f"D({at:g} K)/(cm²/s)"),
        (f"sigma_{at:g}K_S_per_cm", f"σ({at:g} K)/(S/cm)"),
    ):
        rows.append((name, *_row(record[key], record, key, ".3g")))
    kelvin = ", ".join(f"{t:g}" for t in record["temperatures_K"])
    notes = [f"note: {line}" for line in record["warnings"]]
    notes += [f"left out of the line: {source}: {reason}" for source, reason in record["left_out"].items()]
    written = [f"written: {file}" for file in record["files"]]
    return "\n".join([table(("", "value", "95 % interval"), rows), f"runs at {kelvin} K", *notes, *written])
