"""The page Compare runs in a browser: recorded runs measured, two of them chosen, on a wide and a narrow window."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from scripts.studio_in_browser import running_studio
from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, in_address


@pytest.mark.browser
def test_recorded_runs_are_compared_at_once_and_the_choice_is_in_the_address(browser: Browser) -> None:
    # The data that has recorded models.
    with running_studio({"SPARCODE_DATA": ""}) as address:
        visit = Visit(browser, f"{address}/runs?runs=recorded:m1-k256,recorded:m1-k128")
        page = visit.page
        expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(3, timeout=PATIENCE_MS)
        at_rest(page)
        heading = page.locator("h4").first
        expect(heading).to_contain_text("users won")
        expect(heading).to_contain_text("recorded m1-k128")
        page.wait_for_function(FITS)
        # The other way round.
        page.get_by_role("combobox", name="Users: from").click()
        page.get_by_role("option", name="recorded m1-k128").click()
        in_address(page, a="recorded:m1-k128", b="recorded:m1-k256")
        expect(page.locator("h4").first).to_contain_text("recorded m1-k256 ")
        at_rest(page)
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function(FITS)
        # Another page, and back.
        page.goto(f"{address}/compare")
        at_rest(page)
        page.go_back()
        in_address(page, a="recorded:m1-k128", b="recorded:m1-k256")
        expect(page.locator("h4").first).to_contain_text("users won", timeout=PATIENCE_MS)
        assert not visit.problems
