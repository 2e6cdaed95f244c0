"""Retrievers as points of accuracy and cost, plotted as an HTML file that needs no network, and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.theme import model_style
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.peers import POPULARITY, REGRESSION
from sparcode.config import DEFAULT_K

CSR, DIRECT = "SparCode (scipy CSR)", "SparCode (direct)"
# They take the looks of two models that this benchmark does not measure.
OTHER_LOOKS = {CSR: REGRESSION, DIRECT: POPULARITY}
WIDTH, HEIGHT = 1500, 720
FRONT = {"color": "#1B2430", "width": 7}
FRONT_OPACITY = 0.18
# Settings below this share of the best recall are not shown; they would flatten the rest.
SHOWN_RECALL = 0.8
TICKS = [round(factor * 10.0**power, 4) for power in range(-3, 5) for factor in (1, 2, 5)]


class ServedPoint(NamedTuple):
    """What was measured of a retriever at one setting.

    Attributes
    ----------
    recall
        Mean Recall@50.
    p50_ms, p95_ms, p99_ms
        Single queries, encoding included.
    encode_ms, retrieve_ms
        Medians of the two parts; NaN for encoding where the two are one.
    size_bytes
        Arrays of items and codes; the query encoder comes on top.
    queries_per_second
        All queries as one batch, encoding included.
    recall_error
        Standard error, over users, of the difference from the recall of exact two-tower search; 0 for the latter.
    """

    name: str
    setting: str
    recall: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    encode_ms: float
    retrieve_ms: float
    size_bytes: int
    queries_per_second: float
    recall_error: float = 0.0


def latency(point: ServedPoint) -> float:
    """Median latency."""
    return point.p50_ms


def size(point: ServedPoint) -> float:
    """Bytes."""
    return float(point.size_bytes)


def fastest(points: Sequence[ServedPoint], name: str, least_recall: float, errors: float = 0.0) -> ServedPoint:
    """The peer's fastest setting with ``recall - errors * recall_error >= least_recall``, else the most accurate one.

    ValueError if there is no point of that name.
    """
    settings = [point for point in points if point.name == name]
    if not settings:
        raise ValueError(f"no point is of {name!r}; got {sorted({point.name for point in points})}")
    enough = [point for point in settings if point.recall - errors * point.recall_error >= least_recall]
    return min(enough, key=latency) if enough else max(settings, key=lambda point: point.recall)


PANELS: tuple[tuple[str, Callable[[ServedPoint], float]], ...] = (
    ("latency of one query, p50, encoding included (ms)", latency),
    ("bytes of items and codes (MB)", lambda point: size(point) / 1e6),
)


def pareto_figure(points: Sequence[ServedPoint], title: str, k: int = DEFAULT_K) -> go.Figure:
    """Latency and bytes, both logarithmic, over a common recall axis, with the front over all points; a peer is a series.

    ValueError if there is no point.
    """
    if not points:
        raise ValueError("points must hold at least one point")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    names = list(dict.fromkeys(point.name for point in points))
    for column, (axis, cost) in enumerate(PANELS, start=1):
        front = pareto_front(points, cost)
        figure.add_trace(_line(front, cost, "front of all", FRONT, column), row=1, col=column)
        for name in names:
            for trace in _series([point for point in points if point.name == name], cost, name, column):
                figure.add_trace(trace, row=1, col=column)
        ticks = {"tickvals": TICKS, "ticktext": [f"{tick:g}" for tick in TICKS]}
        figure.update_xaxes(title_text=axis, type="log", **ticks, row=1, col=column)
    best = max(point.recall for point in points)
    lowest = max(SHOWN_RECALL * best, min(point.recall for point in points) - 0.02 * best)
    hidden = sum(point.recall < lowest for point in points)
    note = f"Recall@{k} against targets" + (f"<br>({hidden} settings below {lowest:.3f} not shown)" if hidden else "")
    figure.update_yaxes(title_text=note, range=[lowest, 1.02 * best], row=1, col=1)
    figure.update_yaxes(range=[lowest, 1.02 * best], row=1, col=2)
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "font": {"size": 15}},
        width=WIDTH,
        height=HEIGHT,
        legend={"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0.5, "xanchor": "center", "font": {"size": 12}},
        margin={"l": 90, "r": 20, "t": 60, "b": 130},
        font={"size": 14},
    )
    return figure


def _line(points: Sequence[ServedPoint], cost: Callable[[ServedPoint], float], name: str, line: dict, column: int) -> go.Scatter:
    return go.Scatter(
        x=[cost(point) for point in points],
        y=[point.recall for point in points],
        name=name,
        legendgroup=name,
        showlegend=column == 1,
        mode="lines",
        line=line,
        opacity=FRONT_OPACITY,
        hoverinfo="skip",
    )


def _series(points: Sequence[ServedPoint], cost: Callable[[ServedPoint], float], name: str, column: int) -> list[go.Scatter]:
    """All settings of a peer as faint markers, its own Pareto front as a line."""
    style = model_style(OTHER_LOOKS.get(name, name), dark=False)
    common = {"legendgroup": name, "name": name}
    front = pareto_front(points, cost)
    rest = [point for point in points if point not in front]
    traces = [
        go.Scatter(
            x=[cost(point) for point in part],
            y=[point.recall for point in part],
            mode=mode,
            marker={**style["marker"], "size": marker_size},
            line=style["line"],
            opacity=opacity,
            text=[_hover(point) for point in part],
            hovertemplate="%{text}<extra></extra>",
            showlegend=shown and column == 1,
            **common,
        )
        for part, mode, marker_size, opacity, shown in ((rest, "markers", 6, 0.3, False), (front, "lines+markers", 9, 1.0, True))
    ]
    return traces if rest else traces[1:]


def _hover(point: ServedPoint) -> str:
    return (
        f"<b>{point.name}</b><br>{point.setting}<br>Recall {point.recall:.4f}<br>p50 {point.p50_ms:.3f} ms, p95 {point.p95_ms:.3f} ms<br>"
        f"{point.size_bytes / 1e6:.2f} MB<br>{point.queries_per_second:,.0f} queries per second in a batch"
    )


def write_pareto(points: Sequence[ServedPoint], title: str, folder: Path, k: int = DEFAULT_K) -> tuple[Path, Path | None]:
    """Write ``pareto.html`` and ``pareto.png`` to a folder, made if needed; None in place of the picture where there is no Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    page, picture = folder / "pareto.html", folder / "pareto.png"
    pareto_figure(points, title, k).write_html(page, include_plotlyjs=True, config={"displaylogo": False, "displayModeBar": False})
    return page, picture if _photograph(page, picture) else None


def _photograph(page: Path, picture: Path) -> bool:
    """Photograph a page with an installed Chromium; false without Chromium or Playwright."""
    try:
        from scripts.studio_in_browser import installed_browser, open_browser
    except ImportError:
        return False
    if installed_browser() is None:
        return False
    with open_browser() as browser:
        view = browser.new_page(viewport={"width": WIDTH + 16, "height": HEIGHT + 16}, device_scale_factor=2)
        view.goto(page.resolve().as_uri())
        view.wait_for_selector(".main-svg .trace.scatter")
        view.screenshot(path=picture)
    return True
