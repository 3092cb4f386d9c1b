"""Phases from files and folders: read, compared with pymatgen's hull, joined, refused."""

import gzip
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.serialization import dumpfn
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.core.entries import ComputedEntry, ComputedStructureEntry

from ionscape.errors import CalculationError, InputError, MissingReferenceError
from ionscape.levels.calculation import Broken, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.phases.competing import phase_energies
from ionscape.phases.entries import EntrySource, phases_of_entries
from ionscape.phases.sources import PhaseSource, SourcePart, competing_phases
from ionscape.results import Failure, to_json
from ionscape.stability.decomposition import decomposition_energy

CHGNET = Level.of("chgnet")
FOREIGN = ("Ag", "Cl", "K", "Mg", "Na")


def computed(formula, energy, run_type="GGA", name=None):
    composition = Composition(formula)
    total = energy * composition.num_atoms
    return ComputedEntry(composition, total, parameters={"run_type": run_type, "hubbards": {}}, entry_id=name)


SALTS = [
    computed("Na", -1.3), computed("Cl2", -1.8), computed("Na4Cl4", -3.4, name="rocksalt"), computed("NaCl", -3.2),
    computed("Li", -1.9),
]  # fmt: skip


def phases_of(path, elements, lab=None, mixing="none"):
    return competing_phases(PhaseSource.of(str(path), mixing), CHGNET, elements, lab=lab)


# --- entries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["entries.json", "entries.json.gz"])
def test_entries_of_a_file_keep_their_energies(tmp_path, name, crystals):
    salt = ComputedStructureEntry(crystals["NaCl"], -3.5 * 8, parameters={"run_type": "GGA"}, entry_id="mp-1")
    dumpfn([*SALTS, salt], tmp_path / name)
    phases = phases_of(tmp_path / name, ["Na", "Cl"])
    assert dict(zip(phases.labels, phases.energies, strict=True)) == pytest.approx(
        {"Na": -1.3, "Cl2": -1.8, "NaCl": -3.5}
    )
    assert (phases.scheme, phases.level, dict(phases.references)) == ("GGA", "GGA", {})
    assert not phases.energies.flags.writeable
    json.dumps(to_json(phases))


def test_pd_entries_are_read(tmp_path):
    dumpfn([PDEntry(entry.composition, entry.energy) for entry in SALTS], tmp_path / "pd.json")
    assert phases_of(tmp_path / "pd.json", ["Na", "Cl"]).scheme == "functional not stated"


def random_entries(seed: int) -> list[ComputedEntry]:
    rng = np.random.default_rng(seed)
    rows = [(element, 0.0) for element in FOREIGN]
    for _ in range(rng.integers(5, 40)):
        chosen = rng.choice(FOREIGN, rng.integers(1, 4), replace=False)
        amounts = dict(zip(chosen, rng.integers(1, 5, len(chosen)).tolist(), strict=True))
        rows.append((Composition(amounts), float(rng.normal(-0.3, 0.5))))
    return [computed(formula, energy) for formula, energy in rows]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_heights_above_the_hull_agree_with_pymatgen(seed):
    entries = random_entries(seed)
    diagram = PhaseDiagram(entries)
    phases = phases_of_entries([EntrySource(tuple(entries))], FOREIGN, "none", where="random")
    for entry in entries:
        height = decomposition_energy(entry.composition, phases, entry.energy_per_atom).decomposition_energy
        assert height == pytest.approx(diagram.get_e_above_hull(entry), abs=1e-8)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("[", ["cannot be read as JSON", "dumpfn|Check"]),
        ("[]", ["no entries", "ComputedEntry"]),
        ('{"a": 1}', ["a JSON dict that lists no entries", "ComputedEntry"]),
        ("3", ["a JSON int that lists no entries"]),
        ("[3]", ["entry 0", "a int"]),
        ('[{"@class": "Structure"}]', ["entry 0", "a Structure"]),
        ('[{"@class": "ComputedEntry", "energy": 1}]', ["entry 0", "cannot be read as a ComputedEntry"]),
        (
            '[{"@class": "ComputedEntry", "energy": NaN, "composition": {"Li": 1}, "correction": 0}]',
            ["entry 0", "its energy is nan"],
        ),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, content, parts):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError) as caught:
        phases_of(tmp_path / "x.json", ["Na", "Cl"])
    for part in ["x.json", *parts]:
        assert re.search(re.escape(part).replace(r"\|", "|"), str(caught.value))


