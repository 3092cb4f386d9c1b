"""Outputs of VASP in their several files: the same states from each, potentials, gaps; the offset of two sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_layers import BOTTOMS, TOPS, structure, write_locpot, write_outcar, write_vaspout, write_vasprun

from ionscape.electronic.analysis import analyse_layers
from ionscape.electronic.from_outcar import read_band_edges
from ionscape.electronic.offset import EDGE_ERROR, lined_up
from ionscape.electronic.outputs import read_output
from ionscape.errors import InputError
from ionscape.structures.sides import first_side


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_vasprun(tmp_path / "vasprun.xml")
    write_outcar(tmp_path / "OUTCAR")
    return tmp_path


def test_the_files_of_one_calculation_tell_the_same(folder: Path) -> None:
    write_vaspout(folder / "vaspout.h5")
    first, second = (read_output(folder / name) for name in ("vasprun.xml", "vaspout.h5"))
    assert first.states.gap == pytest.approx(second.states.gap, abs=1e-3)
    edges = [analyse_layers(one).edges for one in (first, second)]
    for a, b in zip(*edges, strict=True):
        assert a.formula == b.formula
        assert a.valence_top == pytest.approx(b.valence_top, abs=0.021)
        assert a.conduction_bottom == pytest.approx(b.conduction_bottom, abs=0.021)
    totals = [one.states.values.sum() for one in (first, second)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-4)


@pytest.mark.parametrize("given", ["", "OUTCAR", "vasprun.xml"])
def test_the_folder_or_a_file_beside_stands_for_the_run(folder: Path, given: str) -> None:
    assert read_output(folder / given).states.gap == pytest.approx(1.95, abs=1e-3)


def test_the_vaspout_is_taken_where_there_is_no_vasprun(folder: Path) -> None:
    (folder / "vasprun.xml").unlink()
    write_vaspout(folder / "vaspout.h5")
    assert read_output(folder).states.source.endswith("vaspout.h5")


def test_an_outcar_alone_tells_the_gap_of_its_last_step(folder: Path) -> None:
    top, bottom = read_band_edges(folder / "OUTCAR")
    assert (top, bottom) == pytest.approx((0.05, 2.0))
    (folder / "vasprun.xml").unlink()
    with pytest.raises(InputError, match="holds no projected states"):
        read_output(folder / "OUTCAR")
    (folder / "OUTCAR").write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as an OUTCAR with eigenvalues"):
        read_band_edges(folder / "OUTCAR")


def test_damaged_files_are_refused(folder: Path) -> None:
    (folder / "vaspout.h5").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"a vaspout\.h5"):
        read_output(folder / "vaspout.h5")
    (folder / "LOCPOT").write_text("cut")
    with pytest.raises(InputError, match="as a LOCPOT"):
        read_output(folder)
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"none of vasprun\.xml"):
        read_output(folder / "empty")


def test_the_potential_beside_the_run_is_averaged_by_layer(folder: Path) -> None:
    write_locpot(folder / "LOCPOT")
    found = analyse_layers(read_output(folder))
    assert found.potentials is not None
    assert found.potentials[[1, 4]] == pytest.approx([-3.0, -5.0], abs=1e-6)


def test_the_offset_of_two_sides_is_that_of_their_inner_layers(folder: Path) -> None:
    write_locpot(folder / "LOCPOT")
    found = analyse_layers(read_output(folder), sides=("Co", "Zr"))
    offset = found.offset
    assert offset is not None
    assert offset.inner == ((1,), (4,))
    assert offset.valence.value == pytest.approx(TOPS[4] - TOPS[1], abs=0.06)
    assert offset.conduction.value == pytest.approx(BOTTOMS[4] - BOTTOMS[1], abs=0.06)
    assert offset.valence.margin >= np.sqrt(2) * EDGE_ERROR
    assert offset.kind == "straddling"
    assert offset.verdict.startswith("the valence top is on the first side, by 1.5")
    swapped = analyse_layers(read_output(folder), sides=("Zr", "Co")).offset
    assert swapped is not None
    assert swapped.valence.value == pytest.approx(-offset.valence.value)
    assert "second side" in swapped.verdict


def test_bulk_edges_are_lined_up_by_the_step_of_the_potential(folder: Path) -> None:
    write_locpot(folder / "LOCPOT")
    offset = analyse_layers(read_output(folder), sides=("Co", "Zr")).offset
    assert offset is not None
    assert offset.potential is not None
    assert offset.potential.value == pytest.approx(-2.0, abs=1e-6)
    # bulk tops 3 eV and 3.5 eV above their mean potentials: 3.5 − 3 − 2
    assert lined_up(offset, 3.0, 3.5).value == pytest.approx(-1.5, abs=1e-6)
    without = analyse_layers(read_output(folder / "vasprun.xml", None), sides=("Co", "Zr"))
    assert without.offset is not None


def test_an_offset_within_its_margin_is_no_verdict(folder: Path) -> None:
    from made_layers import ENERGIES, eigenvalues, states
    from vasprun_text import vasprun

    tops = (0.0, 0.0, 0.0, 0.1, 0.1, 0.1)
    text = vasprun(structure(), ENERGIES, states(tops, BOTTOMS), eigenvalues(), 0.5)
    (folder / "vasprun.xml").write_text(text)
    offset = analyse_layers(read_output(folder), sides=("Co", "Zr")).offset
    assert offset is not None
    assert offset.kind == "undecided"
    assert offset.verdict.startswith("not decided")


def test_every_atom_is_on_the_side_of_its_mark() -> None:
    assert first_side(structure(), "Co", "Zr").tolist() == [True] * 6 + [False] * 6
