"""The command line on one malformed input, in a process with limits on time and memory; and the judge."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutations import Maker

SECONDS = 20.0
#: Memory that a command may take beyond what this process has, bytes.
MEMORY = 3 << 30
#: Answers that depend on when and where a command ran.
PASSING = {"ms_per_evaluation", "seconds", "key", "structure", "files", "out", "frames", "candidates", "page"}


@dataclass(frozen=True)
class Case:
    """One malformed input: the command and the file that is made for it.

    Attributes
    ----------
    family
        What kind of input it is.
    name
        What is wrong with it.
    arguments
        The command; the file is called `file`.
    file
        Path of the file in the folder of the case.
    make
        Makes it.
    harmless
        Whether the command may also answer as it does on the well-formed file.
    told
        Whether it may also answer otherwise, if it says on standard error what it left out.
    beside
        Other files, by name.
    """

    family: str
    name: str
    arguments: tuple[str, ...]
    file: str
    make: Maker
    harmless: bool = False
    told: bool = False
    beside: dict[str, Maker] = field(default_factory=dict, hash=False)

    def prepare(self, folder: Path) -> None:
        """Make the files of the case in `folder`."""
        for name, make in {**self.beside, self.file: self.make}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            make(folder / name)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code (negative: the signal that ended it), what it printed, time and memory."""

    code: int
    out: str
    err: str
    seconds: float
    peak_MB: float


def outcome(arguments: tuple[str, ...], folder: Path) -> Outcome:
    """Return how the command ends in `folder`."""
    printed = folder / ".printed"
    printed.mkdir()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _perform(arguments, folder, printed)
    code, usage = _waited(child, started + SECONDS)
    out, err = ((printed / name).read_text(errors="replace") for name in ("out", "err"))
    return Outcome(code, out, err, time.monotonic() - started, usage.ru_maxrss / 1024)


def warm(cases: Iterable[Case]) -> None:
    """Carry out commands in this process, so that what they import and compile is there for all that follow."""
    from ionscape.cli.main import main

    for case in cases:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.prepare(Path(folder))
            quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
            # what is wrong with a command is told when it is judged
            with quiet[0], quiet[1], contextlib.suppress(SystemExit):
                main(case.arguments)


def _waited(child: int, end: float) -> tuple[int, Any]:
    while time.monotonic() < end:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage


def _perform(arguments: tuple[str, ...], folder: Path, printed: Path) -> None:
    """Become the command: never returns."""
    code = 99
    try:
        os.chdir(folder)
        for name, number in (("out", 1), ("err", 2)):
            os.dup2(os.open(printed / name, os.O_CREAT | os.O_WRONLY), number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")
        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY, own + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        from ionscape.cli.main import main, quiet

        quiet()
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  what escaped the command line is what is looked for
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def complaint(case: Case, ended: Outcome, clean: Outcome | None) -> str | None:
    """Return what is wrong with how `case` ended, or None."""
    if ended.code < 0:
        return f"hung for {ended.seconds:.0f} s" if ended.code == -signal.SIGKILL else f"signal {-ended.code}"
    if "Traceback" in ended.err or ("ionscape" not in ended.err and ended.code not in {0, 2}):
        return "traceback"
    if ended.code in {2, 3}:
        return _bad_message(case, ended)
    return f"exit code {ended.code}" if ended.code else _bad_answer(case, ended, clean)


def _bad_answer(case: Case, ended: Outcome, clean: Outcome | None) -> str | None:
    if case.harmless and clean is not None and same(ended.out, clean.out):
        return None
    if case.told and clean is not None and _said(ended.out) - _said(clean.out):
        return None
    return "a number from a malformed input" if not case.harmless else "another number from the same content"


def _bad_message(case: Case, ended: Outcome) -> str | None:
    lines = [line for line in ended.err.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(f"ionscape {case.arguments[0]}: ")]
    if ended.out:
        return None if _tells_failure(ended.out) else "output beside a refusal"
    if "unforeseen" in ended.err:
        return "unforeseen"
    if len(told) != 1:
        return None if lines and lines[0].startswith("usage:") and ended.code == 2 else "not one message"
    if ended.code == 2 and len(lines) != 1:
        return "more than the message"
    if len(told[0]) > 1200:
        return "a message too long to be read"
    return None


def _tells_failure(out: str) -> bool:
    """Tell whether an answer says itself what is corrupt (`verify`), or which stage failed (`run`)."""
    try:
        answer = json.loads(out)
    except ValueError:
        return False
    failed = [one for one in answer.get("stages", {}).values() if one.get("state") == "failed"]
    return bool(answer.get("corrupt") or failed)


def message(ended: Outcome) -> str:
    """Return what the command said last."""
    lines = [line for line in ended.err.splitlines() if line.strip()]
    return lines[-1][:400] if lines else ended.out[:200]


def same(one: str, other: str) -> bool:
    """Tell whether two answers are the same, apart from time and place."""
    try:
        return _alike(json.loads(one), json.loads(other))
    except ValueError:
        return False


def _said(out: str) -> set[str]:
    """Return all that an answer says about what it left out, or could not do."""
    found, waiting = set(), [json.loads(out)]
    while waiting:
        node = waiting.pop()
        for key, value in node.items():
            if key in {"warnings", "unavailable", "left_out", "excluded", "notes"}:
                found.add(json.dumps(value, sort_keys=True))
            waiting += [value] if isinstance(value, dict) else []
    return found


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = (one.keys() | other.keys()) - PASSING
        return all(key in one and key in other and _alike(one[key], other[key]) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-7)
    return bool(one == other)


@dataclass(frozen=True)
class Verdict:
    """A case, how it ended, what is wrong with that (None: nothing), and what the command said."""

    case: Case
    ended: Outcome
    complaint: str | None
    message: str


def judged(family: Any, every: int = 1, first: int = 0) -> Iterator[Verdict]:
    """Yield the verdicts on the cases of a family, or on one in `every`; well-formed files must be accepted."""
    chosen = list(family.cases())[first::every]
    wanted = {case.arguments for case in chosen if case.harmless or case.told or every == 1}
    good = [case for case in family.clean() if case.arguments in wanted]
    warm(good)
    clean = {}
    for case in good:
        clean[case.arguments] = ended = tried(case)
        if ended.code != 0:
            yield Verdict(case, ended, "a well-formed input is refused", message(ended))
    for case in chosen:
        ended = tried(case)
        yield Verdict(case, ended, complaint(case, ended, clean.get(case.arguments)), message(ended))


def tried(case: Case) -> Outcome:
    """Return how a case ends, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        case.prepare(Path(folder))
        return outcome(case.arguments, Path(folder))
