"""What a drawing of a crystal shows: atoms of the cell with their boundary copies, bonds, complete polyhedra.

Geometry only, in Å; `structure_figure` draws it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Element, Structure
from scipy.spatial import ConvexHull, QhullError

from ionscape.errors import InputError
from ionscape.units import Array, FractionalArray, Indices, Length, LengthArray

#: A ligand is more electronegative than its centre by at least this (Pauling's scale).
LEAST_CONTRAST = 0.4
#: A bond is no longer than this times the sum of the covalent radii (Cordero et al. 2008).
LONGEST_BOND = 1.35
#: A coordination shell ends before the next ligand is farther by this factor than the last.
SHELL_GAP = 1.18
#: Atoms this close to a face of the cell (fractional) are repeated on the opposite one.
BOUNDARY = 0.015

#: An atom in the crystal: index in the cell and translation in lattice vectors.
AtomImage = tuple[int, tuple[int, int, int]]


@dataclass(frozen=True)
class DrawnAtom:
    """One atom of the drawing."""

    element: str
    position: LengthArray
    inside: bool


@dataclass(frozen=True)
class Polyhedron:
    """A coordination polyhedron.

    Attributes
    ----------
    element
        Element at the centre.
    label
        Centre and ligands as a formula, such as ZrO6.
    faces
        Corners of every face in order, arrays (k, 3), Å.
    """

    element: str
    label: str
    faces: tuple[LengthArray, ...]


@dataclass(frozen=True)
class Scene:
    """What is drawn.

    Attributes
    ----------
    atoms
        Atoms of the cell, their copies on its faces, and the outer ligands of polyhedra.
    bonds
        Pairs of indices into `atoms`, (m, 2).
    polyhedra
        Complete coordination polyhedra around the atoms inside the cell.
    lattice
        Lattice vectors as rows, (3, 3), Å.
    """

    atoms: tuple[DrawnAtom, ...]
    bonds: Indices
    polyhedra: tuple[Polyhedron, ...]
    lattice: LengthArray

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements drawn, the most electropositive first."""
        return tuple(sorted({atom.element for atom in self.atoms}, key=_electronegativity))


def _electronegativity(element: str) -> float:
    # Noble gases have none; they bond to nothing.
    known = Element(element)
    return 4.5 if known.is_noble_gas and element not in {"Kr", "Xe"} else float(known.X)


def bond_limit(first: str, second: str) -> Length:
    """Longest distance that counts as a bond of two elements, Å: 1.35 times the sum of their covalent radii.

    References
    ----------
    B. Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/B801115J.
    """
    radii = covalent_radii[[atomic_numbers[first], atomic_numbers[second]]]
    return float(LONGEST_BOND * radii.sum())


def coordination_shells(structure: Structure) -> dict[int, list[AtomImage]]:
    """First coordination shell of every atom that has more electronegative neighbours.

    Ligands are neighbours more electronegative by at least 0.4 (Pauling) within `bond_limit`; the shell ends
    where the next distance is larger by more than 18 %.
    """
    elements = [site.specie.symbol for site in structure]
    values = {element: _electronegativity(element) for element in set(elements)}
    limit = max(bond_limit(one, two) for one in values for two in values)
    found: dict[int, list[tuple[float, AtomImage]]] = {}
    for i, j, image, d in zip(*structure.get_neighbor_list(limit), strict=True):
        one, two = elements[i], elements[j]
        if values[two] - values[one] >= LEAST_CONTRAST and d <= bond_limit(one, two):
            shift = (int(image[0]), int(image[1]), int(image[2]))
            found.setdefault(int(i), []).append((float(d), (int(j), shift)))
    return {i: _first_shell(sorted(ligands)) for i, ligands in found.items()}


def _first_shell(ligands: list[tuple[float, AtomImage]]) -> list[AtomImage]:
    shell = [ligands[0]]
    for ligand in ligands[1:]:
        if len(shell) >= 2 and ligand[0] > SHELL_GAP * shell[-1][0]:
            break
        shell.append(ligand)
    return [image for _, image in shell]


def polyhedron_centres(structure: Structure) -> tuple[str, ...]:
    """Element whose coordination polyhedra show the framework: the cation of highest usual charge.

    Alkali metals, hydrogen and silver count as mobile and are taken only if there is no other cation.
    """
    shells = coordination_shells(structure)
    cations = sorted({structure[i].specie.symbol for i, shell in shells.items() if len(shell) >= 3})
    framework = [c for c in cations if not (Element(c).is_alkali or c in {"H", "Ag"})] or cations
    if not framework:
        return ()
    return (
        max(framework, key=lambda c: (max(Element(c).common_oxidation_states or (0,)), -_electronegativity(c))),
    )


