"""Chart of the bytes of each part of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, let_follow, title_follows
from app.charts.frame import PINNED, Figure, name_columns, pinned_marker, titled_figure, with_note
from app.charts.takeaways import memory_takeaway
from app.theme import series_style

TITLE = "Memory by part"
LABELS = {"item_ids": "item ids", "scores": "scores", "indptr": "list starts", "codes": "codes"}


class MemoryPartsData(NamedTuple):
    """MB per part, (n,) float64, ascending (the last is drawn on top); `pinned` has the same parts of the pinned run's index, None if there
    is none.
    """

    labels: tuple[str, ...]
    megabytes: np.ndarray
    parts: tuple[str, ...]
    pinned: np.ndarray | None = None


def memory_parts_data(size_bytes: Mapping[str, int], pinned: Mapping[str, int] | None = None) -> MemoryPartsData:
    """Sort the parts by size; both arguments map part -> bytes."""
    parts = sorted(size_bytes.items(), key=lambda part: part[1])
    labels = tuple(LABELS.get(name, name) for name, _ in parts)
    names = tuple(name for name, _ in parts)
    ghost = None if pinned is None else np.array([pinned.get(name, 0) for name in names], dtype=np.float64) / 1e6
    return MemoryPartsData(labels, np.array([size for _, size in parts], dtype=np.float64) / 1e6, names, ghost)


def memory_parts_figure(data: MemoryPartsData, dark: bool) -> Figure:
    """A bar per part with its megabytes; without parts the figure says that the index is being built."""
    takeaway = memory_takeaway(dict(zip(data.parts, data.megabytes.tolist(), strict=True)))
    figure = titled_figure(TITLE, "MB", "", dark, takeaway)
    if not data.labels:
        return with_note(figure, "Building the whole index ...")
    figure.add_bar(
        x=data.megabytes,
        y=data.labels,
        name="this run",
        orientation="h",
        marker={"color": series_style(0, dark)["line"]["color"]},
        texttemplate="%{x:.3~g} MB",
        textposition="auto",
        cliponaxis=False,
        showlegend=False,
        hovertemplate="%{y}: %{x:.4~g} MB<extra></extra>",
    )
    let_follow(figure, x=[Column.of_part(name) for name in data.parts])
    if takeaway:
        title_follows(figure, Column.MEMORY_TITLE)
    if data.pinned is not None:
        marker = {**pinned_marker(dark, "line-ns-open"), "size": 22, "line": {"width": 4}}
        hover = "pinned: %{y} %{x:.4~g} MB<extra></extra>"
        figure.add_scatter(x=data.pinned, y=data.labels, name=PINNED, mode="markers", marker=marker, hovertemplate=hover)
    figure.layout.update(showlegend=data.pinned is not None, bargap=0.35)
    figure.x.update(rangemode="tozero")
    name_columns(figure, y="part of the index")
    return figure
