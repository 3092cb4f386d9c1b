"""Dopants layer by layer: a level with a known slope along the normal gives the profile of that slope."""

from __future__ import annotations

import numpy as np
import pytest
from contact_levels import SLOPE
from pymatgen.core import Lattice, Structure

from ionscape.doping.settings import DopingRoute
from ionscape.errors import InputError
from ionscape.interfaces.assembly import Interface, join
from ionscape.interfaces.contact_bench import ContactBench
from ionscape.interfaces.matching import lattice_matches
from ionscape.interfaces.segregation import SegregationSettings, segregation_profile
from ionscape.interfaces.settings import AssemblySettings, MatchSettings, SlabSettings
from ionscape.interfaces.slabs import slabs
from ionscape.levels.calculation import RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.results import Failure
from ionscape.study.engine import InProcess
from ionscape.study.lab import Laboratory
from ionscape.study.progress import Progress
from ionscape.study.store import Store

NITROGEN = DopingRoute(name="N on O", replace={"O": "N"}, insert={"Li": 1})


@pytest.fixture(scope="module")
def lithia_contact() -> Interface:
    """Return Li2O(110) on itself."""
    oxide = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    found = slabs(oxide, (1, 1, 0), SlabSettings(min_thickness_A=9.0))
    thick = next(one for one in found if not one.polar)
    match = lattice_matches(thick.vectors, thick.vectors, MatchSettings(max_area_A2=thick.area * 2.1))
    return join(thick, thick, max(match, key=lambda m: m.area), AssemblySettings(vacuum_A=8.0))


@pytest.fixture
def bench(tmp_path) -> ContactBench:
    level = Level.of("contact_levels:Sloped")
    relaxation = RelaxationSettings(fmax_eV_per_A=1.0, move="positions", max_steps=3)
    return ContactBench(Laboratory(Store(tmp_path), InProcess(1), Progress()), level, relaxation, level)


def test_the_profile_is_that_of_the_level(lithia_contact, bench) -> None:
    found = segregation_profile(
        lithia_contact, lithia_contact.structure, NITROGEN, SegregationSettings(keep=1), bench
    )
    distances = np.array([layer.distance for layer in found.layers])
    assert len(distances) >= 3
    assert (np.diff(distances) > 0).all()
    expected = SLOPE * (distances - distances[-1])  # the film lies above the contact
    relative = np.array([layer.relative for layer in found.layers])
    assert np.allclose(relative, expected, atol=0.05)
    assert found.segregation_energy == pytest.approx(found.layers[0].relative)
    assert found.segregation_energy_per_atom == pytest.approx(
        found.segregation_energy / (len(lithia_contact.structure) + 1)
    )
    assert found.layers[-1].relative == 0.0


def test_the_compensating_ion_is_near_the_dopant_and_in_the_slab(lithia_contact, bench) -> None:
    settings = SegregationSettings(keep=2, reach_A=4.0)
    found = segregation_profile(lithia_contact, lithia_contact.structure, NITROGEN, settings, bench)
    before = lithia_contact.structure
    for layer in found.layers:
        doped = layer.structure
        assert len(doped) == len(before) + 1
        counts = doped.composition.get_el_amt_dict()
        assert counts["N"] == 1
        assert counts["O"] == before.composition["O"] - 1
        nitrogen = next(i for i, site in enumerate(doped) if site.specie.symbol == "N")
        assert doped.get_distance(nitrogen, len(doped) - 1) < 4.0 + 0.2
        assert doped[-1].specie.symbol == "Li"
        heights = before.cart_coords[lithia_contact.film_sites, 2]
        assert heights.min() - 0.6 < doped[-1].coords[2] < heights.max() + 0.6


def test_the_substrate_is_doped_from_the_contact_downwards(lithia_contact, bench) -> None:
    settings = SegregationSettings(slab="substrate", keep=1)
    found = segregation_profile(lithia_contact, lithia_contact.structure, NITROGEN, settings, bench)
    relative = [layer.relative for layer in found.layers]
    assert relative[0] > relative[-1] == 0.0


def test_a_layer_that_cannot_be_relaxed_is_told(lithia_contact, bench) -> None:
    strict = ContactBench(
        bench.lab, bench.level, RelaxationSettings(fmax_eV_per_A=1e-6, move="positions", max_steps=1), bench.level
    )
    found = segregation_profile(
        lithia_contact, lithia_contact.structure, NITROGEN, SegregationSettings(keep=1, max_layers=2), strict
    )
    assert isinstance(found.segregation_energy, Failure)
    assert "not converged" in found.segregation_energy.reason


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (DopingRoute(name="bare", replace={"O": "N"}), "charged cell"),
        (DopingRoute(name="two", replace={"O": "N"}, insert={"Li": 1.5}), "one replacement"),
        (DopingRoute(name="void", insert={"Li": 1}), "one replacement"),
    ],
)
def test_routes_that_cannot_be_placed_are_refused(lithia_contact, bench, route, message) -> None:
    with pytest.raises(InputError, match=message):
        segregation_profile(lithia_contact, lithia_contact.structure, route, SegregationSettings(), bench)


def test_no_room_for_the_compensating_ion_is_told(lithia_contact, bench) -> None:
    settings = SegregationSettings(reach_A=0.6)
    with pytest.raises(InputError, match="no empty sites"):
        segregation_profile(lithia_contact, lithia_contact.structure, NITROGEN, settings, bench)
