"""The first screen of the pages: few words, titles that fit on a phone, and a link that can be copied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.session.settings import KEPT
from scripts.studio_in_browser import running_studio
from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest

# Most words on the first screen of a page, at 1280 x 800.
MOST_WORDS = {"": 150, "explorer": 120}
PAGES = ("", "explorer", "train", "compare", "runs", "sweep", "scale", "query")
# Words of two letters or more that are in view, without the navigation and what is drawn inside charts. A word is where its letters are,
# so that a paragraph which the screen cuts counts as far as it can be read.
WORDS = r"""() => {
  const words = [], range = document.createRange(), main = document.querySelector("[data-testid=stMain]");
  const texts = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement: box, data } = texts.currentNode;
    const hidden = box.closest("script, style, svg") || !box.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    for (const word of hidden ? [] : data.matchAll(/\S*\p{L}{2}\S*/gu)) {
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      const { left, right, top, bottom, width } = range.getBoundingClientRect();
      if (width > 1 && bottom > 0 && top < innerHeight && right > 0 && left < innerWidth) words.push(word[0]);
    }
  }
  return words;
}"""
# Texts that reach over the right edge of what holds them: titles of charts, labels of links, large numbers.
CUT = """() => {
  const over = (node, box) => node.getBoundingClientRect().right > box.getBoundingClientRect().right + 1;
  const titles = [...document.querySelectorAll(".sparcode-chart")].flatMap((box) =>
    [...box.querySelectorAll(".gtitle, .gtitle-subtitle, .xtitle")].filter((node) => over(node, box)));
  const texts = [...document.querySelectorAll("[data-testid=stPageLink-NavLink] p, [data-testid=stMetric] p, .sparcode-tile .label")];
  return [...titles, ...texts.filter((node) => node.scrollWidth > node.clientWidth + 1)].map((node) => node.textContent);
}"""


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """A studio of the data that has recorded runs."""
    with running_studio({"SPARCODE_DATA": ""}) as address:
        yield address


def opened(address: str, browser: Browser, path: str, width: int, height: int) -> Page:
    """A page with all of its charts."""
    page = Visit(browser, f"{address}/{path}").page
    page.set_viewport_size({"width": width, "height": height})
    expect(page.locator(".sparcode-chart[data-drawn]").first).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    page.wait_for_function("() => !document.querySelector('.sparcode-chart:not([data-drawn])')", timeout=PATIENCE_MS)
    return page


@pytest.mark.browser
@pytest.mark.parametrize("path", MOST_WORDS)
def test_a_first_screen_has_few_words(path: str, demo: str, browser: Browser) -> None:
    words = opened(demo, browser, path, 1280, 800).evaluate(WORDS)
    # A page that shows nothing would pass.
    assert 40 < len(words) <= MOST_WORDS[path], " ".join(words)


@pytest.mark.browser
@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_nothing_is_cut_and_nothing_scrolls_sideways(path: str, demo: str, browser: Browser) -> None:
    page = opened(demo, browser, path, 390, 844)
    page.wait_for_function(FITS)
    assert page.evaluate(CUT) == []


@pytest.mark.browser
def test_the_link_of_what_is_shown_can_be_copied(demo: str, browser: Browser) -> None:
    kept = KEPT.options[60]
    page = opened(demo, browser, f"explorer?keep={kept}", 1280, 800)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=demo)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("The link is copied.")).to_be_attached(timeout=PATIENCE_MS)
    assert page.evaluate("() => navigator.clipboard.readText()") == page.url
    assert f"keep={kept}" in page.url
