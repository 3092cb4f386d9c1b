r"""Cuts through an atomic plane: half of its atoms stay below, half above.

Where the cuts on both sides of a charged atomic plane are polar, no slab of whole planes is both symmetric and
stoichiometric. If an operation of the crystal that reverses the normal takes half of the plane's atoms into the
other half, then the slab that keeps one half at its upper and the other at its lower face is symmetric,
stoichiometric and without dipole (P. W. Tasker, doi:10.1088/0022-3719/12/22/036). A plane with one atom in the
surface cell is halved in a surface cell of twice the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated

import numpy as np

from ionscape.interfaces.orientation import Orientation, fold
from ionscape.interfaces.superlattices import forms_of_index, reduced
from ionscape.results import frozen
from ionscape.units import Array, Count, Indices, Number, Unit

#: Atoms of a plane up to which all ways to halve it are tried.
MOST_ATOMS = 8
#: Positions in the plane that differ by less are the same, Å.
SAME_PLACE = 0.15


@dataclass(frozen=True)
class SplitPlane:
    """An atomic plane and the half of it that stays below the cut.

    Attributes
    ----------
    height
        Height of the middle of the plane, in units of the spacing, in [0, 1).
    matrix
        Surface cell in which it is split, in vectors of the primitive one, rows, (2, 2).
    cells
        Primitive cells in it.
    below, above
        Atoms that stay below and above, in the numbering of `repeated`.
    """

    height: Number
    matrix: Indices
    cells: Count
    below: Annotated[tuple[int, ...], Unit("1")]
    above: Annotated[tuple[int, ...], Unit("1")]


def split_planes(crystal: Orientation, planes: Sequence[Indices], cells: int) -> list[SplitPlane]:
    """Return the distinct ways to halve the atomic `planes` so that the crystal exchanges the halves.

    Parameters
    ----------
    crystal
        The crystal along the normal.
    planes
        Atoms of each plane, those in [0, 1) of height.
    cells
        Surface cell in which they are halved, in primitive ones.
    """
    found: list[SplitPlane] = []
    known: list[float] = []
    for atoms in planes:
        middle = _middle(crystal, atoms)
        if not any(_same(middle + t, other, crystal.spacing) for t in crystal.preserving for other in known):
            known.append(middle)
            for matrix in _surface_cells(crystal, cells):
                found += _halves(crystal, atoms, matrix)
    return found


def repeated(crystal: Orientation, matrix: Indices) -> tuple[Orientation, Indices]:
    """Return `crystal` with the surface cell `matrix`, and the atom of `crystal` that each of its atoms copies."""
    cells = round(abs(float(np.linalg.det(matrix))))
    corners = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    share = corners @ np.linalg.inv(matrix)
    inside = corners[np.all((share > -1e-8) & (share < 1 - 1e-8), axis=1)]
    shifts = inside @ crystal.vectors
    source = np.repeat(np.arange(len(crystal.symbols)), cells)
    vectors = np.asarray(matrix @ crystal.vectors, dtype=float)
    angle = float(np.arctan2(vectors[0, 1], vectors[0, 0]))
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    whole = np.eye(3)
    whole[:2, :2] = back
    return replace(
        crystal,
        symbols=tuple(crystal.symbols[int(k)] for k in source),
        heights=frozen(crystal.heights[source]),
        in_plane=frozen((crystal.in_plane[source] + np.tile(shifts, (len(crystal.symbols), 1))) @ back),
        vectors=frozen(vectors @ back),
        step=frozen(crystal.step @ back),
        frame=frozen(whole.T @ crystal.frame),
        turns=frozen(whole.T @ crystal.turns @ whole),
        moves=frozen(crystal.moves @ whole),
    ), source


def _middle(crystal: Orientation, atoms: Indices) -> Number:
    heights = crystal.heights[atoms]
    around = np.mod(heights - heights[0] + 0.5, 1.0) - 0.5
    return fold(float(heights[0] + (around.min() + around.max()) / 2))


def _same(one: Number, other: Number, spacing: float) -> bool:
    return abs(float(np.mod(one - other + 0.5, 1.0) - 0.5)) * spacing < SAME_PLACE


def _surface_cells(crystal: Orientation, cells: int) -> list[Indices]:
    """Return the superlattices of this index that differ by symmetry, reduced, right-handed."""
    kept: list[Indices] = []
    for matrix in reduced(forms_of_index(cells), crystal.vectors):
        turned = matrix if np.linalg.det(matrix) > 0 else matrix * np.array([[1], [-1]])
        if not any(
            _whole(turned @ crystal.vectors @ turn[:2, :2], other @ crystal.vectors)
            for other in kept
            for turn in crystal.turns
        ):
            kept.append(turned)
    return kept


def _whole(vectors: Array, lattice: Array) -> bool:
    share = vectors @ np.linalg.inv(lattice)
    return bool(np.all(np.abs(share - np.rint(share)) < 0.02))


def _halves(crystal: Orientation, plane: Indices, matrix: Indices) -> list[SplitPlane]:
    """Return the distinct ways to halve one plane in the surface cell `matrix`."""
    large, source = repeated(crystal, matrix)
    atoms = np.flatnonzero(np.isin(source, plane))
    counts = [large.symbols[int(i)] for i in atoms]
    if len(atoms) > MOST_ATOMS or any(counts.count(symbol) % 2 for symbol in counts):
        return []
    keeping, exchanging = _permutations(large, atoms)
    ways: list[frozenset[int]] = []
    everything = frozenset(range(len(atoms)))
    for below in map(frozenset, combinations(range(len(atoms)), len(atoms) // 2)):
        swapped = any(frozenset(p[i] for i in below) == everything - below for p in exchanging)
        known = any(frozenset(p[i] for i in below) in ways for p in keeping)
        if swapped and not known:
            ways.append(below)
    middle, cells = _middle(crystal, plane), len(source) // len(crystal.symbols)
    return [
        SplitPlane(
            height=middle,
            matrix=matrix,
            cells=cells,
            below=tuple(int(atoms[i]) for i in sorted(below)),
            above=tuple(int(atoms[i]) for i in sorted(everything - below)),
        )
        for below in ways
    ]


def _permutations(large: Orientation, atoms: Indices) -> tuple[list[list[int]], list[list[int]]]:
    """Return how the operations that map the plane onto itself permute its atoms: those keeping, those reversing.

    An operation counts with every translation of the primitive surface cell in the large one.
    """
    positions = _unwrapped(large, atoms)
    height = float(positions[:, 2].mean())
    symbols = np.array([large.symbols[int(i)] for i in atoms])
    found: tuple[list[list[int]], list[list[int]]] = ([], [])
    for turn, move in zip(large.turns, large.moves, strict=True):
        if not _whole(large.vectors @ turn[:2, :2], large.vectors):
            continue
        images = positions @ turn + move
        steps = round((float(images[:, 2].mean()) - height) / large.spacing)
        images = images - steps * np.array([*large.step, large.spacing])
        # the first atom may go to any atom of its element: this gives the translations inside the large cell
        for goal in np.flatnonzero(symbols == symbols[0]):
            placed = images + np.array([*(positions[goal] - images[0])[:2], 0.0])
            permutation = _matched(placed, positions, symbols, large.vectors)
            if permutation and _is_translation(positions[goal] - images[0], large):
                found[0 if turn[2, 2] > 0 else 1].append(permutation)
    return found


def _unwrapped(large: Orientation, atoms: Indices) -> Array:
    """Return positions of the atoms of one plane, all near the first one's height."""
    away = np.rint(large.heights[atoms] - large.heights[atoms[0]])
    return np.asarray(large.positions[atoms] - away[:, None] * np.array([*large.step, large.spacing]))


def _matched(images: Array, positions: Array, symbols: Array, vectors: Array) -> list[int]:
    """Return where each image lies among the positions, or nothing if one lies nowhere."""
    apart = images[:, None, :] - positions[None, :, :]
    share = apart[..., :2] @ np.linalg.inv(vectors)
    lateral = np.linalg.norm((share - np.rint(share)) @ vectors, axis=2)
    near = (lateral < SAME_PLACE) & (np.abs(apart[..., 2]) < SAME_PLACE) & (symbols[:, None] == symbols[None, :])
    return np.argmax(near, axis=1).tolist() if np.all(near.sum(axis=1) == 1) else []


def _is_translation(move: Array, large: Orientation) -> bool:
    """Return whether the crystal repeats itself after the in-plane part of `move`."""
    shifted = large.positions + np.array([*move[:2], 0.0])
    symbols = np.array(large.symbols)
    return bool(_matched(shifted, large.positions, symbols, large.vectors))
