"""Figures of migration: energy profiles (Fig. 6b) and paths in the structure (Fig. 6a)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ase.io import read
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ionscape.report.migration_records import CrystalHops, HopRecord
from ionscape.report.path_figure import DrawnPath, path_figure
from ionscape.report.records import StudyRecord
from ionscape.report.style import (
    INK,
    MUTED,
    ONE_COLUMN,
    PALETTE,
    TWO_COLUMNS,
    journal_style,
    new_figure,
    nothing_to_draw,
)
from ionscape.report.typography import formula_math
from ionscape.structures.exchange import to_structure

#: Panels of profiles stand so many abreast; more hops than this are not drawn in one structure.
ABREAST, MOST_PATHS = 3, 6


def profile_stem(crystal: CrystalHops) -> str:
    """Return the stem of the figure of the energy profiles of a crystal."""
    return f"migration-profiles-{_plain(crystal.name)}"


def path_stem(crystal: CrystalHops) -> str:
    """Return the stem of the figure of the paths in a crystal."""
    return f"migration-paths-{_plain(crystal.name)}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def migration_figures(record: StudyRecord) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of the migration stage with their stems; none where no path was found."""
    if record.migration is None:
        return
    for crystal in record.migration.places:
        if not crystal.drawn:
            continue
        yield profile_stem(crystal), profile_figure(crystal.drawn, record.migration.level)
        paths = drawn_paths(record, crystal)
        if paths:
            yield path_stem(crystal), path_figure(paths, record.migration.mobile)


def drawn_paths(record: StudyRecord, crystal: CrystalHops) -> list[DrawnPath]:
    """Return the paths of the hops of lowest barrier, from the files of their images, at most six."""
    lowest = sorted(crystal.drawn, key=lambda hop: max(_highest(hop), 0.0))[:MOST_PATHS]
    paths = []
    for hop in crystal.drawn:
        file = record.file(hop.path_file)
        if hop in lowest and file is not None:
            images = [to_structure(atoms) for atoms in read(file, index=":")]
            paths.append(DrawnPath(hop.name, images))
    return paths


def _highest(hop: HopRecord) -> float:
    return 0.0 if hop.profile is None else hop.profile.forward


def profile_figure(hops: Sequence[HopRecord], level: str) -> Figure:
    """Return a panel for every hop: energies at images, the curve through them, both barriers.

    The curve has the energies and slopes of the images; barriers are the energies of images. Hollow markers: a
    band that did not converge.

    Raises
    ------
    InputError
        If there is no hop with a path.
    """
    hops = [hop for hop in hops if hop.profile is not None]
    if not hops:
        raise nothing_to_draw("migration path")
    columns = min(len(hops), ABREAST)
    rows = -(-len(hops) // columns)
    with journal_style():
        figure = new_figure(TWO_COLUMNS if columns > 1 else ONE_COLUMN, 0.3 + 1.75 * rows)
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for number, (axes, hop) in enumerate(zip(grid.flat, hops, strict=False)):
            _profile(axes, hop, PALETTE[number % len(PALETTE)])
        for axes in list(grid.flat)[len(hops) :]:
            axes.set_axis_off()
        figure.supxlabel("path length (Å)", fontsize=8, color=INK)
        figure.supylabel("energy (eV)", fontsize=8, color=INK)
        figure.suptitle(f"Level: {level}", fontsize=7, color=MUTED, x=0.99, ha="right")
    return figure


def _profile(axes: Axes, hop: HopRecord, colour: str) -> None:
    profile = hop.profile
    assert profile is not None  # noqa: S101  the caller leaves out hops without one
    axes.plot(*profile.curve(), color=colour)
    face = colour if hop.converged else "white"
    axes.plot(profile.coordinates, profile.energies, "o", color=colour, markerfacecolor=face, markersize=4)
    axes.axhline(0, color=MUTED, lw=0.4, ls=":")
    axes.set_title(formula_math(f"{hop.name}: {hop.start} → {hop.end}"))
    low, high = min(0.0, float(profile.energies.min())), float(profile.energies.max())
    axes.set_ylim(low - 0.08 * (high - low + 0.1), high + 0.42 * (high - low + 0.1))
    axes.text(
        0.5, 0.98, f"→ {profile.forward:.2f} eV   ← {profile.backward:.2f} eV\nΔ {profile.energies[-1]:+.2f} eV",
        transform=axes.transAxes, ha="center", va="top", fontsize=7, color=INK,
    )  # fmt: skip
