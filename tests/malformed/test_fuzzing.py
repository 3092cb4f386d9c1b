"""Whatever stands in a file, its reader returns or raises `InputError`: random study files and random damage."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import wellformed as good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ionscape.dynamics.readers import open_trajectory
from ionscape.dynamics.trajectory import TrajectoryWarning
from ionscape.errors import InputError
from ionscape.files import Wanted, json_of, path_inside, text_of
from ionscape.levels.evaluation import read_frames
from ionscape.phases.entries import read_entries
from ionscape.potential.model_file import read_model
from ionscape.structures.density import read_density
from ionscape.structures.exchange import read_structure
from ionscape.study.schema import Study, fields_at, read_study
from ionscape.transport.records import read_runs

FEW = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
WANTED = Wanted("a text", "a text", "Mend it.", largest_MB=1)


def everything(path: Path) -> None:
    """Read a run to its end."""
    for _ in open_trajectory(path, frame_interval_fs=10.0, temperature_K=600.0).chunks():
        pass


READERS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "CIF": ("x.cif", good.cif, read_structure),
    "POSCAR": ("POSCAR", good.poscar, read_structure),
    "JSON": ("x.json", good.structure_json, read_structure),
    "extended XYZ": ("x.extxyz", good.extxyz, read_structure),
    "frames": ("f.extxyz", good.frames_extxyz, read_frames),
    "run, extended XYZ": ("r.extxyz", good.run_extxyz, everything),
    "run, XDATCAR": ("XDATCAR", good.run_xdatcar, everything),
    "run, LAMMPS dump": ("r.lammpstrj", good.run_dump, everything),
    "run, vasprun.xml": ("vasprun.xml", good.run_vasprun, everything),
    "run, H5MD": ("r.h5", good.run_h5md, everything),
    "run, our own": ("run.mdt", good.run_recorded, everything),
    "cube": ("x.cube", good.cube, read_density),
    "CHGCAR": ("CHGCAR", good.chgcar, read_density),
    "entries": ("e.json", good.entries_json, read_entries),
    "runs": ("t.json", good.runs_json, lambda path: read_runs([path])),
    "model": ("m.sgp", good.model_file, read_model),
    "study": ("s.toml", good.study, read_study),
}


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[float, bytes, int]]:
    """Return pieces to be written at places (parts of the length), over so many bytes."""
    pieces = st.binary(max_size=6) | st.sampled_from([b"nan", b"-1", b"1e999", b"\n", b" ", b"{", b"99999999999"])
    return draw(st.lists(st.tuples(st.floats(0, 1), pieces, st.integers(0, 40)), min_size=1, max_size=3))


@pytest.mark.parametrize("name", READERS)
@FEW
@given(damage=damages())
def test_a_damaged_file_is_read_or_refused(name: str, damage: list[tuple[float, bytes, int]]) -> None:
    file, make, read = READERS[name]
    content = good.cached(make)
    for part, piece, over in damage:
        place = int(part * len(content))
        content = content[:place] + piece + content[place + over :]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", TrajectoryWarning)
        (Path(folder) / file).write_bytes(content)
        with contextlib.suppress(InputError):
            read(Path(folder) / file)


KEYS = sorted({*fields_at(()), *(key for table in fields_at(()) for key in fields_at((table,)))})
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@FEW
@given(data=st.dictionaries(st.sampled_from(fields_at(())), values, max_size=5))
def test_any_study_is_accepted_or_refused_by_its_schema(data: dict) -> None:
    from pydantic import ValidationError

    from ionscape.study.schema import _refusal

    try:
        Study.model_validate(data)
    except ValidationError as error:
        told = str(_refusal(error, "s.toml"))
        assert told.startswith("s.toml: ")
        assert "\n" not in told.strip()


@FEW
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_text_and_json_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        for read in (text_of, json_of):
            with contextlib.suppress(InputError):
                read(path, WANTED)


@FEW
@given(parts=st.lists(st.sampled_from(["..", ".", "a", "b c", "~x", ""]), min_size=1, max_size=6))
def test_relative_paths_stay_inside_their_folder(parts: list[str]) -> None:
    folder = Path("/study/of/mine")
    with contextlib.suppress(InputError):
        found = path_inside(folder, "/".join(parts).lstrip("/"), where="study file")
        assert Path(*_climbed(found)).is_relative_to(folder)


def _climbed(path: Path) -> list[str]:
    """Return the parts of a path without its steps up."""
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return parts
