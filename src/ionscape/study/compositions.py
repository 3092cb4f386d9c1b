"""The materials of a study whose dynamics are run: which cells they start from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ionscape.doping.funnel import DopedCell, FailedCell
from ionscape.dynamics.stage import StartingCell
from ionscape.errors import CalculationError, InputError, nearest
from ionscape.results import Failure

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.doping.settings import DopingRoute
    from ionscape.study.crystals import RelaxedCrystal
    from ionscape.study.schema import DopingTable, Study

#: How a study file names its host among the materials.
HOST = "host"
Repeats = tuple[int, int, int]
#: Searches doped cells anew, in the cell of the dynamics.
Search = Callable[[Sequence["Content"]], Sequence[DopedCell | FailedCell]]


@dataclass(frozen=True)
class Content:
    """A doped material: its name in the study, its route, and its dopants in the cell of the dynamics.

    Attributes
    ----------
    name
        ``ROUTE, COUNT`` with the count of the table [doping].
    count
        Dopants in the cell of the dynamics.
    searched
        Whether its cell is searched anew, since that of [doping] does not fit into the cell of the dynamics.
    """

    name: str
    route: str
    count: int
    searched: bool


def formula_units(host: Structure, supercell: tuple[int, int, int]) -> int:
    """Return the number of formula units of `host` in its `supercell`: N per cell over it is x per formula."""
    return int(host.composition.get_reduced_composition_and_factor()[1]) * math.prod(supercell)


def dynamics_cell(study: Study) -> Repeats:
    """Return the repeats of the host cell in which the dynamics of `study` are run."""
    assert study.dynamics is not None  # noqa: S101  asked for only where there is the table
    return study.dynamics.supercell or (study.doping.supercell if study.doping else (1, 1, 1))


def contents_of(study: Study) -> list[Content]:
    """Return the doped materials among those of [dynamics].

    Raises
    ------
    InputError
        If a material is neither the host nor a content of [doping], or the cell holds no whole number of its
        dopants.
    """
    assert study.dynamics is not None  # noqa: S101  asked for only where there is the table
    cell = dynamics_cell(study)
    return [
        _content(name, index, study.doping, cell)
        for index, name in enumerate(study.dynamics.compositions)
        if name != HOST
    ]


def _content(name: str, index: int, doping: DopingTable | None, cell: Repeats) -> Content:
    known = {f"{route.name}, {count}": (route.name, count) for route in _routes(doping) for count in route.counts}
    if doping is None or name not in known:
        raise InputError(
            f"no material '{name}' in this study",
            where=f"dynamics.compositions[{index}]",
            expected="'host', or a content of [doping] as 'ROUTE, COUNT'",
            remedy=nearest(name, [HOST, *known]),
        )
    route, count = known[name]
    scaled = count * _size(cell) / _size(doping.supercell)
    if scaled != int(scaled):
        raise InputError(
            f"{scaled:g} dopants of '{name}' in a cell of {_written(cell)}",
            where="dynamics.supercell",
            expected=f"a cell that holds a whole number: '{name}' has {count} in {_written(doping.supercell)}",
            remedy="Take a larger cell, or another content.",
        )
    return Content(name, route, int(scaled), searched=_repeats(cell, doping.supercell) is None)


def _routes(doping: DopingTable | None) -> Sequence[DopingRoute]:
    return doping.routes if doping is not None else ()


def _size(cell: Repeats) -> int:
    return cell[0] * cell[1] * cell[2]


def _written(cell: Repeats) -> str:
    return "×".join(map(str, cell))


def _repeats(cell: Repeats, part: Repeats) -> Repeats | None:
    """Return how often `part` fits into `cell` along each axis; None if not a whole number of times."""
    if any(whole % one for whole, one in zip(cell, part, strict=True)):
        return None
    a, b, c = (whole // one for whole, one in zip(cell, part, strict=True))
    return a, b, c


def starting_cells(
    study: Study,
    host: RelaxedCrystal,
    doped: Sequence[DopedCell | FailedCell],
    units: int,
    search: Search,
) -> list[StartingCell]:
    """Return the cells of all materials of [dynamics], in their order.

    Parameters
    ----------
    study
        The study.
    host
        The relaxed host.
    doped
        The doped cells found so far.
    units
        Formula units of the host in the cell of the dynamics.
    search
        What searches doped cells anew.
    """
    assert study.dynamics is not None  # noqa: S101  asked for only where there is the table
    contents = {content.name: content for content in contents_of(study)}
    wanted = [content for content in contents.values() if content.searched]
    found = dict(zip([content.name for content in wanted], _searched(search, wanted), strict=True))
    cells = []
    for name in study.dynamics.compositions:
        if name == HOST:
            cells.append(_start(host.name, 0.0, _repeated(host.structure, dynamics_cell(study))))
        elif name in found:
            cells.append(_start(name, contents[name].count / units, _of_cell(found[name])))
        else:
            structure = _doped(name, doped, study)
            cells.append(_start(name, contents[name].count / units, structure))
    return cells


def _start(name: str, x: float, structure: Structure | Failure) -> StartingCell:
    formula = "" if isinstance(structure, Failure) else structure.composition.formula.replace(" ", "")
    return StartingCell(name, formula, x, structure)


def _searched(search: Search, contents: Sequence[Content]) -> Sequence[DopedCell | FailedCell | Failure]:
    if not contents:
        return []
    try:
        return search(contents)
    except CalculationError as error:
        return [Failure(str(error))] * len(contents)


def _of_cell(cell: DopedCell | FailedCell | Failure) -> Structure | Failure:
    return cell.structure if isinstance(cell, DopedCell) else Failure(f"no doped cell: {cell.reason}")


def _doped(name: str, cells: Sequence[DopedCell | FailedCell], study: Study) -> Structure | Failure:
    assert study.doping is not None  # noqa: S101  `contents_of` found the name in it
    found = next((cell for cell in cells if f"{cell.route}, {cell.count}" == name), None)
    if found is None:
        return Failure("no doped cell: the doping stage gave none")
    structure, repeats = _of_cell(found), _repeats(dynamics_cell(study), study.doping.supercell)
    if isinstance(structure, Failure) or repeats is None:
        return structure
    return _repeated(structure, repeats)


def _repeated(structure: Structure, repeats: Repeats) -> Structure:
    return structure.make_supercell(repeats, in_place=False)
