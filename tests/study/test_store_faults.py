"""The store under faults of disks, clocks and network file systems: told clearly, nothing lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ionscape.study import tasks
from ionscape.study.store import Store, request_key

REQUEST = {"kind": "toy", "meaning": 1, "numbers": [1.5, -0.25]}
KEY = request_key(REQUEST)
FILES = {"input.json": REQUEST, "result.json": {"energy_eV": -1.25}, "provenance.json": {}}


def publish(store: Store) -> None:
    working = store.working_folder(KEY)
    working.mkdir(exist_ok=True)
    (working / "trajectory.bin").write_bytes(bytes(range(64)))
    with store.lock(KEY):
        store.publish(KEY, FILES)


def whole(store: Store) -> bool:
    return KEY in store and store.damage(KEY) is None and store.read(KEY) == FILES["result.json"]


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ESTALE, errno.EIO])
def test_a_rename_that_failed_though_it_happened_counts(tmp_path: Path, monkeypatch, code: int) -> None:
    rename = Path.rename

    def twice(self: Path, target: Path) -> None:
        rename(self, target)
        raise OSError(code, os.strerror(code))

    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", twice)
        publish(store)
    assert whole(store)
    assert store.unfinished() == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EACCES])
def test_a_rename_that_did_not_happen_is_told_and_repeated(tmp_path: Path, monkeypatch, code: int) -> None:
    def never(self: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", never)
        with pytest.raises(OSError, match=os.strerror(code)):
            publish(store)
    assert KEY not in store
    assert store.unfinished() == [KEY]
    publish(store)
    assert whole(store)


def test_the_result_of_a_faster_host_is_kept(tmp_path: Path) -> None:
    """Where locks do not reach from host to host, both finish: the first one stands."""
    store = Store(tmp_path)
    publish(store)
    first = store.folder(KEY).stat().st_ino
    publish(store)
    assert store.folder(KEY).stat().st_ino == first
    assert whole(store)
    assert store.unfinished() == []


def test_a_stale_handle_is_opened_again(tmp_path: Path, monkeypatch) -> None:
    store, failures, read = Store(tmp_path), iter(range(2)), Path.read_bytes
    publish(store)

    def stale(self: Path) -> bytes:
        if next(failures, None) is not None:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", stale)
    assert store.read(KEY) == FILES["result.json"]


@pytest.mark.parametrize("name", ["write_text", "write_bytes"])
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch, name: str, toy, cells) -> None:
    store = Store(tmp_path / "store")
    done, missing = (tasks.single_point_request(cell, toy()) for cell in cells(2))
    assert tasks.perform(done, str(store.root), 1)["error"] == ""

    def full(self: Path, *content: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, full)
        told = tasks.perform(missing, str(store.root), 1)["error"]
        assert ("No space left" in told) == (name == "write_text")
        assert tasks.perform(done, str(store.root), 1)["error"] == ""
    assert all(store.damage(key) is None for key in store.finished())
    assert tasks.perform(missing, str(store.root), 1)["error"] == ""
    assert request_key(missing) in store


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: the system itself refuses, as a full disk does."""
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 40, 200])
def test_writes_that_the_system_cuts_leave_nothing_behind_that_is_read(tmp_path: Path, size: int) -> None:
    store = Store(tmp_path)
    with largest_file(size), pytest.raises(OSError, match="File too large"):
        publish(store)
    assert KEY not in store
    publish(store)
    assert whole(store)


UNPRIVILEGED = """
import os, sys
os.setgid(65534); os.setuid(65534)
from pathlib import Path
from ionscape.study.store import Store
from ionscape.errors import StoreError
from ionscape.study.catalogue import Catalogue
store = Store(Path(sys.argv[1]))
print(store.read(sys.argv[2])["energy_eV"], store.damage(sys.argv[2]), len(list(Catalogue(store).rows())))
try:
    with store.lock("0" * 64):
        print("locked")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become another user")
def test_a_store_without_permission_to_write_is_read_and_says_so(capfd) -> None:
    with tempfile.TemporaryDirectory() as folder:  # other users do not reach into the folders of tests
        Path(folder).chmod(0o755)
        store = Store(Path(folder) / "store")
        publish(store)
        script = [sys.executable, "-c", UNPRIVILEGED, str(store.root), KEY]
        done = subprocess.run(script, capture_output=True, text=True, check=False, cwd="/")
        if "ModuleNotFoundError" in done.stderr or "Permission denied: '/" in done.stderr.split("store")[0]:
            pytest.skip("another user cannot reach the interpreter")
        assert done.stdout.split() == ["-1.25", "None", "1", "PermissionError"], done.stderr


def test_the_clock_may_jump_backwards(tmp_path: Path, monkeypatch, toy, cells) -> None:
    store = Store(tmp_path / "store")
    first, second = (tasks.single_point_request(cell, toy()) for cell in cells(2))
    assert tasks.perform(first, str(store.root), 1)["error"] == ""
    past = time.time() - 1e8
    monkeypatch.setattr(time, "time", lambda: past)
    assert tasks.perform(second, str(store.root), 1)["error"] == ""
    for path in store.folder(request_key(second)).iterdir():
        os.utime(path, (0, 0))
    os.utime(store.folder(request_key(second)), (0, 0))
    from ionscape.study.catalogue import Catalogue

    rows = list(Catalogue(store).rows())
    assert {row.key for row in rows} == {request_key(first), request_key(second)} == set(store.finished())
    assert not any(row.damage or store.damage(row.key) for row in rows)


RUNNER = """
import json, sys
from ionscape.study import tasks
for request in json.load(open(sys.argv[1])):
    error = tasks.perform(request, sys.argv[2], 1)["error"]
    assert not error, error
"""


def test_two_runs_share_a_store(tmp_path: Path, toy: Callable, cells: Callable, lines: Callable) -> None:
    requests = [
        tasks.single_point_request(cell, toy(seconds=0.01, diary=str(tmp_path / "d"))) for cell in cells(12)
    ]
    (tmp_path / "asked.json").write_text(json.dumps(requests))
    script = [sys.executable, "-c", RUNNER, str(tmp_path / "asked.json"), str(tmp_path / "store")]
    assert [run.wait() for run in [subprocess.Popen(script) for _ in range(2)]] == [0, 0]
    store = Store(tmp_path / "store")
    assert sorted(store.finished()) == sorted(map(request_key, requests))
    assert len(lines(tmp_path / "d")) == len(requests)
    assert all(store.damage(key) is None for key in store.finished())
