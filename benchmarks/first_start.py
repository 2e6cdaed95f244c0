"""Seconds to a page's first chart, from the launch of the server and from opening a page of a running one.

    python -m benchmarks.first_start --rounds 3

Each page is opened in a browser with an empty cache right after a launch, then in another tab. Prints a Markdown table of medians, and
one line of JSON.
"""

from __future__ import annotations

import statistics
import time
from typing import Final

from playwright.sync_api import Browser, BrowserContext

from benchmarks.command import Rounds, print_figures, run_command
from scripts.studio_in_browser import open_browser, running_studio

PATIENCE_MS: Final = 90_000
# Time for what server and page still do after the first chart.
SETTLING_MS: Final = 6_000
DRAWN: Final = "() => document.querySelector('.sparcode-chart[data-drawn]')"
DIAGRAM: Final = """() => {
  const chart = document.querySelector('[data-testid=stMermaidChart]');
  return chart && chart.offsetHeight > 60 && chart.querySelector('svg g, img');
}"""
# Page -> its path, and a test for its first chart.
PAGES: Final = {"Overview": ("", DIAGRAM), "Index Explorer": ("explorer", DRAWN), "Train": ("train", DRAWN)}


def main(rounds: Rounds = 3) -> None:
    """Launch, time, print."""
    print("| page | from launch (s) | another tab (s) |\n|---|---|---|")
    medians = {}
    with open_browser() as browser:
        for name, (path, drawn) in PAGES.items():
            cold, warm = zip(*(waits(browser, path, drawn) for _ in range(rounds)), strict=True)
            medians[name] = (statistics.median(cold), statistics.median(warm))
            print(f"| {name} | {medians[name][0]:.2f} | {medians[name][1]:.2f} |", flush=True)
    kinds = ("cold", "warm")
    print_figures({f"{name} {kind} (s)": value for name, pair in medians.items() for kind, value in zip(kinds, pair, strict=True)}, 2)


def waits(browser: Browser, path: str, drawn: str) -> tuple[float, float]:
    """Seconds to the first chart from the launch of a server, and from opening another tab; `drawn` is a JavaScript test for the chart."""
    launched = time.perf_counter()
    with running_studio() as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        cold = first_chart(context, f"{address}/{path}", drawn) - launched
        context.pages[0].wait_for_timeout(SETTLING_MS)
        opened = time.perf_counter()
        warm = first_chart(context, f"{address}/{path}", drawn) - opened
        context.close()
    return cold, warm


def first_chart(context: BrowserContext, url: str, drawn: str) -> float:
    """Open a page in a new tab; when its first chart is there."""
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_function(drawn, polling=20, timeout=PATIENCE_MS)
    return time.perf_counter()


if __name__ == "__main__":
    run_command(main)
