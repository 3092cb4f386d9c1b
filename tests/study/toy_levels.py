"""Cheap levels for tests, importable in workers as ``toy_levels:…`` through PYTHONPATH."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ase.calculators.emt import EMT


class Slow(EMT):
    """EMT that takes `seconds` for each evaluation and appends a line about itself to `diary`."""

    def __init__(self, seconds: float = 0.0, diary: str = "") -> None:
        super().__init__()
        self._seconds = seconds
        self._diary = diary

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        time.sleep(self._seconds)
        if self._diary:
            with Path(self._diary).open("a") as diary:
                diary.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")


class Broken(EMT):
    """EMT on a machine that breaks while the file `switch` exists."""

    def __init__(self, switch: str) -> None:
        super().__init__()
        self._switch = Path(switch)

    def calculate(self, *arguments: Any, **options: Any) -> None:
        if self._switch.exists():
            raise MemoryError("no memory left")
        super().calculate(*arguments, **options)


class NotANumber(EMT):
    """A level that gives no number."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        self.results["energy"] = float("nan")
