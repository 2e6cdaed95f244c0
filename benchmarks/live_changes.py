"""What a visitor waits for: seconds from a key press on a slider to the figures on the page, in a real browser.

Changes of M and K are timed to the first true figures (the preview) and to the fine-tuned ones, changes of the threshold to the server's
exact figures; of a threshold that is dragged the redraws per second in the browser are counted. Every setting is new to the studio. Prints
a Markdown table.

    python -m benchmarks.live_changes
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Final

from playwright.sync_api import Page

from app.threshold_stops import KEPT_PERCENTS
from scripts.studio_in_browser import studio_in_browser

PATIENCE_MS: Final = 90_000
# Keys pressed one after the other from the start, each to a setting that is new: name of the slider, key.
START: Final = "m=2&k=128"
WALKS: Final = (
    (("Codebook size", "ArrowLeft"),) * 3,
    (("Number of codebooks", "ArrowLeft"), ("Codebook size", "ArrowRight")),
    (("Codebook size", "ArrowRight"),),
    (("Number of codebooks", "ArrowRight"), ("Codebook size", "ArrowRight")),
)
N_THRESHOLDS: Final = 20
KIND: Final = """kind => document.querySelector("[data-tile='recall'] .kind")?.innerText === kind"""
# The run at the top of the table is written by the server, not by the browser while the key is down.
ANSWERED: Final = """percent => document.querySelector(".sparcode-runs tbody tr")?.innerText.includes(percent + " % kept")"""
REDRAWS: Final = "() => Number(document.querySelector('.sparcode-threshold').dataset.redraws || 0)"
DRAGGED_STEPS: Final = 60


def main() -> None:
    """Walk, time, print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with studio_in_browser(recorded=False) as (address, browser):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        print("| M | K | preview (s) | fine-tuned (s) | Recall@50 preview | fine-tuned |\n|---|---|---|---|---|---|")
        for keys in WALKS:
            page.goto(f"{address}/explorer?{START}")
            page.wait_for_function(KIND, arg="fine-tuned", timeout=PATIENCE_MS)
            idle(page)
            for name, key in keys:
                row = walk(page, name, key)
                print(f"| {' | '.join((*setting(page), *row))} |", flush=True)
        waits = [threshold_wait(page) for _ in range(N_THRESHOLDS)]
        print(f"\nThreshold, {N_THRESHOLDS} moves: median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s")
        print(f"Threshold, dragged: {redraws_per_second(page):.1f} redraws a second")


def walk(page: Page, name: str, key: str) -> tuple[str, str, str, str]:
    """Press a key on a slider; seconds to the preview and to the fine-tuned figures, and the recall of both."""
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    recall = page.locator("[data-tile='recall'] .value")
    started = time.perf_counter()
    page.keyboard.press(key)
    page.wait_for_function(KIND, arg="preview", polling=20, timeout=PATIENCE_MS)
    preview_seconds, preview_recall = time.perf_counter() - started, recall.inner_text()
    page.wait_for_function(KIND, arg="fine-tuned", polling=20, timeout=PATIENCE_MS)
    tuned_seconds = time.perf_counter() - started
    idle(page)
    return f"{preview_seconds:.2f}", f"{tuned_seconds:.1f}", preview_recall, recall.inner_text()


def threshold_wait(page: Page) -> float:
    """Seconds until the server's figures follow a move of the threshold."""
    slider = page.get_by_role("slider", name="Sparsity threshold")
    slider.focus()
    wanted = KEPT_PERCENTS[int(slider.input_value()) + 1]
    started = time.perf_counter()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(ANSWERED, arg=wanted, polling=20, timeout=PATIENCE_MS)
    seconds = time.perf_counter() - started
    idle(page)
    return seconds


def redraws_per_second(page: Page) -> float:
    """Drag the threshold over half its way; how often figures and charts follow in a second."""
    box = page.get_by_role("slider", name="Sparsity threshold").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    before, started = page.evaluate(REDRAWS), time.perf_counter()
    for step in range(DRAGGED_STEPS):
        page.mouse.move(box["x"] + (0.2 + 0.5 * step / DRAGGED_STEPS) * box["width"], middle)
        page.wait_for_timeout(16)
    redraws, seconds = page.evaluate(REDRAWS) - before, time.perf_counter() - started
    page.mouse.up()
    return redraws / seconds


def setting(page: Page) -> tuple[str, str]:
    """M and K as the sliders show them."""
    return tuple(page.get_by_role("slider", name=name).get_attribute("aria-valuetext") for name in ("Number of codebooks", "Codebook size"))


def idle(page: Page) -> None:
    """Wait until all curves are measured and the page has come to rest."""
    page.get_by_text("fine-tuned in").first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(4000)
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=PATIENCE_MS)


if __name__ == "__main__":
    main()
