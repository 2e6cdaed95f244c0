"""Chart of a figure of every trial over one setting of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.kept.sweep_words import FIGURES, long_name, params_words, value_text
from app.theme import series_style, text_colour
from sparcode.sweep.answer import Figure as SweepFigure
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.space import Choices, Space

NAME: Final = "One setting at a time"
_AXES: Final = {
    "recall": ("recall, validation users", 1.0),
    "size_bytes": ("index size (MB)", 1e-6),
    "p50_ms": ("median time of a query (ms)", 1.0),
}


class SettingSliceData(NamedTuple):
    """Trials over one setting.

    Attributes
    ----------
    setting, axis
        Both axes in words.
    categories
        Values of a choice in order, as text; empty for a range, whose axis is logarithmic if `is_log`.
    x, y
        (n,) float64 place on the setting's axis (of a choice, the position in `categories`), and the figure.
    numbers, texts
        (n,) int64 trials, and all their settings in words.
    means
        (c,) float64 mean of each category; NaN where no trial has it.
    chosen
        Number of the trial that is looked at.
    """

    title: str
    setting: str
    axis: str
    categories: tuple[str, ...]
    is_log: bool
    x: np.ndarray
    y: np.ndarray
    numbers: np.ndarray
    texts: tuple[str, ...]
    means: np.ndarray
    chosen: int | None


def setting_slice_data(
    space: Space, trials: Sequence[TrialRecord], setting: str, of: SweepFigure, max_bytes: int | None, chosen: int | None
) -> SettingSliceData:
    """The chart's data, of complete trials at their best threshold within `max_bytes`."""
    (dimension,) = [one for one in space.dimensions if one.setting == setting]
    known = [(trial, point) for trial in trials if (point := trial.best(max_bytes)) is not None]
    values, (axis, scale) = [trial.params[setting] for trial, _ in known], _AXES[of]
    y = np.array([scale * getattr(point, of) for _, point in known], dtype=np.float64)
    is_choice = isinstance(dimension, Choices)
    choices = list(dimension.values) if is_choice else []
    x = np.array([choices.index(value) if is_choice else value for value in values], dtype=np.float64)
    means = np.array([y[x == place].mean() if (x == place).any() else np.nan for place in range(len(choices))], dtype=np.float64)
    return SettingSliceData(
        title=_takeaway(setting, [value_text(value) for value in choices], means, x, y, of),
        setting=long_name(setting),
        axis=axis,
        categories=tuple(map(value_text, choices)),
        is_log=not is_choice and dimension.log,
        x=x,
        y=y,
        numbers=np.array([trial.number for trial, _ in known], dtype=np.int64),
        texts=tuple(params_words(trial.params) for trial, _ in known),
        means=means,
        chosen=chosen,
    )


def setting_slice_figure(data: SettingSliceData, dark: bool) -> Figure:
    """A marker per trial; of a choice also a dash at the mean of each value."""
    figure = titled_figure(NAME, data.setting, data.axis, dark, data.title)
    if len(data.x) == 0:
        return with_note(figure, "No trial is complete yet")
    if len(data.categories):
        there = np.flatnonzero(~np.isnan(data.means))
        dash = {"symbol": "line-ew", "size": 40, "line": {"width": 2.5, "color": text_colour(dark)}}
        hover = "mean of the trials with this value: %{y:.4g}<extra></extra>"
        figure.add_scatter(x=there.astype(np.float64), y=data.means[there], name="mean", mode="markers", marker=dash, hovertemplate=hover)
    for place, name, at in (
        (0, "trials", np.flatnonzero(data.numbers != (-1 if data.chosen is None else data.chosen))),
        (1, f"trial {data.chosen}", np.flatnonzero(data.numbers == (-1 if data.chosen is None else data.chosen))),
    ):
        if len(at):
            figure.add_scatter(
                x=data.x[at],
                y=data.y[at],
                customdata=data.numbers[at],
                text=[data.texts[one] for one in at.tolist()],
                name=name,
                mode="markers",
                marker={**series_style(place, dark)["marker"], "size": 9 if place == 0 else 13, "opacity": 0.8},
                hovertemplate="trial %{customdata}: %{text}<br>%{y:.4g}; click to look at it<extra></extra>",
            )
    if data.categories:
        ticks = np.arange(len(data.categories), dtype=np.float64)
        figure.x.update(tickvals=ticks, ticktext=list(data.categories), range=[-0.5, len(ticks) - 0.5])
    elif data.is_log:
        figure.x.update(type="log")
    figure.layout["showlegend"] = True
    name_columns(figure, text="settings")
    return figure


def _takeaway(setting: str, values: Sequence[str], means: np.ndarray, x: np.ndarray, y: np.ndarray, of: SweepFigure) -> str:
    if len(y) == 0:
        return ""
    most = "most" if of == "recall" else "least"
    if len(values) == 0:
        at = int(y.argmax() if of == "recall" else y.argmin())
        return f"The {most} {FIGURES[of]}, {y[at]:.3g}, is at {params_words({setting: float(f'{x[at]:.3g}')})}"
    place = int(np.nanargmax(means) if of == "recall" else np.nanargmin(means))
    best = params_words({setting: values[place]})
    return f"Of the trials drawn, those with {best} have the {most} {FIGURES[of]} on average: {means[place]:.3g}"
