"""The Content-Security-Policy in a browser: the pages work under it, and what it forbids does not happen."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.browser_pages import PATIENCE_MS, Visit, at_rest

# Whatever is refused from now on, and what a script injected into a page could try, by the directive that refuses it.
LISTEN = """() => {
    addEventListener("securitypolicyviolation", event => refused.push(event.effectiveDirective));
    window.make = (tag, given) => document.body.appendChild(Object.assign(document.createElement(tag), given));
}"""
ATTEMPTS = (
    ("connect-src", "fetch('https://example.org').catch(() => {})"),
    ("connect-src", "try { new WebSocket('wss://example.org'); } catch {}"),
    ("script-src-elem", "make('script', { src: 'https://example.org/a.js' })"),
    ("script-src-elem", "make('script', { text: '1' })"),
    ("script-src-attr", "make('p', { innerHTML: '<a onclick=1>' }).firstChild.click()"),
    ("script-src", "setTimeout(() => { try { eval('1'); } catch {} })"),
    ("img-src", "make('img', { src: 'https://example.org/a.png' })"),
    ("style-src-elem", "make('link', { rel: 'stylesheet', href: 'https://example.org/a.css' })"),
    ("font-src", "new FontFace('F', 'url(https://example.org/a.woff2)').load().catch(() => {})"),
    ("frame-src", "make('iframe', { src: 'https://example.org' })"),
    ("object-src", "make('object', { data: 'https://example.org/a.pdf' })"),
    ("base-uri", "document.head.appendChild(Object.assign(document.createElement('base'), { href: 'https://example.org' }))"),
    ("form-action", "make('form', { action: 'https://example.org', method: 'post' }).submit()"),
)


@pytest.mark.browser
def test_what_a_script_in_a_page_tries_to_load_or_to_send_elsewhere_is_refused(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, studio_url)
    page = visit.page
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=PATIENCE_MS)
    at_rest(page)
    assert not visit.problems
    page.evaluate(LISTEN)
    for directive, attempt in ATTEMPTS:
        page.evaluate(f"() => {{ window.refused = []; {attempt}; }}")
        page.wait_for_function("directive => refused.includes(directive)", arg=directive, timeout=PATIENCE_MS)


@pytest.mark.browser
def test_compare_draws_its_chart_under_the_policy(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/compare?k=8")
    expect(visit.page.locator(".sparcode-chart[data-drawn]").first).to_be_visible(timeout=PATIENCE_MS)
    at_rest(visit.page)
    assert not visit.problems


@pytest.mark.browser
def test_a_file_can_be_uploaded_under_the_policy(studio_url: str, browser: Browser, tiny_table: Path) -> None:
    visit = Visit(browser, f"{studio_url}/train?t_data=upload")
    visit.page.locator("input[type=file]").set_input_files(tiny_table, timeout=PATIENCE_MS)
    expect(visit.page.get_by_text("tiny: 120 users", exact=False)).to_be_visible(timeout=PATIENCE_MS)
    at_rest(visit.page)
    assert not visit.problems
