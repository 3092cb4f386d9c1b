"""The heat map as HTML and CSV: every number, nothing executable, readable, one file."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from ionscape.errors import InputError
from ionscape.report.contact_table import (
    COLUMNS,
    contact_csv,
    contact_table,
    is_undecided,
    write_contact_csv,
    write_contact_page,
)
from ionscape.report.heat_scale import contrast
from ionscape.report.typography import breakable_formula, electrode, formula_html
from ionscape.stability.contact import EnergyInterval

HOSTILE = '"><script>alert(1)</script>'


class Page(HTMLParser):
    """Elements with their attributes, and the words in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, **wanted):
        return [a for t, a in self.tags if t == tag and all(a.get(k) == v for k, v in wanted.items())]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def page(matrix) -> Page:
    return Page(contact_table(matrix))


def test_every_pair_is_a_button_that_opens_its_own_reaction(page, matrix):
    cells = [button for button in page.all("button") if "popovertargetaction" not in button]
    cards = [div for div in page.all("div") if "popover" in div]
    assert len(cells) == len(cards) == len(matrix.reactions) == 99
    assert [cell["popovertarget"] for cell in cells] == [card["id"] for card in cards]
    titles = {heading["id"] for heading in page.all("h4")}
    assert {card["aria-labelledby"] for card in cards} == titles
    for cell, reaction in zip(cells, matrix.reactions, strict=True):
        assert cell["aria-label"].startswith(f"{reaction.cathode} with {reaction.phase}: ")
        assert ("class" in cell) == is_undecided(reaction)


def test_rows_and_columns_have_headers_and_the_table_a_caption(page, matrix):
    assert len(page.all("th", scope="row")) == len(matrix.cathodes)
    assert len(page.all("caption")) == 1
    assert "closed system, 0\u2009K".replace("\u2009", " ") in page.text.replace("\u2009", " ")


def test_cards_tell_reaction_interval_products_and_every_kink(matrix):
    one = replace(matrix, cathodes=matrix.cathodes[:1], phases=matrix.phases[3:4], reactions=matrix.reactions[3:4])
    page = Page(contact_table(one))
    (reaction,) = one.reactions
    assert reaction.strongest.reaction in page.text
    assert "Li2ZrO3 50 %, Li5CoO4 30 %, CoN 20 %" in page.text.replace("\u2009", " ")
    assert "95 % interval −359.1 to −219.4" in page.text.replace("\u2009", " ")
    rows = [point for point in reaction.profile if f"{point.x:.3f}" in page.text]
    assert len(rows) == 5
    (line,) = page.all("polyline")
    assert len(line["points"].split()) == 5


def test_text_on_every_cell_can_be_read_by_day_and_by_night(page):
    for cell in page.all("button"):
        if "style" in cell:
            colours = dict(part.split(":") for part in cell["style"].split(";"))
            for time in ("day", "night"):
                assert contrast(colours[f"--{time}"], colours[f"--{time}-ink"]) >= 4.5


def test_the_csv_has_a_line_for_every_pair_and_comes_with_the_page(page, matrix):
    rows = list(csv.DictReader(io.StringIO(contact_csv(matrix))))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["cathode"], row["phase"]) for row in rows] == [(r.cathode, r.phase) for r in matrix.reactions]
    for row, reaction in zip(rows, matrix.reactions, strict=True):
        assert float(row["dE_min_meV_per_atom"]) == pytest.approx(1000 * reaction.strongest.energy, abs=1e-3)
        assert float(row["high95_meV_per_atom"]) == pytest.approx(1000 * reaction.interval.high95, abs=1e-3)
        assert row["reaction"] == reaction.strongest.reaction
        assert [part.split()[0] for part in row["products"].split("; ")] == list(reaction.strongest.products)
    (link,) = [a for a in page.all("a") if a.get("download")]
    assert link["download"] == "contact.csv"
    assert unquote(link["href"].partition(",")[2]) == contact_csv(matrix)


def test_unknown_intervals_are_empty_in_the_csv_and_said_in_the_table(matrix):
    bare = replace(
        matrix, reactions=tuple(replace(r, interval=None) for r in matrix.reactions), no_intervals="not measured"
    )
    assert {row["low95_meV_per_atom"] for row in csv.DictReader(io.StringIO(contact_csv(bare)))} == {""}
    text = Page(contact_table(bare)).text
    assert "No intervals: not measured" in text
    assert "no interval known" in text
    assert "not told from no reaction" not in text


def test_a_cell_is_undecided_only_if_its_interval_reaches_no_reaction(matrix):
    reaction = matrix.reactions[3]
    assert not is_undecided(replace(reaction, interval=EnergyInterval(-0.3, -0.0011)))
    assert is_undecided(replace(reaction, interval=EnergyInterval(-0.3, -0.0009)))
    assert not is_undecided(replace(reaction, interval=None))


def test_names_that_look_like_markup_stay_text(matrix):
    spoiled = replace(
        matrix, cathodes=(HOSTILE,), phases=(HOSTILE,), level=HOSTILE, conditions=HOSTILE, on_hull=(HOSTILE,),
        excluded={HOSTILE: HOSTILE}, heights={HOSTILE: 0.1}, no_intervals=HOSTILE, mobile=HOSTILE, voltage=4.2,
        reactions=(replace(matrix.reactions[3], cathode=HOSTILE, phase=HOSTILE),),
    )  # fmt: skip
    page = Page(contact_table(spoiled))
    assert not page.all("script")
    assert HOSTILE in page.text


def test_the_page_stands_alone(matrix, tmp_path):
    path = write_contact_page(replace(matrix, voltage=4.2, mobile="Li"), tmp_path / "new" / "contact.html")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe"}
    for link in page.all("a"):
        assert link["href"].startswith(("https://doi.org/", "data:text/csv;"))
    assert "at 4.2 V against Li/Li+" in page.text.replace("\u2009", " ")
    assert "share of the atoms other than Li" in page.text
    for doi in ("10.1021/acs.chemmater.5b04082", "10.1039/C5TA08574H"):
        assert doi in text
    assert len(page.all("h1")) == 1
    again = write_contact_page(replace(matrix, voltage=4.2, mobile="Li"), tmp_path / "again.html")
    assert again.read_bytes() == path.read_bytes()


def test_the_csv_is_written_whole_or_refused(matrix, tmp_path):
    path = write_contact_csv(matrix, tmp_path / "contact.csv")
    assert path.read_text(encoding="utf-8") == contact_csv(matrix)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        write_contact_csv(matrix, tmp_path / "file" / "contact.csv")


def test_formulas_break_between_elements_only():
    assert breakable_formula("Li3V2(PO4)3 x") == (
        "Li<sub>3</sub><wbr>V<sub>2</sub><wbr>(PO<sub>4</sub>)<sub>3</sub> x"
    )
    assert breakable_formula("Na(Zr(PO4)2)1.5").replace("<wbr>", "") == formula_html("Na(Zr(PO4)2)1.5")
    assert breakable_formula("no Formula <b>") == "no Formula &lt;b&gt;"


def test_electrodes_are_those_of_the_mobile_ion():
    assert electrode("Mg") == "Mg/Mg<sup>2+</sup>"
    assert electrode("<b>") == "&lt;b&gt; metal"
