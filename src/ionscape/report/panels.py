"""Panels of a figure, each with numbered notes below it that the layout makes room for."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ionscape.report.style import MUTED, ONE_COLUMN, new_figure
from ionscape.report.typography import formula_math

#: Heights of a panel with its title and of a line of its note, inches.
_PANEL, _LINE = 1.65, 0.125
#: Characters that fit in a line of a note, per inch of its width.
_CHARACTERS_PER_INCH = 18


def noted_panels(notes: Sequence[Sequence[str]], width: float) -> tuple[Figure, list[Axes]]:
    """Return a figure `width` inches wide with a panel for every list of notes, two abreast where there is room.

    Call it inside `style.journal_style`.
    """
    columns = 1 if width < 1.5 * ONE_COLUMN or len(notes) == 1 else 2
    shown = width if columns == 2 else min(width, ONE_COLUMN)
    rows = math.ceil(len(notes) / columns)
    texts = [_numbered(lines, shown / columns) for lines in notes]
    tallest = [max(text.count("\n") + 1 for text in texts[columns * r : columns * (r + 1)]) for r in range(rows)]
    figure = new_figure(shown, 0.35 + sum(_PANEL + _LINE * lines for lines in tallest))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, text in zip(grid, texts, strict=False):
        axes.annotate(
            text, (0.0, 0.0), xycoords="axes fraction", xytext=(0, -17), textcoords="offset points", va="top",
            fontsize=6.5, linespacing=1.35, color=MUTED, annotation_clip=False,
        )  # fmt: skip
    for axes in grid[len(notes) :]:
        axes.set_axis_off()
    return figure, grid[: len(notes)]


def _numbered(lines: Iterable[str], width: float) -> str:
    """Return `lines` with numbers, (1) …, broken to fit `width` inches, formulas in mathtext."""
    size = int(_CHARACTERS_PER_INCH * width)
    broken = [
        textwrap.wrap(f"({k}) {line}", size, subsequent_indent="      ", break_long_words=False)
        for k, line in enumerate(lines, start=1)
    ]
    return "\n".join(formula_math(line) for text in broken for line in text)
