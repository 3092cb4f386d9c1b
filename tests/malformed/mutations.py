"""What goes wrong with files: cut, garbled, of another kind, out of reach, or with an impossible number."""

from __future__ import annotations

import functools
import gzip
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Makes the malformed thing at a path.
Maker = Callable[[Path], None]
NUMBER = re.compile(rb"(?<![\w.+-])[+-]?(?:\d+\.\d*|\.?\d+)(?:[eE][+-]?\d+)?(?![\w.])")
FLOAT = re.compile(rb"(?<![\w.+-])[+-]?\d+\.\d+(?:[eE][+-]?\d+)?(?![\w.])")
PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)


class Mutation(NamedTuple):
    """A way to go wrong: its name, what makes it, and whether the file still says what it said before."""

    name: str
    make: Maker
    harmless: bool = False


def holding(content: bytes) -> Maker:
    """Return the maker of a file with this content."""

    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


def making(content: Callable[[], bytes]) -> Maker:
    """Return the maker of a file whose content is made when it is wanted: large ones, of which there are many."""

    def make(path: Path) -> None:
        path.write_bytes(content())

    return make


def bomb(megabytes: int, filling: bytes = b"0", head: bytes = b"") -> Maker:
    """Return the maker of a small gzip file that holds `head` and then so many megabytes of `filling`."""

    def content() -> bytes:
        member = gzip.compress(filling * ((1 << 24) // len(filling)))
        return (gzip.compress(head) if head else b"") + member * (megabytes // 16)

    return making(content)


def broken(content: bytes) -> Iterator[Mutation]:
    """Yield what can happen to any file; none of it can be read as what it was."""
    noise = np.random.default_rng(len(content)).integers(0, 256, 4096, dtype=np.uint8).tobytes()
    contents = {
        "empty": b"",
        "blank": b" \n\t\n \n",
        "zeros": bytes(4096),
        "noise": noise,
        "noise behind the beginning": content[: len(content) // 8] + noise,
        "a web page": PAGE,
        "a picture": PNG,
        "in UTF-16": b"\xff\xfe" + content.decode("latin-1").encode("utf-16-le"),
        "its first tenth": content[: len(content) // 10],
        "its first bytes": content[:7],
        "Python code": b"import os\nos.system('echo taken over')\n",
    }
    for name, changed in contents.items():
        yield Mutation(name, holding(changed))
    yield Mutation("one long line", making(lambda: b"x" * 2_000_000))
    yield Mutation("many numbers", making(lambda: b"1 2 3 4 5 6\n" * 20_000))
    yield Mutation("nested brackets", making(lambda: b"[" * 100_000))
    yield Mutation("nested braces", making(lambda: b'{"a":' * 100_000))
    yield from unreachable(content)


def unreachable(content: bytes) -> Iterator[Mutation]:
    """Yield what stands in place of a file and is none, or may not be read."""
    yield Mutation("a folder", lambda path: path.mkdir())
    yield Mutation("a link to nothing", lambda path: path.symlink_to(path.with_name("nothing")))
    yield Mutation("a link to itself", lambda path: path.symlink_to(path))
    yield Mutation("a link to endless zeros", lambda path: path.symlink_to("/dev/zero"))
    yield Mutation("a pipe", os.mkfifo)
    if os.geteuid() != 0:  # the superuser may read everything
        yield Mutation("not permitted", functools.partial(_forbidden, content))


def _forbidden(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    path.chmod(0)


def dressed(content: bytes) -> Iterator[Mutation]:
    """Yield a text in other clothes: to be refused, or to be read as the same."""
    yield Mutation("with a byte order mark", holding(b"\xef\xbb\xbf" + content), harmless=True)
    yield Mutation("with line ends of Windows", holding(content.replace(b"\n", b"\r\n")), harmless=True)
    yield Mutation("with blank lines at its end", holding(content + b"\n\n   \n"), harmless=True)
    yield Mutation("without its last line end", holding(content.rstrip(b"\n")), harmless=True)
    yield Mutation("with noise at its end", holding(content + b"\xfe\x00\xff" * 20), harmless=True)


def garbled(content: bytes, which: re.Pattern[bytes] = FLOAT) -> Iterator[Mutation]:
    """Yield the text with one number replaced by what is no number of a crystal."""
    found = list(which.finditer(content))
    places = {"first": found[0], "middle": found[len(found) // 2], "last": found[-1]}
    for place, match in places.items():
        for text in (b"nan", b"inf", b"-1e400", b"1e30", b"abc", b"1.2.3", b"--", b"0x1F", b"\xff\xfe"):
            changed = content[: match.start()] + text + content[match.end() :]
            yield Mutation(f"{place} number is {text!r}", holding(changed))


def replaced(content: bytes, *changes: tuple[str, bytes, bytes], harmless: bool = False) -> Iterator[Mutation]:
    """Yield the content with one piece of it replaced by another, each by its name."""
    for name, old, new in changes:
        assert old in content, (name, old)
        yield Mutation(name, holding(content.replace(old, new, 1)), harmless)


def without_lines(content: bytes, *numbers: int) -> Iterator[Mutation]:
    """Yield the text without one of its lines."""
    lines = content.split(b"\n")
    for number in numbers:
        rest = lines[:number] + lines[number:][1:]
        yield Mutation(f"without line {number}", holding(b"\n".join(rest)))
