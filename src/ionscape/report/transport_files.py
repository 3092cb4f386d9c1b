"""Files of a transport analysis: figures, tables, volumetric data, the record that `ionscape arrhenius` reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.report.transport_figures import arrhenius_figure
from ionscape.report.transport_series import arrhenius_points, save_figures, transport_figures
from ionscape.results import Failure
from ionscape.structures.exchange import replacing
from ionscape.transport.arrhenius import Arrhenius
from ionscape.transport.curves import Curves, displacements, mean_host, transport_curves
from ionscape.transport.density import write_cube, write_xsf
from ionscape.transport.diffusion import Diffusion, NotDiffusive
from ionscape.transport.records import FILE
from ionscape.transport.result import TransportResult
from ionscape.units import Array

#: Most rows of a table over time; of longer runs, every so many.
_ROWS = 20_000


def write_transport(result: TransportResult, record: dict[str, Any], folder: Path) -> list[Path]:
    """Write figures, tables, density and `record` into `folder`, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = transport_curves(result)
    figures = save_figures(transport_figures(curves, record), folder)
    files = [*_tables(result, folder), *_volumes(result, curves, folder), *figures]
    record["files"] = [str(file) for file in [*files, folder / FILE]]
    return [*files, _json(record, folder / FILE)]


def write_arrhenius(
    law: Arrhenius,
    runs: Sequence[tuple[float, Diffusion | NotDiffusive]],
    record: dict[str, Any],
    folder: Path,
) -> list[Path]:
    """Write the Arrhenius plot and `record` into `folder`, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    points = arrhenius_points(runs, law, min(record["at_K"], *(t for t, _ in runs)))
    files = save_figures({"arrhenius": arrhenius_figure([points], marked_K=record["at_K"])}, folder)
    record["files"] = [str(file) for file in [*files, folder / "arrhenius.json"]]
    return [*files, _json(record, folder / "arrhenius.json")]


def _json(record: dict[str, Any], path: Path) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    return path


def _tables(result: TransportResult, folder: Path) -> Iterable[Path]:
    heads: tuple[str, ...]
    for name, one in displacements(result).items():
        columns = np.column_stack([one.times / 1000, one.total, one.standard_error])
        step = max(1, len(columns) // _ROWS)
        heads = ("time_ps", "msd_A2", "standard_error_A2")
        yield _table(folder / f"displacement-{name}.csv", heads, columns[::step])
    if not isinstance(result.space_time, Failure):
        g = result.space_time.functions
        heads = ("time_ps", *(f"r_{r:.3f}_A" for r in g.distances))
        for name, values in (("self", g.self_part), ("distinct", g.distinct_part)):
            yield _table(folder / f"van-hove-{name}.csv", heads, np.column_stack([g.times / 1000, values]))
    if not isinstance(result.hopping, Failure):
        rows = [
            (c.start, c.end, *c.translation, c.distance, c.rate.count, 1000 * c.rate.value)
            for c in result.hopping.network
        ]
        heads = ("site_left", "site_entered", "a", "b", "c", "distance_A", "jumps", "rate_per_ps")
        yield _table(folder / "jumps.csv", heads, np.array(rows).reshape(-1, 8))
        sites = result.hopping.jumps
        columns = np.column_stack([sites.sites.fractional, sites.occupations])
        yield _table(folder / "sites.csv", ("fractional_a", "fractional_b", "fractional_c", "occupation"), columns)


def _table(path: Path, heads: Sequence[str], rows: Array) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([f"{value:.7g}" for value in row] for row in rows)
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return path


def _volumes(result: TransportResult, curves: Curves, folder: Path) -> Iterable[Path]:
    if isinstance(result.density, Failure):
        return
    host = mean_host(curves)
    yield write_cube(result.density, folder / "trajectory-density.cube", host)
    yield write_xsf(result.density, folder / "trajectory-density.xsf", host)
