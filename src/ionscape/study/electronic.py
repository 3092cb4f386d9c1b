"""The electronic structure in a study: finished calculations, layer by layer, with their density differences."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ionscape.electronic.analysis import LayeredStates, analyse_layers, write_states
from ionscape.electronic.difference import (
    DensityDifference,
    density_difference,
    write_difference,
    write_planar,
)
from ionscape.electronic.outputs import read_output, read_output_density
from ionscape.errors import InputError
from ionscape.results import Failure, to_json
from ionscape.settings import Settings
from ionscape.structures.density import DensityGrid

if TYPE_CHECKING:
    from ionscape.study.pipeline import Run


class ElectronicCase(Settings):
    """A finished calculation of an interface."""

    name: str = Field(description="What it is called, e.g. 'N at the contact'.")
    output: str = Field(
        description="A .gpw file, vasprun.xml, vaspout.h5 or the folder of a VASP run; relative paths start at "
        "the study file."
    )
    density: str = Field("", description="Density of the whole, where the output is no .gpw file: CHGCAR or cube.")
    parts: Annotated[tuple[str, str] | None, Field(strict=False)] = Field(
        None,
        description="Densities of both slabs alone, frozen, for the density difference: .gpw, CHGCAR or cube.",
    )
    sides: Annotated[tuple[str, str] | None, Field(strict=False)] = Field(
        None, description="Elements that only the one and only the other slab has, for the band offset: Co, Zr."
    )
    axis: int = Field(2, ge=0, le=2, description="Lattice vector that leads out of the interface.")
    layer_gap_A: float = Field(0.8, gt=0, le=10, description="Gap along the normal that divides layers, Å.")


class ElectronicTable(Settings):
    """The stage of electronic structure: finished calculations of GPAW or VASP, side by side."""

    cases: Annotated[tuple[ElectronicCase, ...], Field(min_length=1, strict=False)] = Field(
        description="The calculations, in the order in which they are shown."
    )


@dataclass(frozen=True)
class StudiedStates:
    """One case: its states layer by layer, and what moved when its parts met, or why that is not known."""

    name: str
    found: LayeredStates | Failure
    difference: DensityDifference | Failure | None
    whole: DensityGrid | None = field(metadata={"internal": True})


def study_electronic(run: Run) -> list[StudiedStates]:
    """Return what all cases of the table [electronic] tell.

    Raises
    ------
    InputError
        If none of them could be read.
    """
    table = run.study.electronic
    assert table is not None  # noqa: S101  `stages_of` leaves the stage out without its table
    found = [_case(case, run.folder) for case in table.cases]
    failed = [one.found for one in found if isinstance(one.found, Failure)]
    if len(failed) == len(found):
        raise InputError(
            failed[0].reason,
            where="electronic.cases",
            expected="at least one calculation that can be read",
            remedy="Correct the paths, which start at the study file.",
        )
    return found


def _case(case: ElectronicCase, folder: Path) -> StudiedStates:
    try:
        output = read_output(folder / case.output)
        states: LayeredStates | Failure = analyse_layers(output, case.axis, case.layer_gap_A, case.sides)
    except InputError as error:
        states = Failure(str(error))
    if case.parts is None:
        return StudiedStates(case.name, states, None, None)
    try:
        whole, first, second = (
            read_output_density(folder / path) for path in (case.density or case.output, *case.parts)
        )
        return StudiedStates(case.name, states, density_difference(whole, (first, second), case.axis), whole)
    except InputError as error:
        return StudiedStates(case.name, states, Failure(str(error)), None)


def electronic_record(found: list[StudiedStates], folder: Path) -> dict[str, Any]:
    """Return the stage as it stands in ``results.json``; states and differences are written into `folder`."""
    return {"cases": [_record(one, folder) for one in found]}


def _record(one: StudiedStates, folder: Path) -> dict[str, Any]:
    stem = re.sub(r"[^A-Za-z0-9]+", "-", one.name).strip("-")
    data: dict[str, Any] = {"name": one.name, **_difference(one, stem, folder)}
    if isinstance(one.found, Failure):
        return {**data, "unavailable": one.found.reason}
    found = one.found
    file = write_states(found, folder / "electronic" / f"{stem}-states.json")
    layers = [
        {
            **{name: value for name, value in to_json(edge).items() if value is not None},
            "height": to_json(float(height), "Å"),
            **({} if found.potentials is None else {"potential": to_json(float(found.potentials[k]), "eV")}),
        }
        for k, (edge, height) in enumerate(zip(found.edges, found.layers.heights, strict=True))
    ]
    offset = {} if found.offset is None else {"offset": {**to_json(found.offset), "verdict": found.offset.verdict}}
    return {
        **data,
        "source": Path(found.states.source).name,
        "gap": to_json(found.states.gap, "eV"),
        "owner": to_json(found.owner),
        "layers": layers,
        **offset,
        "states_file": str(file.relative_to(folder)),
    }


def _difference(one: StudiedStates, stem: str, folder: Path) -> dict[str, Any]:
    if one.difference is None:
        return {}
    if isinstance(one.difference, Failure) or one.whole is None:
        reason = one.difference.reason if isinstance(one.difference, Failure) else "no density of the whole"
        return {"difference": {"unavailable": reason}}
    cube = write_difference(one.difference, one.whole, folder / "volumetric" / f"{stem}-difference.cube")
    planar = write_planar(one.difference, folder / "electronic" / f"{stem}-planar.json")
    return {
        "difference": {
            "moved": to_json(one.difference.moved, "e"),
            "total": to_json(one.difference.total, "e"),
            "cube_file": str(cube.relative_to(folder)),
            "planar_file": str(planar.relative_to(folder)),
        }
    }
