"""The screens of `docs/tour.md`: what a visitor sees, window by window, of the built-in data's recorded runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Browser, Page

from scripts.page_pictures import PATIENCE_MS, at_rest, reduced


def _as_it_opens(page: Page) -> None:
    """Nothing is done on the page."""


def _two_paths(page: Page) -> None:
    page.get_by_role("heading", name="One query, two paths").evaluate("heading => heading.scrollIntoView()")
    page.get_by_text("4 Search").click()


def _large_catalogue(page: Page) -> None:
    page.get_by_text("As if the catalogue had 100,000 items").click()


def _first_chart(page: Page) -> None:
    page.locator(".sparcode-chart").first.evaluate("chart => chart.scrollIntoView({ block: 'center' })")


def _answered(page: Page) -> None:
    page.get_by_role("button", name="Commit to this prediction").click(timeout=PATIENCE_MS)
    page.get_by_text("You predicted").first.wait_for(timeout=PATIENCE_MS)


def _reported(page: Page) -> None:
    """Add a chart with a note and a row of figures to the report, then open it."""
    page.get_by_role("button", name="Add to report: Recall against index size").click(timeout=PATIENCE_MS)
    note = page.get_by_role("textbox", name="Note on “Recall against index size”")
    note.fill("A smaller index costs next to nothing here. Ask how far that goes.", timeout=PATIENCE_MS)
    note.press("Enter")
    page.get_by_text("The note is kept").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Add to report").first.click(timeout=PATIENCE_MS)
    page.get_by_text("has 2 entries").wait_for(timeout=PATIENCE_MS)
    page.goto(page.url.partition("/explorer")[0] + "/report")
    page.get_by_role("img", name="Chart: ").wait_for(timeout=PATIENCE_MS)


def _all_runs(page: Page) -> None:
    page.get_by_text("Measuring recorded").wait_for(state="detached", timeout=PATIENCE_MS)


def _computed(page: Page) -> None:
    page.get_by_text("Being computed").wait_for(state="detached", timeout=PATIENCE_MS)


class Screen(NamedTuple):
    """One picture: its name after `tour-`, the page's address, a text to wait for, what is done then, window and look."""

    name: str
    path: str
    waits_for: str
    act: Callable[[Page], None] = _as_it_opens
    width: int = 1280
    height: int = 800
    look: str = "light"


SCREENS: Final = (
    Screen("overview", "", "How good is it?"),
    Screen("paths", "", "How good is it?", _two_paths),
    # High enough for a row of charts, since the README shows it, too.
    Screen("explorer", "explorer", "Measured on this machine", height=1100),
    Screen("threshold", "explorer?keep=3.16", "Measured on this machine", _large_catalogue),
    Screen("scale", "scale?keep=1.02", "All points, and how they are measured", _first_chart),
    Screen("compare", "compare", "Each beside SparCode"),
    Screen("runs", "runs?a=recorded:m1-k256&b=recorded:m2-k256", "Measured on this machine", _all_runs, height=1000),
    Screen("sweep", "sweep", "All figures are on the validation users", _computed, height=1250),
    Screen("space", "space", "Measured on this machine", height=1250),
    Screen("query", "query", "Everything above is computed"),
    Screen("lists", "query?step=lists", "Everything above is computed", _first_chart),
    Screen("lesson", "lessons?lesson=3&step=4", "Commit to this prediction", _answered),
    Screen("report", "explorer", "Measured on this machine", _reported),
    Screen("present", "explorer?present=1", "Measured on", height=720),
    Screen("train", "train", "Trained and measured"),
    Screen("phone", "", "How good is it?", width=390, height=844, look="dark"),
)


def take_tour(browser: Browser, address: str, out: Path) -> None:
    """Write every screen to `out`, and print its size."""
    for screen in SCREENS:
        context = browser.new_context(viewport={"width": screen.width, "height": screen.height}, color_scheme=screen.look)
        page = context.new_page()
        page.goto(f"{address}/{screen.path}", timeout=PATIENCE_MS)
        page.get_by_text(screen.waits_for).first.wait_for(state="attached", timeout=PATIENCE_MS)
        at_rest(page)
        screen.act(page)
        at_rest(page)
        file = out / f"tour-{screen.name}.png"
        file.write_bytes(reduced(page.screenshot()))
        context.close()
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB", flush=True)
