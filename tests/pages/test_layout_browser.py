"""What the eye sees and a keyboard finds: no overlap on narrow windows, a visible focus, tracks in forced colours."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from scripts.studio_in_browser import running_studio
from sparcode.glossary import about
from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, explored, measured, threshold

OUTLINE = "node => { const { outlineStyle, outlineWidth } = getComputedStyle(node); return [outlineStyle, parseFloat(outlineWidth)]; }"

# Whether a box around a node shows only a part of what it holds.
CUT_OFF = """node => {
  const cuts = (box) => getComputedStyle(box).overflowY !== "visible" && box.scrollHeight > box.clientHeight + 1;
  for (let box = node.parentElement; box.dataset.testid !== "stMain"; box = box.parentElement) if (cuts(box)) return true;
  return false;
}"""


@pytest.fixture(scope="module")
def visit(studio_url: str, chromium: Browser) -> Visit:
    """The Index Explorer, left by each test as it was."""
    return explored(studio_url, chromium, "k=8")


@pytest.mark.browser
def test_on_narrow_windows_nothing_covers_the_status_and_nothing_scrolls_sideways(visit: Visit) -> None:
    page = visit.page
    status, tiles = page.get_by_text("fine-tuned in", exact=False).first, page.locator(".sparcode-tiles")
    for width in (1024, 800, 390):
        page.set_viewport_size({"width": width, "height": 768})
        page.wait_for_function(FITS)
        assert not status.evaluate(CUT_OFF), width
        told, top = status.bounding_box(), min(box.bounding_box()["y"] for box in tiles.all())
        assert told["y"] + told["height"] <= top
        assert told["x"] + told["width"] <= width
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.browser
def test_charts_follow_the_readers_theme_in_place(visit: Visit) -> None:
    page, paper = visit.page, "() => [...document.querySelectorAll('.sparcode-chart')].map(box => box.layout.font.color)"
    light, nodes = page.evaluate(paper), page.query_selector_all(".sparcode-chart")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({paper})().every((colour, at) => colour !== light[at])", arg=light, timeout=PATIENCE_MS)
    assert all(node.evaluate("box => box.isConnected") for node in nodes)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"light => JSON.stringify(({paper})()) === JSON.stringify(light)", arg=light, timeout=PATIENCE_MS)
    assert not visit.problems


@pytest.mark.browser
def test_on_narrow_windows_no_tile_covers_the_button_of_a_recorded_model(browser: Browser) -> None:
    # The data that has recorded models.
    with running_studio({"SPARCODE_DATA": ""}) as address:
        page = Visit(browser, f"{address}/explorer").page
        button = page.get_by_role("button", name="Fine-tune here")
        expect(button).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".sparcode-tiles")).to_have_count(2, timeout=PATIENCE_MS)
        for width in (1024, 800):
            page.set_viewport_size({"width": width, "height": 768})
            page.wait_for_function(FITS)
            button.click(trial=True, timeout=5_000)


@pytest.mark.browser
def test_the_focus_shows_in_the_navigation_and_forced_colours_leave_tracks_to_sliders(visit: Visit) -> None:
    page = visit.page
    link = page.get_by_test_id("stTopNavLink").first
    link.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(link).to_be_focused()
    style, width = link.evaluate(OUTLINE)
    assert style == "solid"
    assert width >= 2

    page.emulate_media(forced_colors="active")
    measured(page)
    track = page.get_by_test_id("stSlider").first.get_by_role("group").locator("> div > div").first
    style, width = track.evaluate(OUTLINE)
    assert style == "solid"
    assert width >= 1
    assert "gradient" in threshold(page).evaluate("input => getComputedStyle(input).backgroundImage")


@pytest.mark.browser
def test_a_tile_says_what_its_figure_is_to_a_keyboard_and_to_a_pointer(visit: Visit) -> None:
    page = visit.page
    tips, tile = page.locator(".sparcode-tiles > .tip:not([hidden])"), page.locator("[data-tile=perplexity]")
    expect(tips).to_have_count(0)
    tile.focus()
    expect(tips).to_have_text(about("perplexity"))
    expect(tile).to_have_attribute("aria-describedby", tips.get_attribute("id"))
    page.keyboard.press("Escape")
    expect(tips).to_have_count(0)
    page.locator("[data-tile=recall]").hover()
    expect(tips).to_have_text(about("recall"))
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.locator("[data-tile=recall]").hover()
        box = tips.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        page.wait_for_function(FITS)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.mouse.move(0, 0)
    expect(tips).to_have_count(0)
