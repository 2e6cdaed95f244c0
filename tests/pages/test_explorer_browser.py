from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.configuration import KEPT

# For the first visit of the session: the server trains the backbone of its tiny data.
PATIENCE_MS = 60_000
N_CHARTS = 9
TILES = ("recall", "size_bytes", "codes_in_use")
MOVING = {
    "Accuracy against threshold",
    "Recall against index size",
    "Recall against latency",
    "Scores and the cut",
    "Length of posting lists",
    "Memory by part",
}


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
    expect(page.get_by_text(f"all {len(KEPT.options)} thresholds measured")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(N_CHARTS, timeout=PATIENCE_MS)
    expect(page.locator("[data-testid='stApp'][data-test-script-state='notRunning']")).to_be_visible(timeout=PATIENCE_MS)


def opened(studio_url: str, browser: Browser, query: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{studio_url}/explorer?{query}")
    settled(page)
    return page


def value_of(page: Page, tile: str) -> Locator:
    return page.locator(f"[data-tile='{tile}'] .value")


def threshold(page: Page) -> Locator:
    return page.get_by_role("slider", name="Sparsity threshold")


def shown_stop(page: Page) -> str:
    """The stop under the slider's thumb, one of `KEPT.options`."""
    return KEPT.options[int(threshold(page).input_value())]


def in_address(page: Page, **wanted: str | None) -> None:
    """Wait until the address has these settings; None for one that is left out because it is the default."""
    page.wait_for_function(
        "wanted => { const is = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([key, value]) => is.get(key) === value); }",
        arg=wanted,
        timeout=PATIENCE_MS,
    )


def moved_titles(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {title for title in before if before[title] != after[title]}


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
    expect(threshold(page)).to_have_attribute(
        "aria-valuetext", re.compile(rf"^{re.escape(KEPT.options[20])} % of scores kept, recall 0\.\d+")
    )
    before, drawn = {name: value_of(page, name).inner_text() for name in TILES}, chart_data(page)
    nodes = page.query_selector_all(".sparcode-chart")

    threshold(page).focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    in_address(page, keep=KEPT.options[80])
    settled(page)
    expect(value_of(page, "size_bytes")).not_to_have_text(before["size_bytes"])
    assert shown_stop(page) == KEPT.options[80]
    page.wait_for_function("before => document.querySelector(\"[data-tile='p50_ms'] .value\").textContent !== '…'", timeout=PATIENCE_MS)
    after = {name: value_of(page, name).inner_text() for name in TILES}
    assert float(after["recall"]) < float(before["recall"])
    assert float(after["size_bytes"].removesuffix(" MB")) < float(before["size_bytes"].removesuffix(" MB"))
    assert after["codes_in_use"] == before["codes_in_use"]
    assert moved_titles(drawn, chart_data(page)) == MOVING
    # Charts are updated where they stand, so a reader's zoom survives.
    assert all(node.evaluate("box => box.isConnected && Number(box.dataset.drawn) > 0") for node in nodes)

    assert parse_qs(urlsplit(page.url).query) == {"k": ["16"], "keep": [KEPT.options[80]]}
    # Streamlit looks for its server under the page's own path first, and then at the root.
    assert not [error for error in errors if "/explorer/_stcore/" not in error]
    assert not [url for url in requested if not url.startswith(studio_url)]


@pytest.mark.browser
def test_dragging_moves_figures_and_markers_before_the_release_and_the_server_answers_after_it(studio_url: str, browser: Browser) -> None:
    page = opened(studio_url, browser, "k=8")
    before, drawn, address = value_of(page, "size_bytes").inner_text(), chart_data(page), page.url
    curve = page.evaluate("() => document.querySelector('.sparcode-threshold').sparcodePanel.curve")
    box = threshold(page).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=8)
    expect(value_of(page, "size_bytes")).not_to_have_text(before)
    page.wait_for_function("() => Number(document.querySelector('.sparcode-threshold').dataset.redraws) > 0")
    stop = int(threshold(page).input_value())
    row = curve["stops"].index(stop)
    expect(value_of(page, "size_bytes")).to_have_text(curve["tiles"]["size_bytes"]["value"][row])
    expect(value_of(page, "recall")).to_have_text(curve["tiles"]["recall"]["value"][row])
    page.wait_for_function(
        """([x, y]) => [...document.querySelectorAll(".sparcode-chart")].some(box => (box.data || []).some(
            trace => trace.name === "now" && trace.x[0] === x && trace.y[0] === y))""",
        arg=[curve["columns"]["megabytes"][row], curve["columns"]["recall"][row]],
    )
    assert "Recall against index size" in moved_titles(drawn, chart_data(page))
    # Nothing was asked of the server yet.
    assert page.url == address

    page.mouse.up()
    in_address(page, keep=KEPT.options[stop])
    expect(page.locator("[data-tile='p50_ms'] .value")).not_to_have_text("…")
    assert shown_stop(page) == KEPT.options[stop]
    expect(page.get_by_label("Runs looked at").get_by_role("row").nth(1)).to_contain_text(f"{KEPT.options[stop]} % kept")
    expect(page.get_by_label("Runs looked at").get_by_role("row").nth(1)).to_contain_text(value_of(page, "size_bytes").inner_text())


@pytest.mark.browser
def test_a_link_with_every_setting_opens_that_view(studio_url: str, browser: Browser) -> None:
    asked = {"m": "1", "k": "8", "t": "2", "interaction": "dot", "encoder": "mean", "seed": "3", "keep": KEPT.options[40], "mb": "5"}
    page = opened(studio_url, browser, "&".join(f"{key}={value}" for key, value in asked.items()))
    for name, value in (("Number of codebooks", "1"), ("Codebook size", "8"), ("Tokens per query", "2")):
        expect(page.get_by_role("slider", name=name)).to_have_attribute("aria-valuetext", value)
    assert shown_stop(page) == KEPT.options[40]
    expect(page.get_by_role("button", name="Best under 5 MB")).to_be_visible()
    expect(page.get_by_label("Runs looked at").get_by_role("row").nth(1)).to_contain_text(
        f"M=1 K=8 T=2 dot seed 3, {KEPT.options[40]} % kept"
    )
    # The default is left out of the address.
    in_address(page, **asked | {"encoder": None})


@pytest.mark.browser
def test_undo_returns_and_a_click_on_a_run_goes_back_to_it(studio_url: str, browser: Browser) -> None:
    page = opened(studio_url, browser, "k=8")
    first = value_of(page, "size_bytes").inner_text()
    threshold(page).focus()
    page.keyboard.press("End")
    in_address(page, keep=KEPT.options[-1])
    expect(page.get_by_label("Runs looked at").get_by_role("row")).to_have_count(3, timeout=PATIENCE_MS)
    page.keyboard.press("Control+z")
    in_address(page, keep=None)
    expect(value_of(page, "size_bytes")).to_have_text(first)
    assert shown_stop(page) == KEPT.default
    page.keyboard.press("Control+Shift+z")
    in_address(page, keep=KEPT.options[-1])
    page.get_by_role("button", name="Go back to run 1").click()
    in_address(page, keep=None)
    expect(value_of(page, "size_bytes")).to_have_text(first)
    page.get_by_role("button", name="Pin run 2").click()
    expect(page.locator("[data-tile='size_bytes'] .delta")).to_have_text(re.compile(r"\+"))
    in_address(page, pin=f"2_8_4_mlp_mean_0_{KEPT.options[-1]}")
    # The same stop as before, released again after an undo, is news to the server.
    threshold(page).focus()
    page.keyboard.press("End")
    in_address(page, keep=KEPT.options[-1])
