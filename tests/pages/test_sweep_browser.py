"""The page Sweep in a browser: the recorded sweep read and clicked; a small one started, followed, and a trial opened."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, in_address

# The middle of a point of the first chart that lies in view.
POINT = """() => {
  const chart = document.querySelector('.sparcode-chart'), plot = chart.querySelector('.nsewdrag').getBoundingClientRect();
  const middles = [...chart.querySelectorAll('.scatterlayer .trace:nth-child(2) .points path')].map((point) => {
    const { x, y, width, height } = point.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  });
  return middles.find(([x, y]) => x > plot.left + 5 && x < plot.right - 5 && y > plot.top + 5 && y < plot.bottom - 5);
}"""


@pytest.mark.browser
def test_a_point_of_the_recorded_sweep_is_looked_at_in_every_chart(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/sweep")
    page = visit.page
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(4, timeout=PATIENCE_MS)
    expect(page.locator("h4").first).to_contain_text("The smallest index within 1% of the best recall is")
    at_rest(page)
    page.wait_for_function(FITS)
    page.locator(".sparcode-chart").first.scroll_into_view_if_needed()
    x, y = page.evaluate(POINT)
    page.mouse.move(x, y, steps=3)
    # Plotly tells the click of what is under the pointer, which it looks up now and then.
    page.locator(".sparcode-chart .hoverlayer .hovertext").first.wait_for(timeout=PATIENCE_MS)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("() => new URLSearchParams(location.search).get('trial')", timeout=PATIENCE_MS)
    at_rest(page)
    trial = page.evaluate("() => new URLSearchParams(location.search).get('trial')")
    expect(page.get_by_text(f"Trial {trial}", exact=True).first).to_be_visible()
    page.get_by_text("all three", exact=True).click()
    in_address(page, front="both", trial=trial)
    at_rest(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(FITS)
    with page.expect_download(timeout=PATIENCE_MS) as file:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert file.value.suggested_filename == "recorded-sweep.csv"
    assert not visit.problems


@pytest.mark.browser
def test_a_sweep_in_real_processes_is_followed_to_its_answer_and_a_trial_opens(fresh_studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{fresh_studio_url}/sweep")
    page = visit.page
    expect(page.locator("h4").first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_text("New sweep").click()
    for name, text in (("codebooks M", "1"), ("codebook size K", "4,6"), ("codes per token P", "2")):
        field = page.get_by_role("textbox", name=name, exact=True)
        field.fill(text)
        field.press("Enter")
        at_rest(page)
    expect(page.get_by_text("2 trials of 2 settings")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Start the sweep").click()
    # From the recorded one to its own.
    expect(page.get_by_text("2 trials: 2 complete.")).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    expect(page.locator("h4").first).to_contain_text("K=")
    page.get_by_role("button", name="Explore this run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Index Explorer", timeout=PATIENCE_MS)
    expect(page.get_by_text("Run: sweep-trial-").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("TRAINED FROM SCRATCH", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    assert not visit.problems
