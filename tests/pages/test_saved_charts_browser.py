"""A chart of every page is saved as a picture that decodes and as a table with the numbers drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from scripts.studio_in_browser import running_studio
from tests.pages.browser_pages import PATIENCE_MS, Visit, at_rest
from tests.pages.test_corner_browser import POINTS, saved

CHARTS = {
    "": "Time per query",
    "train": "Recall on validation users",
    "compare": "Recall against latency",
    "scale": "Build time",
    "query": "Where tau cuts the strongest lists",
}


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """A studio of the data that has recorded runs."""
    with running_studio({"SPARCODE_DATA": ""}) as address:
        yield address


@pytest.mark.browser
@pytest.mark.parametrize("path", CHARTS)
def test_picture_and_table_of_a_chart_are_those_drawn(path: str, demo: str, browser: Browser) -> None:
    visit, chart = Visit(browser, f"{demo}/{path}"), CHARTS[path]
    page = visit.page
    expect(page.get_by_label(f"Save this chart: {chart}")).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    page.wait_for_function("() => !document.querySelector('.sparcode-chart:not([data-drawn])')", timeout=PATIENCE_MS)
    download = saved(page, "CSV", chart)
    assert download.suggested_filename.startswith(f"{path or 'overview'}-{chart.lower().replace(' ', '-')}")
    header, *rows = csv.reader(io.StringIO(download.path().read_text(encoding="utf-8-sig")))
    assert header[0] == "series"
    assert all(name.strip() for name in header)
    table = sorted((float(row[1]), float(row[2])) for row in rows)
    drawn = sorted((x, y) for x, y in page.evaluate(POINTS, chart) if x is not None and y is not None)
    assert len(drawn) > 5
    np.testing.assert_allclose(table, drawn, rtol=1e-6)
    picture = Image.open(saved(page, "PNG", chart).path()).convert("RGB")
    assert picture.width > picture.height > 500
    assert len(picture.getcolors(2**24)) > 20
    assert not visit.problems
