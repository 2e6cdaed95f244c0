"""The page Code space in a browser: what is selected on the map is selected in all charts."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, in_address
from tests.pages.test_corner_browser import saved

MARKED = "wanted => { const box = document.querySelector('.sparcode-map'); return box.dataset.marked === wanted; }"

# The middle of the second bar. Bars are drawn anew with every selection.
BAR = """() => {
  const { x, y, width, height } = document.querySelectorAll('.sparcode-chart .barlayer .point path')[1].getBoundingClientRect();
  return [x + width / 2, y + height / 2];
}"""


def codes(page: Page) -> list[str]:
    text = page.evaluate("() => new URLSearchParams(location.search).get('codes')")
    return text.split(".") if text else []


@pytest.mark.browser
def test_what_is_selected_anywhere_is_selected_everywhere(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/space?k=8&layout=pca")
    page = visit.page
    charts = page.locator(".sparcode-chart[data-drawn]")
    expect(page.locator(".sparcode-map[data-drawn]")).to_have_count(1, timeout=PATIENCE_MS)
    expect(charts).to_have_count(3, timeout=PATIENCE_MS)
    at_rest(page)
    page.wait_for_function(FITS)
    # A lasso around everything selects all codes.
    plot = page.locator(".sparcode-map .plot")
    plot.scroll_into_view_if_needed()
    place = plot.bounding_box()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    for at, (x, y) in enumerate(corners):
        page.mouse.move(place["x"] + x * place["width"], place["y"] + y * place["height"], steps=4)
        if at == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_function("() => (new URLSearchParams(location.search).get('codes') || '').includes('.')", timeout=PATIENCE_MS)
    at_rest(page)
    many = codes(page)
    assert 2 <= len(many) <= 8
    assert len(set(many)) == len(many)
    page.wait_for_function(MARKED, arg=".".join(many), timeout=PATIENCE_MS)
    # Written by keyboard.
    box = page.get_by_role("textbox", name="Selected codes")
    box.fill("")
    box.press("Enter")
    in_address(page, codes=None)
    at_rest(page)
    # A bar selects its code.
    page.wait_for_function("() => !document.querySelector('.sparcode-map').dataset.marked.includes('.')", timeout=PATIENCE_MS)
    at_rest(page)
    page.locator(".sparcode-chart").last.scroll_into_view_if_needed()
    x, y = page.evaluate(BAR)
    page.mouse.move(x, y, steps=3)
    # Plotly tells the click of what is under the pointer, which it looks up now and then.
    page.locator(".sparcode-chart .hoverlayer .hovertext").first.wait_for(timeout=PATIENCE_MS)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("() => new URLSearchParams(location.search).get('codes')", timeout=PATIENCE_MS)
    at_rest(page)
    (one,) = codes(page)
    page.wait_for_function(MARKED, arg=one, timeout=PATIENCE_MS)
    expect(page.get_by_text(f"Ranked first by code {one}")).to_be_visible()
    assert not visit.problems


MAP = "Principal components of codes, items and tokens"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.browser
def test_the_map_is_saved_and_added_to_the_report_like_any_chart(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/space?k=8&layout=pca")
    page = visit.page
    expect(page.locator(".sparcode-map[data-drawn]")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(3, timeout=PATIENCE_MS)
    at_rest(page)
    table = saved(page, "CSV", MAP)
    assert table.suggested_filename.startswith("space-principal-components-of-codes-items-and-tokens-M1-K8")
    header, *rows = csv.reader(io.StringIO(table.path().read_text(encoding="utf-8-sig")))
    assert header == ["title", "kind", "code", "x", "y"]
    counts = {kind: sum(row[1] == kind for row in rows) for kind in ("code", "item", "token")}
    legend = page.locator(".sparcode-map .legend").text_content()
    assert all(f"({count:,})" in legend for count in counts.values())
    assert len({tuple(row[3:]) for row in rows}) > len(rows) / 2
    assert [row[0] for row in rows if row[1] == "code"] == [f"code {row[2]}" for row in rows if row[1] == "code"]

    drawing = ElementTree.fromstring(saved(page, "SVG", MAP).path().read_text(encoding="utf-8"))
    texts = [element.text for element in drawing.iter(f"{SVG}text")]
    assert texts[0] == MAP
    assert f"queries' tokens ({counts['token']:,})" in texts
    # The whole map is in view.
    assert len(list(drawing.iter(f"{SVG}circle"))) == counts["token"]
    picture = Image.open(saved(page, "PNG", MAP).path()).convert("RGB")
    assert picture.size == tuple(2 * int(drawing.get(side)) for side in ("width", "height"))
    assert len(picture.getcolors(2**24)) > 50

    page.get_by_role("button", name=f"Add to report: {MAP}").click()
    expect(page.get_by_text("Added to the report, which has 1 entry")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.get_by_role("img", name="Chart: Code")).to_be_visible(timeout=PATIENCE_MS)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS)
    assert not visit.problems
