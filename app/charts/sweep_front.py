"""Chart of every point of a sweep, a trial at a threshold, with the Pareto front of two or three of recall, size and latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, log_axis, name_columns, titled_figure, with_note
from app.kept.sweep_words import megabytes, params_words
from app.theme import SEQUENTIAL, series_style, text_colour
from sparcode.sweep.answer import Figure as SweepFigure
from sparcode.sweep.answer import SweepPoint, allowed_points, front, points_of, smallest_near_best
from sparcode.sweep.definition import Definition
from sparcode.sweep.record import TrialRecord

NAME: Final = "Every trial at every threshold"
# Name of a front -> its figures, the first on the x axis.
FRONTS: Final[dict[str, tuple[SweepFigure, ...]]] = {
    "size": ("size_bytes", "recall"),
    "time": ("p50_ms", "recall"),
    "both": ("size_bytes", "p50_ms", "recall"),
}
_AXES: Final = {"size_bytes": ("index size (MB)", 1e-6), "p50_ms": ("median time of a query (ms)", 1.0)}
# Of the best recall, what the title names the price of.
MOST: Final = 0.95
# Share of the best recall below which points are not shown at first; they would flatten the rest.
_SHOWN_RECALL: Final = 0.75


class SweepFrontData(NamedTuple):
    """Points of a sweep.

    Attributes
    ----------
    title
        What the front says, in numbers.
    axis, k
        Title of the x axis, and items retrieved per query.
    cost, recall, p50_ms
        (n,) float64: x in the axis' unit, recall, and milliseconds.
    trials, texts
        (n,) int64 number of each point's trial, and its settings in words.
    front
        (f,) int64 positions of the points that no other beats, by cost; `is_line`: of two figures.
    answer
        Position of the answer; None without points.
    chosen
        (c,) int64 positions of the trial that is looked at, by cost; empty for none.
    """

    title: str
    axis: str
    k: int
    cost: np.ndarray
    recall: np.ndarray
    p50_ms: np.ndarray
    trials: np.ndarray
    texts: tuple[str, ...]
    front: np.ndarray
    is_line: bool
    answer: int | None
    chosen: np.ndarray


def sweep_front_data(definition: Definition, trials: Sequence[TrialRecord], by: str, chosen: int | None) -> SweepFrontData:
    """The chart's data; `by` is one of `FRONTS`, `chosen` the number of a trial."""
    points, figures = points_of(trials), FRONTS[by]
    axis, scale = _AXES[figures[0]]
    rows = np.array([(scale * getattr(point, figures[0]), point.recall, point.p50_ms) for point in points], dtype=np.float64)
    cost, recall, p50_ms = rows.reshape(-1, 3).T.copy()
    words = {trial.number: params_words(trial.params) for trial in trials}
    numbers = np.array([point.trial for point in points], dtype=np.int64)
    at = {point: place for place, point in enumerate(points)}
    found = front(points, figures) if points else []
    near = smallest_near_best(allowed_points(definition, trials))
    of_chosen = np.flatnonzero(numbers == chosen) if chosen is not None else np.zeros(0, np.int64)
    texts = tuple(f"{words[point.trial]}, {megabytes(point.size_bytes)}, {point.p50_ms:.3f} ms" for point in points)
    places = np.array([at[point] for point in found], dtype=np.int64)
    order = np.argsort(cost[places], kind="stable")
    return SweepFrontData(
        title=_takeaway(points, found, figures),
        axis=axis,
        k=definition.k,
        cost=cost,
        recall=recall,
        p50_ms=p50_ms,
        trials=numbers,
        texts=texts,
        front=places[order],
        is_line=len(figures) == 2,
        answer=None if near is None else at[near],
        chosen=of_chosen[np.argsort(cost[of_chosen], kind="stable")],
    )


def sweep_front_figure(data: SweepFrontData, dark: bool) -> Figure:
    """Recall over a logarithmic cost; the front of two figures is a staircase, that of three is ringed, with latency as colour."""
    figure = titled_figure(NAME, data.axis, f"Recall@{data.k}, validation users", dark, data.title)
    if len(data.cost) == 0:
        return with_note(figure, "No trial is complete yet")
    colour, main = text_colour(dark), series_style(0, dark)["marker"]
    every = np.arange(len(data.cost))
    if data.is_line:
        x, y = data.cost[data.front], data.recall[data.front]
        figure.add_scatter(
            x=x, y=y, name="Pareto front", mode="lines", line={"color": colour, "width": 6, "shape": "hv"}, opacity=0.2, hoverinfo="skip"
        )
        _add(figure, data, every, "points", {**main, "size": 6, "opacity": 0.7})
    else:
        bar = {"title": {"text": "ms", "side": "top"}, "thickness": 12, "len": 0.8, "outlinewidth": 0}
        low, high = float(data.p50_ms.min()), float(data.p50_ms.max())
        scale = [[step / (len(SEQUENTIAL) - 1), shade] for step, shade in enumerate(SEQUENTIAL)]
        look = {"color": data.p50_ms, "colorscale": scale, "cmin": low, "cmax": max(high, low + 1e-9), "colorbar": bar, "symbol": "circle"}
        _add(figure, data, every, "points", {**look, "size": 7})
        ring = {"symbol": "circle-open", "size": 12, "color": colour, "line": {"width": 1.5}}
        _add(figure, data, data.front, "Pareto front", ring)
    if len(data.chosen):
        style = series_style(1, dark)
        look = {**style["marker"], "size": 9}
        _add(figure, data, data.chosen, f"trial {data.trials[data.chosen[0]]}", look, mode="lines+markers", line=style["line"])
    if data.answer is not None:
        _add(figure, data, np.array([data.answer]), "the answer", {"symbol": "star", "size": 17, "color": colour})
    shown = data.recall >= _SHOWN_RECALL * float(data.recall.max())
    log_axis(figure.x, float(data.cost[shown].min()), float(data.cost[shown].max()))
    low, high = float(data.recall[shown].min()), float(data.recall[shown].max())
    room = 0.05 * max(high - low, 0.02 * high, 1e-3)
    figure.y.update(range=[low - room, high + room])
    figure.layout["showlegend"] = True
    name_columns(figure, x=data.axis, text="settings")
    return figure


def _add(figure: Figure, data: SweepFrontData, at: np.ndarray, name: str, marker: dict[str, Any], **more: Any) -> None:
    figure.add_scatter(
        x=data.cost[at],
        y=data.recall[at],
        customdata=data.trials[at],
        text=[data.texts[place] for place in at.tolist()],
        name=name,
        marker=marker,
        hovertemplate="trial %{customdata}: %{text}<br>recall %{y:.3f}; click to look at it<extra>%{fullData.name}</extra>",
        **{"mode": "markers", **more},
    )


def _takeaway(points: Sequence[SweepPoint], found: Sequence[SweepPoint], figures: Sequence[SweepFigure]) -> str:
    if not found:
        return ""
    if len(figures) > 2:
        return f"{len(found)} of {len(points)} points are beaten by no other in recall, size and time together"
    best = max(found, key=lambda point: point.recall)
    most = [point for point in found if point.recall >= MOST * best.recall]
    unit, scale = ("MB", 1e-6) if figures[0] == "size_bytes" else ("ms", 1.0)
    least = min(scale * getattr(point, figures[0]) for point in most)
    return f"{MOST:.0%} of the best recall takes {least:.3g} {unit}, all of it {scale * getattr(best, figures[0]):.3g} {unit}"
