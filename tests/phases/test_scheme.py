"""Energies of different schemes stay apart, and MP2020 corrections are those of pymatgen."""

import copy

import pytest
from pymatgen.analysis.compatibility import MaterialsProject2020Compatibility
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition
from pymatgen.core.entries import ComputedEntry

from ionscape.errors import InputError
from ionscape.levels.registry import Level
from ionscape.phases.competing import phase_energies
from ionscape.phases.entries import EntrySource, phases_of_entries
from ionscape.phases.scheme import entry_scheme, on_one_scale, require_same_scheme, scheme_of_level

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def entry(formula, energy=-5.0, run_type="GGA", hubbards=None, **more):
    """Return an entry of `energy` eV/atom."""
    composition = Composition(formula)
    parameters = {"run_type": run_type, "hubbards": hubbards or {}, **more.pop("parameters", {})}
    name = more.pop("entry_id", f"id-{formula}")
    return ComputedEntry(composition, energy * composition.num_atoms, parameters=parameters, entry_id=name, **more)


def potcars(*symbols):
    return {"potcar_symbols": [f"PBE {symbol}" for symbol in symbols]}


def corrected(entries):
    compatibility = MaterialsProject2020Compatibility(check_potcar=False)
    return compatibility.process_entries(copy.deepcopy(entries), on_error="raise")


COBALT = {"Co": 3.32}
#: GGA and GGA+U as the Materials Project runs them: U on Co in oxides only.
MIXED = [
    entry("Li", -1.9),
    entry("Co", -7.0),
    entry("O2", -4.9),
    entry("Li2O", -4.7),
    entry("LiCoO2", -5.6, "GGA+U", COBALT),
    entry("CoO", -5.9, "GGA+U", COBALT),
]


def test_entries_of_one_functional_keep_their_energies():
    entries = [entry("Li"), entry("O2", -4.9), entry("Li2O", -4.7)]
    found = on_one_scale(entries, where="here")
    assert found.scheme == "GGA"
    assert [e.energy for e in found.entries] == [e.energy for e in entries]


def test_one_hubbard_u_for_each_element_is_one_scheme():
    """Lithium carries no U in any run, so GGA runs without Co and GGA+U runs with Co are of one functional."""
    entries = [entry("Li"), entry("Co", -5, "GGA+U", COBALT), entry("LiCoO2", -5, "GGA+U", COBALT)]
    assert on_one_scale(entries, where="here").scheme == "GGA+U"


def test_pbe_is_what_the_materials_project_calls_gga():
    assert on_one_scale([entry("Li", run_type="PBE"), entry("Li2O")], where="here").scheme == "GGA"


@pytest.mark.parametrize(
    ("entries", "parts"),
    [
        (MIXED, ["U of Co is 0 eV in 1 (Co (id-Co))", "3.32 eV in 2", 'mixing = "mp2020"']),
        ([entry("Li"), entry("Li2O", run_type="R2SCAN")], ["2 schemes", "1 of GGA", "1 of r2SCAN (Li2O"]),
        ([entry("Li"), PDEntry(Composition("Li2O"), -14.0)], ["1 of GGA", "1 of functional not stated (Li2O)"]),
        ([entry("Li"), *corrected([entry("Li2O")]), entry("LiO2")], ["2 of GGA (Li", "1 of GGA, MP2020"]),
        (
            [entry("Li", parameters=potcars("Li_sv")), entry("Li2O", parameters=potcars("Li", "O"))],
            ["pseudopotential of Li is Li_sv in 1", "Li in 1 (Li2O"],
        ),
        ([entry("Li"), entry("CoO", -5, "GGA+U"), entry("Co")], ["U of Co", "not stated in 1"]),
    ],
    ids=["hubbard", "functional", "unstated", "corrections", "potcar", "unstated-u"],
)  # fmt: skip
def test_mixed_schemes_are_refused_with_counts_and_names(entries, parts):
    with pytest.raises(InputError) as caught:
        on_one_scale(entries, where="my.json")
    for part in ["my.json", *parts]:
        assert part in str(caught.value)


def test_corrected_entries_need_no_mixing_of_ours():
    """Elements and intermetallics have no MP2020 correction: uncorrected ones are on the corrected scale."""
    entries = corrected(MIXED)
    found = on_one_scale(entries, where="here")
    assert found.scheme == "GGA/GGA+U, MP2020 corrections"
    assert [e.energy for e in found.entries] == [e.energy for e in entries]


def test_corrections_by_hand_are_one_scheme():
    """Whoever corrects the energy of O2 alone leaves the others as they are on purpose."""
    oxygen = ComputedEntry("O2", -9.9, correction=0.4, parameters={"run_type": "GGA"})
    found = on_one_scale([entry("Li"), oxygen, entry("Li2O")], where="here")
    assert found.scheme == "GGA, manual corrections"
    with pytest.raises(InputError, match="3 schemes"):
        on_one_scale([entry("Li"), oxygen, *corrected([entry("Li2O")])], where="here")


def test_mixing_gives_the_energies_of_pymatgen():
    found = on_one_scale(MIXED, "mp2020", where="here")
    assert found.scheme == "GGA/GGA+U, MP2020 corrections"
    assert {e.entry_id: e.energy for e in found.entries} == {e.entry_id: e.energy for e in corrected(MIXED)}
    assert [e.correction for e in MIXED] == [0.0] * len(MIXED)
    assert found.entries[4].correction < -1


def test_mixing_replaces_corrections():
    legacy = ComputedEntry("Li2O", -14.0, correction=-0.5, parameters={"run_type": "GGA"})
    (again,) = on_one_scale([legacy], "mp2020", where="here").entries
    assert again.correction == corrected([entry("Li2O")])[0].correction


def test_what_cannot_be_corrected_is_told():
    found = on_one_scale([*MIXED, entry("Co3O4")], "mp2020", where="here")
    ((name, reason),) = found.excluded.items()
    assert name == "Co3O4 (id-Co3O4)"
    assert reason == "no MP2020 correction: Invalid U value of 0.0 on Co, expected 3.32"


def test_stated_pseudopotentials_are_checked():
    wrong = entry("Li2O", parameters=potcars("Li_other", "O"))
    found = on_one_scale([entry("Li"), wrong], "mp2020", where="here")
    assert "POTCAR" in found.excluded["Li2O (id-Li2O)"]


@pytest.mark.parametrize("other", [entry("LiO2", run_type="R2SCAN"), PDEntry(Composition("LiO2"), -1.0)])
def test_mixing_is_for_gga_only(other):
    with pytest.raises(InputError, match="1 entries are not stated to be GGA or GGA\\+U: LiO2"):
        on_one_scale([*MIXED, other], "mp2020", where="here")


def test_schemes_of_levels():
    assert scheme_of_level(Level.of("chgnet")) == "chgnet"
    assert scheme_of_level(Level("mace", (("model", "small"),))) == "mace (model = small)"
    assert entry_scheme(entry("Li", run_type="chgnet")).text == "chgnet"


def test_a_target_of_another_scheme_is_refused():
    level = Level.of("chgnet")
    require_same_scheme(phase_energies(level, ["Li", "O"]), level)
    source = EntrySource((entry("Li"), entry("O2"), entry("Li2O")))
    phases = phases_of_entries([source], ["Li", "O"], "none", where="here")
    with pytest.raises(InputError, match="energies of 'GGA', the target would have one of 'chgnet'"):
        require_same_scheme(phases, level)