def test_a_broken_archive_is_refused(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"[1, 2]")[:-9])
    with pytest.raises(InputError, match="cannot be read as JSON"):
        phases_of(tmp_path / "x.json.gz", ["Na", "Cl"])


def test_an_element_without_a_phase_of_its_own_is_refused(tmp_path):
    dumpfn(SALTS, tmp_path / "e.json")
    with pytest.raises(MissingReferenceError, match=r"no phase of the pure elements Br, K.*SOURCE\+SOURCE"):
        phases_of(tmp_path / "e.json", ["Na", "Cl", "K", "Br"])
    with pytest.raises(InputError, match="none of 5 entries consists of Ag"):
        phases_of(tmp_path / "e.json", ["Ag"])
    with pytest.raises(InputError, match="unknown element 'Xx'"):
        phases_of(tmp_path / "e.json", ["Na", "Xx"])


def test_files_join_and_schemes_are_judged_over_all(tmp_path):
    dumpfn(SALTS, tmp_path / "a.json")
    dumpfn([computed("K", -1.0), computed("KCl", -3.3)], tmp_path / "b.json")
    dumpfn([computed("K", -1.0, "R2SCAN")], tmp_path / "c.json")
    joined = f"{tmp_path}/a.json+{tmp_path}/b.json"
    assert set(phases_of(joined, ["K", "Na", "Cl"]).labels) == {"K", "Na", "Cl2", "NaCl", "KCl"}
    with pytest.raises(InputError, match=r"4 of GGA .*; 1 of r2SCAN \(K\)"):
        phases_of(f"{tmp_path}/a.json+{tmp_path}/c.json", ["K", "Na", "Cl"])
    with pytest.raises(InputError, match="phases of 2 schemes: 'GGA'; 'chgnet'"):
        phases_of(f"packaged+{tmp_path}/a.json", ["Li"])


def test_mixing_on_request(tmp_path):
    cobalt = {"run_type": "GGA+U", "hubbards": {"Co": 3.32}}
    oxide = ComputedEntry("CoO", -11.8, parameters=cobalt)
    dumpfn([computed("Co", -7.0), computed("O2", -4.9), oxide], tmp_path / "e.json")
    with pytest.raises(InputError, match='mixing = "mp2020"'):
        phases_of(tmp_path / "e.json", ["Co", "O"])
    phases = phases_of(tmp_path / "e.json", ["Co", "O"], mixing="mp2020")
    assert phases.scheme == "GGA/GGA+U, MP2020 corrections"
    assert phases.energy_of("CoO") == pytest.approx(-5.9 + (-0.687 - 1.638) / 2, abs=1e-9)  # MP2020: O oxide, Co


# --- the text of a source --------------------------------------------------------------------------------------


def test_texts_of_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifs").mkdir()
    (tmp_path / "a+b").mkdir()
    (tmp_path / "runs" / "Li").mkdir(parents=True)
    (tmp_path / "runs" / "Li" / "vasprun.xml.gz").touch()
    (tmp_path / "e.json").touch()
    kinds = {
        "packaged": ["packaged"],
        "mp": ["mp"],
        "optimade:https://example.org/x#energy=_x_e": ["optimade"],
        "e.json": ["entries"],
        "cifs/": ["structures"],
        "runs": ["vasp"],
        "a+b": ["structures"],
        "packaged+cifs": ["packaged", "structures"],
    }
    for text, kind in kinds.items():
        assert [part.kind for part in PhaseSource.of(text).parts()] == kind
    elsewhere = PhaseSource.of("e.json", base=tmp_path)
    assert elsewhere.parts() == (SourcePart("entries", str(tmp_path / "e.json")),)
    assert PhaseSource().parts() == (SourcePart("packaged"),)


@pytest.mark.parametrize(
    ("text", "mixing", "message"),
    [
        ("packagd", "none", "'packagd' is no source.*Did you mean 'packaged'"),
        ("no/such/folder/", "none", "no such file or folder exists"),
        ("packaged+", "none", "'' is no source"),
        ("pyproject.toml", "none", "is no source"),
        ("optimade:example.org", "none", "'example.org' is no OPTIMADE server"),
        ("optimade:https://example.org#enrgy=x", "none", "is no OPTIMADE server"),
        ("packaged", "mp2021", "unknown mixing 'mp2021'.*Did you mean 'mp2020'"),
        ("packaged", "mp2020", "holds no entries of functionals"),
    ],
)
def test_texts_that_are_no_source_are_refused(text, mixing, message):
    with pytest.raises(InputError, match=message):
        PhaseSource.of(text, mixing)


