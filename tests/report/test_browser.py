"""The report in a real browser: everything opens, moves, sorts and leaves the page, and nothing else happens."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure

sys.path.insert(0, str(Path(__file__).parent))

from browser import chromium, watched
from made_study import cobaltate, sample_results, write_study, zirconate
from test_page import HOSTILE, spoiled

from ionscape.report.page import build_page
from ionscape.structures.exchange import write_cif

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def doped(structure: Structure) -> Structure:
    changed = structure.copy()
    changed.replace(int(np.flatnonzero([s == "O" for s in map(str, changed.species)])[0]), "N")
    return changed


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory) -> Path:
    """Return the page of a study whose every text carries a script."""
    folder = write_study(tmp_path_factory.mktemp("hostile"), spoiled(sample_results()))
    write_cif(zirconate(), folder / "structures" / "Li6Zr2O7.cif")
    write_cif(cobaltate(), folder / "structures" / "LiCoO2.cif")
    for name in ("N-on-O-1-1", "N-on-O-2-2"):
        write_cif(doped(zirconate()), folder / "structures" / f"{name}.cif")
    return build_page(folder)


@pytest.fixture(scope="module")
def desk(browser, report):
    """Return the page at the width of a desk, loaded once; every test leaves it as good as it was."""
    with watched(browser, viewport=DESKTOP) as seen:
        seen.page.goto(report.as_uri())
        yield seen


def bring(page, selector: str) -> None:
    page.evaluate(
        "one => document.querySelector(one).scrollIntoView({behavior: 'instant', block: 'center'})", selector
    )


def drawn(page, selector: str) -> None:
    bring(page, selector)
    page.wait_for_selector(f"{selector}[data-drawn]", state="attached")


def test_every_section_opens_from_the_bar_and_every_figure_draws(desk):
    page = desk.page
    targets = page.eval_on_selector_all(".bar .scroll a", "links => links.map(a => a.getAttribute('href'))")
    assert {"#host", "#doping", "#stability", "#contact", "#window", "#transport"} <= set(targets)
    for target in targets:
        page.click(f".bar a[href='{target}']")
        page.wait_for_function(
            "id => Math.abs(document.querySelector(id).getBoundingClientRect().top) < 900", arg=target
        )
    identifiers = page.eval_on_selector_all("main :is(.plot, .viewer)", "all => all.map(one => one.id)")
    assert {"plot-decomposition-energy", "plot-arrhenius", "plot-electrochemical-window", "viewer-host"} <= set(
        identifiers
    )
    for identifier in identifiers:
        drawn(page, f"#{identifier}")
    desk.clean()


def test_a_figure_answers_the_pointer_and_its_legend_hides_a_series(desk):
    page = desk.page
    drawn(page, "#plot-decomposition-energy")
    plot = page.locator("#plot-decomposition-energy")
    points = plot.locator(".scatterlayer .point")
    points.nth(1).hover(force=True)
    page.wait_for_selector("#plot-decomposition-energy .hoverlayer .hovertext", state="attached")
    visible = "host => host.data.map(trace => trace.visible ?? true)"
    before = plot.evaluate(visible)
    plot.locator(".legendtoggle").first.click(force=True)
    page.wait_for_function("host => host.data[0].visible === 'legendonly'", arg=plot.element_handle())
    assert plot.evaluate(visible) != before
    desk.clean()


def test_a_structure_turns_by_keyboard_and_pointer_and_changes(desk):
    page = desk.page
    drawn(page, "#viewer-host")
    view = "() => document.querySelector('#viewer-host').viewer.view.getView().slice(4)"
    start = page.evaluate(view)
    assert np.linalg.norm(start) == pytest.approx(1.0)
    page.focus("#viewer-host .stage")
    page.keyboard.press("ArrowRight")
    by_key = page.evaluate(view)
    assert by_key != start
    box = page.locator("#viewer-host canvas").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 320, box["y"] + 190, steps=4)
    page.mouse.up()
    assert page.evaluate(view) != by_key
    page.select_option("#viewer-host .choose", "1")
    assert "Co" in page.inner_text("#viewer-host .elements")
    page.click("#viewer-host .solids")
    assert page.get_attribute("#viewer-host .solids", "aria-pressed") == "false"
    desk.clean()


def test_a_table_sorts_by_number_and_leaves_as_csv(desk):
    page = desk.page
    head = page.locator("#stability .table").first.locator("th .sort").nth(3)
    column = """() => [...document.querySelector('#stability .table tbody').rows]
        .map(row => parseFloat(row.cells[3].textContent))"""
    for ascending in (True, False):
        head.click()
        shown = page.evaluate(column)
        assert shown == sorted(shown, reverse=not ascending)
        assert len(set(shown)) > 2
    with page.expect_download() as download:
        page.locator("#stability .csv").first.click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines()[0].startswith('"Phase","Route","x"')
    assert HOSTILE.replace('"', '""') in text
    desk.clean()


@pytest.mark.parametrize(("kind", "beginning"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_a_publication_figure_leaves_the_page_in_print_colours(desk, kind, beginning):
    page = desk.page
    with page.expect_download() as download:
        page.locator(f"#stability figure .files a[data-save='{kind}']").first.click()
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(beginning)
    assert b"var(--" not in content
    desk.clean()


def test_a_cell_of_the_heat_map_opens_its_reaction(desk):
    page = desk.page
    button = page.locator(".heat button").first
    button.click()
    card = page.locator(f"#{button.get_attribute('popovertarget')}")
    assert card.is_visible()
    page.keyboard.press("Escape")
    assert not card.is_visible()


def test_everything_that_acts_is_reached_by_the_keyboard(desk):
    page = desk.page
    assert page.evaluate("() => document.querySelector('a, button, [tabindex]').className") == "skip"
    page.focus(".skip")
    for expected in ("scroll", ""):
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.className") == expected
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#host")
    reached = page.evaluate(
        """() => [...document.querySelectorAll(':is(main, .bar) :is(a, button, select, summary, .stage, .plot)')]
        .filter(one => one.checkVisibility() && !one.closest('.modebar')).every(one => one.tabIndex === 0)"""
    )
    assert reached


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_contrast_and_names_satisfy_axe(browser, report, scheme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="make install-browser").Axe()
    with watched(browser, viewport=size, color_scheme=scheme) as seen:
        seen.page.goto(report.as_uri())
        seen.page.add_style_tag(content="main > section { content-visibility: visible !important }")
        assert seen.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        found = axe.run(seen.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_the_theme_button_overrules_the_system(browser, report):
    with watched(browser, viewport=DESKTOP, color_scheme="light") as seen:
        seen.page.goto(report.as_uri())
        ground = "() => getComputedStyle(document.body).backgroundColor"
        light = seen.page.evaluate(ground)
        seen.page.click("#theme")
        seen.page.click("#theme")
        assert seen.page.inner_text("#theme") == "Theme: dark"
        assert seen.page.evaluate(ground) != light
        seen.clean()


def test_without_scripts_all_numbers_and_drawings_are_there(browser, report):
    with watched(browser, viewport=DESKTOP, java_script_enabled=False) as seen:
        seen.page.goto(report.as_uri())
        assert seen.page.locator("figure svg.drawing").count() > 3
        assert seen.page.locator("#theme").is_hidden()
        assert "7.2" in seen.page.text_content("#stability")
