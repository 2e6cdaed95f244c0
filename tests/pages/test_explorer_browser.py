from __future__ import annotations

import io
import re
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect

from app.session.configuration import Configuration
from app.session.settings import KEPT
from tests.pages.browser_pages import PATIENCE_MS, Visit, at_rest, explored, in_address, measured, threshold, value_of
from tests.pages.opened_pages import MOVING

TILES = ("recall", "postings", "codes_in_use")
DRAWN_BY_SERVER = "() => [...document.querySelectorAll('.sparcode-chart')].map(box => Number(box.dataset.drawn))"
ALL_AT = """stop => [...document.querySelectorAll(".sparcode-chart, .sparcode-tiles")].every(
    box => (box.dataset.version || "").endsWith(" " + stop))"""


def chart_data(page: Page) -> dict[str, str]:
    """Title -> what Plotly has drawn, of every chart."""
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".sparcode-chart")].map(box => [
            box.layout.uirevision,
            JSON.stringify(box._fullData.map(trace => [trace.name, [...trace.x], [...trace.y]])),
        ])"""
    )
    return dict(drawn)


def shown_stop(page: Page) -> str:
    """The stop under the slider's thumb, one of `KEPT.options`."""
    return KEPT.options[int(threshold(page).input_value())]


def same_numbers(one: str, other: str) -> bool:
    """Whether two charts' traces are the same, to the digits that the slider's table has."""
    number = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
    texts = [number.sub("#", text) for text in (one, other)]
    values = [[float(found) for found in number.findall(text)] for text in (one, other)]
    return texts[0] == texts[1] and values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-9)


