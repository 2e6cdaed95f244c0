"""The report and presentation mode in a real browser: from a chart on a page to the files taken home, by mouse and by keyboard."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pptx import Presentation

from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, explored, in_address, measured

HEIGHT = "() => document.querySelector('[data-testid=stMain]').scrollHeight"
CHART = "Recall against index size"
# Keys, and the view they lead to where the number of views does not matter.
KEYS = [("End", ""), ("ArrowRight", ""), ("Home", "1"), ("ArrowLeft", "1"), ("PageDown", "2"), (" ", "3"), ("PageUp", "2")]
SCREEN_FITS = "() => { const one = document.querySelector('.sparcode-present'); return one.scrollWidth <= one.clientWidth; }"
# The values that a chart draws, by trace; typed arrays as lists.
DRAWN = "box => box._fullData.map(trace => [trace.name, Array.from(trace.x), Array.from(trace.y)])"


@pytest.fixture(scope="module")
def visit(studio_url: str, chromium: Browser) -> Visit:
    """The Index Explorer, measured."""
    return explored(studio_url, chromium, "k=8")


def chart_of(page: Page, name: str) -> str:
    """Selector of the chart of that name."""
    at = page.evaluate("name => [...document.querySelectorAll('.sparcode-chart')].findIndex(box => box.layout.uirevision === name)", name)
    return f".sparcode-chart >> nth={at}"


def added(page: Page, n_entries: int) -> None:
    expect(page.get_by_text(f"Added to the report, which has {n_entries} entr")).to_be_visible(timeout=PATIENCE_MS)


def saved(page: Page, label: str, folder: Path) -> Path:
    """The file that a button of the page Report gives."""
    button = page.get_by_role("button", name=label)
    expect(button).to_be_enabled(timeout=PATIENCE_MS)
    with page.expect_download(timeout=PATIENCE_MS) as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def drawn_offline(browser: Browser, file: Path) -> tuple[list[object], list[str]]:
    """What the charts of a file draw where there is no network, and what the file asks of it."""
    context, requests = browser.new_context(offline=True), []
    # Other tests go on with the browser.
    try:
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri(), timeout=PATIENCE_MS)
        page.wait_for_function("() => !document.querySelector('.chart:not([data-drawn])')", timeout=PATIENCE_MS)
        figures = [box.evaluate(DRAWN) for box in page.locator(".chart").all()]
    finally:
        context.close()
    return figures, [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.mark.browser
def test_a_chart_goes_from_its_page_into_the_report_and_into_files(visit: Visit, browser: Browser, tmp_path: Path) -> None:
    page = visit.page
    box = page.locator(chart_of(page, "Recall against index size"))
    # A narrow chart breaks its title into lines.
    drawn, takeaway = box.evaluate(DRAWN), box.evaluate("box => box.layout.title.text.replaceAll('<br>', ' ')")
    page.get_by_role("button", name="Add to report: Recall against index size").click()
    added(page, 1)
    at_rest(page)
    page.get_by_role("button", name="Add to report: Recall@50").click()
    added(page, 2)
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.get_by_text("1 chart and 1 row of figures of")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("img", name=f"Chart: {takeaway}")).to_be_visible(timeout=PATIENCE_MS)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS)

    deck = Presentation(str(saved(page, "Slides (.pptx)", tmp_path)))
    assert [slide.shapes.title.text for slide in deck.slides][1] == takeaway
    figures, requests = drawn_offline(browser, saved(page, "HTML", tmp_path))
    assert figures == [drawn]
    assert requests == []
    with zipfile.ZipFile(saved(page, "Tables and pictures (.zip)", tmp_path)) as packed:
        (drawing,) = [name for name in packed.namelist() if name.endswith(".svg")]
        (picture,) = [name for name in packed.namelist() if name.endswith(".png")]
        assert drawing.removesuffix(".svg") == picture.removesuffix(".png")
        text = packed.read(drawing).decode()
    assert text.startswith("<svg")
    assert "Recall against index size" in text
    assert not visit.problems


@pytest.mark.browser
def test_a_note_is_written_where_something_was_added_by_keyboard_alone(visit: Visit, studio_url: str) -> None:
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{studio_url}/explorer?k=8", timeout=PATIENCE_MS)
    measured(page)
    height = page.evaluate(HEIGHT)
    for name, text in ((CHART, "The knee is at 10 %"), ("Recall@50", "")):
        button = page.get_by_role("button", name=f"Add to report: {name}")
        button.focus()
        page.keyboard.press("Enter")
        note = page.get_by_role("textbox", name=f"Note on “{name}")
        expect(note).to_be_visible(timeout=PATIENCE_MS)
        assert page.locator(".sparcode-note:not([hidden])").count() == 1
        # Nothing on the page moves for it.
        assert page.evaluate(HEIGHT) == height
        expect(button).to_be_focused()
        page.keyboard.press("Tab")
        expect(note).to_be_focused()
        page.keyboard.type(text or "never mind")
        page.keyboard.press("Enter" if text else "Escape")
        expect(note).to_be_hidden()
        expect(button).to_be_focused()
        at_rest(page)
    # A table's button is Streamlit's own. The note is sent when its field is left.
    button = page.get_by_role("button", name="Add to report", exact=True).first
    button.click()
    note = page.get_by_role("textbox", name="Note on “This table")
    expect(note).to_be_visible(timeout=PATIENCE_MS)
    note.fill("For the engineers")
    note.blur()
    expect(page.get_by_text("The note is kept with its entry.").first).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    page.get_by_role("link", name="Report", exact=True).click()
    notes = page.get_by_role("textbox", name="Note of entry")
    expect(notes.last).to_have_value("For the engineers", timeout=PATIENCE_MS)
    assert [one.input_value() for one in notes.all()][-3:] == ["The knee is at 10 %", "", "For the engineers"]
    assert not visit.problems


@pytest.mark.browser
def test_a_presentation_is_stepped_through_by_keys_and_left_by_escape(studio_url: str, visit: Visit, browser: Browser) -> None:
    screen = Visit(browser, f"{studio_url}/explorer?k=8&present=1")
    page = screen.page
    drawn = page.locator(".sparcode-view-chart[data-drawn]")
    expect(drawn).to_have_count(2, timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-present .value")).to_have_count(4)
    expect(page.get_by_test_id("stTopNavLink")).to_have_count(0)
    expect(page.get_by_role("slider")).to_have_count(0)
    title = page.get_by_role("heading", level=1)
    first = title.text_content()
    page.keyboard.press("ArrowRight")
    expect(drawn).to_have_count(1, timeout=PATIENCE_MS)
    in_address(page, view="2", k="8", present="1")
    for key, view in KEYS:
        page.keyboard.press(key)
        if view:
            expect(page.locator(f".sparcode-present[data-view='{view}']")).to_be_visible()
    second = title.text_content()
    assert second != first
    page.reload()
    expect(title).to_have_text(second, timeout=PATIENCE_MS)
    for width, height in ((1920, 1080), (390, 800)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(SCREEN_FITS)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.querySelector('.sparcode-view-chart').layout?.font.color === '#E6EAF0'", timeout=PATIENCE_MS)
    assert not screen.problems
    # On narrow windows the navigation is folded.
    page.set_viewport_size({"width": 1280, "height": 900})
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stTopNavLink").first).to_be_attached(timeout=PATIENCE_MS)
    in_address(page, present=None, view=None, k="8")


@pytest.mark.browser
def test_an_embedded_studio_only_presents(studio_url: str, visit: Visit, browser: Browser) -> None:
    screen = Visit(browser, f"{studio_url}/explorer?k=8&embed=true")
    expect(screen.page.locator(".sparcode-view-chart[data-drawn]")).to_have_count(2, timeout=PATIENCE_MS)
    screen.page.keyboard.press("Escape")
    screen.page.keyboard.press("ArrowRight")
    expect(screen.page.locator(".sparcode-present[data-view='2']")).to_be_visible()
    expect(screen.page.get_by_test_id("stMain").get_by_role("button")).to_have_count(2)
    assert not screen.problems
