"""The page Inside a query in a browser: items taken out, the threshold moved, a stage alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, in_address, threshold

TITLE = "() => document.querySelectorAll('.sparcode-chart')[1].layout.title.text"


@pytest.mark.browser
def test_the_path_follows_the_history_the_threshold_and_the_step(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/query?k=8")
    page, charts = visit.page, visit.page.locator(".sparcode-chart[data-drawn]")
    expect(charts).to_have_count(4, timeout=PATIENCE_MS)
    expect(page.get_by_text("FINE-TUNED", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    page.wait_for_function(FITS)
    # Dragged: the chart moves by what was sent ahead, and the server's answer says the same.
    before = page.evaluate(TITLE)
    threshold(page).press("End")
    page.wait_for_function(f"before => ({TITLE})() !== before", arg=before, timeout=PATIENCE_MS)
    in_address(page, keep="0.1")
    at_rest(page)
    moved = page.evaluate(TITLE)
    threshold(page).press("Home")
    in_address(page, keep="50")
    at_rest(page)
    assert page.evaluate(TITLE) not in (before, moved)
    # An item out.
    page.locator("[class*='st-key-query-kept'] button").first.click()
    expect(page.get_by_text("Without", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    # A stage alone.
    page.get_by_role("button", name="Next").click()
    in_address(page, step="history")
    expect(page.locator(".sparcode-chart")).to_have_count(0, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Next").click()
    expect(charts).to_have_count(1, timeout=PATIENCE_MS)
    assert not visit.problems
