"""Marks of the traces that follow the threshold in the browser while it is dragged, before the server draws anew.

The browser holds a table of measured columns, one row per stop (`app.charts.threshold_columns`), and writes the slider's row into these
traces.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from app.charts.frame import Figure

# Margin beyond the outermost value, as a share of the axis.
_ROOM: Final = 0.06


class Column(StrEnum):
    """What a trace can follow: a column of the browser's table."""

    TAU = "tau"
    PERCENT = "percent"
    RECALL = "recall"
    NDCG = "ndcg"
    MEGABYTES = "megabytes"
    P50 = "p50"
    MEDIAN = "median"
    MEDIAN_TOP = "median_top"
    MEDIAN_TEXT = "median_text"
    # Lists by length: an array for each stop.
    LENGTHS = "lengths"
    ITEM_IDS_MB = "item_ids_mb"
    SCORES_MB = "scores_mb"
    INDPTR_MB = "indptr_mb"
    CODES_MB = "codes_mb"
    # Titles.
    ACCURACY_TITLE = "accuracy_title"
    SIZE_TITLE = "size_title"
    MEMORY_TITLE = "memory_title"

    @classmethod
    def of_part(cls, part: str) -> Column:
        """Megabytes of one part of an index; ValueError if no column holds that part."""
        return cls(f"{part}_mb")


class SizeColumn(StrEnum):
    """Columns of the page Scale: SparCode at every size of a growing catalogue, an array for each stop."""

    MS = "scale_ms"
    MB = "scale_mb"
    SECONDS = "scale_seconds"
    FOUND = "scale_found"


class QueryColumn(StrEnum):
    """Columns of the page Inside a query, an array for each stop: lengths of its lists, and what groups of lists add to its items."""

    LENGTHS = "query_lengths"
    # Titles.
    LENGTHS_TITLE = "query_lengths_title"
    PARTS_TITLE = "query_parts_title"
    PART_0 = "query_part_0"
    PART_1 = "query_part_1"
    PART_2 = "query_part_2"
    PART_3 = "query_part_3"
    PART_4 = "query_part_4"
    PART_5 = "query_part_5"

    @classmethod
    def of_part(cls, position: int) -> QueryColumn:
        """What the group of lists at a position adds; ValueError if no column holds it."""
        return cls(f"query_part_{position}")


# A column, a constant number or empty text, or a list of them for a trace of several points.
Source = Column | SizeColumn | QueryColumn | float | list[Column | float | str]


def let_follow(figure: Figure, **sources: Source) -> None:
    """Mark the trace added last: the columns that its `x`, `y` or `text` come from."""
    figure.layout.setdefault("meta", {}).setdefault("follow", []).append({"trace": len(figure.data) - 1, **sources})


def title_follows(figure: Figure, column: Column | QueryColumn) -> None:
    """Mark the figure's takeaway as one of a column; for a figure that has one."""
    figure.layout.setdefault("meta", {"follow": []})["title"] = column


def axes_stay(figure: Figure, *heights: float) -> None:
    """Fix the axes around all traces of a finished figure and `heights`, so that no stop moves them; kind, direction and zero stay.

    The browser then updates traces in half the time. Markers on the edge stay whole.
    """
    for axis, part, more in ((figure.x, "x", ()), (figure.y, "y", heights)):
        values = np.concatenate([*(np.asarray(trace[part], dtype=np.float64) for trace in figure.data), np.array(more, dtype=np.float64)])
        is_log = axis.get("type") == "log"
        values = np.log10(values[values > 0]) if is_log else values[np.isfinite(values)]
        if len(values) == 0:
            return
        low, high = float(values.min()), float(values.max())
        room = _ROOM * (high - low) or _ROOM
        low = 0.0 if axis.get("rangemode") == "tozero" and not is_log and low >= 0 else low - room
        ends = [low, high + room]
        axis.update(range=ends[::-1] if axis.get("autorange") == "reversed" else ends, autorange=False)
    for mark in figure.layout["meta"]["follow"]:
        figure.data[mark["trace"]]["cliponaxis"] = False
    figure.layout["meta"]["axes_stay"] = True
