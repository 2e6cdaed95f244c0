"""Recall against index size: the trade-off itself, for this setting and others seen before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from app.charts.frame import titled_figure, with_note
from app.theme import GRID_DARK, GRID_LIGHT, TEXT_DARK, TEXT_LIGHT, series_style

TITLE = "Recall against index size"
MOST_OTHERS = 4


class TradeOff(NamedTuple):
    """One setting's line.

    Attributes
    ----------
    label
        What it is called in the legend.
    megabytes, recall
        (n,) float64, ascending by size.
    """

    label: str
    megabytes: np.ndarray
    recall: np.ndarray


class RecallSizeData(NamedTuple):
    """The setting at hand, others, and the point of the slider.

    Attributes
    ----------
    this
        The line of the setting at hand.
    others
        At most `MOST_OTHERS`.
    current
        (MB, recall) at the slider; None before it is measured.
    k
        Items per query.
    """

    this: TradeOff
    others: tuple[TradeOff, ...]
    current: tuple[float, float] | None
    k: int


def trade_off(label: str, size_bytes: np.ndarray, recall: np.ndarray) -> TradeOff:
    """A line from measured points, in MB and ascending by size.

    Parameters
    ----------
    label
        Legend text.
    size_bytes, recall
        (n,) numbers.
    """
    order = np.argsort(size_bytes, kind="stable")
    return TradeOff(label, np.asarray(size_bytes, dtype=np.float64)[order] / 1e6, np.asarray(recall, dtype=np.float64)[order])


def recall_size_data(this: TradeOff, others: list[TradeOff], current: tuple[float, float] | None, k: int) -> RecallSizeData:
    """The chart's data: of the others, the last `MOST_OTHERS` that have points and another label.

    Parameters
    ----------
    this, others
        Lines, the others with the most recent last.
    current
        (bytes, recall) at the slider.
    k
        Items per query.
    """
    shown = [other for other in others if len(other.recall) and other.label != this.label]
    marked = None if current is None else (current[0] / 1e6, current[1])
    return RecallSizeData(this, tuple(shown[-MOST_OTHERS:]), marked, k)


def recall_size_figure(data: RecallSizeData, dark: bool) -> go.Figure:
    """Recall over megabytes on a logarithmic axis; every point of a line is one threshold.

    Parameters
    ----------
    data : RecallSizeData
        What to draw; without points the figure says that the index is being built.
    dark : bool
        Whether it stands on the dark background.
    """
    figure = titled_figure(TITLE, "index size (MB)", f"Recall@{data.k}", dark)
    if len(data.this.recall) == 0 and data.current is None:
        return with_note(figure, "Building the whole index ...")
    faint = GRID_DARK if dark else GRID_LIGHT
    for position, line in enumerate(data.others, start=2):
        style = series_style(position, dark)
        figure.add_scatter(x=line.megabytes, y=line.recall, name=line.label, mode="lines", line={**style["line"], "width": 2.5})
    style = series_style(0, dark)
    figure.add_scatter(x=data.this.megabytes, y=data.this.recall, name=data.this.label, mode="lines", line={**style["line"], "width": 3})
    if data.current is not None:
        marker = {**style["marker"], "size": 15, "line": {"width": 2, "color": TEXT_DARK if dark else TEXT_LIGHT}}
        figure.add_scatter(
            x=np.array([data.current[0]]), y=np.array([data.current[1]]), mode="markers", marker=marker, showlegend=False, name="now"
        )
    figure.update_traces(hovertemplate="%{x:.3g} MB<br>recall %{y:.3f}<extra>%{fullData.name}</extra>")
    figure.layout.xaxis.update(type="log", gridcolor=faint, minor={"showgrid": False}, dtick=1)
    figure.layout.yaxis.update(rangemode="tozero")
    # Five lines of legend have no room above the plot; recall rises with size, so the lower right is free.
    figure.layout.update(
        legend={"orientation": "v", "x": 1, "xanchor": "right", "y": 0.02, "yanchor": "bottom", "bgcolor": "rgba(0, 0, 0, 0)"},
        margin={"t": 44},
    )
    return figure