def pictures(page: Page) -> dict[str, bytes]:
    """Title -> picture of every chart that depends on the threshold, as PNG."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    boxes = page.locator(".sparcode-chart").all()
    shown = {box.evaluate("box => box.layout.uirevision"): box for box in boxes}
    return {title: shown[title].screenshot() for title in MOVING}


def same_picture(one: bytes, other: bytes) -> bool:
    """Whether two pictures are the same but for shades that nobody sees."""
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("L"), dtype=np.int64) for png in (one, other)]
    return pixels[0].shape == pixels[1].shape and bool((np.abs(pixels[0] - pixels[1]) < 64).all())


def newest_run(page: Page) -> Locator:
    """The first row of the table of runs."""
    return page.get_by_label("Runs looked at").get_by_role("row").nth(1)


def moved_titles(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {title for title in before if before[title] != after[title]}


@pytest.mark.browser
def test_a_deep_link_opens_the_explorer_and_the_threshold_moves_figures_and_charts(studio_url: str, browser: Browser) -> None:
    visit = Visit(browser, f"{studio_url}/explorer?k=16&keep={KEPT.options[20]}")
    page = visit.page
    measured(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Index Explorer")
    words = re.compile(rf"^{re.escape(KEPT.options[20])} % of scores kept, recall 0\.\d+")
    expect(threshold(page)).to_have_attribute("aria-valuetext", words)
    before, drawn = {name: value_of(page, name).inner_text() for name in TILES}, chart_data(page)
    nodes = page.query_selector_all(".sparcode-chart")

    threshold(page).focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    in_address(page, keep=KEPT.options[80])
    at_rest(page)
    # Megabytes of so small an index may read the same.
    expect(value_of(page, "postings")).not_to_have_text(before["postings"])
    assert shown_stop(page) == KEPT.options[80]
    page.wait_for_function("before => document.querySelector(\"[data-tile='p50_ms'] .value\").textContent !== '…'", timeout=PATIENCE_MS)
    after = {name: value_of(page, name).inner_text() for name in TILES}
    assert float(after["recall"]) < float(before["recall"])
    assert int(after["postings"].replace(",", "")) < int(before["postings"].replace(",", ""))
    assert after["codes_in_use"] == before["codes_in_use"]
    assert moved_titles(drawn, chart_data(page)) == MOVING
    # Charts are updated where they stand, so a reader's zoom survives.
    assert all(node.evaluate("box => box.isConnected && Number(box.dataset.drawn) > 0") for node in nodes)

    assert parse_qs(urlsplit(page.url).query) == {"k": ["16"], "keep": [KEPT.options[80]]}
    assert not visit.problems


@pytest.mark.browser
def test_dragging_moves_figures_and_markers_before_the_release_and_the_server_answers_after_it(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8").page
    before, drawn, address = value_of(page, "postings").inner_text(), chart_data(page), page.url
    curve = page.evaluate("() => window.sparcode.parts.get(document.querySelector('.sparcode-threshold')).curve")
    box = threshold(page).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=8)
    expect(value_of(page, "postings")).not_to_have_text(before)
    page.wait_for_function("() => Number(document.querySelector('.sparcode-threshold').dataset.redraws) > 0")
    stop = int(threshold(page).input_value())
    row = curve["stops"].index(stop)
    expect(value_of(page, "postings")).to_have_text(curve["tiles"]["postings"]["value"][row])
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
    expect(newest_run(page)).to_contain_text(f"{KEPT.options[stop]} % kept")
    expect(newest_run(page)).to_contain_text(value_of(page, "postings").inner_text())


@pytest.mark.browser
def test_a_link_with_every_setting_opens_that_view(studio_url: str, browser: Browser) -> None:
    asked = {"m": "2", "k": "8", "t": "2", "interaction": "dot", "encoder": "mean", "seed": "3", "keep": KEPT.options[40], "mb": "5"}
    page = explored(studio_url, browser, "&".join(f"{key}={value}" for key, value in asked.items())).page
    for name, value in (("Number of codebooks", "2"), ("Codebook size", "8"), ("Tokens per query", "2")):
        expect(page.get_by_role("slider", name=name)).to_have_attribute("aria-valuetext", value)
    assert shown_stop(page) == KEPT.options[40]
    expect(page.get_by_role("button", name="Best under 5 MB")).to_be_visible()
    expect(newest_run(page)).to_contain_text(f"M=2 K=8 T=2 dot seed 3, {KEPT.options[40]} % kept")
    # The default is left out of the address.
    in_address(page, **asked | {"encoder": None})


@pytest.mark.browser
def test_undo_returns_a_click_on_a_run_goes_back_to_it_and_undo_in_a_field_is_the_fields_own(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "m=2&k=8").page
    first = value_of(page, "postings").inner_text()
    threshold(page).press("End")
    in_address(page, keep=KEPT.options[-1])
    expect(page.get_by_label("Runs looked at").get_by_role("row")).to_have_count(3, timeout=PATIENCE_MS)
    page.keyboard.press("Control+z")
    in_address(page, keep=None)
    expect(value_of(page, "postings")).to_have_text(first)
    assert shown_stop(page) == KEPT.start
    page.keyboard.press("Control+Shift+z")
    in_address(page, keep=KEPT.options[-1])
    page.get_by_role("button", name="Go back to run 1").click()
    in_address(page, keep=None)
    expect(value_of(page, "postings")).to_have_text(first)
    page.get_by_role("button", name="Pin run 2").click()
    expect(page.locator("[data-tile='size_bytes'] .delta")).to_have_text(re.compile(r"\+"))
    in_address(page, pin=Configuration(m="2", k="8", keep=KEPT.options[-1]).text)
    # The same stop as before, released again after an undo, is news to the server.
    threshold(page).press("End")
    in_address(page, keep=KEPT.options[-1])

    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    field = page.get_by_role("spinbutton").first
    field.focus()
    page.keyboard.type("3")
    page.keyboard.press("Control+z")
    # The page's own step back, from elsewhere, comes after whatever the field's would have done.
    threshold(page).press("Home")
    in_address(page, keep=KEPT.options[0])
    page.keyboard.press("Control+z")
    in_address(page, keep=KEPT.options[-1])


@pytest.mark.browser
def test_charts_hold_what_the_server_drew_after_the_slider_moved_them(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8").page
    # No scrolling between two pictures, which would put letters elsewhere by parts of a pixel.
    page.set_viewport_size({"width": 1280, "height": 1800})
    for key in ("End", "PageDown"):
        before = page.evaluate(DRAWN_BY_SERVER)
        threshold(page).press(key)
        in_address(page, keep=shown_stop(page))
        # The last that the server says on it.
        expect(page.get_by_label("Runs looked at").locator("[aria-current]")).to_contain_text(f"{shown_stop(page)} % kept")
        expect(value_of(page, "p50_ms")).not_to_have_text("…")
        at_rest(page)
        page.wait_for_function(ALL_AT, arg=shown_stop(page))
        # One chart has a newly timed threshold.
        assert sum(after - earlier for after, earlier in zip(page.evaluate(DRAWN_BY_SERVER), before, strict=True)) <= 1
        moved, seen = chart_data(page), pictures(page)
        page.evaluate(
            "() => Promise.all([...document.querySelectorAll('.sparcode-chart')].map(box => window.sparcode.parts.get(box).redraw()))"
        )
        drawn = chart_data(page)
        assert not [title for title in drawn if not same_numbers(moved[title], drawn[title])]
        again = pictures(page)
        assert not [title for title in again if not same_picture(again[title], seen[title])]


@pytest.mark.browser
def test_every_drawing_is_told_and_a_slider_that_left_the_page_does_not_listen(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8").page
    told = page.evaluate(
        """async () => {
          let told = 0;
          document.addEventListener("sparcode-drawn", () => { told += 1; });
          await window.sparcode.parts.get(document.querySelector(".sparcode-chart")).redraw();
          window.before = window.sparcode.parts.get(document.querySelector(".sparcode-threshold"));
          return told;
        }"""
    )
    assert told == 1
    page.get_by_test_id("stTopNavLink").filter(has_text="Overview").click()
    expect(threshold(page)).to_have_count(0)
    heard = """() => {
      const { before } = window;
      let heard = 0;
      Object.assign(before, { moving: true, schedule: () => { heard += 1; } });
      document.dispatchEvent(new CustomEvent("sparcode-drawn"));
      return heard;
    }"""
    page.wait_for_function(f"() => ({heard})() === 0")


@pytest.mark.browser
def test_a_zoomed_chart_stays_zoomed_in_place_while_codebooks_and_threshold_change(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8").page
    ranges = "() => { const { xaxis, yaxis } = document.querySelector('.sparcode-chart').layout; return [...xaxis.range, ...yaxis.range]; }"
    fixed, plot = page.evaluate(ranges), page.locator(".sparcode-chart .nsewdrag").first
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=3)
    page.mouse.up()
    page.wait_for_function(f"fixed => JSON.stringify(({ranges})()) !== JSON.stringify(fixed)", arg=fixed)
    zoomed = page.evaluate(ranges)
    page.get_by_role("slider", name="Codebook size").press("ArrowRight")
    in_address(page, k="16")
    measured(page)
    threshold(page).press("End")
    page.wait_for_function(ALL_AT, arg=KEPT.options[-1])
    assert page.evaluate(ranges) == zoomed != fixed


@pytest.mark.browser
def test_two_browsers_do_not_disturb_each_other(studio_url: str, browser: Browser) -> None:
    first, second = (explored(studio_url, browser, "k=8") for _ in range(2))
    before = value_of(second.page, "postings").inner_text()
    threshold(first.page).press("End")
    in_address(first.page, keep=KEPT.options[-1])
    expect(value_of(first.page, "postings")).not_to_have_text(before)
    second.page.get_by_role("slider", name="Codebook size").press("ArrowRight")
    in_address(second.page, k="16", keep=None)
    measured(second.page)
    assert shown_stop(second.page) == KEPT.start
    in_address(first.page, k="8", keep=KEPT.options[-1])
    assert shown_stop(first.page) == KEPT.options[-1]
    assert not first.problems + second.problems


FRONT_TUNED = """() => {
  const [, done, all] = document.body.innerText.match(/(\\d+) of the (\\d+) settings of the front are fine-tuned/) || [];
  return done !== undefined && done === all;
}"""
POINT = """number => {
  const box = [...document.querySelectorAll(".sparcode-chart")].find((one) => one.layout?.uirevision === "All settings searched");
  const trace = box?.data.findIndex((one) => one.customdata && one.name === "M = 1");
  const point = box?.querySelectorAll(".scatterlayer .trace")[trace]?.querySelectorAll("path.point")[number];
  if (!point) return null;
  point.scrollIntoView({ block: "center" });
  const { x, y, width, height } = point.getBoundingClientRect();
  return [x + width / 2, y + height / 2];
}"""


@pytest.mark.browser
def test_a_click_on_a_point_of_the_search_opens_its_setting(studio_url: str, browser: Browser) -> None:
    page = explored(studio_url, browser, "k=8").page
    page.get_by_role("button", name="Best under 2 MB").click()
    expect(page.get_by_text("previews searched in")).to_be_visible(timeout=PATIENCE_MS)
    # Until then points of the front are drawn anew, also under the mouse; on a busy machine that takes longer than anybody waits.
    with suppress(TimeoutError):
        page.wait_for_function(FRONT_TUNED, timeout=PATIENCE_MS)
    page.wait_for_function(POINT, arg=0, timeout=PATIENCE_MS)
    at_rest(page)
    opened, changed = page.url, "before => location.href !== before"
    for _ in range(5):
        x, y = page.evaluate(POINT, 0)
        # Plotly takes a click for one on the point that the mouse has been over.
        page.mouse.move(x - 2, y)
        page.mouse.move(x, y)
        expect(page.locator(".hoverlayer .hovertext")).to_contain_text("click to open", timeout=PATIENCE_MS)
        said = page.locator(".hoverlayer .hovertext").text_content()
        page.mouse.down()
        page.mouse.up()
        # A click in the moment that the page is drawn anew is lost.
        with suppress(TimeoutError):
            page.wait_for_function(changed, arg=opened, timeout=PATIENCE_MS / 6)
            break
    assert page.url != opened
    n_codebooks, size, n_nearest, kept = re.search(r"M = (\d+), K = (\d+), P = (\d+), ([\d.]+) % kept", said).groups()
    expect(newest_run(page)).to_contain_text(f"{kept} % kept", timeout=PATIENCE_MS)
    shown = Configuration(m=n_codebooks, k=size, p=n_nearest, keep=kept)
    expect(newest_run(page)).to_contain_text(shown.label)
