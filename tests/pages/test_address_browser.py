from __future__ import annotations

import json
import random
import re

import pytest
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect

from app.session.configuration import Configuration
from app.session.settings import KEPT
from tests.pages.browser_pages import PATIENCE_MS, Visit, at_rest, explored, in_address, measured, threshold, unused_context
from tests.pages.opened_pages import ENTRY

N_CHANGES = 16
# Title and path of every page; read, not imported: the entry script draws a page.
PAGES = re.findall(r'PageRow\("\w+\.py", "([^"]+)", "(\w*)"\)', ENTRY.read_text(encoding="utf-8"))
# What the sliders of M, K and the threshold show, what the address says, and the run that the server shows.
ON_THE_PAGE = """({ percents, defaults }) => {
    const streamlits = [...document.querySelectorAll("[aria-valuetext]")].filter(input => !input.closest(".sparcode-threshold"));
    const shown = streamlits.slice(0, 2).map(input => input.getAttribute("aria-valuetext"));
    shown.push(percents[Number(document.querySelector(".sparcode-threshold input").value)]);
    const address = new URLSearchParams(location.search);
    const asked = ["m", "k", "keep"].map((key, at) => address.get(key) ?? defaults[at]);
    const run = document.querySelector(".sparcode-runs [aria-current]");
    const [, m, k, keep] = (run && run.textContent.match(/M=(\\d+) K=(\\d+), ([\\d.]+) % kept/)) || [];
    return JSON.stringify([shown, asked, [m, k, keep]]);
}"""
GIVEN = {"percents": KEPT.options, "defaults": [Configuration().m, Configuration().k, Configuration().keep]}
AGREE = f"given => {{ const [one, ...more] = JSON.parse(({ON_THE_PAGE})(given)); return more.every(it => `${{it}}` === `${{one}}`); }}"


def test_the_pages_are_found() -> None:
    assert {"Overview", "Index Explorer", "Train"} <= {title for title, _ in PAGES}


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name)


@pytest.mark.browser
def test_sliders_address_and_session_agree_after_many_quick_changes_in_several_tabs(studio_url: str, browser: Browser) -> None:
    visits = [explored(studio_url, browser, "k=8") for _ in range(2)]
    tabs = [visit.page for visit in visits] + [visits[0].page.context.new_page()]
    tabs[-1].goto(f"{studio_url}/explorer?k=8", timeout=PATIENCE_MS)
    for tab in tabs:
        expect(threshold(tab)).to_be_visible(timeout=PATIENCE_MS)
        expect(slider(tab, "Codebook size")).to_be_visible(timeout=PATIENCE_MS)
    chance = random.Random(0)
    for _ in range(N_CHANGES):
        tab = chance.choice(tabs)
        place = chance.choice([slider(tab, "Number of codebooks"), slider(tab, "Codebook size"), threshold(tab)])
        place.press(chance.choice(["ArrowRight", "ArrowLeft", "ArrowRight"]))
    for tab in tabs:
        at_rest(tab)
        tab.wait_for_function(AGREE, arg=GIVEN, timeout=PATIENCE_MS)
    assert not [problem for visit in visits for problem in visit.problems]


@pytest.mark.browser
def test_back_and_forward_go_from_page_to_page_with_their_settings(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8").page
    for size in ("16", "32"):
        slider(page, "Codebook size").press("ArrowRight")
        in_address(page, k=size)
    threshold(page).press("End")
    in_address(page, keep=KEPT.options[-1])
    page.get_by_role("link", name="Compare", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare", timeout=PATIENCE_MS)
    in_address(page, k="32", keep=KEPT.options[-1])
    at_rest(page)
    for _ in range(2):
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Index Explorer", timeout=PATIENCE_MS)
        expect(slider(page, "Codebook size")).to_have_attribute("aria-valuetext", "32", timeout=PATIENCE_MS)
        in_address(page, k="32", keep=KEPT.options[-1])
        at_rest(page)
        page.go_forward()
        expect(page.get_by_role("heading", level=1)).to_have_text("Compare", timeout=PATIENCE_MS)
        expect(slider(page, "Codebook size")).to_have_attribute("aria-valuetext", "32", timeout=PATIENCE_MS)
        in_address(page, k="32", keep=KEPT.options[-1])
        at_rest(page)


@pytest.mark.browser
def test_a_budget_that_is_not_possible_is_answered_with_what_is(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8&mb=0.5").page
    field = page.get_by_role("spinbutton").first
    field.fill("0.0001")
    field.press("Enter")
    expect(page.get_by_text("allowed is 0.01 to 10,000")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name=re.compile(r"under 0\.5 MB"))).to_have_count(0)
    expect(page.get_by_role("button", name="Best under the budget")).to_be_disabled()
    in_address(page, k="8", mb=None)


@pytest.mark.browser
def test_a_press_while_the_server_answers_another_one_stays_in_the_address(studio_url: str, browser: Browser) -> None:
    page = unused_context(browser).new_page()
    held: list[tuple[WebSocketRoute, str | bytes]] | None = None

    def pass_on(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: socket.send(message) if held is None else held.append((socket, message)))

    page.route_web_socket(re.compile("_stcore/stream"), pass_on)
    page.goto(f"{studio_url}/explorer?k=8", timeout=PATIENCE_MS)
    measured(page)
    held = []
    threshold(page).press("End")
    slider(page, "Number of codebooks").press("ArrowRight")
    answers, held = held, None
    for socket, message in answers:
        socket.send(message)
    in_address(page, m="2", k="8", keep=KEPT.options[-1])
    measured(page)
    page.wait_for_function(AGREE, arg=GIVEN, timeout=PATIENCE_MS)
    assert json.loads(page.evaluate(f"given => ({ON_THE_PAGE})(given)", GIVEN)) == [["2", "8", KEPT.options[-1]]] * 3


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
    for look in ("light", "dark"):
        page.emulate_media(color_scheme=look)
        at_rest(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_role("dialog")).to_have_count(0)
    # The tab's icon is fetched last; a request of our own gives it time to show up.
    page.evaluate("fetch('/_stcore/health').then(answer => answer.text())")
    assert not visit.problems
