"""Charts of a lesson's rows: bars, stacked bars, or lines over another figure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from app.charts.frame import Figure, titled_figure, with_note
from app.theme import series_style


class LessonSeries(NamedTuple):
    """One line or one colour of bars: (n,) float64 `x`, or names of bars, and (n,) float64 `y`."""

    name: str
    x: np.ndarray | tuple[str, ...]
    y: np.ndarray


class LessonRowsData(NamedTuple):
    """A chart's data; `is_lines` tells lines from bars, which `log_x` does not concern.

    `takeaway` stands above the title; empty for none.
    """

    title: str
    x_title: str
    y_title: str
    series: tuple[LessonSeries, ...]
    is_lines: bool
    log_x: bool = False
    log_y: bool = False
    takeaway: str = ""


def lesson_rows_figure(data: LessonRowsData, dark: bool) -> Figure:
    """Series differ by colour, and by dash and marker or by pattern and label as well; bars are labelled with their values."""
    figure = titled_figure(data.title, data.x_title, data.y_title, dark, data.takeaway)
    if not any(len(series.y) for series in data.series):
        return with_note(figure, "Nothing is measured yet")
    for place, series in enumerate(data.series):
        look = series_style(place, dark)
        (_add_line if data.is_lines else _add_bars)(figure, series, place, look)
    if data.is_lines and data.log_x:
        ticks = sorted({value for series in data.series for value in series.x.tolist() if value > 0})
        figure.x.update(type="log", tickvals=ticks, ticktext=[_short(tick) for tick in ticks], minor={"showgrid": False})
    if data.log_y:
        ticks = _round_ticks(np.concatenate([series.y for series in data.series]))
        figure.y.update(type="log", tickvals=ticks, ticktext=[_short(tick) for tick in ticks], minor={"showgrid": False})
    elif not data.is_lines:
        figure.y["rangemode"] = "tozero"
    figure.layout.update(showlegend=len(data.series) > 1, barmode="stack")
    return figure


def _add_line(figure: Figure, series: LessonSeries, place: int, look: dict[str, Any]) -> None:
    x_title, y_title = (axis["title"]["text"] for axis in (figure.x, figure.y))
    hover = f"{x_title}: %{{x:.4g}}<br>{y_title}: %{{y:.4g}}<extra>%{{fullData.name}}</extra>"
    line = {**look["line"], "width": 3}
    figure.add_scatter(
        x=series.x, y=series.y, name=series.name, mode="lines+markers", hovertemplate=hover, line=line, marker=look["marker"]
    )


def _add_bars(figure: Figure, series: LessonSeries, place: int, look: dict[str, Any]) -> None:
    # Over the colour, so that labels stay legible.
    pattern = {"shape": ("", "/", "x", ".")[place % 4], "fillmode": "overlay", "size": 10, "fgopacity": 0.35}
    figure.add_bar(
        x=list(series.x),
        y=series.y,
        name=series.name,
        text=[_label(value) for value in series.y.tolist()],
        marker={"color": look["line"]["color"], "pattern": pattern},
        hovertemplate=f"%{{x}}<br>{figure.y['title']['text']}: %{{y:.4g}}<extra>%{{fullData.name}}</extra>",
    )


def _round_ticks(values: np.ndarray) -> list[float]:
    """1, 2 and 5 times powers of ten around positive values; powers of ten alone where they span more than two of them."""
    values = values[values > 0]
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    return [float(step * 10.0**power) for power in np.arange(low, high + 1) for step in steps]


def _label(value: float) -> str:
    """As `_short`, with the zeros of measured digits."""
    return _short(value) if value == round(value) or abs(value) >= 100 else f"{value:#.3g}"


def _short(value: float) -> str:
    """Three digits, with thousands marked."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
