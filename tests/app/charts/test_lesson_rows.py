from __future__ import annotations

import numpy as np

from app.charts.lesson_rows import LessonRowsData, LessonSeries, lesson_rows_figure

LINES = LessonRowsData(
    "Lists",
    "users",
    "lists",
    (
        LessonSeries("tokens", np.array([100.0, 1600.0]), np.array([400.0, 6400.0])),
        LessonSeries("codes", np.array([100.0, 1600.0]), np.array([90.0, 250.0])),
    ),
    is_lines=True,
    log_x=True,
    log_y=True,
)
BARS = LessonRowsData(
    "Time",
    "",
    "ms",
    (LessonSeries("encode", ("one", "two"), np.array([0.1, 0.2])), LessonSeries("search", ("one", "two"), np.array([0.3, 1234.5]))),
    is_lines=False,
)


def test_lines_differ_by_more_than_colour_and_are_labelled_where_measured() -> None:
    figure = lesson_rows_figure(LINES, dark=False)
    first, second = figure.data
    assert first["line"]["dash"] != second["line"]["dash"]
    assert first["marker"]["symbol"] != second["marker"]["symbol"]
    assert figure.x["type"] == figure.y["type"] == "log"
    assert figure.x["ticktext"] == ["100", "1,600"]
    # From 90 to 6,400: more than two powers of ten.
    assert figure.y["ticktext"] == ["10", "100", "1,000", "10,000"]
    assert lesson_rows_figure(LINES._replace(series=LINES.series[1:]), dark=False).y["ticktext"][:4] == ["10", "20", "50", "100"]
    assert figure.layout["showlegend"]
    figure.to_json()


def test_bars_are_stacked_labelled_and_differ_by_pattern() -> None:
    figure = lesson_rows_figure(BARS, dark=True)
    assert figure.layout["barmode"] == "stack"
    assert [bar["text"] for bar in figure.data] == [["0.100", "0.200"], ["0.300", "1,234"]]
    assert figure.data[0]["marker"]["pattern"] != figure.data[1]["marker"]["pattern"]
    assert figure.y["rangemode"] == "tozero"


def test_one_series_needs_no_legend_and_none_is_said() -> None:
    assert not lesson_rows_figure(BARS._replace(series=BARS.series[:1]), dark=False).layout["showlegend"]
    empty = lesson_rows_figure(LINES._replace(series=()), dark=False)
    assert empty.layout["annotations"][0]["text"] == "Nothing is measured yet"
