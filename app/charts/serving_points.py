"""Chart of recall over latency or bytes: every serving method at every setting, with the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from app.charts.frame import Figure, log_axis, name_columns, titled_figure, with_note
from app.theme import model_style, text_colour
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.peers import SPARCODE
from sparcode.config import DEFAULT_K

LATENCY_TITLE, BYTES_TITLE = "Recall against latency", "Recall against memory"
# Share of the best recall below which settings are not shown at first; they would flatten the rest.
SHOWN_RECALL = 0.75


class ServingSeries(NamedTuple):
    """One peer's n settings in order of rising effort; cost, its noise band (low, high) and recall, (n,) float64."""

    name: str
    settings: tuple[str, ...]
    cost: np.ndarray
    low: np.ndarray
    high: np.ndarray
    recall: np.ndarray


class ServingPointsData(NamedTuple):
    """A recall chart, one series per peer in order of first appearance, cost in `unit`; the Pareto front is (f,) float64, ascending."""

    title: str
    axis: str
    unit: str
    series: tuple[ServingSeries, ...]
    front_cost: np.ndarray
    front_recall: np.ndarray
    k: int
    takeaway: str = ""


def latency_data(points: Sequence[Measurement]) -> ServingPointsData:
    """Median latency, with its quartiles between rounds; points without a timed round are left out."""
    timed = [point for point in points if point.n_rounds]
    return _data(LATENCY_TITLE, "ms per query, encoding included", "ms", timed, lambda point: point.p50_ms)


def bytes_data(points: Sequence[Measurement]) -> ServingPointsData:
    """Megabytes, which are counted and have no noise."""
    return _data(BYTES_TITLE, "memory of items and codes (MB)", "MB", points, lambda point: (point.size_bytes / 1e6,) * 3)


def _data(
    title: str, axis: str, unit: str, points: Sequence[Measurement], cost: Callable[[Measurement], tuple[float, float, float]]
) -> ServingPointsData:
    series = []
    for name in dict.fromkeys(point.name for point in points):
        rows = [point for point in points if point.name == name]
        columns = np.array([(*cost(point), point.recall) for point in rows], dtype=np.float64).T
        series.append(ServingSeries(name, tuple(point.setting for point in rows), *columns.copy()))
    front = pareto_front(points, lambda point: cost(point)[0])
    costs, recalls = (np.array(values, dtype=np.float64) for values in ([cost(point)[0] for point in front], [p.recall for p in front]))
    return ServingPointsData(title, axis, unit, tuple(series), costs, recalls, DEFAULT_K)


def serving_points_figure(data: ServingPointsData, dark: bool) -> Figure:
    """Recall over a logarithmic cost: SparCode's thresholds as a thick line, peers as thin ones, the Pareto front as a staircase."""
    figure = titled_figure(data.title, data.axis, f"Recall@{data.k}", dark, data.takeaway)
    if not data.series:
        return with_note(figure, "Nothing is measured yet")
    line = {"color": text_colour(dark), "width": 8, "shape": "hv"}
    figure.add_scatter(x=data.front_cost, y=data.front_recall, name="Pareto front", mode="lines", line=line, opacity=0.16, hoverinfo="skip")
    for series in data.series:
        figure.add_scatter(**_trace(series, data.unit, dark))
    log_axis(figure.x, min(float(series.low.min()) for series in data.series), max(float(series.high.max()) for series in data.series))
    figure.y.update(range=_recall_range(data))
    name_columns(figure, text="setting", customdata=[f"lower quartile ({data.unit})", f"upper quartile ({data.unit})"])
    return figure


def out_of_view(data: ServingPointsData) -> int:
    """Points below the recall that the chart shows at first."""
    lowest = _recall_range(data)[0] if data.series else 0.0
    return int(sum((series.recall < lowest).sum() for series in data.series))


def _trace(series: ServingSeries, unit: str, dark: bool) -> dict[str, Any]:
    style = model_style(series.name, dark)
    main = series.name == SPARCODE
    noise = None
    if (series.high > series.low).any():
        noise = {"array": series.high - series.cost, "arrayminus": series.cost - series.low, "thickness": 1.5, "width": 4}
    return {
        "x": series.cost,
        "y": series.recall,
        "name": series.name,
        "mode": "lines+markers",
        "line": {**style["line"], "width": 3.5 if main else 1.5},
        "marker": {**style["marker"], "size": 11 if main else 9},
        "error_x": noise,
        "customdata": np.array([series.low, series.high]).T,
        "text": series.settings,
        "hovertemplate": f"%{{text}}<br>recall %{{y:.4f}}<br>%{{x:.4g}} {unit}"
        + (" (%{customdata[0]:.4g} to %{customdata[1]:.4g})" if noise else "")
        + "<extra>%{fullData.name}</extra>",
    }


def _recall_range(data: ServingPointsData) -> list[float]:
    recall = np.concatenate([series.recall for series in data.series])
    best, worst = float(recall.max()), float(recall.min())
    room = 0.03 * max(best, 1e-3)
    return [max(SHOWN_RECALL * best, worst) - room, best + room]
