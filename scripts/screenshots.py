"""Pictures of the studio, started for it: `python -m scripts.screenshots` takes the screens of `docs/tour.md` in about a minute.

Needs the `dev` extra and a Chromium on the PATH. `--pages FOLDER` takes every page from top to bottom instead, to look at while working on
them: about five minutes, most of them for training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, StorageState

from scripts.page_pictures import PATIENCE_MS, at_rest, reduced
from scripts.studio_in_browser import studio_in_browser
from scripts.tour_pictures import take_tour

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = {
    "overview": "",
    "explorer": "explorer",
    "train": "train",
    "compare": "compare",
    "scale": "scale",
    "query": "query",
    "lessons": "lessons?lesson=3&step=4",
    "space": "space",
}
# Of the visitor who trained from scratch, in whose report there are some entries then.
REPORT: Final = {"report": "report", "present": "explorer?present=1"}
WIDTHS: Final = (1280, 1920)
# Of a window that is no wider than a phone.
LEAST_HEIGHT: Final = 720
LOOKS: Final = ("light", "dark")


def train_everything(browser: Browser, address: str) -> None:
    """Fill the comparison table, the explorer and the measurements once; later visits find them ready."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/explorer")
    page.get_by_text("fine-tuned in").first.wait_for(timeout=PATIENCE_MS)
    page.goto(address)
    page.get_by_role("button", name="Train and compare the models").click(timeout=PATIENCE_MS)
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    for state in ("visible", "hidden"):
        cancel.wait_for(state=state, timeout=PATIENCE_MS)
    # The same measurement.
    page.goto(f"{address}/compare")
    page.get_by_role("button", name="Measure again").wait_for(timeout=PATIENCE_MS)
    page.goto(f"{address}/scale")
    page.get_by_role("button", name="Measure up to 100,000 items here").click(timeout=PATIENCE_MS)
    page.get_by_text("All points, and how they are measured").wait_for(timeout=PATIENCE_MS)
    page.goto(f"{address}/explorer")
    page.get_by_text("fine-tuned in").first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_function("() => document.querySelectorAll('.sparcode-chart[data-drawn]').length === 9", timeout=PATIENCE_MS)
    page.close()


def fill_report(browser: Browser, address: str, cookies: StorageState) -> None:
    """Add figures, charts and a table to the report of a visitor, and have the pictures drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, storage_state=cookies)
    page = context.new_page()
    for path, number in (("explorer", 1), ("compare", 2)):
        page.goto(f"{address}/{path}")
        at_rest(page)
        page.get_by_role("button", name="Add to report").first.click(timeout=PATIENCE_MS)
        page.get_by_text(f"has {number} entr").wait_for(timeout=PATIENCE_MS)
    page.goto(f"{address}/report")
    page.get_by_role("button", name="Slides (.pptx)").click(timeout=PATIENCE_MS, trial=True)
    context.close()


def train_from_scratch(browser: Browser, address: str) -> StorageState:
    """Two runs on the page Train, so that the second has a ghost; returns the cookies of their owner's browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/train?k=32")
    for number in (1, 2):
        page.get_by_role("button", name="Start training").click(timeout=PATIENCE_MS)
        page.get_by_text(f"Run {number} is finished").wait_for(timeout=PATIENCE_MS)
        page.goto(f"{address}/train")
    cookies = context.storage_state()
    context.close()
    return cookies


def answer_lesson(page: Page) -> None:
    """Make the prediction that a lesson asks for, and run its experiment where nobody has."""
    page.get_by_role("button", name="Commit to this prediction").click(timeout=PATIENCE_MS)
    run, measured = page.get_by_role("button", name="Run it here"), page.get_by_text("Measured on this machine")
    run.or_(measured).first.wait_for(timeout=PATIENCE_MS)
    if run.is_visible():
        run.click()


def picture(browser: Browser, url: str, width: int, look: str, cookies: StorageState, last: str = "Measured on this machine") -> bytes:
    """A page from top to bottom, as PNG; `last` is a text that comes with its figures."""
    context = browser.new_context(
        viewport={"width": width, "height": max(LEAST_HEIGHT, width * 9 // 16)}, color_scheme=look, storage_state=cookies
    )
    page = context.new_page()
    page.goto(url)
    if "/lessons" in url:
        answer_lesson(page)
    # The caption under the figures or the table is what comes last.
    page.get_by_text(last).first.wait_for(timeout=PATIENCE_MS)
    at_rest(page)
    # The page scrolls inside a container of its own, so the window is made as high as its content.
    height = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": width, "height": height})
    at_rest(page)
    taken = page.screenshot()
    context.close()
    return taken


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots", help="folder for the tour's screens, of recorded runs")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="whole pages instead, of models trained for it, into this folder")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of whole pages, in pixels; tried are 390, 1024, 1280, 1920")
    given = parser.parse_args()
    out = given.pages or given.out
    out.mkdir(parents=True, exist_ok=True)
    if given.pages:
        take_pages(out, given.widths)
        return
    with studio_in_browser() as (address, browser):
        take_tour(browser, address, out)


def take_pages(out: Path, widths: Sequence[int]) -> None:
    """Every page from top to bottom, in every one of the `widths` and every look, of models trained for it."""
    with studio_in_browser(recorded=False) as (address, browser):
        train_everything(browser, address)
        cookies = train_from_scratch(browser, address)
        fill_report(browser, address, cookies)
        for name, path in (PAGES | REPORT).items():
            last = {"report": "Export what you want to keep", "present": "Measured on"}.get(name, "Measured on this machine")
            for width, look in product(widths, LOOKS):
                file = out / f"{name}-{width}-{look}.png"
                file.write_bytes(reduced(picture(browser, f"{address}/{path}", width, look, cookies, last)))
                print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
