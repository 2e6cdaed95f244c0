from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.browser_pages import PATIENCE_MS, Visit, at_rest

ENTRY = Path(__file__).resolve().parents[2] / "app" / "main.py"
# Read, not imported: the entry script draws a page.
PAGES = re.findall(r'PageRow\("\w+\.py", "([^"]+)", "(\w*)"\)', ENTRY.read_text(encoding="utf-8"))


def test_the_pages_are_found() -> None:
    assert {"Overview", "Index Explorer", "Train"} <= {title for title, _ in PAGES}


@pytest.mark.browser
@pytest.mark.parametrize(("title", "path"), PAGES, ids=[path or "start" for _, path in PAGES])
def test_a_page_opens_by_its_link_on_a_studio_that_nobody_has_visited(
    title: str, path: str, fresh_studio_url: str, browser: Browser
) -> None:
    visit = Visit(browser, f"{fresh_studio_url}/{path}")
    page = visit.page
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_title(f"{title} · SparCode Studio", timeout=PATIENCE_MS)
    for other, _ in PAGES:
        expect(page.get_by_role("link", name=other, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    # The tab's icon is fetched last; a request of our own gives it time to show up.
    page.evaluate("fetch('/_stcore/health').then(answer => answer.text())")
    assert not visit.problems
