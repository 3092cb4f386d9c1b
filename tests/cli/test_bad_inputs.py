"""Every bad input ends in one clear message and exit code 2, before anything is calculated or lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from ionscape.cli.main import main

STUDY = """
[study]
name = "t"
seed = 1
[host]
structure = "phase:Li6Zr2O7"
[relaxation]
fmax_eV_per_A = 0.05
[doping]
supercell = [1, 1, 1]
samples = 20
keep = 1
[[doping.routes]]
name = "N on O"
replace = { O = "N" }
insert = { Li = 1 }
counts = [1]
"""

CIF = """data_x
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""


def cif(*sites: str) -> str:
    return CIF.format(sites="\n".join(sites))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command line, demand exit code 2 and one message of at most three lines, and return it."""
    try:
        code = main(arguments)
    except SystemExit as ended:  # argparse
        code = ended.code if isinstance(ended.code, int) else 1
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert err.strip()
    return err


STRUCTURES = {
    "missing file": (None, "no such file"),
    "a folder": ("<folder>", "not a file"),
    "empty": ("", "cannot be read"),
    "not a CIF": ("this is not a structure", "cannot be read"),
    "cut short": (cif("Li1 Li 0 0 0 1")[:150], "cannot be read"),
    "binary": ("\x00\x01\x02\x03" * 50, "cannot be read"),
    "partial occupancy": (cif("Li1 Li 0 0 0 0.5", "O1 O 0.5 0.5 0.5 1"), "partial occupancy"),
    "shared site": (cif("Li1 Li 0 0 0 0.5", "Na1 Na 0 0 0 0.5", "O1 O 0.5 0.5 0.5 1"), "partial occupancy"),
    "unknown element": (cif("Xx1 Xx 0 0 0 1", "O1 O 0.5 0.5 0.5 1"), "element"),
    "overlap": (cif("Li1 Li 0 0 0 1", "O1 O 0.02 0 0 1", "O2 O 0.5 0.5 0.5 1"), "Å apart"),
    "overlap across the boundary": (cif("Li1 Li 0 0 0 1", "O1 O 0.97 0 0 1"), "Å apart"),
    "zero volume": (cif("Li1 Li 0 0 0 1").replace("_cell_length_c 4.0", "_cell_length_c 0.0"), "cannot be read"),
    "no numbers": (cif("Li1 Li a b c 1"), "cannot be read"),
}


@pytest.mark.parametrize("command", ["relax", "voids", "dope"])
@pytest.mark.parametrize("case", STRUCTURES)
def test_broken_structures_are_refused(case: str, command: str, capsys, tmp_path: Path):
    content, told = STRUCTURES[case]
    path = tmp_path / "x.cif"
    if content == "<folder>":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    message = refused(capsys, command, str(path))
    assert told in message
    assert "x.cif" in message


STUDIES = {
    "missing table": (STUDY.replace('[host]\nstructure = "phase:Li6Zr2O7"', ""), "host"),
    "missing key": (STUDY.replace('name = "t"', ""), "study.name"),
    "unknown table": (STUDY + "\n[dopping]\nx = 1\n", "doping"),
    "misspelt key": (STUDY.replace("samples", "sampels"), "Did you mean 'samples'"),
    "unit forgotten": (STUDY.replace("fmax_eV_per_A", "fmax"), "Did you mean 'fmax_eV_per_A'"),
    "string for number": (STUDY.replace("samples = 20", 'samples = "20"'), "doping.samples"),
    "float for integer": (STUDY.replace("samples = 20", "samples = 20.5"), "doping.samples"),
    "negative count": (STUDY.replace("counts = [1]", "counts = [-1]"), "doping.routes[0].counts[0]"),
    "zero count": (STUDY.replace("counts = [1]", "counts = [0]"), "doping.routes[0].counts[0]"),
    "no counts": (STUDY.replace("counts = [1]", "counts = []"), "doping.routes[0].counts"),
    "negative tolerance": (STUDY.replace("= 0.05", "= -0.05"), "relaxation.fmax_eV_per_A"),
    "not a number": (STUDY.replace("= 0.05", "= nan"), "relaxation.fmax_eV_per_A"),
    "absurd unit": (STUDY.replace("= 0.05", "= 50.0"), "relaxation.fmax_eV_per_A"),
    "supercell of two": (STUDY.replace("[1, 1, 1]", "[1, 1]"), "doping.supercell"),
    "supercell of zero": (STUDY.replace("[1, 1, 1]", "[1, 0, 1]"), "doping.supercell[1]"),
    "negative seed": (STUDY.replace("seed = 1", "seed = -1"), "study.seed"),
    "name with a slash": (STUDY.replace('"t"', '"../t"'), "study.name"),
    "broken TOML": (STUDY + "\n[engine\n", "not valid TOML"),
    "unknown optimiser": (STUDY.replace("= 0.05", '= 0.05\noptimizer = "BFGSS"'), "relaxation.optimizer"),
    "negative workers": (STUDY + "\n[engine]\nworkers = -2\n", "engine.workers"),
    "unknown packaged phase": (STUDY.replace("Li6Zr2O7", "Li6Zr2O77"), "Li6Zr2O7"),
    "missing structure": (STUDY.replace("phase:Li6Zr2O7", "nowhere.cif"), "nowhere.cif"),
    "unknown level": (STUDY + '\n[levels.cheap]\nname = "chgnett"\n', "Did you mean 'chgnet'"),
    "unknown factory": (STUDY + '\n[levels.cheap]\nname = "no_such_module:Thing"\n', "no_such_module"),
    "unknown level setting": (STUDY + '\n[levels.cheap]\nname="chgnet"\nsettings={modle="0.3.0"}\n', "'model'"),
    "unknown model": (STUDY + '\n[levels.cheap]\nname="chgnet"\nsettings={model="9"}\n', "0.3.0"),
    "charged cell": (STUDY.replace("insert = { Li = 1 }", ""), "-1 e"),
    "overcompensated": (STUDY.replace("{ Li = 1 }", "{ Li = 2 }"), "+1 e"),
    "unknown dopant": (STUDY.replace('"N"', '"Qq"'), "Qq"),
    "replaces what is not there": (STUDY.replace("{ O =", "{ S ="), "not in the host"),
    "ambiguous charge": (STUDY.replace('{ O = "N" }', '{ Zr = "Mn" }'), "Mn"),
    "charge of a foreign element": (STUDY.replace('O7"', 'O7"\ncharges = { Na = 1 }', 1), "Na"),
    "charged host": (STUDY.replace('O7"', 'O7"\ncharges = { Zr = 3 }', 1), "net charge"),
    "two routes of one name": (STUDY + '\n[[doping.routes]]\nname="N on O"\ninsert={N=1,Li=3}\n', "two routes"),
    "reference to nothing": (STUDY + '\n[[reference]]\ntarget="N on O, 7"\nvalue=1.0\nsource="x"\n', "N on O, 1"),
    "phases of no packaged energy": (STUDY + '\n[levels.cheap]\nname="ase.calculators.emt:EMT"\n', "Li2O"),
    "dopant without phases": (
        STUDY.replace('"N" }', '"At" }').replace("[doping]", "[doping]\ncharges={At=-3}"),
        "At",
    ),
    "empty": ("", "study"),
    "unknown source of phases": (STUDY + '\n[stability]\nphases = "nowhere.json"\n', "nowhere.json"),
    "mixing of nothing": (STUDY + '\n[stability]\nmixing = "mp2020"\n', "mp2020"),
    "unknown mixing": (STUDY + '\n[stability]\nmixing = "mp"\n', "stability.mixing"),
    "temperature out of range": (STUDY + "\n[stability]\ntemperature_K = 4000\n", "stability.temperature_K"),
    "temperature in words": (STUDY + '\n[stability]\ntemperature_K = "hot"\n', "stability.temperature_K"),
    "pressure of zero": (
        STUDY + "\n[stability]\ntemperature_K = 300\noxygen_pressure_bar = 0\n",
        "stability.oxygen_pressure_bar",
    ),
    "pressure without temperature": (STUDY + "\n[stability]\noxygen_pressure_bar = 0.2\n", "temperature"),
    "excluding what is not there": (STUDY + '\n[stability]\nexclude = ["NaCl"]\n', "NaCl"),
    "excluding an unknown phase": (STUDY + '\n[stability]\nexclude = ["Li9O"]\n', "Li9O"),
    "negative voltage": (STUDY + "\n[contact]\nvoltages_V = [-1.0]\n", "contact.voltages_V[0]"),
    "voltage that is no number": (STUDY + "\n[contact]\nvoltages_V = [nan]\n", "contact.voltages_V[0]"),
    "unknown ends": (STUDY + '\n[contact]\nends = "huell"\n', "contact.ends"),
    "unphysical cathode": (STUDY + '\n[contact]\ncathodes = ["Li-1CoO2"]\n', "Li-1CoO2"),
    "cathode of nothing": (STUDY + '\n[contact]\ncathodes = ["Li0CoO2"]\n', "amount of 0"),
    "cathode without phases": (STUDY + '\n[contact]\ncathodes = ["UO2"]\n', "U"),
    "wrong mobile ion": (STUDY + '\n[window]\nphases = []\nmobile = "O"\n', "no mobile ion"),
    "own ends of a mixture": (
        STUDY + '\n[contact]\ncathodes = ["Li3ZrO7"]\nphases = []\nends = "own"\n',
        "Li3ZrO7",
    ),
    "negative samples": (STUDY + "\n[window]\nsamples = -1\n", "window.samples"),
    "misspelt key of the contacts": (STUDY + "\n[contact]\nvoltages = [1.0]\n", "Did you mean 'voltages_V'"),
}


@pytest.mark.parametrize("case", STUDIES)
def test_broken_studies_are_refused(case: str, capsys, tmp_path: Path):
    content, told = STUDIES[case]
    (tmp_path / "s.toml").write_text(content)
    message = refused(capsys, "run", "s.toml", "--out", "out", "--engine", "process")
    assert told in message
    assert not list(tmp_path.glob("out/store/calculations/*")), "something was calculated"


def test_missing_study_is_refused(capsys):
    assert "nowhere.toml" in refused(capsys, "run", "nowhere.toml")


def test_unknown_stage_is_refused(capsys, tmp_path: Path):
    (tmp_path / "s.toml").write_text(STUDY)
    assert "Did you mean 'voids'" in refused(capsys, "run", "s.toml", "--stages", "void")


def test_output_that_is_a_file_is_refused(capsys, tmp_path: Path):
    (tmp_path / "s.toml").write_text(STUDY)
    (tmp_path / "out").write_text("")
    assert "out" in refused(capsys, "run", "s.toml", "--out", "out")


STORES = {
    "a file": lambda path: path.write_text("x"),
    "a folder of something else": lambda path: (path.mkdir(), (path / "thesis.tex").write_text("x")),
    "unreadable marker": lambda path: (path.mkdir(), (path / "store.json").write_text("{")),
    "another format": lambda path: (path.mkdir(), (path / "store.json").write_text('{"format": 99}')),
}


@pytest.mark.parametrize("case", STORES)
def test_broken_stores_are_refused(case: str, capsys, tmp_path: Path):
    STORES[case](tmp_path / "st")
    (tmp_path / "s.toml").write_text(STUDY)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert "st" in refused(capsys, "run", "s.toml", "--store", "st", "--out", "out")
    assert "st" in refused(capsys, "relax", "phase:Li2O", "--store", "st")
    after = {path.name for path in tmp_path.rglob("*")}
    assert set(before) <= after


PAIR = ["contact", "--cathode", "Li2O", "--phase", "ZrO2"]
COMMANDS = {
    "contact without phases": (["contact", "--cathode", "Li2O"], "--phase"),
    "contact with nonsense": ([*PAIR, "Xyz"], "Xyz"),
    "contact with a missing file": ([*PAIR, "nowhere.cif"], "nowhere.cif"),
    "contact with a negative amount": ([*PAIR, "Li-1O"], "Li-1O"),
    "contact with an amount of zero": ([*PAIR, "Li2O0"], "amount of 0"),
    "contact with a dummy element": ([*PAIR, "X2O"], "X"),
    "contact with an uncovered element": ([*PAIR, "UO2"], "U"),
    "contact of the mobile ion alone": ([*PAIR, "Li", "--voltage", "1"], "nothing but Li"),
    "negative voltage": ([*PAIR, "--voltage", "-1"], "voltages_V"),
    "voltage that is no number": ([*PAIR, "--voltage", "nan"], "voltages_V"),
    "voltage in words": ([*PAIR, "--voltage-V", "high"], "high"),
    "wrong mobile ion": ([*PAIR, "--voltage", "1", "--mobile", "O"], "no mobile ion"),
    "misspelt mobile ion": (["window", "Li2O", "--mobile", "LI"], "'LI' is no mobile ion"),
    "unknown ends": ([*PAIR, "--ends", "both"], "both"),
    "own ends of a mixture": ([*PAIR, "Li3ZrO7", "--ends", "own"], "Li3ZrO7 has no energy of its own"),
    "negative samples": ([*PAIR, "--samples", "-3"], "samples"),
    "unknown source": ([*PAIR, "--phases", "nowhere"], "no source of phases"),
    "missing entries": ([*PAIR, "--phases", "nowhere.json"], "nowhere.json"),
    "source without scheme": ([*PAIR, "--phases", "optimade:here"], "here"),
    "no network": ([*PAIR, "--phases", "optimade:http://127.0.0.1:9"], "no answer"),
    "mixing of nothing": ([*PAIR, "--mixing", "mp2020"], "mp2020"),
    "excluding an unknown phase": ([*PAIR, "--exclude", "Li9O"], "Li9O"),
    "excluding a foreign phase": ([*PAIR, "--exclude", "NaCl"], "NaCl"),
    "temperature too low": ([*PAIR, "--temperature-K", "3"], "temperature_K"),
    "temperature that is no number": ([*PAIR, "--temperature-K", "nan"], "temperature_K"),
    "pressure of zero": ([*PAIR, "--temperature-K", "300", "--oxygen-pressure-bar", "0"], "oxygen_pressure_bar"),
    "pressure without temperature": (["hull", "Li2O", "--oxygen-pressure-bar", "0.2"], "without a temperature"),
    "contact at a level without energies": ([*PAIR, "--level", "ase.calculators.emt:EMT"], "no energies"),
    "window of nothing": (["window"], "FORMULA"),
    "window of nonsense": (["window", "Li2O", "Qq3"], "'Qq'"),
    "window of the metal": (["window", "Li"], "holds nothing but Li"),
    "hull without what belongs to no target": (["hull", "Li2O", "ZrO2", "--exclude", "Li2ZrO3"], "Li2ZrO3"),
    "unknown command": (["relaxx"], "relaxx"),
    "no command": ([], "COMMAND"),
    "status of nothing": (["status", "nowhere"], "holds no study"),
    "verify of nothing": (["verify", "nowhere"], "holds no study"),
    "report of nothing": (["report", "nowhere"], "nowhere"),
    "hull of nonsense": (["hull", "Xyz"], "Xyz"),
    "hull of an unknown phase": (["hull", "Li7Zr9O99"], "Li7Zr9O99"),
    "hull of a missing file": (["hull", "nowhere.cif"], "nowhere.cif"),
    "phases of nonsense": (["phases", "relax", "--elements", "Li-Qq"], "Qq"),
    "negative tolerance": (["relax", "phase:Li2O", "--fmax-eV-per-A", "-1"], "fmax_eV_per_A"),
    "text for a number": (["relax", "phase:Li2O", "--fmax-eV-per-A", "tight"], "tight"),
    "zero steps": (["relax", "phase:Li2O", "--max-steps", "0"], "max_steps"),
    "unknown level": (["relax", "phase:Li2O", "--level", "chgnut"], "Did you mean 'chgnet'"),
    "missing optional level": (["relax", "phase:Li2O", "--level", "mace"], "pip install mace-torch"),
    "unknown phase": (["voids", "phase:Li9O"], "Li9O"),
    "broken pair": (["dope", "phase:Li2O", "--replace", "O"], "ELEMENT=VALUE"),
    "broken number in a pair": (["dope", "phase:Li2O", "--insert", "Li=one"], "ELEMENT=VALUE"),
    "broken supercell": (["dope", "phase:Li2O", "--supercell", "2x2x2"], "three whole numbers"),
    "negative dopants": (["dope", "phase:Li2O", "--replace", "O=N", "--count", "-1"], "counts"),
    "charged cell": (["dope", "phase:Li2O", "--replace", "O=N", "--count", "1"], "-1 e"),
    "nothing to do": (["dope", "phase:Li2O"], "dop"),
    "negative seed": (["dope", "phase:Li2O", "--replace", "O=N", "--insert", "Li=1", "--seed", "-1"], "seed"),
    "supercell of two": (["dope", "phase:Li2O", "--supercell", "1,1"], "three whole numbers"),
    "phases of an unknown element": (["phases", "--elements", "Qq"], "Qq"),
    "hull at a level without energies": (["hull", "Li2O", "--level", "ase.calculators.emt:EMT"], "no energies"),
    "hull of an uncovered element": (["hull", "Na3PS4"], "Na3PS4"),
    "excluding what is not there": (["hull", "Li2O", "--exclude", "Na2O"], "Na2O"),
    "missing frames": (["evaluate", "nowhere.extxyz"], "nowhere.extxyz"),
    "missing density": (["voids", "phase:Li2O", "--density", "CHGCAR"], "CHGCAR"),
    "cite nothing": (["cite", "nowhere.toml"], "nowhere.toml"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_broken_commands_are_refused(case: str, capsys):
    arguments, told = COMMANDS[case]
    assert told in refused(capsys, *arguments)
