"""Parallel coordinates of a sweep: a line per trial through its settings and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, titled_figure, with_note
from app.kept.sweep_words import params_words, setting_name, value_text
from app.theme import GRID_DARK, GRID_LIGHT, SEQUENTIAL, series_style, text_colour
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.space import Choices, Space

NAME: Final = "Trial by trial, settings to figures"
# Values of a choice that are written at an axis, at most; of more the first and the last.
_MOST_LABELS: Final = 8


class TrialAxis(NamedTuple):
    """One axis: its name, where each trial crosses it, (n,) float64 from 0 to 1, and texts at heights, (place, text)."""

    name: str
    heights: np.ndarray
    labels: tuple[tuple[float, str], ...]


class ParallelTrialsData(NamedTuple):
    """Axes, settings first; of n trials: recall (n,) float64, numbers (n,) int64, settings in words, and which one is looked at."""

    title: str
    axes: tuple[TrialAxis, ...]
    recall: np.ndarray
    numbers: np.ndarray
    texts: tuple[str, ...]
    chosen: int | None


def parallel_trials_data(space: Space, trials: Sequence[TrialRecord], max_bytes: int | None, chosen: int | None) -> ParallelTrialsData:
    """The chart's data, of complete trials; figures are those of a trial's best threshold within `max_bytes`."""
    known = [(trial, point) for trial in trials if (point := trial.best(max_bytes)) is not None]
    done, points = [trial for trial, _ in known], [point for _, point in known]
    axes = [_setting_axis(dimension, [trial.params[dimension.setting] for trial in done]) for dimension in space.dimensions]
    for name, field, scale, is_log in (
        ("size (MB)", "size_bytes", 1e-6, True),
        ("time (ms)", "p50_ms", 1.0, True),
        ("recall", "recall", 1.0, False),
    ):
        axes.append(_number_axis(name, [scale * getattr(point, field) for point in points], is_log))
    recall = np.array([point.recall for point in points], dtype=np.float64)
    return ParallelTrialsData(
        title=_takeaway(done, recall),
        axes=tuple(axes),
        recall=recall,
        numbers=np.array([trial.number for trial in done], dtype=np.int64),
        texts=tuple(params_words(trial.params) for trial in done),
        chosen=chosen,
    )


def parallel_trials_figure(data: ParallelTrialsData, dark: bool) -> Figure:
    """A line per trial, coloured by its recall; the best one and the one looked at are thick."""
    figure = titled_figure(NAME, "", "", dark, data.title)
    if len(data.recall) == 0:
        return with_note(figure, "No trial is complete yet")
    colour, grid, ground = text_colour(dark), GRID_DARK if dark else GRID_LIGHT, figure.layout["paper_bgcolor"]
    low, high = float(data.recall.min()), float(data.recall.max())
    places, best = np.arange(len(data.axes), dtype=np.float64), int(data.recall.argmax())
    # Later ones lie above.
    for at in np.argsort(data.recall, kind="stable").tolist():
        share = (float(data.recall[at]) - low) / max(high - low, 1e-12)
        is_chosen = data.numbers[at] == data.chosen
        look: dict[str, Any] = {"color": _shade(share, dark), "width": 4 if at == best else 1.5}
        if is_chosen:
            look = {**series_style(1, dark)["line"], "width": 4}
        figure.add_scatter(
            x=places,
            y=np.array([axis.heights[at] for axis in data.axes]),
            customdata=np.full(len(places), data.numbers[at]),
            name=f"trial {data.numbers[at]}",
            mode="lines+markers",
            line=look,
            marker={"size": 6, "color": look["color"], "symbol": "square" if is_chosen else "star" if at == best else "circle"},
            opacity=1.0 if is_chosen or at == best else 0.75,
            hovertemplate=f"trial {data.numbers[at]}: {data.texts[at]}<br>recall {data.recall[at]:.3f}; click to look at it<extra></extra>",
        )
    for place, axis in enumerate(data.axes):
        figure.layout.setdefault("shapes", []).append(
            {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "line": {"color": grid, "width": 2}, "layer": "below"}
        )
        for height, text in axis.labels:
            figure.add_annotation(text, x=place, y=height, xshift=-6, xanchor="right", bgcolor=ground, font={"size": 11, "color": colour})
    figure.x.update(
        tickvals=places,
        ticktext=[axis.name for axis in data.axes],
        showgrid=False,
        zeroline=False,
        range=[-0.45, len(places) - 0.55],
        ticklabeloverflow="allow",
    )
    figure.y.update(visible=False, range=[-0.06, 1.06])
    figure.layout.update(showlegend=False, hovermode="closest")
    return figure


def _setting_axis(dimension: Any, values: Sequence[Any]) -> TrialAxis:
    name = setting_name(dimension.setting)
    if not isinstance(dimension, Choices):
        return _number_axis(name, [float(value) for value in values], dimension.log, (float(dimension.low), float(dimension.high)))
    choices = list(dimension.values)
    step = 1 / max(1, len(choices) - 1)
    heights = np.array([choices.index(value) * step for value in values], dtype=np.float64)
    every = [(place * step, value_text(value)) for place, value in enumerate(choices)]
    return TrialAxis(name, heights, tuple(every if len(every) <= _MOST_LABELS else (every[0], every[-1])))


def _number_axis(name: str, values: Sequence[float], is_log: bool, ends: tuple[float, float] | None = None) -> TrialAxis:
    if not values:
        return TrialAxis(name, np.zeros(0), ())
    numbers = np.array(values, dtype=np.float64)
    low, high = ends or (float(numbers.min()), float(numbers.max()))
    spaced = (lambda one: np.log(np.maximum(one, 1e-12))) if is_log else (lambda one: np.asarray(one, dtype=np.float64))
    span = max(float(spaced(high) - spaced(low)), 1e-12)
    labels = ((0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")) if high > low else ((0.0, f"{low:.3g}"),)
    return TrialAxis(name, np.clip((spaced(numbers) - spaced(low)) / span, 0, 1), labels)


def _shade(share: float, dark: bool) -> str:
    """Viridis by recall, without the end that is nearest to the background."""
    steps = SEQUENTIAL[2:] if dark else SEQUENTIAL[:-2][::-1]
    return steps[round(share * (len(steps) - 1))]


def _takeaway(trials: Sequence[TrialRecord], recall: np.ndarray) -> str:
    if not trials:
        return ""
    best = trials[int(recall.argmax())]
    return f"Most is found with {params_words(best.params)}: recall {recall.max():.3f}, the least {recall.min():.3f}"
