from __future__ import annotations

import gzip
import hashlib
import re
import urllib.request
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, expect

from app.server.middleware import OWNER_COOKIE, SECURITY_HEADERS
from app.server.plotly_asset import PLOTLY_URL


@pytest.mark.parametrize("path", ["/", "/any-page?threshold=0.5"])
def test_a_document_carries_security_headers_and_an_owner(studio_url: str, path: str) -> None:
    with urllib.request.urlopen(studio_url + path) as answer:
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        cookies = [value for value in answer.headers.get_all("Set-Cookie") if value.startswith(OWNER_COOKIE)]
    assert len(cookies) == 1


def test_plotly_comes_from_the_installed_package_to_keep_and_without_an_owner(studio_url: str) -> None:
    request = urllib.request.Request(studio_url + PLOTLY_URL, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        body = gzip.decompress(answer.read())
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Set-Cookie"] is None
    installed = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    assert hashlib.sha256(body).digest() == hashlib.sha256(installed).digest()


def test_a_document_lets_the_browser_fetch_plotly_beside_it(studio_url: str) -> None:
    with urllib.request.urlopen(studio_url) as answer:
        assert answer.headers["Link"] == f"<{PLOTLY_URL}>; rel=preload; as=script"
    with urllib.request.urlopen(f"{studio_url}/_stcore/health") as answer:
        assert answer.headers["Link"] is None
    with urllib.request.urlopen(studio_url + PLOTLY_URL) as answer:
        assert answer.headers["Content-Encoding"] is None
        assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.browser
@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_start_page_opens_without_errors_or_requests_elsewhere(studio_url: str, browser: Browser, look: str) -> None:
    page = browser.new_context(color_scheme=look).new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url) if request.url.startswith("http") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(studio_url)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid='stApp'][data-test-script-state='notRunning']")).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    # The tab's icon is fetched last; a request of our own after the title is set gives it time to show up.
    expect(page).to_have_title(re.compile("SparCode Studio"))
    page.evaluate("fetch('/_stcore/health').then(answer => answer.text())")
    assert not [url for url in requested if not url.startswith(studio_url)]
    assert not errors
