"""Recall against latency and against bytes: one HTML file that needs no network, and a picture of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.theme import series_style
from benchmarks.served_point import ServedPoint, latency, size
from sparcode.comparison.pareto import pareto_front

WIDTH, HEIGHT = 1500, 720
FRONT = {"color": "#1B2430", "width": 7}
FRONT_OPACITY = 0.18
# Settings that lose more than this share of the best recall are of no use to anyone, and would flatten the rest.
SHOWN_RECALL = 0.8
TICKS = [round(factor * 10.0**power, 4) for power in range(-3, 5) for factor in (1, 2, 5)]
# Okabe and Ito's yellow is too faint for markers on white, so its place goes to the next look.
LOOKS = (0, 1, 2, 3, 4, 5, 7, 8)
PANELS: tuple[tuple[str, Callable[[ServedPoint], float]], ...] = (
    ("latency of one query, p50, encoding included (ms)", latency),
    ("bytes of items and codes (MB)", lambda point: size(point) / 1e6),
)


def pareto_figure(points: Sequence[ServedPoint], title: str, k: int = 50) -> go.Figure:
    """Two panels with a common recall axis: latency and bytes, both logarithmic; the front over all points underneath.

    Parameters
    ----------
    points
        At least one; a kind is a series, in order of first appearance.
    title
        Data, model and machine.
    k
        Items per query, for the axis title.

    Raises
    ------
    ValueError
        If there is no point.
    """
    if not points:
        raise ValueError("points must hold at least one point")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    kinds = list(dict.fromkeys(point.kind for point in points))
    for column, (axis, cost) in enumerate(PANELS, start=1):
        front = pareto_front(points, cost)
        figure.add_trace(_line(front, cost, "front of all", FRONT, column), row=1, col=column)
        for place, kind in enumerate(kinds):
            for trace in _series([point for point in points if point.kind == kind], cost, kind, LOOKS[place % len(LOOKS)], column):
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


def _series(points: Sequence[ServedPoint], cost: Callable[[ServedPoint], float], kind: str, look: int, column: int) -> list[go.Scatter]:
    """All settings of a kind as faint markers, and those of them that no other of the kind beats as a line."""
    style, common = series_style(look, dark=False), {"legendgroup": kind, "name": kind}
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
        f"<b>{point.kind}</b><br>{point.setting}<br>Recall {point.recall:.4f}<br>p50 {point.p50_ms:.3f} ms, p95 {point.p95_ms:.3f} ms<br>"
        f"{point.size_bytes / 1e6:.2f} MB<br>{point.queries_per_second:,.0f} queries per second in a batch"
    )


def write_pareto(points: Sequence[ServedPoint], title: str, folder: Path, k: int = 50) -> tuple[Path, Path | None]:
    """Write ``pareto.html`` and, where there is a Chromium to open it with, ``pareto.png``.

    Parameters
    ----------
    points, title, k
        See `pareto_figure`.
    folder
        Made if it is not there.

    Returns
    -------
    tuple
        Both files; None in place of a picture that could not be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, picture = folder / "pareto.html", folder / "pareto.png"
    pareto_figure(points, title, k).write_html(page, include_plotlyjs=True, config={"displaylogo": False, "displayModeBar": False})
    return page, picture if _photograph(page, picture) else None


def _photograph(page: Path, picture: Path) -> bool:
    """A picture of a page by an installed Chromium; false if there is none, or no Playwright to steer it."""
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
