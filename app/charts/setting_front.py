"""Chart of recall over index size of every setting searched, with the Pareto front and the setting that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure
from app.theme import GRID_DARK, GRID_LIGHT, series_style, text_colour
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.setting_grid import GridPoint
from sparcode.config import DEFAULT_K

NAME: Final = "All settings searched"
# Beside those of M.
TUNED_STYLE: Final = 3


class Series(NamedTuple):
    """(n,) float64 megabytes and recall, int64 positions among all points, and a text for each."""

    megabytes: np.ndarray
    recall: np.ndarray
    numbers: np.ndarray
    texts: tuple[str, ...]


class SettingFrontData(NamedTuple):
    """Points of a search in MB: one series per M of the previews, and one of those that are fine-tuned.

    Attributes
    ----------
    title
        What the search says, in numbers.
    series
        (M, points).
    tuned
        The fine-tuned ones.
    front, tuned_front
        (2, f) float64 megabytes and recall, ascending: of previews and of fine-tuned points.
    chosen
        (megabytes, recall) of the answer; None without one.
    budget
        In MB; None where none was asked for.
    """

    title: str
    series: tuple[tuple[int, Series], ...]
    tuned: Series
    front: np.ndarray
    tuned_front: np.ndarray
    chosen: tuple[float, float] | None
    budget: float | None


def setting_front_data(
    title: str,
    previews: Sequence[GridPoint],
    tuned: Sequence[GridPoint],
    text_of: Callable[[GridPoint], str],
    chosen: GridPoint | None,
    budget: float | None,
) -> SettingFrontData:
    """The chart's data; `text_of` names a point's setting, `budget` is in MB. Positions count the `previews` first, then the `tuned`."""
    numbered = list(enumerate(previews))
    series = tuple(
        (n_codebooks, _series([(at, point) for at, point in numbered if point.n_codebooks == n_codebooks], text_of))
        for n_codebooks in sorted({point.n_codebooks for point in previews})
    )
    marked = None if chosen is None else (chosen.size_bytes / 1e6, chosen.recall)
    of_tuned = _series(list(enumerate(tuned, start=len(previews))), text_of)
    return SettingFrontData(title, series, of_tuned, _front(previews), _front(tuned), marked, budget)


def setting_front_figure(data: SettingFrontData, dark: bool) -> Figure:
    """Recall over megabytes on a logarithmic axis: a marker for each setting and threshold, its symbol by M, and the fronts as steps."""
    figure = titled_figure(NAME, "index size (MB)", f"Recall@{DEFAULT_K}, validation users", dark, data.title)
    colour = text_colour(dark)
    _add_front(figure, data.front, "Pareto front", {"color": colour, "width": 6}, 0.2)
    if len(data.tuned.numbers):
        _add_front(figure, data.tuned_front, "front, fine-tuned", {"color": colour, "width": 2}, 0.8)
    for place, (n_codebooks, series) in enumerate(data.series):
        _add_points(figure, series, f"M = {n_codebooks}", {**series_style(place, dark)["marker"], "size": 8, "opacity": 0.75})
    if len(data.tuned.numbers):
        style = series_style(TUNED_STYLE, dark)["marker"]
        _add_points(figure, data.tuned, "fine-tuned", {**style, "symbol": "hexagram", "size": 12, "line": {"width": 1, "color": colour}})
    if data.chosen is not None:
        x, y = (np.array([value]) for value in data.chosen)
        marker = {"symbol": "star", "size": 18, "color": colour}
        hover = "the answer: recall %{y:.3f} at %{x:.3g} MB<extra></extra>"
        figure.add_scatter(x=x, y=y, name="the answer", mode="markers", marker=marker, hovertemplate=hover)
    if data.budget is not None:
        parts = [series.recall for _, series in data.series] + [data.tuned.recall]
        heights = np.concatenate(parts) if any(map(len, parts)) else np.zeros(1)
        look = {"dash": "dot", "width": 2, "color": colour}
        ends = np.array([heights.min(), heights.max()])
        figure.add_scatter(x=np.full(2, data.budget), y=ends, name="budget", mode="lines", line=look, hoverinfo="skip")
    grid = GRID_DARK if dark else GRID_LIGHT
    figure.x.update(type="log", gridcolor=grid, minor={"showgrid": False}, dtick=1)
    figure.layout["showlegend"] = True
    name_columns(figure, text="setting")
    return figure


def _series(points: Sequence[tuple[int, GridPoint]], text_of: Callable[[GridPoint], str]) -> Series:
    rows = np.array([(point.size_bytes / 1e6, point.recall) for _, point in points], dtype=np.float64).reshape(-1, 2).T
    numbers = np.array([at for at, _ in points], dtype=np.int64)
    return Series(rows[0].copy(), rows[1].copy(), numbers, tuple(text_of(point) for _, point in points))


def _front(points: Sequence[GridPoint]) -> np.ndarray:
    front = pareto_front(points, lambda point: point.size_bytes)
    return np.array([(point.size_bytes / 1e6, point.recall) for point in front], dtype=np.float64).reshape(-1, 2).T


def _add_front(figure: Figure, front: np.ndarray, name: str, line: dict[str, Any], opacity: float) -> None:
    x, y = (row.copy() for row in front)
    figure.add_scatter(x=x, y=y, name=name, mode="lines", line={**line, "shape": "hv"}, opacity=opacity, hoverinfo="skip")


def _add_points(figure: Figure, series: Series, name: str, marker: dict[str, Any]) -> None:
    figure.add_scatter(
        x=series.megabytes,
        y=series.recall,
        customdata=series.numbers,
        text=series.texts,
        name=name,
        mode="markers",
        marker=marker,
        hovertemplate=f"%{{text}}{', fine-tuned' if name == 'fine-tuned' else ''}<br>recall %{{y:.3f}} at %{{x:.3g}} MB<br>click to open"
        "<extra></extra>",
    )
