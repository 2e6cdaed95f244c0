"""Where the index's bytes go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from app.charts.frame import titled_figure, with_note
from app.theme import series_style

TITLE = "Memory by part"
LABELS = {"item_ids": "item ids", "scores": "scores", "indptr": "list starts", "codes": "codes"}


class MemoryPartsData(NamedTuple):
    """Bytes per part, the largest last (drawn on top).

    Attributes
    ----------
    labels
        For people.
    megabytes
        (n,) float64.
    """

    labels: tuple[str, ...]
    megabytes: np.ndarray


def memory_parts_data(size_bytes: Mapping[str, int]) -> MemoryPartsData:
    """Sort the parts by size.

    Parameters
    ----------
    size_bytes
        Part -> bytes.
    """
    parts = sorted(size_bytes.items(), key=lambda part: part[1])
    labels = tuple(LABELS.get(name, name) for name, _ in parts)
    return MemoryPartsData(labels, np.array([size for _, size in parts], dtype=np.float64) / 1e6)


def memory_parts_figure(data: MemoryPartsData, dark: bool) -> go.Figure:
    """A bar per part, with its megabytes written beside it.

    Parameters
    ----------
    data : MemoryPartsData
        What to draw; without parts the figure says that the index is being built.
    dark : bool
        Whether it stands on the dark background.
    """
    figure = titled_figure(TITLE, "MB", "", dark)
    if not data.labels:
        return with_note(figure, "Building the whole index ...")
    figure.add_bar(
        x=data.megabytes,
        y=data.labels,
        orientation="h",
        marker={"color": series_style(0, dark)["line"]["color"]},
        texttemplate="%{x:.3~g} MB",
        textposition="auto",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.4~g} MB<extra></extra>",
    )
    figure.layout.update(showlegend=False, bargap=0.35)
    figure.layout.xaxis.update(rangemode="tozero")
    return figure
