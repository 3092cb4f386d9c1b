"""VASP's XDATCAR, of a fixed cell (one header) and of a changing one (a header before every frame)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ionscape.dynamics.formats.source import (
    Frame,
    Header,
    Types,
    different_atoms,
    elements_of,
    from_settings,
    malformed,
)
from ionscape.dynamics.formats.text import (
    INCOMPLETE,
    Window,
    atoms_told,
    columns_of,
    empty_labels,
    frames_of,
    numbers_of,
    opened,
    read_table,
)
from ionscape.units import Array

_CONFIGURATION = re.compile(rb"[ \t]*(?:Direct|Konfig)[^\n]*\n")
_HEADER = re.compile(
    rb"[^\n]*\n(?P<scale>[^\n]*)\n(?P<cell>(?:[^\n]*\n){3})(?P<names>[^\n]*)\n(?P<counts>[^\n]*)\n"
)
_TAG = re.compile(r"^\s*(\w+)\s*=\s*([^\s;#!]+)", re.MULTILINE)
_XML_TAG = re.compile(r'<i [^>]*name="\s*(\w+)"[^>]*>([^<]*)</i>')
_OUTCAR_TAG = re.compile(r"\b(POTIM|NBLOCK|TEBEG|TEEND|ML_OUTBLOCK)\s*=\s*(-?[\d.]+)")
#: Bytes of a file in which settings stand.
_HEAD = 1 << 21
_BLANK = re.compile(rb"\s*")
_COLUMNS = columns_of(["x", "y", "z"], ["x", "y", "z"])


class Xdatcar:
    """An XDATCAR file; time step and temperature come from the INCAR, vasprun.xml or OUTCAR beside it.

    XDATCAR is written every max(NBLOCK, ML_OUTBLOCK) steps (https://vasp.at/wiki/NBLOCK).
    """

    fractional = True
    wrapped = True

    def __init__(self, path: Path, types: Types = None) -> None:
        self.path = path
        self._types = types
        self._symbols: dict[tuple[bytes, bytes], tuple[str, ...]] = {}
        with Window(path) as window:
            window.more()
            head = _HEADER.match(window.data)
        if head is None:
            raise malformed(str(path), "no header of seven lines", "an XDATCAR file")
        cell, symbols = self._header(head)
        self._cell = cell
        interval, temperature = from_settings(settings_beside(path), ("NBLOCK", "ML_OUTBLOCK"))
        hint = (
            ""
            if interval
            else "no INCAR, vasprun.xml or OUTCAR beside the file tells POTIM: the interval is POTIM × NBLOCK"
        )
        self.header = Header(symbols, interval, temperature, hint)

    def frames(self) -> Iterator[Frame]:
        """Yield the complete frames in order."""
        cell = self._cell

        def parse(window: Window, count: int) -> Frame | None:
            nonlocal cell
            frame = self._next(window, cell, count)
            cell = cell if frame is None else frame.cell
            return frame

        yield from frames_of(self.path, parse)

    def _next(self, window: Window, cell: Array, count: int) -> Frame | None:
        data = window.data
        start = _BLANK.match(data, window.position).end()  # type: ignore[union-attr]
        line = _CONFIGURATION.match(data, start)
        if line is None:
            head = _HEADER.match(data, window.position)  # its first line, a comment, may be blank
            if head is None:
                return None
            cell, symbols = self._header(head)
            if symbols != self.header.symbols:
                raise different_atoms(
                    f"{self.path}, frame {count}", formula(symbols), formula(self.header.symbols)
                )
            line = _CONFIGURATION.match(data, head.end())
            if line is None:
                if data[head.end() :].strip() and b"\n" in data[head.end() :]:
                    raise malformed(
                        f"{self.path}, frame {count}", "no line 'Direct configuration='", "one per frame"
                    )
                return None
        table = np.empty((len(self.header.symbols), 3))
        end = read_table(window.array, line.end(), _COLUMNS, table, empty_labels(0))
        if end == INCOMPLETE:
            return None
        if end < 0:
            raise malformed(
                f"{self.path}, frame {count}", f"atom {-2 - end} has no three coordinates", "one per line"
            )
        window.position = end
        return Frame(table, cell)

    def _header(self, head: re.Match[bytes]) -> tuple[Array, tuple[str, ...]]:
        try:
            scale = float(head["scale"])
            cell = np.array([numbers_of(line)[:3] for line in head["cell"].splitlines()]).reshape(3, 3)
        except ValueError as error:
            raise malformed(str(self.path), f"the header cannot be read ({error})", "an XDATCAR file") from None
        size = scale if scale > 0 else (-scale / max(abs(np.linalg.det(cell)), 1e-12)) ** (1 / 3)
        lines = head["names"], head["counts"]
        if lines not in self._symbols:  # a changing cell repeats them before every frame
            self._symbols[lines] = self._symbols_of(*lines)
        return size * cell, self._symbols[lines]

    def _symbols_of(self, names_line: bytes, counts_line: bytes) -> tuple[str, ...]:
        names = names_line.decode(errors="replace").split()
        atoms_told(counts_line.split(), str(self.path))
        counts = [int(word) for word in counts_line.split()]
        if len(names) != len(counts) or not counts:
            raise malformed(str(self.path), f"{len(names)} elements with {len(counts)} counts", "an XDATCAR file")
        labels = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
        return elements_of(labels, self._types, str(self.path))


def settings_beside(path: Path) -> dict[str, str]:
    """Return the settings of a run by the INCAR in the folder of `path`, else vasprun.xml, else OUTCAR.

    Upper case; none if no such file tells POTIM. The files may be compressed.
    """
    for name, tags in (("INCAR", _incar_tags), ("vasprun.xml", _xml_tags), ("OUTCAR", _outcar_tags)):
        for file in (path.parent / name, *(path.parent / f"{name}.{ending}" for ending in ("gz", "bz2", "xz"))):
            found = tags(_head(file)) if file.is_file() else {}
            if "POTIM" in found:
                return found
    return {}


def _head(path: Path) -> str:
    with opened(path) as file:
        return file.read(_HEAD).decode("utf-8", errors="replace")


def _incar_tags(text: str) -> dict[str, str]:
    return {name.upper(): value for name, value in _TAG.findall(text.replace(";", "\n"))}


def _xml_tags(text: str) -> dict[str, str]:
    return {name.upper(): value.strip() for name, value in _XML_TAG.findall(text)}


def _outcar_tags(text: str) -> dict[str, str]:
    """Return what an OUTCAR says of the run: ``POTIM = 2.0000``, ``TEBEG = 600.0; TEEND = 600.0``."""
    return dict(_OUTCAR_TAG.findall(text))


def formula(symbols: tuple[str, ...]) -> str:
    """Return the composition in the order of the atoms, e.g. Li6Zr2O7."""
    parts: list[list[str | int]] = []
    for symbol in symbols:
        if parts and parts[-1][0] == symbol:
            parts[-1][1] = int(parts[-1][1]) + 1
        else:
            parts.append([symbol, 1])
    short = "".join(f"{symbol}{count}" for symbol, count in parts[:8])
    return short + ("…" if len(parts) > 8 else "")
