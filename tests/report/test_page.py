"""The page: valid, self-contained, safe against what names contain, honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pages import Reader, page_of, write_study

import ionscape
from ionscape.errors import InputError
from ionscape.report.page import STAGE_NAMES, build_page, cell_rows
from ionscape.report.quantity import Quantity
from ionscape.report.reading import read_study
from ionscape.report.scripting import LIBRARIES, embedded
from ionscape.report.templating import doi_link
from ionscape.report.typography import formula_html, number, significant
from ionscape.report.verdict import verdict
from ionscape.results import to_json

VENDORED = Path(ionscape.__file__).parent / "report" / "vendored"
HOSTILE = '<script>alert("x")</script>'


def test_page_is_one_valid_file_that_loads_nothing(whole_study):
    path = whole_study / "report" / "index.html"
    page = Reader(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed"}
    assert not page.values("src", "onclick", "onload", "onerror")
    for address in page.values("src", "href", "xlink:href", "srcset", "data", "action"):
        assert address.startswith(("#", "../", "https://doi.org/", "data:text/csv;", "data:image/png;base64,"))
    shown = re.sub(r"<script.*?</script>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"@import|url\((?!#)", shown)


def test_the_policy_lets_run_the_scripts_of_the_page_and_no_other(whole_study):
    page = Reader((whole_study / "report" / "index.html").read_text(encoding="utf-8"))
    (rules,) = [
        attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    allowed = set(re.findall(r"'sha256-([^']+)'", rules))
    programs = [text for kind, text in page.scripts if kind != "application/json"]
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in programs} == allowed
    assert rules.startswith("default-src 'none'")
    assert "unsafe-eval" not in rules
    assert not re.search(r"script-src[^;]*unsafe", rules)


def test_vendored_scripts_are_the_pinned_ones_with_their_licences():
    table = tomllib.loads((VENDORED / "scripts.toml").read_text(encoding="utf-8"))
    assert {path.stem for path in VENDORED.glob("*.js")} == set(table) == set(LIBRARIES)
    for name, one in table.items():
        script = (VENDORED / f"{name}.js").read_bytes()
        assert hashlib.sha256(script).hexdigest() == one["sha256"]
        assert not re.search(rb"</script|<!--|\r", script, re.IGNORECASE)
        assert "Permission is hereby granted" in (text := (VENDORED / f"{name}.LICENSE").read_text()) or (
            "Redistribution and use" in text
        )


def test_no_text_in_embedded_data_can_end_its_script():
    assert "<" not in embedded({"name": "</script><script>alert(1)</script><!--"})
    assert json.loads(str(embedded({"name": HOSTILE}))) == {"name": HOSTILE}


def test_every_address_inside_the_study_leads_somewhere(whole_study):
    page = Reader((whole_study / "report" / "index.html").read_text(encoding="utf-8"))
    identifiers = page.values("id")
    assert len(identifiers) == len(set(identifiers))
    for address in page.values("href"):
        if address.startswith("#"):
            assert address[1:] in identifiers
        elif address.startswith("../"):
            assert (whole_study / "report" / address).resolve().is_file()


def test_page_tells_the_numbers_with_level_and_units(whole_study):
    text = Reader((whole_study / "report" / "index.html").read_text(encoding="utf-8")).text
    for expected in ("Li6Zr2O7 is stable", "7.2–34.0 meV/atom", "N on O is favoured", "24.3 meV/atom", "+1.5 %"):
        assert expected in text
    assert "CHGNet 0.3.0 · evidence" in text
    assert "1 of 23 relaxations did not converge" in text
    assert "c0ffee" in text


def test_formulas_have_subscripts():
    assert formula_html("Li6.125Zr2O7") == "Li<sub>6.125</sub>Zr<sub>2</sub>O<sub>7</sub>"
    assert formula_html("Zr3(PO4)4 and N1 in Fig. 2a") == (
        "Zr<sub>3</sub>(PO<sub>4</sub>)<sub>4</sub> and N in Fig. 2a"
    )
    assert formula_html("NCM811") == "NCM811"


def spoiled(node):
    """Return results in which every text carries a script, except paths, units and the choice of two ends."""
    if isinstance(node, dict):
        kept = {"unit", "structure_file", "ends"}
        return {key: value if key in kept else spoiled(value) for key, value in node.items()}
    if isinstance(node, list):
        return [spoiled(value) for value in node]
    return f"{node}{HOSTILE}" if isinstance(node, str) else node


def test_texts_that_look_like_markup_stay_text(results, tmp_path):
    page = page_of(write_study(tmp_path, spoiled(results)), figures=True)
    assert page.open == []
    assert {kind for kind, _ in page.scripts} == {"", "text/plain", "application/json"}
    assert not [text for kind, text in page.scripts if kind == "application/json" and "<" in text]
    assert HOSTILE in page.text
    assert not [value for value in page.values("href") if "<" in value or value.startswith("javascript")]


@pytest.mark.parametrize("stage", ["host", "voids", "doping", "stability"])
def test_missing_stages_are_named_and_the_rest_is_shown(results, tmp_path, stage):
    del results["stages"][stage]
    folder = write_study(tmp_path, results)
    page = page_of(folder)
    assert "Pending:" in page.text
    assert stage not in page.values("id")
    assert len({"host", "voids", "doping", "stability"} & set(page.values("id"))) == 3


def test_empty_study_gives_a_page_without_numbers(tmp_path):
    page = page_of(write_study(tmp_path, {"format": 1, "stages": {}}))
    assert "No stage has given a number" in page.text
    assert verdict(read_study(tmp_path)) == []


def test_page_comes_out_the_same_twice_and_follows_the_data(results, tmp_path):
    one = build_page(write_study(tmp_path / "a", results)).read_bytes()
    two = build_page(write_study(tmp_path / "b", results)).read_bytes()
    results["stages"]["stability"]["targets"][1]["e_d"]["value"] = 0.0121
    assert one == two
    assert "12.1" in page_of(write_study(tmp_path / "c", results)).text
    assert "12.1" not in Reader(one.decode()).text


def test_verdict_says_metastable_and_undecided_when_the_numbers_do(results, tmp_path):
    targets = results["stages"]["stability"]["targets"]
    targets[0] |= {"e_d": {"value": 0.018, "unit": "eV/atom"}, "products": {"Li2O": 0.4, "ZrO2": 0.6}}
    targets[4]["e_d"]["value"] = targets[1]["e_d"]["value"] + 2e-4
    claims = [str(s.claim) for s in verdict(read_study(write_study(tmp_path, results)))]
    assert any("lies above the hull" in claim for claim in claims)
    assert "Neither route is favoured" in claims


def test_structure_files_outside_the_study_are_not_linked_or_read(results, tmp_path):
    results["stages"]["host"]["host"]["structure_file"] = "../secret.cif"
    (tmp_path / "secret.cif").write_text("not a CIF")
    page = page_of(write_study(tmp_path / "study", results))
    assert not [value for value in page.values("href") if "secret" in value]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "no such file"),
        ("{", "cannot be read"),
        ("[]", "format 'list'"),
        ('{"format": 99}', "format 99"),
        (
            '{"format": 1, "stages": {"voids": {"method": "density"}}}',
            "'voids' cannot be understood .missing 'sites'",
        ),
        (
            '{"format": 1, "stages": {"stability": {"targets": [{"formula": "X"}]}}}',
            "'stability' cannot be understood",
        ),
        ('{"format": 1, "stages": {"host": 3}}', "'host' cannot be understood"),
        (
            '{"format": 1, "stages": {"window": {"windows": [{"formula": "X"}]}}}',
            "'window' cannot be understood .missing 'decomposition_energy'",
        ),
    ],
)
def test_results_that_cannot_be_used_are_refused(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=expected):
        build_page(tmp_path)


def test_numbers_are_written_with_units_and_sensible_digits():
    assert number(Quantity(0.0153, "eV/atom"), "meV/atom") == "15.3\u2009meV/atom"
    assert number(Quantity(-0.00004, "eV/atom"), "meV/atom") == "0.0\u2009meV/atom"
    assert number(Quantity(10.44512, "Å")) == "10.445\u2009Å"
    assert number(Quantity(-5.25, "eV")) == "−5.250\u2009eV"
    assert significant(0.125) == "0.125"
    assert significant(2) == "2"
    with pytest.raises(ValueError, match="cannot be shown"):
        number(Quantity(1.0, "Å"), "eV")


def test_cell_deviations_are_relative_to_the_measured_cell(whole_study):
    host = read_study(whole_study).crystals[0]
    deviations = {row[0]: row[3] for row in cell_rows(host)}
    assert deviations["a"] == "+1.12\u2009%"
    assert deviations["β"] == ""


def test_a_doi_cannot_leave_its_address():
    link = doi_link('10.1/x"><script>')
    assert "<script>" not in link
    assert json.dumps(str(link)).count("https://doi.org/10.1/x%22%3E%3Cscript%3E") == 1


def test_targets_stand_by_route_and_content(whole_study):
    routes = [target.route for target in read_study(whole_study).targets]
    assert routes == ["", "N on O", "N on O", "N on O", "N interstitial"]


def test_a_failed_stage_is_told_with_its_reason_and_is_not_pending(results, tmp_path):
    results["stages"]["voids"] = {"failed": "the grid ran out of memory"}
    del results["stages"]["stability"]
    folder = write_study(tmp_path, results)
    record, page = read_study(folder), page_of(folder)
    assert record.failed == {"voids": "the grid ran out of memory"}
    assert record.pending == ("stability",)
    assert "Empty sites: the grid ran out of memory" in page.text
    assert not {"voids", "stability"} & set(page.values("id"))


@pytest.mark.parametrize("n_left", [0, 2])
def test_a_failed_content_is_told_beside_the_others(results, tmp_path, n_left):
    failed = {
        "route": "N on O",
        "count": 8,
        "formula": "Li56Zr16O48N8",
        "x_per_formula_unit": {"value": 1.0, "unit": "1"},
        "failure": "none of 5 could be relaxed",
    }
    cells = results["stages"]["doping"]["cells"]
    results["stages"]["doping"]["cells"] = [*cells[:n_left], failed]
    folder = write_study(tmp_path, results)
    assert [cell.x_per_formula_unit for cell in read_study(folder).failed_contents] == [1.0]
    assert len(read_study(folder).doping) == n_left
    assert "failed: none of 5 could be relaxed" in page_of(folder).text


def test_crystals_name_what_moved_and_the_level_that_decided(results, tmp_path):
    results["levels"]["dear"] = {"name": "dear", "model": "Dearer 1.0"}
    results["relaxation"]["move"] = "positions"
    text = page_of(write_study(tmp_path, results)).text
    assert "Positions relaxed at Dearer 1.0;" in text
    assert "relaxed at CHGNet 0.3.0, the best of them again at Dearer 1.0" in text


def test_the_reason_for_no_correlation_is_printed(results, tmp_path):
    results["stages"]["doping"]["cells"][3]["correlation"] = {"unavailable": "all energies are equal"}
    assert "all energies are equal" in page_of(write_study(tmp_path, results)).text


def test_contacts_and_windows_are_read_as_they_were_written(whole_study, windows):
    record = read_study(whole_study)
    assert record.windows == windows
    closed, driven = record.contacts
    assert to_json(closed) | {"voltage": {"value": 4.2, "unit": "V"}, "mobile": "Li"} == to_json(driven)
    assert [(r.cathode, r.phase) for r in closed.reactions] == [
        (cathode, phase) for cathode in closed.cathodes for phase in closed.phases
    ]
    assert closed.reactions[1].strongest.energy == pytest.approx(-0.35 * 9 / 16)
    assert closed.voltage is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cathodes": ["LiCoO2"]}, "12 reactions are not those of 1 cathodes with 4 phases"),
        ({"ends": "neither"}, "ends 'neither'"),
        ({"voltage": {"value": 4.2, "unit": "K"}}, "'K' cannot be shown in 'V'"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(results, tmp_path, change, expected):
    results["stages"]["contact"]["matrices"][0] |= change
    with pytest.raises(InputError, match=f"'contact' cannot be understood .{expected}"):
        read_study(write_study(tmp_path, results))


@pytest.mark.parametrize("stage", ["contact", "window"])
def test_contacts_and_windows_may_be_absent_pending_or_failed(results, tmp_path, stage):
    del results["stages"][stage]
    absent = write_study(tmp_path / "absent", results)
    assert read_study(absent).pending == ()
    assert stage not in page_of(absent).values("id")
    results["stages"][stage] = {}
    assert read_study(write_study(tmp_path / "pending", results)).pending == (stage,)
    results["stages"][stage] = {"failed": "no phases of Co"}
    failed = write_study(tmp_path / "failed", results)
    assert read_study(failed).pending == ()
    assert f"{STAGE_NAMES[stage].capitalize()}: no phases of Co" in page_of(failed).text


def test_every_cell_opens_a_reaction_of_its_own(whole_study):
    page = Reader((whole_study / "report" / "index.html").read_text(encoding="utf-8"))
    identifiers = page.values("id")
    buttons = [a for tag, a in page.tags if tag == "button" and "popovertarget" in a]
    opened = [a["popovertarget"] for a in buttons if "popovertargetaction" not in a]
    assert len(opened) == len(set(opened)) == 2 * 3 * 4
    assert set(opened) <= set(identifiers)
    assert set(page.values("aria-labelledby")) <= set(identifiers)


def test_verdict_tells_with_which_cathodes_the_host_reacts_and_its_window(results, tmp_path):
    statements = {s.section: s for s in verdict(read_study(write_study(tmp_path / "none", results)))}
    assert (
        statements["contact"].claim == "Li<sub>6</sub>Zr<sub>2</sub>O<sub>7</sub> reacts with none of 3 cathodes"
    )
    assert "not told from no reaction" in statements["contact"].interval
    assert statements["window"].figure == "0.51–3.42\u2009V"
    assert "95\u2009% interval 0.38 to 0.66" in statements["window"].grounds
    for matrix in results["stages"]["contact"]["matrices"]:
        matrix["phases"] = [{"Li6Zr2O7": "Li2ZrN2", "Li2ZrN2": "Li12Zr4O14"}.get(p, p) for p in matrix["phases"]]
        for reaction in matrix["reactions"]:
            phase = reaction["phase"]
            reaction["phase"] = {"Li6Zr2O7": "Li2ZrN2", "Li2ZrN2": "Li12Zr4O14"}.get(phase, phase)
    told = {s.section: s for s in verdict(read_study(write_study(tmp_path / "some", results)))}["contact"]
    # The host is found by its composition, not by how it is written; Li2ZrN2's numbers are the fixture's.
    assert told.claim == "Li<sub>12</sub>Zr<sub>4</sub>O<sub>14</sub> reacts most with LiNiO<sub>2</sub>"
    assert told.figure == "−24.4\u2009meV/atom"
    assert "Least with LiCoO<sub>2</sub>: −21.9" in told.grounds


def test_windows_without_limits_and_phases_without_energies_are_told(results, tmp_path):
    windows = results["stages"]["window"]["windows"]
    results["stages"]["window"]["windows"] = windows[2:]
    matrix = results["stages"]["contact"]["matrices"][0]
    matrix["no_intervals"] = "errors of this level are not measured"
    for reaction in matrix["reactions"]:
        reaction["interval"] = None
    folder = write_study(tmp_path, results)
    page, statements = page_of(folder), {s.section: s for s in verdict(read_study(folder))}
    assert statements["window"].figure == "above 0.21\u2009V"
    assert "no Li to take out" in page.text
    assert "carry no intervals: errors of this level are not measured" in page.text
    assert "no interval known" in page.text
    assert "Li6.125Zr2O6.875N0.125: no energy of their own at CHGNet 0.3.0" in page.text
