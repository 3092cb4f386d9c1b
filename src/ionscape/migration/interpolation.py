r"""The first images of a path: a straight line, bent by the image-dependent pair potential, or a guided way.

In image k every pair of atoms is drawn towards the distance d_k that runs evenly from its value in one end to that
in the other,

    S_k = ½ Σ_pairs w(d_k) (|r_i − r_j| − d_k)²,  w(d) = d⁻⁴,

with the images kept apart by the springs of a nudged elastic band. Pairs are atoms *and* lattice translations, the
same in all images, so that nothing jumps between periodic images. Smidstrup et al.,
J. Chem. Phys. 140, 214106 (2014), doi:10.1063/1.4878664.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.mep import NEB
from ase.neighborlist import neighbor_list
from ase.optimize import FIRE

from ionscape.errors import InputError
from ionscape.migration.endpoints import EndPoints
from ionscape.migration.guidance import guided_positions
from ionscape.structures.exchange import SHORTEST_DISTANCE, constraints, fixed_coordinates, to_atoms
from ionscape.units import Array, Indices

#: Pairs farther apart than this in every image do not count; Å.
REACH = 6.0
#: Force at which the pair potential counts as relaxed, and most steps towards it.
_FMAX, _STEPS = 0.01, 500
#: Atoms that a straight line leads nearer to one another than this are turned out of each other's way; Å.
_NEAR = 1.0
_TURN = 0.2


def first_images(ends: EndPoints, count: int, path: str) -> list[Atoms]:
    """Return `count` images between two ends, and the ends themselves.

    Parameters
    ----------
    ends
        The matched end points.
    count
        Number of intermediate images.
    path
        ``idpp``, ``linear``, or ``guided`` (`migration.guidance`).

    Raises
    ------
    InputError
        If two atoms of an image overlap.
    """
    images = _line(ends, count)
    if path == "guided":
        for image, positions in zip(images[1:-1], guided_positions(ends, count)[1:-1], strict=True):
            image.set_positions(positions, apply_constraint=False)
    if path != "linear":
        _turn_aside(images)
    if path == "idpp":
        bend(images)
    check_distances(images)
    return images


def _line(ends: EndPoints, count: int) -> list[Atoms]:
    start = to_atoms(ends.initial)
    held = fixed_coordinates(ends.initial)
    if held is not None:
        start.set_constraint(constraints(held))
    images = []
    for part in np.linspace(0.0, 1.0, count + 2):
        image = start.copy()
        image.set_positions(start.positions + part * ends.displacement, apply_constraint=False)
        images.append(image)
    return images


def bend(images: list[Atoms]) -> None:
    """Relax the inner `images`, in place, in the image-dependent pair potential of the outer two."""
    if len(images) < 3 or len(images[0]) < 2:
        return
    pairs = _pairs(images)
    lengths = [_distances(image.positions, *pairs) for image in (images[0], images[-1])]
    for k, image in enumerate(images):
        part = k / (len(images) - 1)
        image.calc = _PairTargets(pairs, (1 - part) * lengths[0] + part * lengths[1])
    band = NEB(images, k=1.0, method="improvedtangent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FIRE(band, logfile=None, maxstep=0.1).run(fmax=_FMAX, steps=_STEPS)
    for image in images:
        image.calc = None


def _pairs(images: list[Atoms]) -> tuple[Indices, Indices, Array]:
    """Return atoms i, j and Cartesian translations of the pairs that come near in any image."""
    found = set()
    for image in images:
        i, j, shifts = neighbor_list("ijS", image, REACH)
        found |= {(int(a), int(b), *map(int, s)) for a, b, s in zip(i, j, shifts, strict=True) if a <= b}
    rows = np.array(sorted(row for row in found if row[0] != row[1]), dtype=np.int64).reshape(-1, 5)
    return rows[:, 0], rows[:, 1], rows[:, 2:] @ images[0].cell.array


def _distances(positions: Array, first: Indices, second: Indices, shifts: Array) -> Array:
    lengths: Array = np.linalg.norm(positions[second] + shifts - positions[first], axis=1)
    return lengths


class _PairTargets(Calculator):
    """Pairs of atoms that are drawn to given distances."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, pairs: tuple[Indices, Indices, Array], targets: Array) -> None:
        super().__init__()
        self._pairs, self._targets = pairs, targets
        self._weights = targets**-4.0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        i, j, shifts = self._pairs
        vectors = self.atoms.positions[j] + shifts - self.atoms.positions[i]
        lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-6)
        apart = lengths - self._targets
        pull = (self._weights * apart / lengths)[:, None] * vectors
        forces = np.zeros_like(self.atoms.positions)
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        self.results = {"energy": 0.5 * float(self._weights @ apart**2), "forces": forces}


def _turn_aside(images: list[Atoms]) -> None:
    """Move atoms that a straight line leads through one another out of each other's way, across the line.

    Head-on the pair potential has no side to push to; which side is taken is arbitrary, but always the same.
    """
    for k, image in enumerate(images[1:-1], start=1):
        i, j, vectors = neighbor_list("ijD", image, _NEAR)
        for a, b, vector in zip(i, j, vectors, strict=True):
            if a < b:
                step = images[k + 1].positions[a] - images[k - 1].positions[a]
                aside = np.cross(step if np.linalg.norm(step) > 1e-6 else vector, [0.31, 0.83, 0.47])
                aside *= _TURN / max(float(np.linalg.norm(aside)), 1e-9)
                image.positions[a] += aside
                image.positions[b] -= aside


def check_distances(images: list[Atoms]) -> None:
    """Raise `InputError` if two atoms of an inner image are nearer than atoms of condensed matter can be."""
    for k, image in enumerate(images[1:-1], start=1):
        i, j, lengths = neighbor_list("ijd", image, SHORTEST_DISTANCE)
        if len(lengths):
            near = int(np.argmin(lengths))
            a, b = (int(one[near]) for one in (i, j))
            raise InputError(
                f"atoms {a} ({image.symbols[a]}) and {b} ({image.symbols[b]}) are {lengths[near]:.3f} Å apart in "
                f"image {k} of {len(images) - 2}",
                where="images of the path",
                expected=f"no two atoms closer than {SHORTEST_DISTANCE} Å",
                remedy="Check that equal indices mean the same atom (--map assignment matches them), or use the "
                "path 'idpp'.",
            )
