"""Examples of the documentation, run: files that pages write, commands, and what the commands print.

    python tools/examples.py [PAGE…] [--refresh]

A page's blocks are run in order, in an empty folder of the page:

- a block with a ``title="NAME"`` in its first line is the file NAME;
- a block ``console`` holds commands, each after ``$ ``, and what they print. ``ionscape …`` is run in this
  process, anything else by a shell that sees the documentation's folder as ``$DOCS``.

What is printed must be what stands there, word by word. Numbers may differ by one part in a hundred, since
processors round differently, and in a block ``console sampled`` (random numbers, times) by anything. A line
``…``, one a command at most, stands for any lines. ``--refresh`` writes what was printed into the pages,
commands with ``…`` apart.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(?P<head>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*[A-Za-z])")
TOLERANCE = 0.01
ANY = "…"


@dataclass(frozen=True)
class Printed:
    """A command of a page, what stands below it, what it printed, and whether its numbers are left alone."""

    command: str
    written: str
    printed: str
    sampled: bool

    def holds(self) -> bool:
        """Tell whether the page says what was printed."""
        return alike(self.written, self.printed, sampled=self.sampled)


def pages() -> list[Path]:
    """Return the pages that hold commands with what they print."""
    return sorted(path for path in DOCS.rglob("*.md") if "```console" in path.read_text(encoding="utf-8"))


def run_page(page: Path, folder: Path) -> Iterator[Printed]:
    """Write the files of `page` into `folder` and run its commands there."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        title = re.search(r'title="([^"]+)"', block["head"])
        if title:
            (folder / title[1]).write_text(block["body"], encoding="utf-8")
        elif block["head"].startswith("console"):
            for command, written in commands_of(block["body"]):
                yield Printed(command, written, run(command, folder), "sampled" in block["head"])


def commands_of(body: str) -> Iterator[tuple[str, str]]:
    """Yield every command of a block, continued lines joined, with the lines below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        joined = part.replace("\\\n", " ")
        command, _, written = joined.partition("\n")
        yield command, written


def run(command: str, folder: Path) -> str:
    """Return what `command` prints on standard output in `folder`; it must end well."""
    if command.startswith("ionscape "):
        return _in_process(shlex.split(command)[1:], folder)
    environment = {**os.environ, "DOCS": str(DOCS)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def _in_process(arguments: list[str], folder: Path) -> str:
    from ionscape.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    if code:
        raise RuntimeError(f"ionscape {shlex.join(arguments)}: exit code {code}\n{err.getvalue()}{out.getvalue()}")
    return out.getvalue()


def alike(written: str, printed: str, *, sampled: bool = False) -> bool:
    """Tell whether `printed` is what was written, numbers within the tolerance, ``…`` for any lines."""
    parts = re.split(rf"^{ANY}$\n?", written, flags=re.MULTILINE)
    lines = [[_words(line) for line in part.splitlines()] for part in parts]
    seen = [_words(line) for line in printed.splitlines()]
    if len(lines) > 2:
        raise ValueError("one ellipsis a command")
    if len(lines) == 1:
        return len(lines[0]) == len(seen) and all(
            _same(*pair, sampled) for pair in zip(lines[0], seen, strict=True)
        )
    first, last = lines[0], lines[-1]
    if len(seen) < len(first) + len(last):
        return False
    ends = [*zip(first, seen, strict=False), *zip(reversed(last), reversed(seen), strict=False)]
    return all(_same(one, other, sampled) for one, other in ends)


def _words(line: str) -> list[str]:
    return line.split()


def _same(written: list[str], printed: list[str], sampled: bool) -> bool:
    """Tell whether two lines are alike: the same words, and numbers that are near."""
    one, other = " ".join(written), " ".join(printed)
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return sampled or all(_near(*pair) for pair in pairs)


def _near(one: str, other: str) -> bool:
    """Tell whether two numbers differ by no more than the tolerance, or by two units of the last place."""
    a, b = (float(number.replace("−", "-")) for number in (one, other))
    places = max(len(number.partition(".")[2]) for number in (one, other))
    last = 10.0**-places if places and "e" not in one + other else 0.0
    return abs(a - b) <= max(TOLERANCE * max(abs(a), abs(b)), 2.5 * last)


def refreshed(text: str, outcomes: list[Printed]) -> str:
    """Return the page with what was printed; what holds, and what has an ellipsis, stays as it is."""
    for one in outcomes:
        if one.holds() or f"\n{ANY}\n" in f"\n{one.written}":
            continue
        head = one.command.split(" \\")[0][:40]
        start = text.index(f"$ {head}")
        place = text.index(one.written, start) if one.written else text.index("\n", start) + 1
        shown = "\n".join(line.rstrip() for line in one.printed.rstrip("\n").splitlines()) + "\n"
        text = text[:place] + shown + text[place + len(one.written) :]
    return text


def main(arguments: list[str]) -> int:
    """Run the pages; tell what differs, or write it down."""
    chosen = [Path(name).resolve() for name in arguments if not name.startswith("--")] or pages()
    wrong = 0
    for page in chosen:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = list(run_page(page, Path(folder)))
        if "--refresh" in arguments:
            page.write_text(refreshed(page.read_text(encoding="utf-8"), outcomes), encoding="utf-8")
        for one in outcomes:
            if not one.holds():
                wrong += 1
                print(f"{page.name}: $ {one.command}\n{one.printed}")
    return 1 if wrong and "--refresh" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
