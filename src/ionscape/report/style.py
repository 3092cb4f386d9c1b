"""How figures look: journal columns, a colour-blind safe palette, files that come out the same twice.

Figures are `matplotlib.figure.Figure` objects without pyplot, so that nothing global is left behind.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ionscape.errors import InputError

#: Widths of one and two journal columns, inches (89 mm and 183 mm).
ONE_COLUMN, TWO_COLUMNS = 3.50, 7.20
#: Colours of text and lines; the page replaces them by the colours of its theme, so nothing else may use them.
INK, MUTED, FAINT = "#1b1d22", "#666b76", "#c9ccd3"
#: Okabe & Ito's palette, distinguishable with every common colour-vision deficiency (black left out).
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "D", "^", "v", "P")
#: Sans-serif faces that journals ask for, the last one comes with matplotlib.
FACES = ("Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")


@dataclass(frozen=True)
class Look:
    """Colour and marker of one series."""

    colour: str
    marker: str


def look(index: int) -> Look:
    """Return the look of the series number `index`."""
    return Look(PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)])


@functools.cache
def _face() -> str:
    installed = set(font_manager.get_font_names())
    return next(face for face in FACES if face in installed)


def _settings() -> dict[str, Any]:
    return {
        "font.family": _face(),
        "font.size": 7.5,
        "mathtext.default": "regular",
        "mathtext.fontset": "custom",
        **{f"mathtext.{kind}": _face() for kind in ("rm", "cal", "sf", "tt")},
        "mathtext.it": f"{_face()}:italic",
        "mathtext.bf": f"{_face()}:bold",
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "axes.linewidth": 0.6,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "figure.facecolor": "none",
        "hatch.linewidth": 0.35,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "lines.linewidth": 1.1,
        "lines.markersize": 4.5,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "xtick.direction": "in",
        "ytick.direction": "in",
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "svg.fonttype": "path",
        "svg.hashsalt": "ionscape",
    }


@contextmanager
def journal_style() -> Iterator[None]:
    """Draw and save with the style of this module; matplotlib's own settings are back afterwards."""
    with mpl.rc_context(_settings()):
        yield


class JournalFigure(Figure):
    """A figure that notebooks show as the vector graphic of its file."""

    def _repr_svg_(self) -> str:
        """Return the figure as SVG, for notebooks."""
        text = io.StringIO()
        _write_svg(self, text)
        return text.getvalue()


def new_figure(width: float, height: float) -> JournalFigure:
    """Return an empty figure, sizes in inches; call it inside `journal_style`."""
    return JournalFigure(figsize=(width, height), layout="constrained")


def _write_svg(figure: Figure, target: Path | io.StringIO) -> None:
    with journal_style():
        FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None, "Creator": "ionscape"})


def nothing_to_draw(
    what: str, expected: str = "at least one point", remedy: str = "Run the stage first."
) -> InputError:
    """Return the error of a figure that was given no `what`."""
    return InputError(f"no {what} to draw", where="figure", expected=expected, remedy=remedy)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `figure` as SVG (vector, transparent, text as outlines) and PNG (300 dpi, white); return both paths.

    The same figure gives the same bytes: no dates, no random identifiers.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = stem.with_suffix(".svg"), stem.with_suffix(".png")
    _write_svg(figure, svg)
    with journal_style():
        figure.set_facecolor("white")
        figure.set_dpi(300)
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": "ionscape"})
        figure.set_facecolor("none")
        figure.set_dpi(100)
    return [svg, png]
