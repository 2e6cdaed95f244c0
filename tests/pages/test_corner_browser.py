"""What the corner of a chart saves."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Download, Page, expect

from app.components import chart_player
from app.components.bundle import script
from tests.pages.browser_pages import Visit, explored

CHART = "Recall against index size"
POINTS = """name => {
  const box = [...document.querySelectorAll(".sparcode-chart")].find((one) => one.layout.uirevision === name);
  const saved = ([{ trace }]) => trace.mode !== "none" && (trace.name || trace.hoverinfo !== "skip");
  return box.calcdata.filter(saved).flatMap((points) => points.map(({ x, y }) => [x, y]));
}"""


@pytest.fixture(scope="module")
def visit(studio_url: str, chromium: Browser) -> Visit:
    """The Index Explorer, left by each test as it was."""
    return explored(studio_url, chromium, "k=8")


def saved(page: Page, kind: str, chart: str = CHART) -> Download:
    page.get_by_label(f"Save this chart: {chart}").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"{kind} of “{chart}”").click()
    return waiting.value


@pytest.mark.browser
def test_every_chart_has_a_menu_that_saves_it(visit: Visit) -> None:
    page = visit.page
    n_charts = page.locator(".sparcode-chart").count()
    assert n_charts == 9
    expect(page.locator(".sparcode-framed > .sparcode-corner:not([hidden])")).to_have_count(n_charts)


@pytest.mark.browser
def test_the_picture_is_twice_as_sharp_as_the_chart(visit: Visit, tmp_path: Path) -> None:
    page, download = visit.page, saved(visit.page, "PNG")
    assert download.suggested_filename.startswith("explorer-recall-against-index-size-M1-K8")
    assert download.suggested_filename.endswith(".png")
    download.save_as(tmp_path / "chart.png")
    box = page.locator(".sparcode-chart").nth(1).bounding_box()
    picture = Image.open(tmp_path / "chart.png").convert("RGB")
    assert picture.height == 2 * round(box["height"])
    assert len(picture.getcolors(2**24)) > 50
    svg = saved(page, "SVG").path().read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert not visit.problems


@pytest.mark.browser
def test_the_table_holds_the_numbers_of_the_figure(visit: Visit) -> None:
    page, download = visit.page, saved(visit.page, "CSV")
    header, *rows = csv.reader(io.StringIO(download.path().read_text(encoding="utf-8-sig")))
    assert header[0] == "series"
    assert "MB" in header[1]
    assert header[2].startswith("Recall@")
    table = sorted((float(row[1]), float(row[2])) for row in rows)
    drawn = sorted((x, y) for x, y in page.evaluate(POINTS, CHART))
    np.testing.assert_allclose(table, drawn, rtol=1e-6)


@pytest.mark.browser
def test_the_menu_opens_and_closes_by_keyboard(visit: Visit) -> None:
    page = visit.page
    opener = page.get_by_label(f"Save this chart: {CHART}")
    opener.focus()
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name=f"CSV of “{CHART}”")
    expect(button).to_be_visible()
    page.keyboard.press("Escape")
    expect(button).to_be_hidden()
    expect(opener).to_be_focused()


@pytest.mark.browser
def test_text_that_a_spreadsheet_would_run_is_made_harmless(visit: Visit) -> None:
    table = "[['a', '=1+1', '-3', -2, '@x', 'b,c']]"
    made = visit.page.evaluate(f"() => {{ {_without_default(chart_player.__file__)}; return csvOf({table}); }}")
    assert made == "\ufeffa,'=1+1,-3,-2,'@x,\"b,c\"\r\n"


@pytest.mark.browser
def test_a_table_of_cells_has_a_row_for_each_that_has_a_value(visit: Visit) -> None:
    figure = """{ data: [{ type: "heatmap", name: "lift", x: ["a", "b"], y: ["c", "d"],
        z: [[1, null], [2, 3]], text: [["p", ""], ["q", "r"]] }],
        layout: { xaxis: { title: { text: "code" } }, meta: { columns: { y: "other", text: "said" } } } }"""
    made = visit.page.evaluate(f"() => {{ {_without_default(chart_player.__file__)}; return tableOf({figure}); }}")
    assert made == [["code", "other", "lift", "said"], ["a", "c", 1, "p"], ["a", "d", 2, "q"], ["b", "d", 3, "r"]]


def _without_default(python_file: str) -> str:
    """The component's script without what Streamlit calls."""
    return script(python_file).partition("export default")[0]
