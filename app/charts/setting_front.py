"""Chart of recall over index size of every setting searched, with the Pareto front and the setting that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.charts.frame import Figure, titled_figure
from app.theme import GRID_DARK, GRID_LIGHT, series_style, text_colour
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.setting_grid import GridPoint
from sparcode.config import DEFAULT_K

NAME = "All settings searched"


class SettingFrontData(NamedTuple):
    """Points of a search in MB, one series per M.

    Attributes
    ----------
    title
        What the search says, in numbers.
    series
        (M, megabytes, recall, numbers, texts): (n,) float64, float64 and int64 positions among all points, and a text for each.
    front
        (2, f) float64 megabytes and recall, ascending.
    chosen
        (megabytes, recall) of the answer; None without one.
    budget
        In MB; None where none was asked for.
    """

    title: str
    series: tuple[tuple[int, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]], ...]
    front: np.ndarray
    chosen: tuple[float, float] | None
    budget: float | None


def setting_front_data(
    title: str, points: Sequence[GridPoint], texts: Sequence[str], chosen: GridPoint | None, budget: float | None
) -> SettingFrontData:
    """The chart's data; `texts` name the settings of the points, `budget` is in MB."""
    series = []
    for n_codebooks in sorted({point.n_codebooks for point in points}):
        numbers = np.array([at for at, point in enumerate(points) if point.n_codebooks == n_codebooks], dtype=np.int64)
        rows = np.array([(points[at].size_bytes / 1e6, points[at].recall) for at in numbers], dtype=np.float64).reshape(-1, 2).T
        series.append((n_codebooks, rows[0].copy(), rows[1].copy(), numbers, tuple(texts[at] for at in numbers)))
    front = pareto_front(points, lambda point: point.size_bytes)
    line = np.array([(point.size_bytes / 1e6, point.recall) for point in front], dtype=np.float64).reshape(-1, 2).T
    marked = None if chosen is None else (chosen.size_bytes / 1e6, chosen.recall)
    return SettingFrontData(title, tuple(series), line, marked, budget)


def setting_front_figure(data: SettingFrontData, dark: bool) -> Figure:
    """Recall over megabytes on a logarithmic axis: a marker for each setting and threshold, its symbol by M, and the front as steps."""
    figure = titled_figure(NAME, "index size (MB)", f"Recall@{DEFAULT_K}, validation users", dark, data.title)
    line = {"color": text_colour(dark), "width": 6, "shape": "hv"}
    x, y = data.front
    figure.add_scatter(x=x.copy(), y=y.copy(), name="Pareto front", mode="lines", line=line, opacity=0.2, hoverinfo="skip")
    for place, (n_codebooks, megabytes, recall, numbers, texts) in enumerate(data.series):
        figure.add_scatter(
            x=megabytes,
            y=recall,
            customdata=numbers,
            text=texts,
            name=f"M = {n_codebooks}",
            mode="markers",
            marker={**series_style(place, dark)["marker"], "size": 8, "opacity": 0.75},
            hovertemplate="%{text}<br>recall %{y:.3f} at %{x:.3g} MB<br>click to open<extra></extra>",
        )
    if data.chosen is not None:
        x, y = (np.array([value]) for value in data.chosen)
        marker = {"symbol": "star", "size": 18, "color": text_colour(dark)}
        hover = "the answer: recall %{y:.3f} at %{x:.3g} MB<extra></extra>"
        figure.add_scatter(x=x, y=y, name="the answer", mode="markers", marker=marker, hovertemplate=hover)
    if data.budget is not None:
        heights = np.concatenate([recall for _, _, recall, _, _ in data.series]) if data.series else np.zeros(1)
        look = {"dash": "dot", "width": 2, "color": text_colour(dark)}
        ends = np.array([heights.min(), heights.max()])
        figure.add_scatter(x=np.full(2, data.budget), y=ends, name="budget", mode="lines", line=look, hoverinfo="skip")
    grid = GRID_DARK if dark else GRID_LIGHT
    figure.x.update(type="log", gridcolor=grid, minor={"showgrid": False}, dtick=1)
    figure.layout["showlegend"] = True
    return figure
