"""Slabs of crystals whose surfaces are known, and what must hold of slabs of any crystal."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from ionscape.errors import InputError
from ionscape.interfaces.settings import SlabSettings
from ionscape.interfaces.slabs import slabs


@pytest.fixture(scope="module")
def rock_salt() -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_rock_salt_100_is_neutral_and_111_is_polar(rock_salt: Structure) -> None:
    (flat,) = slabs(rock_salt, (1, 0, 0))
    assert (flat.symmetric, flat.polar, flat.tasker, flat.stoichiometric) == (True, False, "I", True)
    ends = slabs(rock_salt, (1, 1, 1))
    assert [(one.symmetric, one.polar, one.tasker, one.stoichiometric) for one in ends] == [
        (True, True, "III", False)
    ] * 2
    assert [dict(one.excess) for one in ends] == [{"Mg": 1.0}, {"O": 1.0}]


@pytest.mark.parametrize("miller", [(0, 0, 0), (1, 0.5, 0), (1, 0)])
def test_what_is_no_plane_is_refused(rock_salt: Structure, miller: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="three integers"):
        slabs(rock_salt, miller, SlabSettings())
