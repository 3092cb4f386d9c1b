"""Structures between files, pymatgen (crystallography) and ASE (forces and time).

The only module that converts. Reading checks what every later step relies on: known elements, full occupancies,
atoms that do not overlap.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ionscape.errors import InputError, unreadable
from ionscape.files import Wanted, check_file, json_of, text_of
from ionscape.structures.file_checks import FARTHEST_CELL, check_cif, check_poscar, check_xyz

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

#: No two atoms of a condensed phase come closer than this (H–H in H2 is 0.74 Å); Å.
SHORTEST_DISTANCE = 0.6
#: Beyond these it is no crystal: atoms, length of a lattice vector in Å, volume per atom in Å³ (diamond: 5.7).
MOST_ATOMS = 200_000
LONGEST_VECTOR = 10_000.0
LEAST_VOLUME_PER_ATOM = 1.0
STRUCTURE = Wanted(
    "a crystal structure",
    "a structure file (CIF, POSCAR, extxyz, …)",
    "Check the path; relative paths start at the current folder, in a study file at its folder.",
    largest_MB=1024,
)
#: Names of files that begin as a POSCAR does.
POSCARS = ("POSCAR", "CONTCAR", "CHGCAR", "AECCAR", "LOCPOT", "PARCHG")
#: Site property of pymatgen with three flags a site: whether each Cartesian coordinate may move.
SELECTIVE = "selective_dynamics"


def read_structure(path: str | Path) -> Structure:
    """Return the crystal structure in `path` (CIF, POSCAR, extxyz or any format that pymatgen or ASE reads).

    Of several frames (extxyz, .traj, …) the last is taken.

    Raises
    ------
    InputError
        If the file is missing or unreadable, or the structure has partial occupancies, unknown elements or
        overlapping atoms.
    """
    file = Path(path)
    check_file(file, STRUCTURE)
    structure = _parse(file)
    check_structure(structure, where=str(path))
    return structure


def _parse(file: Path) -> Structure:
    from pymatgen.core import Structure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if file.suffix.lower() in {".xyz", ".extxyz", ".traj"}:
                return _parse_with_ase(file)
            if file.suffix.lower() in {".json", ".yaml", ".yml"}:
                return Structure.from_dict(json_of(file, STRUCTURE))
            if file.suffix.lower() in {".vasp", ".poscar"} or any(name in file.name for name in POSCARS):
                check_poscar(text_of(file, STRUCTURE))
            if ".cif" in file.name.lower():
                check_cif(text_of(file, STRUCTURE))
            try:
                return Structure.from_file(file)
            except ValueError as error:
                if "Unrecognized extension" not in str(error):  # a format that pymatgen knows, with a fault in it
                    raise
                return _parse_with_ase(file)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  parsers raise anything; one clear error leaves here
            raise unreadable(
                error,
                "a crystal structure",
                where=str(file),
                expected="a valid CIF, POSCAR, extxyz or other structure file with a periodic cell",
                remedy="Open it in VESTA or `ase gui` to see what is wrong, or export it again.",
            ) from None


def _parse_with_ase(file: Path) -> Structure:
    from ase.io import read

    if file.suffix.lower() in {".xyz", ".extxyz"}:
        with file.open("rb") as lines:
            check_xyz(lines)

    return to_structure(read(file, index=-1))


def check_structure(structure: Structure, *, where: str) -> None:
    """Raise `InputError` unless `structure` is a crystal.

    Its cell has a volume, its numbers are finite and not absurd, it is ordered, made of known elements and free of
    overlaps.
    """
    _check_numbers(structure, where)
    disordered = [str(site.species) for site in structure if not site.is_ordered]
    if disordered:
        raise InputError(
            f"partial occupancy ({disordered[0]}, {len(disordered)} sites)",
            where=where,
            expected="an ordered structure, every site fully occupied by one element",
            remedy="Order it first (e.g. with pymatgen's OrderDisorderedStructureTransformation).",
        )
    unknown = {site.specie.symbol for site in structure if not _is_element(site.specie)}
    if unknown:
        raise InputError(
            f"unknown element {', '.join(sorted(unknown))}",
            where=where,
            expected="chemical elements H to Og",
            remedy="Replace the dummy species by real elements.",
        )
    _check_distances(structure, where)


def _check_numbers(structure: Structure, where: str) -> None:
    matrix, fractional = structure.lattice.matrix, structure.frac_coords
    atoms, longest = len(structure), float(np.abs(matrix).max())
    finite = np.isfinite(matrix).all() and np.isfinite(fractional).all()
    volume = abs(float(np.linalg.det(matrix))) if finite and longest <= LONGEST_VECTOR else 0.0
    if not finite:
        found = "a lattice vector or coordinate that is not a finite number"
    elif not 0 < atoms <= MOST_ATOMS:
        found = f"{atoms} atoms"
    elif longest > LONGEST_VECTOR:
        found = f"a lattice vector of {longest:.3g} Å"
    elif volume < LEAST_VOLUME_PER_ATOM * atoms:
        found = f"a cell of {volume:.3g} Å³ for {atoms} atoms"
    elif np.abs(fractional).max() > FARTHEST_CELL:
        found = f"an atom {np.abs(fractional).max():.3g} cells away"
    else:
        return
    raise InputError(
        found,
        where=where,
        expected=f"1 to {MOST_ATOMS} atoms, lattice vectors of at most {LONGEST_VECTOR:g} Å and at least "
        f"{LEAST_VOLUME_PER_ATOM:g} Å³ per atom",
        remedy="Check cell, units and numbers in the file.",
    )


def _is_element(specie: object) -> bool:
    from pymatgen.core import DummySpecies, Element, Species

    return isinstance(specie, Element | Species) and not isinstance(specie, DummySpecies)


def _check_distances(structure: Structure, where: str) -> None:
    centre, neighbour, _, distance = structure.get_neighbor_list(SHORTEST_DISTANCE)
    if len(distance):
        i, j = int(centre[np.argmin(distance)]), int(neighbour[np.argmin(distance)])
        raise InputError(
            f"atoms {i} ({structure[i].specie}) and {j} ({structure[j].specie}) are {distance.min():.3f} Å apart",
            where=where,
            expected=f"no two atoms closer than {SHORTEST_DISTANCE} Å",
            remedy="Remove the duplicate atom, or check the space-group setting and the lattice parameters.",
        )


def to_atoms(structure: Structure) -> Atoms:
    """Return `structure` as ASE Atoms with the same order of sites; oxidation states are left behind."""
    from ase import Atoms

    return Atoms(
        numbers=[site.specie.Z for site in structure],
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )


def to_structure(atoms: Atoms) -> Structure:
    """Return periodic ASE Atoms as a pymatgen Structure with the same order of sites.

    Raises
    ------
    InputError
        If the atoms are not periodic in three directions.
    """
    from pymatgen.core import Structure

    check_periodic(atoms)
    return Structure(
        atoms.cell.array,
        atoms.get_chemical_symbols(),
        atoms.get_positions(),
        coords_are_cartesian=True,
    )


def check_periodic(atoms: Atoms) -> None:
    """Refuse ASE Atoms that are not periodic in three directions (`InputError`)."""
    if not all(atoms.pbc) or abs(np.linalg.det(atoms.cell.array)) < 1e-6:
        raise InputError(
            f"not periodic in three directions (pbc = {[bool(p) for p in atoms.pbc]})",
            where=str(atoms.info.get("filename", atoms.get_chemical_formula())),
            expected="a three-dimensional periodic cell",
            remedy="Set a cell and pbc; for a slab include the vacuum in the cell.",
        )


def fixed_coordinates(structure: Structure) -> np.ndarray | None:
    """Return which Cartesian coordinates of every site are held (sites × 3, true: held), None if all may move.

    Held coordinates stand in pymatgen's site property ``selective_dynamics`` (true: may move), as in a POSCAR.
    """
    flags = structure.site_properties.get(SELECTIVE)
    if flags is None:
        return None
    held = np.array([[flag is not None and not free for free in flag or (True,) * 3] for flag in flags])
    return held if held.any() else None


def hold(structure: Structure, held: np.ndarray) -> Structure:
    """Return `structure` with the sites, or Cartesian coordinates of sites, that `held` marks fixed.

    Parameters
    ----------
    structure
        Any structure.
    held
        Booleans, one per site or sites × 3.
    """
    marks = np.broadcast_to(np.atleast_2d(held.T).T, (len(structure), 3))
    marked: Structure = structure.copy()
    marked.add_site_property(SELECTIVE, (~marks).tolist())
    return marked


def constraints(held: np.ndarray) -> list[Any]:
    """Return the ASE constraints that hold the Cartesian coordinates marked in `held` (sites × 3)."""
    from ase.constraints import FixAtoms, FixCartesian

    whole = held.all(axis=1)
    partly = np.flatnonzero(held.any(axis=1) & ~whole)
    atoms = [FixAtoms(indices=np.flatnonzero(whole))] if whole.any() else []
    return atoms + [FixCartesian(int(site), mask=held[site]) for site in partly]


def write_cif(structure: Structure, path: Path) -> Path:
    """Write `structure` as CIF with full precision (P1, order of sites kept) and return the path.

    The file appears whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from pymatgen.io.cif import CifWriter

    plain = structure.copy()
    plain.remove_oxidation_states()
    text = str(CifWriter(plain, significant_figures=10))
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Provide a file beside `path` to write to, which takes the name of `path` once it is complete.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None


def check_writable(path: Path) -> None:
    """Raise `InputError` unless a file can be written at `path`; what is there already is left as it is."""
    if path.is_dir():
        raise _unwritable(path, "is a folder")
    parent = next((folder for folder in path.absolute().parents if folder.exists()), path.absolute().parent)
    if not parent.is_dir():
        raise _unwritable(path, f"{parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _unwritable(path, f"no permission to write in {parent}")


def _unwritable(path: Path, reason: str) -> InputError:
    return InputError(
        f"cannot be written ({reason})",
        where=str(path),
        expected="a path of a file in a folder that can be written",
        remedy="Choose another path, or check the permissions and the space on the disk.",
    )
