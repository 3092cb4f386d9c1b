"""Labelled frames: structures with the energy, forces and stress of the dear level, as training takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.geometry import complete_cell
from scipy.spatial import KDTree

from ionscape.errors import InputError
from ionscape.units import Array, CellArray, Energy, ForceArray, LengthArray, StressArray

Periodic = tuple[bool, bool, bool]
_LARGEST_FORCE = 1000.0
#: Atoms nearer than this, in parts of the lattice vectors, are in one place: there no environment is defined.
_ONE_PLACE = 1e-6


@dataclass(frozen=True)
class Frame:
    """A structure with its labels.

    Attributes
    ----------
    symbols
        Element of every atom.
    positions
        Å, (atoms, 3).
    cell
        Lattice vectors as rows, Å, (3, 3).
    periodic
        Which directions are.
    energy
        eV.
    forces
        eV/Å, (atoms, 3).
    stress
        xx, yy, zz, yz, xz, xy, positive under tension, eV/Å³, (6,); None if the frame carries none.
    level
        Level of theory that the frame names, empty if none.
    """

    symbols: tuple[str, ...]
    positions: LengthArray
    cell: CellArray
    periodic: Periodic
    energy: Energy
    forces: ForceArray
    stress: StressArray | None = None
    level: str = ""

    @property
    def volume(self) -> float:
        """Volume of the cell, Å³."""
        return float(abs(np.linalg.det(self.cell)))


def labelled_frames(atoms: Sequence[Any], where: str) -> list[Frame]:
    """Return ASE Atoms, with the results they carry, as frames.

    Raises
    ------
    InputError
        If a frame has no energy or forces or an atom of no element, a flat cell or two atoms in one place, a label
        is not finite, labels are absurdly large, or frames name different levels of theory.
    """
    return of_one_level(
        [_frame(one, f"{where}, frame {number} (counted from 0)") for number, one in enumerate(atoms)], where
    )


def of_one_level(frames: list[Frame], where: str) -> list[Frame]:
    """Return `frames`, once it is sure that they do not name different levels of theory.

    Raises
    ------
    InputError
        If they do.
    """
    levels = sorted({frame.level for frame in frames})
    if len(levels) > 1:
        raise InputError(
            f"frames of different levels of theory ({', '.join(repr(level) for level in levels)})",
            where=where,
            expected="frames of one level: their energies have different zeros",
            remedy="Train on the frames of one level, or label all again with one (`ionscape evaluate`).",
        )
    return frames


def training_set_hash(frames: Sequence[Frame]) -> str:
    """Return the SHA-256 of everything that frames teach."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(" ".join(frame.symbols).encode())
        digest.update(repr((frame.periodic, frame.energy, frame.level)).encode())
        for array in (frame.positions, frame.cell, frame.forces, frame.stress):
            digest.update(b"none" if array is None else np.ascontiguousarray(array, dtype=float).tobytes())
    return digest.hexdigest()


def _frame(atoms: Any, where: str) -> Frame:
    labels = atoms.calc.results if atoms.calc is not None else {}
    if not all(atoms.numbers):
        raise InputError(
            "an atom of no element ('X')",
            where=where,
            expected="elements",
            remedy="Name the element of every atom, or leave the frame out.",
        )
    missing = [name for name in ("energy", "forces") if labels.get(name) is None]
    if missing or not len(atoms):
        raise InputError(
            f"no {' and no '.join(missing)}" if missing else "no atoms",
            where=where,
            expected="atoms with the energy and forces of the level to be learned",
            remedy="Label the frames with `ionscape evaluate FRAMES --level LEVEL --out LABELLED.xyz`.",
        )
    stress = _stress(atoms, labels) if all(atoms.pbc) else None
    frame = Frame(
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=atoms.get_positions(),
        cell=atoms.cell.array.copy(),
        periodic=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        energy=float(labels["energy"]),
        forces=np.asarray(labels["forces"], dtype=float),
        stress=None if stress is None else _voigt(stress),
        level=str(atoms.info.get("level", "")),
    )
    _check_numbers(frame, where)
    _check_places(frame, where)
    return frame


def _stress(atoms: Any, labels: dict[str, Any]) -> Any:
    """Return the stress that a frame carries, from the virial where it has this alone (as GAP's files do)."""
    if labels.get("stress") is None and np.size(atoms.info.get("virial")) == 9:
        return -np.asarray(atoms.info["virial"], dtype=float).reshape(3, 3) / atoms.get_volume()
    return labels.get("stress")


def _voigt(stress: Any) -> Array:
    array = np.asarray(stress, dtype=float)
    return array if array.shape == (6,) else array.reshape(3, 3)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _check_numbers(frame: Frame, where: str) -> None:
    for name, array in (
        ("energy", np.array(frame.energy)),
        ("forces", frame.forces),
        ("stress", frame.stress),
        ("positions", frame.positions),
        ("cell", frame.cell),
    ):
        if array is not None and not np.isfinite(array).all():
            raise InputError(
                f"{name}: not finite",
                where=where,
                expected="finite numbers",
                remedy="Leave the frame out, or label it again.",
            )
    if np.abs(frame.forces).max(initial=0.0) > _LARGEST_FORCE:
        raise InputError(
            f"a force of {np.abs(frame.forces).max():.3g} eV/Å",
            where=where,
            expected=f"forces below {_LARGEST_FORCE:g} eV/Å: no level means anything there",
            remedy="Leave the frame out, or check the units of its forces.",
        )
    if frame.forces.shape != frame.positions.shape:
        raise InputError(
            f"forces of shape {frame.forces.shape} on {len(frame.positions)} atoms",
            where=where,
            expected="one force for each atom",
            remedy="Label the frame again.",
        )


def _check_places(frame: Frame, where: str) -> None:
    periodic = np.array(frame.periodic)
    vectors = frame.cell[periodic]
    if len(vectors) and np.linalg.matrix_rank(vectors) < len(vectors):
        raise InputError(
            "lattice vectors that are not independent",
            where=where,
            expected="a cell with a volume, or no periodic directions",
            remedy="Leave the frame out, or mend its cell.",
        )
    parts = frame.positions @ np.linalg.inv(complete_cell(np.where(periodic[:, None], frame.cell, 0.0)))
    parts = np.where(periodic, parts - np.floor(parts), parts)
    parts[:, periodic] %= 1.0  # a tiny negative part is rounded up to 1
    pairs = KDTree(parts, boxsize=periodic.astype(float)).query_pairs(_ONE_PLACE)
    if pairs:
        one, other = min(pairs)
        raise InputError(
            f"atoms {one} and {other} (counted from 0) in one place",
            where=where,
            expected="atoms apart from one another",
            remedy="Leave the frame out, or remove one of them.",
        )
