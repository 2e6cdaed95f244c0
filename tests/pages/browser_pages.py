"""Pages in a real browser: opened, watched for errors and for requests that leave the machine, and what to wait for."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from app.session.settings import KEPT

# Trainings of other tests on the same studio may come first.
PATIENCE_MS = 120_000
# Whether the page is as wide as the window, with nothing to the right of it.
FITS = "() => { const main = document.querySelector('[data-testid=stMain]'); return main.scrollWidth <= main.clientWidth; }"
# Streamlit looks for its server under the page's own path first, and then at the root.
_LOOKING_FOR_THE_SERVER = re.compile(r"/\w+/_stcore/")


class Visit:
    """One browser of its own, with its cookies, on a page of the studio.

    Attributes
    ----------
    page
        The page.
    problems
        Errors of the page, of its console, and requests to other places than the studio, so far.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._host = urlsplit(url).netloc
        self.problems: list[str] = []
        self.page = unused_context(browser).new_page()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._read)
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))
        self.page.goto(url, timeout=PATIENCE_MS)

    def _read(self, message: ConsoleMessage) -> None:
        place = message.location["url"]
        if message.type == "error" and not _LOOKING_FOR_THE_SERVER.search(place):
            self.problems.append(f"{message.text} {place}")

    def _asked(self, url: str) -> None:
        if url.startswith(("http", "ws")) and urlsplit(url).netloc != self._host:
            self.problems.append(f"asked for {url}")


def unused_context(browser: Browser) -> BrowserContext:
    """A context without pages and cookies: one of an earlier test, which has fetched the studio's files, or a new one."""
    for context in browser.contexts:
        if not context.pages:
            context.clear_cookies()
            return context
    return browser.new_context(viewport={"width": 1280, "height": 900})


def at_rest(page: Page) -> None:
    """Wait until the page's script has ended."""
    expect(page.locator("[data-testid='stApp'][data-test-script-state='notRunning']")).to_be_visible(timeout=PATIENCE_MS)


def explored(studio_url: str, browser: Browser, query: str) -> Visit:
    """The Index Explorer with these settings, once everything about them is measured."""
    visit = Visit(browser, f"{studio_url}/explorer?{query}")
    measured(visit.page)
    return visit


def measured(page: Page) -> None:
    """Wait for the fine-tuned figures at every threshold with all their charts, and for the page's timer to end."""
    expect(page.get_by_text("fine-tuned in", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text(f"all {len(KEPT.options)} thresholds measured")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart[data-drawn]")).to_have_count(9, timeout=PATIENCE_MS)
    at_rest(page)


def value_of(page: Page, tile: str) -> Locator:
    """The figure on a tile of the Index Explorer."""
    return page.locator(f"[data-tile='{tile}'] .value")


def threshold(page: Page) -> Locator:
    """The slider of the threshold ."""
    return page.locator(".sparcode-threshold").get_by_role("slider", name="Sparsity threshold")


def in_address(page: Page, **wanted: str | None) -> None:
    """Wait until the address has these settings; None for one that is left out because it is the default."""
    page.wait_for_function(
        "wanted => { const is = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([key, value]) => is.get(key) === value); }",
        arg=wanted,
        timeout=PATIENCE_MS,
    )
