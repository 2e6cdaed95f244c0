from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

# Other jobs of the session's server may come first.
PATIENCE_MS = 120_000
N_CHARTS = 6


@pytest.mark.browser
def test_a_run_is_drawn_in_place_survives_a_refresh_and_plays_through_its_epochs(studio_url: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url) if request.url.startswith("http") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto(f"{studio_url}/train?k=8&t_epochs=3&t_joint=3&t_two_tower=false")
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

    stranger = browser.new_context().new_page()
    stranger.goto(f"{studio_url}/train")
    expect(stranger.get_by_text("Nothing has been trained in this browser yet")).to_be_visible(timeout=PATIENCE_MS)
    assert not errors
    assert not [url for url in requested if not url.startswith(studio_url)]
