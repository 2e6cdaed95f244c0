"""Latency of the Index Explorer in headless Chromium, on the studio as started, with built-in data and real models.

    python -m benchmarks.ui_latency

Process start to the first chart; the threshold released to figures and charts painted, at random stops; redraws while it is dragged; a
change of M or K to the preview's figures and to the fine-tuned ones. Every setting is new to the studio. Prints tables; the last line
holds the figures as JSON.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from playwright.sync_api import Browser, Page

from benchmarks.command import Data, Quick, print_figures, run_command
from benchmarks.page_timing import (
    PATIENCE_MS,
    SettingTimes,
    ThresholdTimes,
    at_rest,
    change_setting,
    drag_threshold,
    install,
    move_threshold,
)
from scripts.studio_in_browser import open_browser, running_studio
from sparcode.runs.machine import machine_facts

VIEW: Final = {"width": 1280, "height": 900}
START: Final = "m=2&k=128"
# Keys pressed one after the other from the start, each to a setting that is new: name of the slider, key.
CODEBOOKS, SIZE = "Number of codebooks", "Codebook size"
WALKS: Final = (
    ((SIZE, "ArrowLeft"),) * 3,
    ((CODEBOOKS, "ArrowLeft"), (SIZE, "ArrowRight")),
    ((SIZE, "ArrowRight"),),
    ((CODEBOOKS, "ArrowRight"), (SIZE, "ArrowRight")),
)
QUICK_WALKS: Final = (((SIZE, "ArrowLeft"),),)
N_MOVES, QUICK_MOVES = 60, 12
DRAG_SECONDS, QUICK_DRAG_SECONDS = 5.0, 2.0
# In a studio that first has to train, it is that training's chart.
FIRST_CHART: Final = ".sparcode-chart[data-drawn]"
FIRST_FIGURES: Final = "[data-tile='recall']"


def main(data: Data = None, quick: Quick = False) -> None:
    """Measure and print."""
    environment = {"SPARCODE_DATA": str(data)} if data else {}
    figures: dict[str, float] = {}
    print(f"{data or 'built-in data'}, {machine_facts()}, load of the machine before: {os.getloadavg()[0]:.1f}\n")
    with open_browser() as browser:
        started = time.perf_counter()
        with running_studio(environment) as address:
            page = browser.new_page(viewport=VIEW)
            page.goto(f"{address}/explorer?{START}")
            page.wait_for_selector(FIRST_CHART, timeout=PATIENCE_MS)
            figures["first_chart_s"] = time.perf_counter() - started
            page.wait_for_selector(FIRST_FIGURES, timeout=PATIENCE_MS)
            figures["first_figures_s"] = time.perf_counter() - started
            settled(page)
            figures |= threshold_figures(page, QUICK_MOVES if quick else N_MOVES)
            figures["redraws_per_s"] = drag_threshold(page, QUICK_DRAG_SECONDS if quick else DRAG_SECONDS)
            print(f"\nThreshold, dragged: {figures['redraws_per_s']:.1f} redraws a second")
            figures["warm_page_s"] = warm_page(browser, address)
            page.close()
        # Recorded models would answer some of the settings at once.
        with running_studio(environment, recorded=False) as address:
            page = browser.new_page(viewport=VIEW)
            page.goto(f"{address}/explorer?{START}")
            page.wait_for_selector(FIRST_FIGURES, timeout=PATIENCE_MS)
            settled(page)
            figures |= setting_figures(page, address, QUICK_WALKS if quick else WALKS)
    cold, first, warm = (figures[name] for name in ("first_chart_s", "first_figures_s", "warm_page_s"))
    print(f"\nProcess start to the first chart {cold:.1f} s, to figures {first:.1f} s; a page of the warm studio {warm:.1f} s\n")
    print_figures({name: float(value) for name, value in figures.items()}, 2)


def settled(page: Page) -> None:
    """Wait until everything is measured, then install the probe."""
    at_rest(page)
    install(page)


def threshold_figures(page: Page, n_moves: int) -> dict[str, float]:
    """Percentiles over moves to random places, both ways."""
    rng = np.random.default_rng(0)
    moves: list[ThresholdTimes] = []
    while len(moves) < n_moves:
        moved = move_threshold(page, float(rng.uniform(0.02, 0.98)))
        moves += [moved] if moved is not None else []
    columns = {name: np.array(values) for name, values in zip(ThresholdTimes._fields, zip(*moves, strict=True), strict=True)}
    print(f"Threshold released, {n_moves} random moves\n\n| painted | p50 (ms) | p95 (ms) |\n|---|---|---|")
    answer = "the server's answer, latency measured"
    names = {"tiles": "figures", "in_view": "charts in the window", "charts": "all charts", "answer": answer}
    percentiles = {name: np.percentile(values, [50, 95]) for name, values in columns.items()}
    for name, (p50, p95) in percentiles.items():
        print(f"| {names[name]} | {p50:.0f} | {p95:.0f} |")
    keys = {"charts": "threshold_ms", "tiles": "kpi_ms", "answer": "answer_ms"}
    return {f"{key}_p{share}": percentiles[name][at] for name, key in keys.items() for at, share in enumerate((50, 95))}


def setting_figures(page: Page, address: str, walks: Sequence[Sequence[tuple[str, str]]]) -> dict[str, float]:
    """Medians and worst cases over changes of M and K."""
    header = ("M", "K", "preview (ms)", "fine-tuned (s)", "updates a second", "charts replaced", "zoom kept")
    print(f"\n| {' | '.join(header)} |\n{'|---' * len(header)}|")
    changes: list[SettingTimes] = []
    for walk in walks:
        if changes:
            page.goto(f"{address}/explorer?{START}")
        settled(page)
        for slider, key in walk:
            change = change_setting(page, slider, key)
            changes.append(change)
            cells = f"{change.preview:.0f} | {change.tuned / 1000:.1f} | {change.updates_per_second:.1f} | {change.remounted}"
            print(f"| {' | '.join(setting(page))} | {cells} | {'yes' if change.zoom_kept else 'no'} |", flush=True)
            if (slider, key) != walk[-1]:
                settled(page)
    return {
        "preview_ms_p50": float(np.median([change.preview for change in changes])),
        "finetune_s": float(np.median([change.tuned for change in changes])) / 1000,
        "finetune_s_max": max(change.tuned for change in changes) / 1000,
        "stream_updates_per_s": min(change.updates_per_second for change in changes),
        "charts_remounted": sum(change.remounted for change in changes),
        "zoom_kept": all(change.zoom_kept for change in changes),
    }


def setting(page: Page) -> tuple[str, ...]:
    """M and K as the sliders show them."""
    return tuple(page.get_by_role("slider", name=name).get_attribute("aria-valuetext") or "" for name in (CODEBOOKS, SIZE))


def warm_page(browser: Browser, address: str) -> float:
    """Seconds until another visitor sees the first chart."""
    context = browser.new_context(viewport=VIEW)
    page = context.new_page()
    started = time.perf_counter()
    page.goto(f"{address}/explorer?{START}")
    page.wait_for_selector(FIRST_CHART, timeout=PATIENCE_MS)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


if __name__ == "__main__":
    run_command(main)
