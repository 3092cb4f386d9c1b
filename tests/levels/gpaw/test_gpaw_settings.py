"""Settings of the level: presets, refusals, what an identity holds. Nothing here computes."""

from __future__ import annotations

import importlib.util

import pytest

from ionscape.errors import InputError
from ionscape.levels.gpaw import datasets
from ionscape.levels.gpaw.provider import PROVIDER
from ionscape.levels.gpaw.settings import gpaw_settings
from ionscape.levels.registry import Level


def test_the_preset_is_the_study_and_what_is_given_beside_it_wins():
    study = gpaw_settings({"preset": "study"})
    assert (study.functional, study.cutoff_eV, study.kpoint_density) == ("PBE", 520.0, 1000.0)
    assert study.hubbard_U_eV == {"Co": 3.32}
    assert study.datasets == {"Li": "sv"}
    assert gpaw_settings({"preset": "study", "cutoff_eV": 700.0}).cutoff_eV == 700.0
    assert gpaw_settings({}).hubbard_U_eV == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cutof_eV": 500.0}, "Did you mean 'cutoff_eV'"),
        ({"functional": "PBEE"}, "functional = 'PBEE'"),
        ({"cutoff_eV": 20.0}, "cutoff_eV = 20.0"),
        ({"hubbard_U_eV": {"Co": 33.2}}, "less than or equal to 12"),
        ({"hubbard_U_eV": {"Co": -1.0}}, "greater than 0"),
        ({"hubbard_U_eV": {"O": 3.0}}, "not 'O'"),
        ({"hubbard_U_eV": {"Xx": 3.0}}, "not 'Xx'"),
        ({"datasets": {"Lithium": "sv"}}, "not 'Lithium'"),
        ({"kpoints": [2, 2]}, "kpoints"),
        ({"mixers": []}, "mixers"),
        ({"preset": "paper"}, "preset = 'paper'"),
    ],
)
def test_wrong_settings_are_refused_in_one_message(given, told):
    with pytest.raises(InputError, match="level 'gpaw'") as error:
        gpaw_settings(given)
    assert told in str(error.value)


def test_without_gpaw_the_level_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="make install-dft"):
        Level.of("gpaw")


def test_without_data_sets_the_level_says_so(monkeypatch):
    there = {"gpaw": object(), "gpaw_data": None}
    monkeypatch.setattr(importlib.util, "find_spec", there.get)
    assert "data sets are missing" in str(PROVIDER.available())


def test_hubbard_values_and_projectors_reach_gpaw():
    assert datasets.setup_type("Co", gpaw_settings({"preset": "study"})) == ":d,3.32,0"
    scaled = gpaw_settings({"hubbard_U_eV": {"Co": 3.32, "Ce": 5.0}, "hubbard_projector": "normalized"})
    assert datasets.setup_type("Co", scaled) == ":d,3.32,1"
    assert datasets.setup_type("Ce", scaled) == ":f,5.0,1"
    assert datasets.setup_type("Li", scaled) == "sv"
    assert datasets.setup_type("O", scaled) == "paw"
