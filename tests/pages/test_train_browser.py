from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit

N_CHARTS = 6
SMALL = "train?k=8&t_epochs=3&t_joint=3&t_two_tower=false"


@pytest.mark.browser
def test_a_run_is_drawn_in_place_survives_a_refresh_and_plays_through_its_epochs(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/{SMALL}")
    page = visit.page
    page.get_by_role("button", name="Train one epoch").click(timeout=PATIENCE_MS)
    expect(page.get_by_text("Paused", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(N_CHARTS, timeout=PATIENCE_MS)
    nodes = page.query_selector_all(".sparcode-chart")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Run 1 is finished")).to_be_visible(timeout=PATIENCE_MS)
    assert all(node.evaluate("box => box.isConnected") for node in nodes)

    page.reload()
    expect(page.get_by_text("Run 1 is finished")).to_be_visible(timeout=PATIENCE_MS)
    epoch = page.get_by_role("slider", name="Epoch shown")
    expect(epoch).to_have_value("3", timeout=PATIENCE_MS)
    epoch.fill("0")
    assert epoch.get_attribute("aria-valuetext").startswith("after k-means")
    page.get_by_role("button", name="Play").click()
    expect(epoch).to_have_value("3", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    page.wait_for_function(FITS)
    assert not visit.problems


@pytest.mark.browser
def test_a_job_under_way_survives_a_refresh_and_another_browser_until_it_is_cancelled(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/{SMALL}")
    page, paused = visit.page, visit.page.get_by_text("Paused", exact=True)
    page.get_by_role("button", name="Train one epoch").click(timeout=PATIENCE_MS)
    expect(paused).to_be_visible(timeout=PATIENCE_MS)
    page.reload()
    expect(paused).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE_MS)

    stranger = Visit(browser, f"{studio_url}/{SMALL}")
    expect(stranger.page.get_by_text("Nothing has been trained in this browser yet")).to_be_visible(timeout=PATIENCE_MS)
    stranger.page.get_by_role("button", name="Start training").click()
    # A paused run is in nobody's way.
    expect(stranger.page.get_by_text("Run 1 is finished")).to_be_visible(timeout=PATIENCE_MS)

    expect(paused).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("was cancelled after 1 epoch", exact=False)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    assert not visit.problems + stranger.problems
