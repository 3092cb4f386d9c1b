"""What the site needs beyond MkDocs: pages made from the code and from notebooks, formulas without scripts.

Loaded by MkDocs as a hook (``mkdocs.yml``). Nothing is run and nothing is fetched: notebooks are shown with the
outputs they were stored with, formulas become MathML.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

import latex2mathml.converter
from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))
from notebook_page import markdown_of

PROJECT = Path(__file__).parents[1]
#: Folder of docs: the section of the navigation that lists whatever it holds.
GATHERED = {"concepts": "Concepts", "adr": "Decisions"}
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: Any) -> Any:
    """Complete the navigation: pages that no line names, and one page of the reference for each room."""
    named = str(config.nav)
    for folder, section in GATHERED.items():
        pages = sorted(f"{folder}/{path.name}" for path in Path(config.docs_dir, folder).glob("*.md"))
        _section(config.nav, section).extend(page for page in pages if f"'{page}'" not in named)
    python = _section(_section(config.nav, "Reference"), "Python")
    python.extend({room: f"reference/python/{room}.md"} for room in rooms())
    return config


def _section(nav: list[Any], title: str) -> list[Any]:
    (found,) = [entry[title] for entry in nav if isinstance(entry, dict) and title in entry]
    return found


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of rooms and notebooks."""
    for room, modules in rooms().items():
        page = "\n\n".join([f"# ionscape.{room}", *(f"::: {module}" for module in modules)])
        files.append(File.generated(config, f"reference/python/{room}.md", content=page))
    for notebook in sorted(Path(config.docs_dir, "notebooks").glob("*.ipynb")):
        page = markdown_of(notebook)
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=page))
    return files


def on_page_content(text: str, page: Any, config: Any, files: Any) -> str:
    """Return the page with its formulas as MathML, which browsers show without a script."""
    del page, config, files
    return FORMULA.sub(_mathml, text)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[2] == "[" else "inline"
    return latex2mathml.converter.convert(html.unescape(found[3]).strip(), display=display)


def rooms() -> dict[str, list[str]]:
    """Return the modules that hold anything public, by room; the command line has a page of its own."""
    found: dict[str, list[str]] = {}
    root = PROJECT / "src" / "ionscape"
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] != "cli" and not parts[-1].startswith("_") and _has_public_parts(path):
            room = parts[0] if len(parts) > 1 else "foundation"
            found.setdefault(room, []).append(".".join(("ionscape", *parts)))
    return found


def _has_public_parts(path: Path) -> bool:
    return re.search(r"^(def|class) [^_]", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
