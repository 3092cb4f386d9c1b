"""What parsers of structure files let pass in silence: a count too few in a POSCAR, an item twice in a CIF."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

#: So many cells away the place of an atom in its cell is lost in the rounding of its coordinates.
FARTHEST_CELL = 1e6
_ITEM = re.compile(r"^[ \t]*(_\S+)[ \t]+\S", re.MULTILINE)
_BLOCK = re.compile(r"^data_", re.MULTILINE | re.IGNORECASE)
_TEXT = re.compile(r"^;.*?^;", re.MULTILINE | re.DOTALL)
#: Words that no operation of symmetry holds.
_OPERATION = re.compile(r"[\sxyzXYZ0-9/.+*-]*[xyzXYZ][\sxyzXYZ0-9/.+*-]*")
_OPERATIONS = re.compile(
    r"^[ \t]*_(?:symmetry_equiv_pos_as_xyz|space_group_symop[_.]operation_xyz)[ \t]*\n"
    r"((?:(?![ \t]*(?:loop_|_|#|data_)).+\n?)*)",
    re.MULTILINE,
)
#: The most operations of a space group in its conventional cell.
MOST_OPERATIONS = 192
#: Atoms of an XYZ frame at most.
MOST_LINES = 20_000_000
#: Points of a grid of densities along one axis, at most.
MOST_POINTS = 5000
_NUMBER = re.compile(r"(?<![\w.+-])[+-]?\d[\d.]*[eE][+-]?\d+(?![\w.])|(?<![\w.+-])[+-]?\d{7,}(?:\.\d*)?(?![\w.])")
#: The rows of the loop that holds the coordinates of atoms.
_COORDINATES = re.compile(
    r"^[ \t]*_atom_site_(?:fract|Cartn)_z[ \t]*\n(?:[ \t]*_\S*[ \t]*\n)*((?:(?![ \t]*(?:loop_|_|#|data_)).+\n?)*)",
    re.MULTILINE,
)


def check_poscar(text: str) -> None:
    """Raise `ValueError` unless a text begins as a POSCAR does, one count for every element, no more than lines.

    pymatgen leaves out the elements that have no count, and makes room for as many atoms as are told.
    """
    lines = text.splitlines()
    head = [line.split("!")[0].split() for line in lines[5:7]]
    counts = next((row for row in head if row and all(word.lstrip("+-").isdigit() for word in row)), None)
    if counts is None:
        raise ValueError("no line with the numbers of atoms")
    numbers = [int(word[:20]) for word in counts]
    if counts is head[-1] and len(head[0]) != len(numbers):
        message = f"{len(head[0])} elements with {len(numbers)} numbers of atoms"
        raise ValueError(message)
    if min(numbers) < 1 or sum(numbers) > len(lines):
        message = f"numbers of atoms {' '.join(counts)[:60]} in a file of {len(lines)} lines"
        raise ValueError(message)


def check_xyz(lines: Iterator[bytes]) -> None:
    """Raise `ValueError` if a file of XYZ frames ends within one: some parsers read on for ever."""
    for number in itertools.count():
        line = next((one for one in lines if one.strip()), b"")
        if not line:
            return
        word = line.strip()
        if not word.isdigit():
            message = (
                f"'{word[:40].decode(errors='replace')}' where frame {number} should tell its number of atoms"
            )
            raise ValueError(message)
        wanted = int(word[:20]) + 1
        found = sum(1 for _ in itertools.islice(lines, wanted)) if wanted <= MOST_LINES else 0
        if found < wanted:
            message = f"frame {number} tells {word[:20].decode()} atoms, and has {max(found - 1, 0)}"
            raise ValueError(message)


def check_cif(text: str) -> None:
    """Raise `ValueError` if a CIF tells an item twice, holds no operation where one should be, or a far atom.

    pymatgen takes the last of several values, goes on without symmetry where it cannot read the operations, and
    folds coordinates into the cell before anybody sees them.
    """
    plain = _TEXT.sub("", text)
    for block in _BLOCK.split(plain):
        told = Counter(name.lower() for name in _ITEM.findall(block))
        twice = [name for name, count in told.items() if count > 1]
        if twice:
            message = f"{twice[0]} stands twice in one block"
            raise ValueError(message)
    for rows in _OPERATIONS.findall(plain):
        _check_operations([line.strip() for line in rows.splitlines() if line.strip()])
    for rows in _COORDINATES.findall(plain):
        far = [word for word in _NUMBER.findall(rows) if abs(float(word)) > FARTHEST_CELL]
        if far:
            message = f"an atom {far[0]} cells away"
            raise ValueError(message)


def _check_operations(rows: list[str]) -> None:
    if len(rows) > MOST_OPERATIONS:
        message = f"{len(rows)} operations of symmetry, at most {MOST_OPERATIONS} exist"
        raise ValueError(message)
    for row in rows:
        quoted = re.search(r"(['\"])(.*?)\1", row)
        word = quoted[2] if quoted else next((one for one in row.split() if "," in one), row)
        parts = word.split(",")
        if len(parts) != 3 or not all(_OPERATION.fullmatch(part) for part in parts):
            message = f"'{word[:60]}' is no operation of symmetry"
            raise ValueError(message)


def check_grid(text: str) -> None:
    """Raise `ValueError` unless a CHGCAR holds the numbers that its first grid announces."""
    behind = re.split(r"\n[ \t\r]*\n", text, maxsplit=1)[1:]  # a blank line stands between atoms and grid
    lines = "".join(behind).strip().split("\n", 1)
    _check_values(lines[0].split()[:3], lines[1] if len(lines) > 1 else "", exact=False)


def check_cube(text: str) -> None:
    """Raise `ValueError` unless a cube file holds the numbers that its grid announces, and no more."""
    lines = text.splitlines()
    atoms = abs(int(lines[2].split()[0]))
    if atoms > len(lines):
        message = f"{atoms} atoms in a file of {len(lines)} lines"
        raise ValueError(message)
    shape = [line.split()[0] for line in lines[3:6]]
    _check_values(shape, "\n".join(lines[6 + atoms :]), exact=int(lines[2].split()[0]) > 0)


def _check_values(shape: list[str], text: str, *, exact: bool) -> None:
    if len(shape) != 3 or not all(word.isdigit() and 0 < int(word) < MOST_POINTS for word in shape):
        message = f"a grid of {' × '.join(shape)[:60]} points"
        raise ValueError(message)
    wanted, found = int(shape[0]) * int(shape[1]) * int(shape[2]), len(text.split())
    if found < wanted or (exact and found > wanted):
        message = f"{found} numbers for a grid of {' × '.join(shape)} points"
        raise ValueError(message)
