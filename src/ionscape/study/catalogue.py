"""What a store holds, as a table: kind, level, formula and more of every finished calculation.

The folders are the truth; this is a copy of a few words of each, so that a hundred thousand need not be opened::

    index/ab.jsonl      one line for each calculation in calculations/ab: a checksum and a row

Every publication adds its line; whoever asks compares the lines with the folders, reads those that are new or were
changed, forgets those that are gone, and writes the file anew. It may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ionscape.errors import StoreError
from ionscape.study.store import CALCULATIONS, INPUT, PROVENANCE, RESULT, Store, is_key
from ionscape.units import Count, Unit

if TYPE_CHECKING:
    import pandas as pd

INDEX = "index"


class Row(NamedTuple):
    """One finished calculation.

    Attributes
    ----------
    key
        Name of its folder.
    kind
        What was calculated.
    level
        Name of the level of theory; empty for what needs none.
    formula
        Reduced formula of the structure, of several joined by ``+``; empty for analyses of runs.
    atoms
        Atoms of the largest cell.
    outcome
        ``done``, ``not converged``, ``stopped`` or ``failed``.
    finished
        When, ISO 8601, UTC.
    seconds
        Wall time.
    modified
        Time of the last change of the folder, ns: another one means that the row is out of date.
    damage
        What is wrong with the folder as far as its list of files tells; empty if nothing.
    """

    key: str
    kind: str = ""
    level: str = ""
    formula: str = ""
    atoms: Count = 0
    outcome: str = ""
    finished: str = ""
    seconds: Annotated[float, Unit("s")] = 0.0
    modified: int = 0
    damage: str = ""


class Catalogue:
    """The rows of a store.

    Parameters
    ----------
    store
        The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.root / INDEX

    def note(self, key: str, files: Mapping[str, Any]) -> None:
        """Add the row of a calculation that was just published; what fails here is made up for by `rows`."""
        try:
            modified = self._store.folder(key).stat().st_mtime_ns
            line = _sealed(_row(key, files, modified))
            self._folder.mkdir(exist_ok=True)
            descriptor = os.open(self._file(key[:2]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except (OSError, KeyError, TypeError, ValueError):
            return

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all finished calculations, in the order of their keys, as the folders are now."""
        for prefix in self._store.prefixes():
            yield from self._current(prefix)

    def frame(self, *, kind: str = "", level: str = "", formula: str = "") -> pd.DataFrame:
        """Return the rows as a table of pandas, of one kind, level or reduced formula if these are given."""
        import pandas as pd

        wanted = {"kind": kind, "level": level, "formula": formula}
        asked = {name: value for name, value in wanted.items() if value}
        found = [row for row in self.rows() if all(getattr(row, k) == v for k, v in asked.items())]
        return pd.DataFrame(found, columns=list(Row._fields)).drop(columns="modified").set_index("key")

    def _file(self, prefix: str) -> Path:
        return self._folder / f"{prefix}.jsonl"

    def _current(self, prefix: str) -> list[Row]:
        known = self._read(prefix)
        folders = self._store.root / CALCULATIONS / prefix
        with os.scandir(folders) as entries:
            times = {e.name: e.stat(follow_symlinks=False).st_mtime_ns for e in entries if is_key(e.name)}
        rows = {key: row for key, row in known.items() if times.get(key) == row.modified}
        new = {key: self._fresh(key, modified) for key, modified in times.items() if key not in rows}
        current = [found for _, found in sorted((rows | new).items())]
        if new or len(rows) < len(known):
            self._write(prefix, current)
        return current

    def _read(self, prefix: str) -> dict[str, Row]:
        try:
            lines = self._file(prefix).read_bytes().split(b"\n")
        except OSError:
            return {}
        texts = [text for text in map(_opened, lines) if text]
        return {row.key: row for row in map(Row._make, json.loads(b"[" + b",".join(texts) + b"]"))}

    def _fresh(self, key: str, modified: int) -> Row:
        damage = self._store.damage(key, rehash=False)
        if damage is not None:
            return Row(key, modified=modified, damage=damage)
        try:
            return _row(key, {n: self._store.read(key, n) for n in (INPUT, RESULT, PROVENANCE)}, modified)
        except (StoreError, KeyError, TypeError, ValueError) as error:
            return Row(key, modified=modified, damage=str(error))

    def _write(self, prefix: str, rows: list[Row]) -> None:
        part = self._file(prefix).with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(exist_ok=True)
            part.write_bytes(b"".join(map(_sealed, rows)))
            part.replace(self._file(prefix))
        except OSError:
            part.unlink(missing_ok=True)  # a store that is only read has none: it is read again each time


def _row(key: str, files: Mapping[str, Any], modified: int) -> Row:
    request, result, provenance = files[INPUT], files[RESULT], files.get(PROVENANCE, {})
    level = request.get("level")
    cells = request.get("cells") or ([request["structure"]] if "structure" in request else [])
    return Row(
        key=key,
        kind=str(request["kind"]),
        level=_level_name(level["identity"]) if isinstance(level, Mapping) else "",
        formula="+".join(_formula(cell["species"]) for cell in cells),
        atoms=max((len(cell["species"]) for cell in cells), default=0),
        outcome=_outcome(result),
        finished=str(provenance.get("finished", "")),
        seconds=float(provenance.get("seconds", 0.0)),
        modified=modified,
    )


def _level_name(identity: Mapping[str, Any]) -> str:
    return str(identity.get("name") or identity.get("factory") or "")


def _outcome(result: Mapping[str, Any]) -> str:
    if "failure" in result:
        return "failed"
    if "stopped" in result:
        return "stopped"
    return "not converged" if result.get("converged") is False else "done"


def _formula(species: list[str]) -> str:
    from pymatgen.core import Composition

    return str(Composition(Counter(species)).reduced_formula)


def _sealed(row: Row) -> bytes:
    text = json.dumps(row).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _opened(line: bytes) -> bytes:
    """Return the row in a line, as JSON; nothing for one that was cut or altered."""
    try:
        return line[9:] if int(line[:8], 16) == zlib.crc32(line[9:]) else b""
    except ValueError:
        return b""