def scene(structure: Structure, polyhedra: Sequence[str] | None = None) -> Scene:
    """Return what a drawing of one unit cell of `structure` shows.

    Parameters
    ----------
    structure
        Any ordered crystal.
    polyhedra
        Elements at the centres of coordination polyhedra; by default `polyhedron_centres`.

    Raises
    ------
    InputError
        If `structure` has none of an element asked for.
    """
    present = {site.specie.symbol for site in structure}
    centres = polyhedron_centres(structure) if polyhedra is None else tuple(polyhedra)
    for element in centres:
        if element not in present:
            raise InputError(
                f"polyhedra around {element}",
                where=structure.composition.reduced_formula,
                expected=f"one of its elements, {', '.join(sorted(present))}",
                remedy="Name other centres, or none to have them chosen.",
            )
    shells = coordination_shells(structure)
    fractional = structure.frac_coords - np.floor(structure.frac_coords + 1e-9)
    offsets = np.rint(fractional - structure.frac_coords).astype(int)
    inside = _cell_images(fractional, offsets)
    images = _with_ligands(inside, shells, structure, centres)
    return _assemble(structure, images, len(inside), shells, centres)


def _assemble(
    structure: Structure,
    images: list[AtomImage],
    n_inside: int,
    shells: dict[int, list[AtomImage]],
    centres: Sequence[str],
) -> Scene:
    number = {image: k for k, image in enumerate(images)}
    positions = [_position(structure, image) for image in images]
    atoms = tuple(
        DrawnAtom(structure[i].specie.symbol, position, k < n_inside)
        for k, ((i, _), position) in enumerate(zip(images, positions, strict=True))
    )
    bonds: list[tuple[int, int]] = []
    solids: list[Polyhedron] = []
    for k, (i, shift) in enumerate(images):
        found = [number.get(_moved(ligand, shift)) for ligand in shells.get(i, ())]
        ligands = [ligand for ligand in found if ligand is not None]
        bonds += [(k, ligand) for ligand in ligands]
        if atoms[k].element in centres and atoms[k].inside and ligands:
            solids.append(_polyhedron(atoms[k], [atoms[n] for n in ligands]))
    return Scene(atoms, np.array(bonds, dtype=np.int64).reshape(-1, 2), tuple(solids), structure.lattice.matrix)


def _polyhedron(centre: DrawnAtom, ligands: Sequence[DrawnAtom]) -> Polyhedron:
    counts = Counter(ligand.element for ligand in ligands)
    label = centre.element + "".join(f"{element}{n if n > 1 else ''}" for element, n in sorted(counts.items()))
    return Polyhedron(centre.element, label, polyhedron_faces(np.array([ligand.position for ligand in ligands])))


def _cell_images(fractional: FractionalArray, offsets: Indices) -> list[AtomImage]:
    """Return every atom in the cell, and its copies on the opposite faces if it lies on one."""
    images: list[AtomImage] = []
    for i, (f, offset) in enumerate(zip(fractional, offsets, strict=True)):
        choices = [[0, *([1] if x < BOUNDARY else []), *([-1] if x > 1 - BOUNDARY else [])] for x in f]
        shifts = np.array(np.meshgrid(*choices, indexing="ij")).reshape(3, -1).T + offset
        images += [(i, (int(a), int(b), int(c))) for a, b, c in shifts]
    return images


def _with_ligands(
    inside: list[AtomImage], shells: dict[int, list[AtomImage]], structure: Structure, centres: Sequence[str]
) -> list[AtomImage]:
    """Return `inside` and the ligands outside the cell that complete the polyhedra."""
    images = dict.fromkeys(inside)
    for i, shift in inside:
        if structure[i].specie.symbol in centres:
            images |= dict.fromkeys(_moved(ligand, shift) for ligand in shells.get(i, ()))
    return list(images)


def _moved(image: AtomImage, shift: tuple[int, int, int]) -> AtomImage:
    j, (a, b, c) = image
    return j, (a + shift[0], b + shift[1], c + shift[2])


def _position(structure: Structure, image: AtomImage) -> Array:
    i, shift = image
    position: Array = structure.cart_coords[i] + np.array(shift) @ structure.lattice.matrix
    return position


def polyhedron_faces(corners: LengthArray) -> tuple[LengthArray, ...]:
    """Faces of the convex polyhedron with `corners` (n, 3), each a polygon with its corners in order.

    Corners in one plane give that one polygon; fewer than three give none.
    """
    if len(corners) < 3:
        return ()
    centred = corners - corners.mean(axis=0)
    singular, axes = np.linalg.svd(centred)[1:]
    if len(corners) == 3 or singular[2] < 0.05 * singular[0]:
        return (_in_order(corners, axes[2]),) if singular[1] > 0.05 * singular[0] else ()
    try:
        hull = ConvexHull(corners)
    except QhullError:
        return ()
    planes: list[tuple[Array, set[int]]] = []
    for simplex, equation in zip(hull.simplices, hull.equations, strict=True):
        for plane, members in planes:
            if float(plane @ equation[:3]) > 0.999:
                members.update(simplex.tolist())
                break
        else:
            planes.append((equation[:3], set(simplex.tolist())))
    return tuple(_in_order(corners[sorted(members)], plane) for plane, members in planes)


def _in_order(corners: LengthArray, normal: Array) -> LengthArray:
    centred = corners - corners.mean(axis=0)
    across = centred[0] / np.linalg.norm(centred[0])
    upward = np.cross(normal, across)
    return corners[np.argsort(np.arctan2(centred @ upward, centred @ across), kind="stable")]
