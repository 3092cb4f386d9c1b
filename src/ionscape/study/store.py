"""The store: one folder per calculation, named by what was calculated, written whole and never changed.

Layout of a store::

    store.json                        format of the store
    calculations/ab/abcd…/            a finished calculation
        input.json                    the request; its hash is the name of the folder
        result.json                   the answer
        provenance.json               versions, machine, date, duration
        manifest.json                 SHA-256 of every other file
        relaxation.traj, …            what the calculation wrote besides
    working/abcd…/                    a calculation in progress, or interrupted: its checkpoint
    locks/abcd….lock                  who is calculating (an advisory lock that dies with its process)
    index/ab.jsonl                    a few words of each, for listings (`study.catalogue`); may be deleted
    engine/1234/                      scratch files of the workers of a run, removed at its end or by the next run

A folder appears under ``calculations`` by one rename, after its files are on disk: whoever looks sees nothing or
everything. Two runs may share a store; the second asker of a key waits for the first, then reads.

On network file systems the answer to a rename may be lost and the rename asked again, so that it fails although it
happened: what counts is the folder that is there. A stale handle is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ionscape.errors import StoreError

FORMAT = 1
MANIFEST = "manifest.json"
INPUT, RESULT, PROVENANCE = "input.json", "result.json", "provenance.json"
MARKER = "store.json"
CALCULATIONS = "calculations"
FOLDERS = (CALCULATIONS, "working", "locks")
_KEY = re.compile("[0-9a-f]{64}")
#: Attempts at a file whose handle is stale: on a network file system another host replaced it.
ATTEMPTS = 3


def request_key(request: Mapping[str, Any]) -> str:
    """Return the key of a request: SHA-256 of its canonical JSON (sorted keys, shortest exact floats).

    Where a level's file lies (its ``address``) is no part of it: the level's identity tells what is in the file.
    """
    level = request.get("level")
    if isinstance(level, Mapping):
        request = {**request, "level": {name: value for name, value in level.items() if name != "address"}}
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_key(name: str) -> bool:
    """Tell whether `name` is that of a calculation: file systems leave files of their own beside them."""
    return _KEY.fullmatch(name) is not None


def names_in(folder: Path) -> Iterator[str]:
    """Yield the names in a folder."""
    return (path.name for path in folder.iterdir())


class Store:
    """A folder of finished calculations.

    Parameters
    ----------
    root
        Folder of the store; made if it does not exist.

    Raises
    ------
    StoreError
        If `root` cannot be used as a store: a file, unreadable, of another format, or another kind of folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._check_format()

    def folder(self, key: str) -> Path:
        """Return the folder of the finished calculation `key`, existing or not."""
        return self.root / CALCULATIONS / key[:2] / key

    def working_folder(self, key: str) -> Path:
        """Return the folder in which `key` is being calculated; what an interrupted run left is in it."""
        return self.root / "working" / key

    def __contains__(self, key: str) -> bool:
        """Tell whether `key` is finished."""
        return self.folder(key).is_dir()

    def finished(self) -> Iterator[str]:
        """Yield the keys of all finished calculations."""
        for prefix in self.prefixes():
            yield from sorted(filter(is_key, names_in(self.root / CALCULATIONS / prefix)))

    def prefixes(self) -> list[str]:
        """Return the first two letters of all keys that may be finished: folders of `CALCULATIONS`."""
        return sorted(path.name for path in (self.root / CALCULATIONS).glob("[0-9a-f][0-9a-f]") if path.is_dir())

    def unfinished(self) -> list[str]:
        """Return the keys of calculations that were begun and are not finished."""
        working = self.root / "working"
        return sorted(name for name in filter(is_key, names_in(working)) if name not in self)

    def read(self, key: str, name: str = RESULT) -> dict[str, Any]:
        """Return the JSON file `name` of the finished calculation `key`, after checking its hash.

        Raises
        ------
        StoreError
            If the file does not have the content with which it was stored.
        """
        folder = self.folder(key)
        try:
            manifest = json.loads(_content(folder / MANIFEST).decode())
            content = _content(folder / name)
            if _sha256(content) != manifest[name]:
                raise _altered(folder, f"{name} was changed after it was stored")
            data: dict[str, Any] = json.loads(content)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise _altered(folder, f"{name} cannot be read ({error})") from None
        return data

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the lock of `key`; waits while another process holds it. Freed when the holder dies."""
        path = self.root / "locks" / f"{key}.lock"
        while True:
            with path.open("a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.fstat(handle.fileno()).st_nlink == 0:
                    continue  # the holder finished and removed the file while this process waited
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):  # a file that is left locks nobody out
                        path.unlink()
                return

    def publish(self, key: str, files: Mapping[str, Any]) -> None:
        """Make the working folder of `key`, with the JSON `files` added, the finished calculation.

        The caller holds the lock of `key`.
        """
        working, final = self.working_folder(key), self.folder(key)
        for name, content in files.items():
            (working / name).write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))
        (working / MANIFEST).unlink(missing_ok=True)  # of a publication that was interrupted
        hashes = {path.name: _sha256(path.read_bytes()) for path in sorted(working.iterdir())}
        (working / MANIFEST).write_text(json.dumps(hashes, indent=1, sort_keys=True))
        for path in (*working.iterdir(), working):
            _flush(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        self._rename(working, final)
        _flush(final.parent)

    def _rename(self, working: Path, final: Path) -> None:
        try:
            working.rename(final)
        except OSError:
            if not final.is_dir() or self.damage(final.name) is not None:
                raise
            self.discard_work(final.name)  # it happened, or another host was faster

    def discard_work(self, key: str) -> None:
        """Remove the working folder of `key`."""
        shutil.rmtree(self.working_folder(key), ignore_errors=True)

    def damage(self, key: str, *, rehash: bool = True) -> str | None:
        """Return what is wrong with the finished calculation `key`, or None.

        Every file is read and hashed again; without `rehash` only looked for.
        """
        folder = self.folder(key)
        try:
            manifest = json.loads(_content(folder / MANIFEST).decode())
            present = {path.name for path in folder.iterdir()} - {MANIFEST}
            if present != set(manifest):
                odd = ", ".join(sorted(present ^ set(manifest)))
                return f"files missing or added: {odd}"
            for name, digest in manifest.items() if rehash else ():
                if _sha256(_content(folder / name)) != digest:
                    return f"{name} was changed after it was stored"
            if rehash and request_key(json.loads(_content(folder / INPUT).decode())) != key:
                return "input.json is not the request this folder is named after"
        except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
            return f"cannot be read ({error})"
        return None

    def _check_format(self) -> None:
        marker = self.root / MARKER
        try:
            if not marker.exists() and (foreign := self._foreign_content()):
                raise StoreError(
                    f"a folder with other content ({foreign})",
                    where=f"store {self.root}",
                    expected="an ionscape store, an empty folder, or a new path",
                    remedy="Choose another folder with --store or --out.",
                )
            for name in FOLDERS:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            if not marker.exists():
                part = marker.with_suffix(f".{os.getpid()}")
                part.write_text(json.dumps({"format": FORMAT}))
                part.rename(marker)
            if not marker.is_file():  # a pipe would keep us waiting for ever
                raise ValueError(f"{MARKER} is no file")
            found = json.loads(marker.read_text())["format"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"cannot be used ({error})",
                where=f"store {self.root}",
                expected="a folder that can be read and written",
                remedy="Check the path and its permissions, or choose another with --store.",
            ) from None
        if found != FORMAT:
            raise StoreError(
                f"format {found}",
                where=f"store {self.root}",
                expected=f"format {FORMAT}",
                remedy="Use the version of ionscape that made it, or a new store.",
            )

    def _foreign_content(self) -> str:
        # what another process, or one killed here, made on its way to a store is not foreign
        if not self.root.is_dir():
            return ""
        own = {*FOLDERS, MARKER}
        stem = Path(MARKER).stem
        return next((p.name for p in self.root.iterdir() if p.name not in own and p.stem != stem), "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    for _ in range(ATTEMPTS - 1):
        try:
            return path.read_bytes()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return path.read_bytes()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems flush no folders
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _altered(folder: Path, what: str) -> StoreError:
    return StoreError(
        what,
        where=f"stored calculation {folder}",
        expected="the content with which it was stored",
        remedy="Delete this folder; the next run calculates it again.",
    )
