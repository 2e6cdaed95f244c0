from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pytest
from playwright.sync_api import Browser

from app.charts.code_usage import code_usage_data, code_usage_figure
from app.charts.frame import Figure
from app.charts.recall_latency import recall_latency_data, recall_latency_figure
from app.charts.recall_size import Peer, recall_size_data, recall_size_figure, trade_off
from app.components.live_chart import HEIGHT
from sparcode.comparison.peers import ALL_TO_ALL, HNSW, IVF_FLAT, IVF_PQ, TWO_TOWER

# Of a phone, and of three columns on 1,280 pixels.
WIDTHS = (326, 394)
PEERS = tuple(Peer(name, f"{name} (recorded)", 1e6, 0.1) for name in (ALL_TO_ALL, TWO_TOWER, HNSW, IVF_FLAT, IVF_PQ))
DRAW = """async ([figure, width, height]) => {
  const box = document.body.appendChild(document.createElement("div")), { data, layout } = JSON.parse(figure);
  Object.assign(box.style, { width: `${width}px`, height: `${height}px` });
  await Plotly.newPlot(box, data, layout, { displayModeBar: false });
  return [".legend .bg", ".nsewdrag", ".gtitle", ".xtitle"].map((name) => {
    const { x, y, width, height } = box.querySelector(name).getBoundingClientRect();
    return [x, y, width, height];
  });
}"""


def usage_of_four_codebooks_and_a_pin() -> Figure:
    counts = np.arange(4 * 64).reshape(4, 64)
    return code_usage_figure(code_usage_data(counts, np.ones(4), counts), False)


def size_with_every_entry() -> Figure:
    lines = [trade_off(f"M={n_codebooks} K=64 preview", np.array([1e6, 2e6]), np.array([0.1, 0.5])) for n_codebooks in (4, 1, 2, 3)]
    return recall_size_figure(recall_size_data(lines[0], lines[1:], (1e6, 0.1), 50, (lines[1], (1e6, 0.1)), PEERS), False)


def latency_with_every_entry() -> Figure:
    timed = (np.array([0.1, 0.2]), np.array([0.1, 0.5]), np.array([False, True]))
    return recall_latency_figure(recall_latency_data(timed, (0.1, 0.1), 50, (np.ones((2, 1)), (0.2, 0.1)), PEERS), False)


def overlap(one: list[float], other: list[float]) -> bool:
    (x, y, width, height), (x2, y2, width2, height2) = one, other
    return x < x2 + width2 and x2 < x + width and y < y2 + height2 and y2 < y + height


@pytest.mark.browser
@pytest.mark.parametrize("figure", [usage_of_four_codebooks_and_a_pin, size_with_every_entry, latency_with_every_entry])
def test_a_full_legend_covers_neither_points_nor_titles(figure: Callable[[], Figure], browser: Browser) -> None:
    page = browser.new_page()
    page.add_script_tag(path=str(files("plotly") / "package_data" / "plotly.min.js"))
    for width in WIDTHS:
        legend, plot, *titles = page.evaluate(DRAW, [figure().to_json(), width, HEIGHT])
        assert legend[2] > 0
        assert not [place for place in (plot, *titles) if overlap(legend, place)]
        assert plot[3] > HEIGHT / 6
