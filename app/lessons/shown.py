"""Charts and table of a lesson's result."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from app.charts.lesson_rows import LessonRowsData, LessonSeries, lesson_rows_figure
from app.components.live_chart import live_chart
from app.lessons.lesson import Column, Lesson, Picture
from app.lessons.reading import Row, Rows, line

HEIGHT: Final = 340


def charts(lesson: Lesson, rows: Rows, takeaway: str) -> None:
    """Every picture of a lesson; `takeaway` is its text for people who do not see it."""
    with st.grid(min(3, len(lesson.pictures)), min_column_width=360):
        for place, picture in enumerate(lesson.pictures):
            data = picture_data(picture, rows)
            live_chart(lesson_rows_figure, data, f"lesson-{lesson.number}-{place}", f"{picture.title}. {takeaway}", HEIGHT)


def picture_data(picture: Picture, rows: Rows) -> LessonRowsData:
    """A picture's data; rows without one of its figures, or not asked for, are left out."""
    wanted = {*picture.figures, *([picture.x] if picture.x else [])}
    drawn = [row for row in rows if wanted <= row.values.keys() and (not picture.rows or row.name in picture.rows)]
    if picture.kind == "lines":
        series = tuple(_line(picture, line(drawn, name), figure, name) for name in _names(drawn) for figure in picture.figures)
    else:
        names = tuple(row.name for row in drawn)
        series = tuple(LessonSeries(words, names, _values(drawn, figure, picture.scale)) for figure, words in picture.figures.items())
    return LessonRowsData(picture.title, picture.x_title, picture.y_title, series, picture.kind == "lines", picture.log_x, picture.log_y)


def table(lesson: Lesson, rows: Rows) -> pd.DataFrame:
    """All rows as a table for people."""
    return pd.DataFrame(
        [{"": row.name} | {column.heading: _text(row, figure, column) for figure, column in lesson.columns.items()} for row in rows]
    )


def _line(picture: Picture, rows: list[Row], figure: str, name: str) -> LessonSeries:
    words = name if len(picture.figures) == 1 else picture.figures[figure]
    return LessonSeries(words, _values(rows, picture.x, picture.x_scale), _values(rows, figure, picture.scale))


def _names(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row.name for row in rows))


def _values(rows: Rows, figure: str, scale: float) -> np.ndarray:
    return np.array([row[figure] * scale for row in rows], dtype=np.float64)


def _text(row: Row, figure: str, column: Column) -> str:
    value = row.values.get(figure, float("nan"))
    return "" if value != value else format(value * column.scale, column.number_format)
