"""The page Code space in a browser: what is selected on the map is selected in all charts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, in_address

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
