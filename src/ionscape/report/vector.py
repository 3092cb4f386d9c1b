"""SVG files made part of a page: no identifiers that clash, no foreign references, colours of the page's theme."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import Markup, escape

from ionscape.report.style import FAINT, INK, MUTED, PALETTE

_THEME = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    FAINT: "var(--rule)",
    PALETTE[0]: "var(--series)",
    "#ffffff": "var(--surface)",
}
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
#: Drawings wider than this (points) keep a least width on narrow screens, where they scroll.
_WIDE = 400
_WIDTH = re.compile(r'<svg[^>]*?\bwidth="([\d.]+)pt"')


def inline_svg(path: Path, description: str) -> Markup:
    """Return the drawing in an SVG file that `style.save` wrote, as an element of an HTML page.

    Parameters
    ----------
    path
        The SVG file; the name of the file keeps its identifiers apart from those of other drawings.
    description
        What it shows, for those who cannot see it.
    """
    text = path.read_text(encoding="utf-8")
    width = _WIDTH.search(text)
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bd="[^"]*"', lambda match: _LONG_NUMBER.sub(_rounded, match[0]), text)
    prefix = path.stem
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{prefix}-', text)
    text = text.replace("url(#", f"url(#{prefix}-")
    for colour, variable in _THEME.items():
        text = text.replace(colour, variable)
    view_box = re.search(r'viewBox="[\d. -]+"', text)
    points = float(width[1]) if width else 0.0
    size = f"max-width: {1.45 * points:.0f}px" if width else ""
    opening = (
        f'<svg class="drawing{" wide" if points > _WIDE else ""}" role="img" aria-label="{escape(description)}" '
        f'{view_box[0] if view_box else ""} style="{size}">'
    )
    return Markup(opening + text[text.index(">") + 1 :].strip())  # noqa: S704  our own drawing, text as outlines


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
