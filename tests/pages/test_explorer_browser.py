from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from app.configuration import KEPT

# For the first visit of the session: the server trains the backbone of its tiny data.
PATIENCE_MS = 60_000
N_CHARTS = 6


def chart_data(page: Page) -> dict[str, str]:
    """Title -> what Plotly has drawn, of every chart."""
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".sparcode-chart")].map(box => [
            box.layout.title.text,
            JSON.stringify(box._fullData.map(trace => [trace.name, [...trace.x], [...trace.y]])),
        ])"""
    )
    return dict(drawn)


def settled(page: Page) -> None:
    """Wait for the fine-tuned figures with all their charts, and for the page's timer to end."""
    expect(page.get_by_text("fine-tuned in", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(N_CHARTS, timeout=PATIENCE_MS)
    # The curve is measured last; it has a row for every stop then.
    page.wait_for_function(
        """n => [...document.querySelectorAll(".sparcode-chart")].some(
            box => (box._fullData || []).some(trace => trace.x.length === n))""",
        arg=len(KEPT.options),
        timeout=PATIENCE_MS,
    )
    expect(page.locator("[data-testid='stApp'][data-test-script-state='notRunning']")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.browser
def test_a_deep_link_opens_the_explorer_and_the_threshold_moves_figures_and_charts(studio_url: str, browser: Browser) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url) if request.url.startswith("http") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(f"{message.text} {message.location['url']}") if message.type == "error" else None)

    page.goto(f"{studio_url}/explorer?k=16&keep={KEPT.options[20]}")
    settled(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Index Explorer")
    slider = page.get_by_role("slider", name="Sparsity threshold")
    expect(slider).to_have_attribute("aria-valuetext", KEPT.options[20])
    cards = page.get_by_test_id("stMetricValue")
    before, drawn = cards.all_inner_texts(), chart_data(page)
    nodes = page.query_selector_all(".sparcode-chart")

    slider.focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    expect(cards.nth(2)).not_to_have_text(before[2])
    expect(slider).to_have_attribute("aria-valuetext", KEPT.options[80])
    page.wait_for_function("keep => new URLSearchParams(location.search).get('keep') === keep", arg=KEPT.options[80])
    settled(page)
    after, redrawn = cards.all_inner_texts(), chart_data(page)
    assert float(after[0]) < float(before[0])
    assert float(after[2].removesuffix(" MB")) < float(before[2].removesuffix(" MB"))
    assert after[3] == before[3]
    moved = {title for title in drawn if drawn[title] != redrawn[title]}
    assert {"Accuracy against threshold", "Recall against index size", "Length of posting lists", "Memory by part"} == moved
    # Charts are updated where they stand, so a reader's zoom survives.
    assert all(node.evaluate("box => box.isConnected && Number(box.dataset.drawn) > 0") for node in nodes)

    assert parse_qs(urlsplit(page.url).query) == {"k": ["16"], "keep": [KEPT.options[80]]}
    # Streamlit looks for its server under the page's own path first, and then at the root.
    assert not [error for error in errors if "/explorer/_stcore/" not in error]
    assert not [url for url in requested if not url.startswith(studio_url)]
