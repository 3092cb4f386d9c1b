"""The record of learning on the fly: every answer of the dear level, as extended XYZ, before it is used.

Numbers are written so that they are read back to the last bit. Every frame is there whole or not at all: it
carries the SHA-256 of its own text, and what a kill cut short is taken off. Beside the labels stands what the
potential said before it was taught the frame, if there was one: the errors that calibrate it, and the only honest
ones.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.io import read

from ionscape.errors import InputError, unreadable
from ionscape.potential.frames import Frame, labelled_frames
from ionscape.units import Array, Energy, ForceArray, NumberArray

_DIGEST = " sha256="


@dataclass(frozen=True)
class Forecast:
    """What the potential said of a frame before it was taught it.

    Attributes
    ----------
    energy
        eV.
    forces
        eV/Å, (atoms, 3).
    losses
        Covariance loss of the atoms (`uncertainty`), (atoms,).
    deviations
        Standard deviation that was expected of a component of the force on each atom, eV/Å, (atoms,); zeros if the
        potential was not calibrated yet.
    """

    energy: Energy
    forces: ForceArray
    losses: NumberArray
    deviations: ForceArray


@dataclass(frozen=True)
class Lesson:
    """A frame with the labels of the dear level, and what the potential had said of it; None if there was none.

    Attributes
    ----------
    frame
        Structure and labels.
    forecast
        Before the frame was taught.
    """

    frame: Frame
    forecast: Forecast | None


class LessonRecord:
    """The file of all lessons, in the order in which they were taught.

    Parameters
    ----------
    path
        The file; made with the first lesson. What a kill cut short at its end is taken off.

    Attributes
    ----------
    lessons
        Whole lessons of the file, as it was opened and as they were added.

    Raises
    ------
    InputError
        If the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _text(path)
        blocks = list(_whole_blocks(text))
        self._ends = np.cumsum([len(block.encode()) for block in blocks]).tolist()
        self.lessons = _lessons(blocks, path)
        if blocks or text:
            self.cut(len(blocks))

    def append(self, lesson: Lesson) -> None:
        """Add `lesson`; it is on the disk afterwards.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        content = _block(lesson).encode()
        try:
            with self.path.open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"cannot be written ({error.strerror})",
                where=str(self.path),
                expected="a file for the frames of the dear level",
                remedy="Choose another folder, or make room on the disk.",
            ) from None
        self._ends.append((self._ends[-1] if self._ends else 0) + len(content))
        self.lessons.append(lesson)

    def cut(self, count: int) -> None:
        """Leave the first `count` lessons only."""
        os.truncate(self.path, self._ends[count - 1] if count else 0)
        del self.lessons[count:], self._ends[count:]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise unreadable(
            error, "frames", where=str(path), expected="a file of labelled frames", remedy="Check the path."
        ) from None


def _whole_blocks(text: str) -> Iterator[str]:
    lines, first = text.splitlines(keepends=True), 0
    while first + 1 < len(lines) and lines[first].strip().isdigit():
        end = first + 2 + int(lines[first])
        block = "".join(lines[first:end])
        title, _, digest = lines[first + 1].rstrip("\n").rpartition(_DIGEST)
        bare = "".join([lines[first], title, "\n", *lines[first + 2 : end]])
        if end > len(lines) or not block.endswith("\n") or digest != _digest(bare):
            return
        yield block
        first = end


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _block(lesson: Lesson) -> str:
    frame, before = lesson.frame, lesson.forecast
    columns, properties = [frame.positions, frame.forces], "species:S:1:pos:R:3:forces:R:3"
    title = f'energy={frame.energy!r} pbc="{" ".join("FT"[flag] for flag in frame.periodic)}"'
    if frame.stress is not None:
        title += f' stress="{_numbers(frame.stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]])}"'
    if frame.level:
        title += f' level="{frame.level}"'
    if before is not None:
        columns += [before.forces, before.losses[:, None], before.deviations[:, None]]
        properties += ":model_forces:R:3:model_losses:R:1:model_deviations:R:1"
        title += f" model_energy={before.energy!r}"
    rows = np.concatenate(columns, axis=1)
    atoms = "".join(f"{symbol} {_numbers(row)}\n" for symbol, row in zip(frame.symbols, rows, strict=True))
    head = f'{len(rows)}\nLattice="{_numbers(frame.cell.ravel())}" Properties={properties} {title}'
    digest = _digest(f"{head}\n{atoms}")
    return f"{head}{_DIGEST}{digest}\n{atoms}"


def _numbers(values: Array) -> str:
    return " ".join(repr(float(value)) for value in values)


def _lessons(blocks: Sequence[str], path: Path) -> list[Lesson]:
    if not blocks:
        return []
    atoms = read(io.StringIO("".join(blocks)), index=":", format="extxyz")
    frames = labelled_frames(atoms, str(path))
    return [Lesson(frame, _forecast(one)) for one, frame in zip(atoms, frames, strict=True)]


def _forecast(atoms: object) -> Forecast | None:
    info, arrays = atoms.info, atoms.arrays  # type: ignore[attr-defined]
    if "model_energy" not in info:
        return None
    return Forecast(
        float(info["model_energy"]), arrays["model_forces"], arrays["model_losses"], arrays["model_deviations"]
    )