# --- structures relaxed at the level ---------------------------------------------------------------------------


def folder_of(crystals, path, names):
    for name in names:
        crystals[name].to(str(path / f"{name.replace(' ', '-')}.cif"))
    (path / "POSCAR").write_text(crystals["Ag"].to(fmt="poscar"))
    (path / "notes.txt").write_text("not a structure")
    return path


def test_a_folder_is_relaxed_at_the_level(tmp_path, crystals, lab):
    folder = folder_of(crystals, tmp_path, ["Li", "Li2O", "Li2O sheared", "NaCl", "LiAg", "O2"])
    phases = phases_of(folder, ["Li", "O", "Ag"], lab=lab)
    assert phases.scheme == "chgnet"
    assert set(phases.labels) == {"Li", "Ag", "LiAg", "Li2O", "O2"}
    assert sorted(lab.asked) == ["Ag", "Li", "Li2O", "Li2O", "LiAg"]
    both = [lab.energy_per_atom(crystals[name]) for name in ("Li2O", "Li2O sheared")]
    assert phases.energy_of("Li2O") == pytest.approx(min(both), abs=1e-6)
    packaged = phase_energies(CHGNET, ["O"])
    assert phases.energy_of("O2") == packaged.energy_of("O2") == phases.references["O"].energy
    assert set(phases.excluded) == {"notes.txt", "O2.cif"}


def test_a_folder_joins_the_packaged_phases(tmp_path, crystals, lab):
    """Silver is not in the packaged table: its phases come from the folder, all others from the package."""
    folder = folder_of(crystals, tmp_path, ["LiAg", "Li2O"])
    phases = phases_of(f"packaged+{folder}", ["Li", "O", "Ag"], lab=lab)
    packaged = phase_energies(CHGNET, ["Li", "O"])
    assert set(phases.labels) == {*packaged.labels, "Ag", "LiAg"}
    for label in packaged.labels:
        assert phases.energy_of(label) == packaged.energy_of(label)
    assert phases.energy_of("Ag") == lab.energy_per_atom(crystals["Ag"])


def test_failures_are_told_and_breakdowns_refused(tmp_path, crystals, lab):
    folder = folder_of(crystals, tmp_path, ["Li", "LiAg"])
    lab.failing = {"LiAg": Failure("it did not converge")}
    assert phases_of(folder, ["Li", "Ag"], lab=lab).excluded["LiAg.cif"] == "it did not converge"
    lab.failing = {"LiAg": Broken("the worker died")}
    with pytest.raises(CalculationError, match=r"LiAg.cif \(the worker died\)"):
        phases_of(folder, ["Li", "Ag"], lab=lab)


def test_folders_that_cannot_be_used_are_refused(tmp_path, crystals, lab):
    with pytest.raises(InputError, match="no structure file among 0 files"):
        phases_of(tmp_path, ["Li"], lab=lab)
    folder = folder_of(crystals, tmp_path, ["Li"])
    with pytest.raises(
        MissingReferenceError, match=r"2 structures have no energy at level 'chgnet': Li\.cif, POSCAR"
    ):
        phases_of(folder, ["Li", "Ag"])
    with pytest.raises(MissingReferenceError, match="no phase of the pure element Na"):
        phases_of(folder, ["Li", "Na"], lab=lab)
    (folder / "bad.cif").write_text("data_x\n")
    with pytest.raises(InputError, match=r"bad\.cif"):
        phases_of(folder, ["Li", "Ag"], lab=lab)


def test_gases_need_calibrated_references(tmp_path, crystals, lab):
    folder = folder_of(crystals, tmp_path, ["Li", "Li2O"])
    other = Level.of("ase.calculators.lj:LennardJones")
    source = PhaseSource.of(str(folder), relax_missing=False)
    with pytest.raises(MissingReferenceError, match=r"has no energies of .* phases"):
        competing_phases(source, other, ["Li", "O"], lab=lab, relaxation=RelaxationSettings())
    assert not lab.asked


def test_the_packaged_source_is_the_packaged_table():
    ours, packaged = competing_phases(PhaseSource(), CHGNET, ["Li", "O"]), phase_energies(CHGNET, ["O", "Li"])
    assert ours.scheme == "chgnet"
    assert ours.labels == packaged.labels
    assert np.array_equal(ours.energies, packaged.energies)
