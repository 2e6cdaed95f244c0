"""The page Lessons in a browser: every lesson from its goal to what comes next, and its claim against the numbers that it shows."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from app.lessons.lesson import Lesson
from app.lessons.lessons import LESSONS
from app.lessons.prediction import Choice
from app.lessons.reading import Row
from app.lessons.result_panel import AGAIN, FAILS, HOLDS, RUN
from tests.pages.browser_pages import FITS, PATIENCE_MS, Visit, at_rest, in_address

COMMIT = "Commit to this prediction"
TABLE = (
    """() => [...document.querySelectorAll("[data-testid=stTable] tr")].map(row => [...row.children].map(cell => cell.innerText.trim()))"""
)


@pytest.fixture(scope="module")
def visit(studio_url: str, chromium: Browser) -> Visit:
    """One visitor, who goes through all lessons."""
    return Visit(chromium, f"{studio_url}/lessons")


def predict(page: Page, lesson: Lesson) -> None:
    """Commit to the first answer, or to the number in the field."""
    if isinstance(lesson.prediction, Choice):
        page.get_by_text(next(iter(lesson.prediction.options.values())), exact=True).first.click()
    page.get_by_role("button", name=COMMIT).click()


def rows_shown(page: Page, lesson: Lesson) -> list[Row]:
    """The figures of the table, read back as numbers by its headings."""
    page.get_by_text("All figures").click()
    expect(page.get_by_test_id("stTable")).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    (_, *headings), *rows = page.evaluate(TABLE)
    columns = {column.heading: (figure, column) for figure, column in lesson.columns.items()}
    found = []
    for name, *cells in rows:
        values = {}
        for heading, cell in zip(headings, cells, strict=True):
            figure, column = columns[heading]
            if cell:
                shares = 0.01 if cell.endswith("%") else 1.0
                values[figure] = float(re.sub("[,%]", "", cell)) * shares / column.scale
        found.append(Row(name, values))
    return found


@pytest.mark.browser
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.number))
def test_a_lesson_from_its_goal_to_what_comes_next(visit: Visit, studio_url: str, lesson: Lesson) -> None:
    page, charts = visit.page, visit.page.locator(".sparcode-chart[data-drawn]")
    page.goto(f"{studio_url}/lessons?lesson={lesson.number}&step=3", timeout=PATIENCE_MS)
    # The link asks for the result, which stays hidden.
    expect(page.get_by_role("button", name=COMMIT)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name=lesson.goal)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".sparcode-chart")).to_have_count(0)
    predict(page, lesson)
    page.get_by_role("button", name=RUN, exact=True).click(timeout=PATIENCE_MS)
    expect(page.get_by_text("MEASURED HERE", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name=AGAIN, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(charts).to_have_count(len(lesson.pictures), timeout=PATIENCE_MS)
    at_rest(page)
    page.wait_for_function(FITS)
    rows = rows_shown(page, lesson)
    page.get_by_role("button", name="Next").click()
    in_address(page, step="4")
    expect(page.get_by_role("button", name="Predict again")).to_be_visible(timeout=PATIENCE_MS)
    at_rest(page)
    # What is claimed follows from the figures on the page.
    readings = lesson.read(rows)
    marks = page.get_by_text(re.compile(f"^({HOLDS}|{FAILS})$"))
    assert marks.all_inner_texts() == [HOLDS if reading.holds else FAILS for reading in readings]
    assert page.get_by_text("Claim.", exact=False).count() == len(readings)
    page.get_by_role("button", name="Next").click()
    in_address(page, step="5")
    expect(page.get_by_role("button", name=f"{lesson.ways_on[0].label} →")).to_be_visible(timeout=PATIENCE_MS)
    assert not visit.problems
