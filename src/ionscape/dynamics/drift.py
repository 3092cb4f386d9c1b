"""Trajectories seen from their host, and trajectories of some of their atoms; both in streaming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ionscape.dynamics.trajectory import Chunk, Trajectory, folded, frames_per_chunk
from ionscape.errors import InputError, nearest
from ionscape.units import Indices, LengthArray, MassArray, Temperature, Time


def centre_of_mass(positions: LengthArray, masses: MassArray) -> LengthArray:
    """Return the centre of mass of unwrapped positions, Å, (frames, 3).

    Parameters
    ----------
    positions
        Å, (frames, atoms, 3).
    masses
        amu, (atoms,).
    """
    weights = np.asarray(masses, dtype=float) / np.sum(masses)
    return np.asarray(np.tensordot(positions, weights, axes=(1, 0)))


def masses_of(symbols: Sequence[str]) -> MassArray:
    """Return the standard masses of elements, amu, (atoms,)."""
    from ase.data import atomic_masses, atomic_numbers

    return np.array([atomic_masses[atomic_numbers[symbol]] for symbol in symbols])


def atoms_of(symbols: Sequence[str], elements: Sequence[str]) -> Indices:
    """Return the indices of the atoms of some elements.

    Raises
    ------
    InputError
        If there is no atom of one of them.
    """
    missing = [element for element in elements if element not in symbols]
    if missing or not elements:
        raise InputError(
            f"no atom of {missing[0]}" if missing else "no element",
            where="trajectory",
            expected=f"some of the elements {', '.join(dict.fromkeys(symbols))}",
            remedy=nearest(missing[0] if missing else "", set(symbols)),
        )
    return np.flatnonzero(np.isin(symbols, list(elements))).astype(np.int64)


@dataclass(frozen=True)
class SeenFromHost:
    """A trajectory less the motion of the centre of mass of its host, counted from the first frame."""

    trajectory: Trajectory
    host: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element of every atom."""
        return self.trajectory.symbols

    @property
    def frame_interval(self) -> Time:
        """Time between frames, fs."""
        return self.trajectory.frame_interval

    @property
    def temperature(self) -> Temperature | None:
        """Temperature of the run, K; None if the files do not tell."""
        return self.trajectory.temperature

    def chunks(self, frames: int | None = None) -> Iterator[Chunk]:
        """Yield all frames in order, at most `frames` at a time."""
        atoms = atoms_of(self.symbols, self.host)
        masses = masses_of([self.symbols[atom] for atom in atoms])
        origin: LengthArray | None = None
        for chunk in self.trajectory.chunks(frames or frames_per_chunk(len(self.trajectory.symbols))):
            centre = centre_of_mass(chunk.positions[:, atoms], masses)
            origin = centre[0] if origin is None else origin
            drift = (centre - origin)[:, None, :]
            inside = chunk.fractional
            if inside is not None:
                inside = folded(inside - np.matmul(drift, np.linalg.inv(chunk.cells)))
            yield replace(chunk, positions=chunk.positions - drift, fractional=inside)


def seen_from_host(trajectory: Trajectory, mobile: str | Sequence[str]) -> SeenFromHost:
    """Return `trajectory` less the drift of its host: the centre of mass of all atoms that are not mobile stays.

    r'(t) = r(t) − [R(t) − R(0)],  R = Σ m r / Σ m over the atoms of all elements but the mobile ones

    Raises
    ------
    InputError
        If there is no atom of a mobile element, or no other atom.
    """
    elements = (mobile,) if isinstance(mobile, str) else tuple(mobile)
    atoms_of(trajectory.symbols, elements)
    host = tuple(symbol for symbol in dict.fromkeys(trajectory.symbols) if symbol not in elements)
    if not host:
        raise InputError(
            f"no host: all atoms are {', '.join(elements)}",
            where="trajectory",
            expected="atoms that do not diffuse beside the mobile ones",
            remedy="Write the trajectory of all atoms, or analyse it without taking out the drift.",
        )
    return SeenFromHost(trajectory, host)


@dataclass(frozen=True)
class SomeAtoms:
    """The atoms of some elements of a trajectory; the others are dropped chunk by chunk."""

    trajectory: Trajectory
    elements: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element of every atom."""
        return tuple(symbol for symbol in self.trajectory.symbols if symbol in self.elements)

    @property
    def frame_interval(self) -> Time:
        """Time between frames, fs."""
        return self.trajectory.frame_interval

    @property
    def temperature(self) -> Temperature | None:
        """Temperature of the run, K; None if the files do not tell."""
        return self.trajectory.temperature

    def chunks(self, frames: int | None = None) -> Iterator[Chunk]:
        """Yield all frames in order, at most `frames` at a time."""
        atoms = atoms_of(self.trajectory.symbols, self.elements)
        for chunk in self.trajectory.chunks(frames or frames_per_chunk(len(self.trajectory.symbols))):
            inside = None if chunk.fractional is None else chunk.fractional[:, atoms]
            yield replace(chunk, positions=chunk.positions[:, atoms], fractional=inside)


def some_atoms(trajectory: Trajectory, elements: Sequence[str]) -> SomeAtoms:
    """Return the trajectory of the atoms of some elements, in their order.

    Raises
    ------
    InputError
        If there is no atom of one of them.
    """
    atoms_of(trajectory.symbols, elements)
    return SomeAtoms(trajectory, tuple(elements))
