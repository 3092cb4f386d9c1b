"""Scripts and data in a page that runs nothing else: hashes for its policy, data that no name can break out of."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from ionscape.report.style import FAINT, INK, MUTED, PALETTE

#: The page's own scripts, in the order in which they run as one.
OWN = ("theme", "loading", "tables", "downloads", "plots", "viewers", "begin")
#: Scripts of others, by their names in ``vendored/scripts.toml``.
LIBRARIES = ("plotly", "threedmol")
#: Colours of the page's theme as they are printed.
PRINTED = {
    "var(--ink)": INK, "var(--muted)": MUTED, "var(--rule)": FAINT, "var(--series)": PALETTE[0],
    "var(--surface)": "#ffffff",
}  # fmt: skip


@functools.cache
def own_script() -> Markup:
    """Return the script of the page."""
    parts = [files("ionscape.report").joinpath("scripts", f"{name}.js").read_text("utf-8") for name in OWN]
    return Markup("\n".join(["(() => {", '"use strict";', *parts, "})();"]))  # noqa: S704  ours


@functools.cache
def library(name: str) -> Markup:
    """Return a script of others as it was published."""
    return Markup(files("ionscape.report").joinpath("vendored", f"{name}.js").read_text("utf-8"))  # noqa: S704  pinned


@functools.cache
def licence(name: str) -> str:
    """Return the licence of a script of others, which goes with it wherever the page goes."""
    return files("ionscape.report").joinpath("vendored", f"{name}.LICENSE").read_text("utf-8")


@functools.cache
def policy() -> str:
    """Return the policy of the page: nothing from elsewhere, no script but its own and the pinned ones."""
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in (own_script(), *map(library, LIBRARIES)))
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(data: Any) -> Markup:
    """Return data as JSON for a script element; no text in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  without < nothing is markup
