"""VASP runs in a folder tree, as pymatgen reads their vasprun.xml."""

import gzip

import pytest

from ionscape.errors import InputError
from ionscape.levels.registry import Level
from ionscape.phases.entries import read_vasp_runs
from ionscape.phases.sources import PhaseSource, competing_phases

CHGNET = Level.of("chgnet")
ENERGIES = {"Li": -1.9, "Ag": -2.8, "LiAg": -2.5}
#: The parts of a vasprun.xml (VASP 5.4) that its final energy, structure and settings stand in.
VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp </i><i name="version" type="string">5.4.4 </i>
  <i name="date" type="string">2026 01 01 </i><i name="time" type="string">00:00:00 </i></generator>
 <incar><i type="int" name="NELM">{steps}</i></incar>
 <kpoints><generation param="Gamma"><v type="int" name="divisions">2 2 2 </v>
  <v name="usershift">0.0 0.0 0.0 </v><v name="shift">0.0 0.0 0.0 </v></generation>
  <varray name="kpointlist"><v>0.0 0.0 0.0 </v></varray><varray name="weights"><v>1.0 </v></varray></kpoints>
 <parameters><separator name="electronic"><i type="int" name="NELM">{steps}</i></separator>
  <separator name="ionic"><i type="int" name="NSW">0</i></separator>
  <separator name="xc"><i type="string" name="GGA">PE</i><i name="AEXX">0.0</i><i name="HFSCREEN">0.0</i>
  <i type="logical" name="LHFCALC">F</i><i type="logical" name="LDAU">F</i></separator></parameters>
 <atominfo><atoms>{atoms}</atoms><types>{types}</types>
  <array name="atoms"><dimension dim="1">ion</dimension><field type="string">element</field>
   <field type="int">atomtype</field><set>{ions}</set></array>
  <array name="atomtypes"><dimension dim="1">type</dimension><field type="int">atomspertype</field>
   <field type="string">element</field><field>mass</field><field>valence</field>
   <field type="string">pseudopotential</field><set>{potentials}</set></array></atominfo>
 <structure name="initialpos">{structure}</structure>
 <calculation><scstep><energy><i name="e_fr_energy">{total}</i><i name="e_wo_entrp">{total}</i>
   <i name="e_0_energy">{total}</i></energy></scstep>
  <structure>{structure}</structure>
  <varray name="forces">{rows}</varray>
  <varray name="stress"><v>0 0 0</v><v>0 0 0</v><v>0 0 0</v></varray>
  <energy><i name="e_fr_energy">{total}</i><i name="e_wo_entrp">{total}</i>
   <i name="e_0_energy">{total}</i></energy>
 </calculation>
 <structure name="finalpos">{structure}</structure>
</modeling>
"""


def vector_rows(array) -> str:
    return "".join("<v>" + " ".join(f"{x:.8f}" for x in row) + "</v>" for row in array)


def vasprun(structure, energy, steps=60) -> str:
    """Return the output of a VASP run that ended with `energy` eV/atom; after one of `steps` electronic steps."""
    structure = structure.get_sorted_structure()
    symbols = list(dict.fromkeys(site.specie.symbol for site in structure))
    lattice = structure.lattice
    return VASPRUN.format(
        steps=steps,
        atoms=len(structure),
        types=len(symbols),
        ions="".join(
            f"<rc><c>{site.specie.symbol:2}</c><c>{symbols.index(site.specie.symbol) + 1}</c></rc>"
            for site in structure
        ),
        potentials="".join(
            f"<rc><c>{int(structure.composition[s])}</c><c>{s:2}</c><c>1.0</c><c>1.0</c>"
            f"<c>PAW_PBE {s} 01Jan2000</c></rc>"
            for s in symbols
        ),
        structure=f'<crystal><varray name="basis">{vector_rows(lattice.matrix)}</varray><i name="volume">'
        f'{lattice.volume:.6f}</i><varray name="rec_basis">{vector_rows(lattice.inv_matrix.T)}</varray></crystal>'
        f'<varray name="positions">{vector_rows(structure.frac_coords)}</varray>',
        total=energy * len(structure),
        rows=vector_rows([[0, 0, 0]] * len(structure)),
    )


@pytest.fixture
def runs(tmp_path, crystals):
    for name, energy in ENERGIES.items():
        (tmp_path / "deep" / name).mkdir(parents=True)
        (tmp_path / "deep" / name / "vasprun.xml").write_text(vasprun(crystals[name], energy))
    (tmp_path / "deep" / "worse").mkdir()
    content = gzip.compress(vasprun(crystals["LiAg"], -2.4).encode())
    (tmp_path / "deep" / "worse" / "vasprun.xml.gz").write_bytes(content)
    return tmp_path


def test_final_energies_of_all_runs(runs, crystals):
    phases = competing_phases(PhaseSource.of(str(runs)), CHGNET, ["Li", "Ag"])
    assert {label: phases.energy_of(label) for label in phases.labels} == pytest.approx(ENERGIES)
    assert phases.scheme == "GGA"
    assert not phases.excluded


def test_entries_hold_what_decides_the_scheme(runs):
    entries = {entry.entry_id: entry for entry in read_vasp_runs(runs).entries}
    assert set(entries) == {f"deep/{name}/vasprun.xml" for name in ENERGIES} | {"deep/worse/vasprun.xml.gz"}
    parameters = entries["deep/LiAg/vasprun.xml"].parameters
    assert parameters["run_type"] == "PBE"
    assert sorted(parameters["potcar_symbols"]) == ["PAW_PBE Ag 01Jan2000", "PAW_PBE Li 01Jan2000"]


def test_runs_of_another_pseudopotential_are_refused(runs, crystals):
    other = vasprun(crystals["LiAg"], -2.5).replace("PAW_PBE Li ", "PAW_PBE Li_sv ")
    (runs / "deep" / "LiAg" / "vasprun.xml").write_text(other)
    with pytest.raises(InputError, match=r"pseudopotential of Li is Li in 2 .*; Li_sv in 1 .*LiAg/vasprun.xml"):
        competing_phases(PhaseSource.of(str(runs)), CHGNET, ["Li", "Ag"])


def test_unconverged_runs_are_told(runs, crystals):
    (runs / "deep" / "LiAg" / "vasprun.xml").write_text(vasprun(crystals["LiAg"], -2.5, steps=1))
    phases = competing_phases(PhaseSource.of(str(runs)), CHGNET, ["Li", "Ag"])
    assert phases.excluded == {"deep/LiAg/vasprun.xml": "the VASP run did not converge"}
    assert phases.energy_of("LiAg") == pytest.approx(-2.4)


def test_a_run_that_was_ended_is_refused(runs):
    file = runs / "deep" / "LiAg" / "vasprun.xml"
    file.write_text(file.read_text()[:2500])
    with pytest.raises(InputError, match=r"LiAg/vasprun.xml: cannot be read as the output of a VASP run"):
        competing_phases(PhaseSource.of(str(runs)), CHGNET, ["Li", "Ag"])
