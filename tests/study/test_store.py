"""The store: whole or nothing, once, and nothing altered is ever read."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.errors import StoreError
from ionscape.study.store import FORMAT, Store, request_key

REQUEST = {"kind": "toy", "meaning": 1, "numbers": [1.5, -0.25]}
KEY = request_key(REQUEST)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def published(store: Store) -> Path:
    """Publish a small calculation and return its folder."""
    working = store.working_folder(KEY)
    working.mkdir()
    (working / "trajectory.bin").write_bytes(bytes(range(64)))
    with store.lock(KEY):
        store.publish(
            KEY, {"input.json": REQUEST, "result.json": {"energy_eV": -1.25}, "provenance.json": {"a": 1}}
        )
    return store.folder(KEY)


@settings(deadline=None, max_examples=50)
@given(content=st.dictionaries(st.text(), values, max_size=6), seed=st.integers())
def test_key_does_not_depend_on_order(content: dict, seed: int) -> None:
    names = list(content)
    random.Random(seed).shuffle(names)
    shuffled = {name: content[name] for name in names}
    assert request_key(shuffled) == request_key(content)
    assert request_key(json.loads(json.dumps(shuffled))) == request_key(content)


@settings(deadline=None, max_examples=50)
@given(
    number=st.floats(allow_nan=False, allow_infinity=False), other=st.floats(allow_nan=False, allow_infinity=False)
)
def test_key_tells_apart_the_smallest_difference(number: float, other: float) -> None:
    same = repr(number) == repr(other)
    assert (request_key({"x": number}) == request_key({"x": other})) == same


def test_key_is_stable_across_versions() -> None:
    # SHA-256 of the text {"a":[1,2.5],"b":"x"}, by sha256sum of coreutils
    assert request_key({"b": "x", "a": [1, 2.5]}) == (
        "5cefae54a95b31dc660d6cbbb2198f0811fc70ee37b1cc85b1989870cd293ffb"
    )


def test_key_of_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        request_key({"x": float("nan")})


def test_published_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "store")
    assert KEY not in store
    folder = published(store)
    assert KEY in store
    assert list(store.finished()) == [KEY]
    assert store.read(KEY) == {"energy_eV": -1.25}
    assert store.read(KEY, "input.json") == REQUEST
    assert store.damage(KEY) is None
    assert not store.working_folder(KEY).exists()
    assert not list((store.root / "locks").iterdir())
    assert sorted(path.name for path in folder.iterdir()) == [
        "input.json",
        "manifest.json",
        "provenance.json",
        "result.json",
        "trajectory.bin",
    ]
    assert list(Store(store.root).finished()) == [KEY]


def test_nothing_is_seen_before_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    seen = []
    rename = Path.rename

    def spy(self: Path, target: Path) -> Path:
        other = Store(tmp_path)
        seen.append((KEY in other, list(other.finished()), other.unfinished()))
        on_disk = {path.name for path in self.iterdir()}
        assert on_disk == {"input.json", "manifest.json", "provenance.json", "result.json", "trajectory.bin"}
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", spy)
    published(store)
    assert seen == [(False, [], [KEY])]
    assert KEY in store


def test_interruption_while_publishing_leaves_it_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)

    def no_space(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", no_space)
        with pytest.raises(OSError, match="No space left"):
            published(store)
    assert KEY not in store
    assert store.unfinished() == [KEY]
    with store.lock(KEY):
        store.publish(KEY, {"input.json": REQUEST, "result.json": {}, "provenance.json": {}})
    assert store.damage(KEY) is None
    assert store.unfinished() == []


def test_a_flipped_bit_in_any_byte_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for path in sorted(published(store).iterdir()):
        original = path.read_bytes()
        for position in range(len(original)):
            bit = position % 8
            flipped = bytearray(original)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            assert store.damage(KEY) is not None, f"{path.name}, byte {position}, bit {bit}"
            if path.name == "result.json":
                with pytest.raises(StoreError, match="Delete this folder"):
                    store.read(KEY)
        path.write_bytes(original)
        assert store.damage(KEY) is None


@pytest.mark.parametrize("name", ["input.json", "manifest.json", "result.json", "trajectory.bin"])
@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"5", b"{}", b"\xff\xfe", b'{"a": 1'])
def test_replaced_file_is_found(tmp_path: Path, name: str, content: bytes) -> None:
    store = Store(tmp_path)
    folder = published(store)
    (folder / name).write_bytes(content)
    assert store.damage(KEY) is not None
    if name in {"manifest.json", "result.json"}:
        with pytest.raises(StoreError) as caught:
            store.read(KEY)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["input.json", "manifest.json", "result.json", "trajectory.bin"])
def test_missing_file_is_found(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    (published(store) / name).unlink()
    assert KEY in store
    assert store.damage(KEY) is not None
    if name in {"manifest.json", "result.json"}:
        with pytest.raises(StoreError, match="cannot be read"):
            store.read(KEY)


def test_added_file_and_misplaced_folder_are_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = published(store)
    (folder / "note.txt").write_text("mine")
    assert "note.txt" in (store.damage(KEY) or "")
    (folder / "note.txt").unlink()
    other = "ab" * 32
    store.folder(other).parent.mkdir(parents=True)
    shutil.copytree(folder, store.folder(other))
    assert "not the request" in (store.damage(other) or "")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": null}', '{"format": 2}', '{"format": "1"}', "\0"]
)
def test_store_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    Store(tmp_path)
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        Store(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_store_marker_with_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    marker = Store(tmp_path).root / "store.json"
    original = marker.read_bytes()
    assert json.loads(original) == {"format": FORMAT}
    for position in range(len(original)):
        for bit in range(8):
            flipped = bytearray(original)
            flipped[position] ^= 1 << bit
            marker.write_bytes(flipped)
            with pytest.raises(StoreError):
                Store(tmp_path)


def test_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot be used"):
            Store(root)


def test_folder_with_other_content_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"other content \(thesis.tex\)"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)  # as root may write everywhere, permissions cannot be used
    with pytest.raises(StoreError, match="Permission denied"):
        Store(tmp_path / "store")


@pytest.mark.parametrize("made", [(), ("calculations",), ("calculations", "locks", "working", "store.123")])
def test_store_whose_making_was_interrupted_is_made(tmp_path: Path, made: tuple[str, ...]) -> None:
    for name in made:
        (tmp_path / name).mkdir()
    assert list(Store(tmp_path).finished()) == []


def test_many_processes_may_make_the_same_store(tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from ionscape.study.store import Store; Store(Path({str(tmp_path / 's')!r}))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4


HOLDER = """
import sys, time
from pathlib import Path
from ionscape.study.store import Store
with Store(Path(sys.argv[1])).lock(sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_lock_is_held_by_one_and_freed_by_kill(tmp_path: Path) -> None:
    store = Store(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), KEY], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    acquired = threading.Event()

    def ask() -> None:
        with store.lock(KEY):
            acquired.set()

    waiting = threading.Thread(target=ask, daemon=True)
    waiting.start()
    with store.lock("another"):
        assert not acquired.wait(0.3)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert acquired.wait(10)
    waiting.join()


def test_lock_is_exclusive_among_many(tmp_path: Path) -> None:
    store = Store(tmp_path)
    inside, worst, entered = [0], [0], [0]

    def enter() -> None:
        for _ in range(20):
            with store.lock(KEY):
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
                entered[0] += 1
                os.sched_yield()
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == [1]
    assert entered == [160]


def test_where_the_file_of_a_level_lies_is_no_part_of_a_key() -> None:
    level = {"settings": {}, "identity": {"name": "sgpr:abc", "content_sha256": "abc"}}
    key = request_key({"kind": "single-point", "level": level})
    for address in ("sgpr:/here/model", "sgpr:/there/model"):
        assert request_key({"kind": "single-point", "level": {**level, "address": address}}) == key
    other = {**level, "identity": {"name": "sgpr:abd", "content_sha256": "abd"}}
    assert request_key({"kind": "single-point", "level": other}) != key
