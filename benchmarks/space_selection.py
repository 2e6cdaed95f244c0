"""From a selected code to the linked charts on the page Code space, in headless Chromium, with 20,000 points.

    python -m benchmarks.space_selection

The data is planted, 6,000 users and 3,000 items, or the one given; the model is trained for one epoch, since times do not depend on what it
has learnt. A selection is a click on a bar; it ends with the last drawing of map and charts. Also the time to the first map in the warm
studio. Prints a table; the last line holds the figures as JSON.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from playwright.sync_api import Page

from benchmarks.command import Data, Quick, print_figures, run_command
from scripts.page_pictures import PATIENCE_MS, at_rest
from scripts.studio_in_browser import open_browser, running_studio
from sparcode.config import SyntheticConfig
from sparcode.data.interactions import Interactions
from sparcode.data.synthetic import generate
from sparcode.runs.machine import machine_facts

VIEW: Final = {"width": 1280, "height": 900}
N_SELECTIONS, QUICK_SELECTIONS = 40, 8
PLANTED: Final = SyntheticConfig(n_users=6000, n_items=3000)
ADDRESS: Final = "space?points=20000&layout=pca"
# A chart whose figure is the same is not drawn anew, so the end is the last drawing before the page is at rest.
SELECT: Final = """async (place) => {
  const map = document.querySelector('.sparcode-map');
  const charts = [...document.querySelectorAll('.sparcode-chart')];
  const nodes = [map, ...charts];
  const app = document.querySelector('[data-testid=stApp]');
  const drawn = () => nodes.map((node) => node.dataset.drawn).join();
  const bars = charts.find((one) => one.data?.[0]?.type === 'bar');
  const units = [...bars._fullData[0].customdata];
  const [first, before] = [map.dataset.drawn, drawn()];
  const start = performance.now();
  bars.emit('plotly_click', { points: [{ customdata: Number(units[place % units.length]) }] });
  let [last, end] = [before, start];
  while (true) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    if (drawn() !== last) [last, end] = [drawn(), now];
    if (map.dataset.drawn !== first && app.dataset.testScriptState === 'notRunning' && now - end > 400) break;
    if (now - start > 30000) throw new Error('the selection was not drawn');
  }
  return end - start;
}"""
N_POINTS: Final = "() => document.querySelector('.sparcode-map .legend').textContent"


def main(data: Data = None, quick: Quick = False) -> None:
    """Measure and print."""
    print(f"{data or 'planted data'}, {machine_facts()}, load of the machine before: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        table = data or _write(generate(PLANTED), Path(folder) / "planted.csv")
        with open_browser() as browser, running_studio({"SPARCODE_DATA": str(table)}, module="benchmarks.untrained_studio") as address:
            page = browser.new_page(viewport=VIEW)
            page.goto(f"{address}/{ADDRESS}")
            shown(page)
            print(page.evaluate(N_POINTS))
            figures = selection_figures(page, QUICK_SELECTIONS if quick else N_SELECTIONS)
            page.close()
            other = browser.new_context(viewport=VIEW).new_page()
            started = time.perf_counter()
            other.goto(f"{address}/{ADDRESS}")
            other.wait_for_selector(".sparcode-map[data-drawn]", timeout=PATIENCE_MS)
            figures["warm_map_s"] = time.perf_counter() - started
    print(f"selection to linked charts: p50 {figures['select_ms_p50']:.0f} ms, p95 {figures['select_ms_p95']:.0f} ms")
    print(f"a page of the warm studio to the first map: {figures['warm_map_s']:.1f} s\n")
    print_figures(figures)


def shown(page: Page) -> None:
    """Wait until the map and the charts are drawn and nothing is under way."""
    page.wait_for_selector(".sparcode-map[data-drawn]", timeout=PATIENCE_MS)
    page.wait_for_function("() => document.querySelectorAll('.sparcode-chart[data-drawn]').length >= 3", timeout=PATIENCE_MS)
    at_rest(page)
    # Further stops of the index's curve may still be measured.
    page.wait_for_timeout(15_000)
    at_rest(page)


def selection_figures(page: Page, n_selections: int) -> dict[str, float]:
    """Milliseconds of selections, each of another code, one after the other."""
    times = []
    for number in range(n_selections):
        times.append(page.evaluate(SELECT, 3 + 5 * number))
        at_rest(page)
        page.get_by_role("button", name="Select none").click()
        at_rest(page)
        page.wait_for_timeout(300)
    return {"select_ms_p50": float(np.median(times)), "select_ms_p95": float(np.percentile(times, 95))}


def _write(interactions: Interactions, path: Path) -> Path:
    histories, genres = interactions.histories, interactions.items["genres"].to_numpy()
    rows = zip(histories.rows.tolist(), histories.items.tolist(), strict=True)
    lines = [f"{user},{item},{interactions.items['title'].iloc[item]},{genres[item]}" for user, item in rows]
    path.write_text("\n".join(["user_id,item_id,title,genres", *lines]), encoding="utf-8")
    return path


if __name__ == "__main__":
    run_command(main)
